package target

import (
	"fmt"
	"iter"
	"net/netip"

	"go4.org/netipx"
)

// MaxLen is the largest number of addresses in a Set, and of probes in a Space.
const MaxLen = 1 << 48

// Set is an immutable, sorted set of disjoint address ranges, IPv4 and IPv6 in one order, IPv4 first.
// Its addresses are numbered 0..Len()-1. The zero value is the empty set.
type Set struct {
	len  uint64
	len4 uint64
	v4   table4
	v6   table6
}

// newSet takes a normalized set.
func newSet(r ranges) (*Set, error) {
	n := r.count()
	if n > MaxLen {
		return nil, tooManyAddrs("")
	}
	s := &Set{len: n, len4: ranges{v4: r.v4}.count(), v4: newTable4(r.v4), v6: newTable6(r.v6)}
	return s, nil
}

func tooManyAddrs(text string) *Error {
	return wrong(text, "a /64 has 18 quintillion addresses: list the known addresses, or scan at most a /80",
		"more than 2^48 addresses")
}

// Len returns the number of addresses, at most MaxLen.
func (s *Set) Len() uint64 { return s.len }

// At returns the address with index i and panics if i is not below Len. It does not allocate.
func (s *Set) At(i uint64) netip.Addr {
	if i < s.len4 {
		return s.v4.at(uint32(i)).netip()
	}
	if i >= s.len {
		panicIndex(i, s.len)
	}
	return s.v6.at(i - s.len4).netip()
}

// Index returns the index of a, and false if a is not in the set. An IPv4-mapped IPv6 address stands
// for the IPv4 address; an address with a zone is in no set. It does not allocate.
func (s *Set) Index(a netip.Addr) (uint64, bool) {
	if a.Is4() || a.Is4In6() && a.Zone() == "" {
		i, ok := s.v4.index(number4(a))
		return uint64(i), ok
	}
	if !a.Is6() || a.Zone() != "" {
		return 0, false
	}
	i, ok := s.v6.index(number6(a))
	return s.len4 + i, ok
}

// Contains reports whether a is in the set, by Index's rules.
func (s *Set) Contains(a netip.Addr) bool {
	_, ok := s.Index(a)
	return ok
}

// NumRanges returns the number of disjoint, non-adjacent ranges.
func (s *Set) NumRanges() int {
	return max(0, len(s.v4.runs)-1) + max(0, len(s.v6.runs)-1)
}

// Ranges yields the disjoint, non-adjacent ranges in ascending order.
func (s *Set) Ranges() iter.Seq[netipx.IPRange] {
	return func(yield func(netipx.IPRange) bool) {
		for i := 0; i+1 < len(s.v4.runs); i++ {
			x := s.v4.span(i)
			if !yield(netipx.IPRangeFrom(x.first.netip(), x.last.netip())) {
				return
			}
		}
		for i := 0; i+1 < len(s.v6.runs); i++ {
			x := s.v6.span(i)
			if !yield(netipx.IPRangeFrom(x.first.netip(), x.last.netip())) {
				return
			}
		}
	}
}

// Prefixes yields the fewest prefixes that make up the set, in ascending order.
func (s *Set) Prefixes() iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		var room [256]netip.Prefix // a range of n address bits needs at most 2n-2
		for r := range s.Ranges() {
			for _, p := range r.AppendPrefixes(room[:0]) {
				if !yield(p) {
					return
				}
			}
		}
	}
}

// ranges returns the set in the form of the range algebra, in memory of its own.
func (s *Set) ranges() ranges {
	var r ranges
	for i := 0; i+1 < len(s.v4.runs); i++ {
		r.v4 = append(r.v4, s.v4.span(i))
	}
	for i := 0; i+1 < len(s.v6.runs); i++ {
		r.v6 = append(r.v6, s.v6.span(i))
	}
	return r
}

func (t *table4) span(i int) span[addr4] {
	r := t.runs[i]
	return span[addr4]{addr4(r.first), addr4(r.first + (t.runs[i+1].base - r.base - 1))}
}

func (t *table6) span(i int) span[addr6] {
	r := t.runs[i]
	return span[addr6]{r.first, r.first.add(t.runs[i+1].base - r.base - 1)}
}

//go:noinline
func panicIndex(i, n uint64) {
	panic(fmt.Sprintf("target: index out of range [%d] with length %d", i, n))
}
