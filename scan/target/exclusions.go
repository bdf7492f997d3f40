package target

import (
	"fmt"
	"iter"
	"net/netip"
)

// Exclusions are addresses that are never to be probed. They are immutable; the zero value excludes nothing.
type Exclusions struct{ all ranges }

// MaxExclusions is how many prefixes ParseExclusions takes at a time.
const MaxExclusions = 1024

// ParseExclusions reads what is to be excluded from a scan that runs already, in the forms of Config.Exclude but for host
// names, which nobody waits for then. Its errors are *Error.
func ParseExclusions(words []string) (*Exclusions, error) {
	x := &Exclusions{}
	add := func(e entry, text string, p place) error {
		switch {
		case e.host != "":
			return p.at(wrong(text, "give its addresses: a name may have others by now than when the scan began", "names are not resolved while a scan runs"))
		case e.port != 0:
			return p.at(wrong(text, "leave the port out: the address is excluded on every port", "an exclusion has no port"))
		case e.octets != nil && e.octets.numRanges() > MaxExclusions:
			return p.at(tooManyExclusions(text))
		}
		e.addTo(&x.all)
		return nil
	}
	for _, word := range words {
		if err := parseWord(word, place{field: "Exclude"}, add); err != nil {
			return nil, err
		}
	}
	x.all.normalize()
	if x.all.empty() {
		return nil, place{field: "Exclude"}.at(wrong("", "give an address, a prefix (10.0.0.0/24), a range (10.0.0.1-10.0.0.9) or an octet pattern (10.0.0-3.1)", "nothing to exclude"))
	}
	if x.Len() > MaxExclusions {
		return nil, place{field: "Exclude"}.at(tooManyExclusions(""))
	}
	return x, nil
}

func tooManyExclusions(text string) *Error {
	return wrong(text, "give larger prefixes, or exclude them a part at a time", "more than %d prefixes at a time", MaxExclusions)
}

// Contains reports whether an address is excluded; an IPv4-mapped IPv6 address stands for the IPv4 address. It does not
// allocate.
func (x *Exclusions) Contains(a netip.Addr) bool {
	if a = a.Unmap(); a.Is4() {
		n := number4(a)
		_, in := meet(x.all.v4, span[addr4]{n, n})
		return in
	}
	n := number6(a)
	_, in := meet(x.all.v6, span[addr6]{n, n})
	return in
}

// With returns the union of both; either may be nil.
func (x *Exclusions) With(more *Exclusions) *Exclusions {
	sum := &Exclusions{}
	for _, e := range []*Exclusions{x, more} {
		if e != nil {
			sum.all.addRanges(e.all)
		}
	}
	sum.all.normalize()
	return sum
}

// Prefixes yields the fewest prefixes that make up the exclusions, in ascending order, IPv4 first.
func (x *Exclusions) Prefixes() iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) { x.all.prefixes(yield) }
}

// Len is how many prefixes Prefixes yields.
func (x *Exclusions) Len() (n int) {
	for range x.Prefixes() {
		n++
	}
	return n
}

// Of is the part of a space that is excluded, and how many addresses and probes that is; 0 where there is none.
func (x *Exclusions) Of(s *Space) (addresses, probes uint64, err error) {
	set, err := newSet(s.Addrs().ranges().shared(x.all))
	if err != nil || set.Len() == 0 {
		return 0, 0, err
	}
	in, _, err := s.Within(set)
	if err != nil {
		return 0, 0, fmt.Errorf("exclude: %w", err)
	}
	return set.Len(), in.Len(), nil
}
