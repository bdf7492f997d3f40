package target

import "net/netip"

// Family is what a scan is restricted to.
type Family uint8

// AnyFamily is no restriction.
const (
	AnyFamily Family = 0
	IPv4      Family = 4
	IPv6      Family = 6
)

func (f Family) String() string {
	switch f {
	case IPv4:
		return "IPv4"
	case IPv6:
		return "IPv6"
	}
	return "any family"
}

// has reports whether an address is of the family.
func (f Family) has(a netip.Addr) bool { return f == AnyFamily || a.Is4() == (f == IPv4) }

// restrict takes the other family out of r, and reports whether there was something of it.
func (f Family) restrict(r *ranges) bool {
	switch had := *r; f {
	case IPv4:
		r.v6 = r.v6[:0]
		return len(had.v6) > 0
	case IPv6:
		r.v4 = r.v4[:0]
		return len(had.v4) > 0
	}
	return false
}
