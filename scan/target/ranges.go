package target

import (
	"math"
	"math/bits"
	"net/netip"

	"go4.org/netipx"
)

// ranges is a set of addresses of both families under construction, without a limit of its size: an
// exclusion or a scope may well be larger than anything that can be scanned.
// After normalize it is ascending and disjoint.
type ranges struct {
	v4 []span[addr4]
	v6 []span[addr6]
}

// mapped is ::ffff:0:0/96, IPv4-mapped addresses (RFC 4291 section 2.5.5.2). They never stand on the
// wire, so no set holds one.
var mapped = span[addr6]{addr6{0, 0xffff_0000_0000}, addr6{0, 0xffff_ffff_ffff}}

// add takes a valid range without zone. A range inside the IPv4-mapped block means the IPv4 addresses;
// a wider IPv6 range means IPv6 only and loses that block, so that excluding ::/0 leaves IPv4 alone.
func (r *ranges) add(x netipx.IPRange) {
	if x.From().Is4() {
		r.v4 = put(r.v4, span[addr4]{number4(x.From()), number4(x.To())})
		return
	}
	first, last := number6(x.From()), number6(x.To())
	switch {
	case !first.less(mapped.first) && !mapped.last.less(last):
		r.v4 = put(r.v4, span[addr4]{addr4(first.lo), addr4(last.lo)})
	case last.less(mapped.first) || mapped.last.less(first):
		r.v6 = put(r.v6, span[addr6]{first, last})
	default:
		if first.less(mapped.first) {
			r.v6 = put(r.v6, span[addr6]{first, mapped.first.prev()})
		}
		if mapped.last.less(last) {
			r.v6 = put(r.v6, span[addr6]{mapped.last.next(), last})
		}
	}
}

func (r *ranges) addPrefix(p netip.Prefix) { r.add(netipx.RangeOfPrefix(p)) }

func (r *ranges) addAddr(a netip.Addr) { r.add(netipx.IPRangeFrom(a, a)) }

func (r *ranges) addRanges(x ranges) {
	for _, s := range x.v4 {
		r.v4 = put(r.v4, s)
	}
	for _, s := range x.v6 {
		r.v6 = put(r.v6, s)
	}
}

func (r *ranges) normalize() {
	r.v4, r.v6 = merge(r.v4), merge(r.v6)
}

// reset empties r and keeps its memory.
func (r *ranges) reset() { r.v4, r.v6 = r.v4[:0], r.v6[:0] }

func (r ranges) empty() bool { return len(r.v4) == 0 && len(r.v6) == 0 }

// minus needs both normalized. The result may share r's memory.
func (r ranges) minus(x ranges) ranges {
	return ranges{subtract(r.v4, x.v4), subtract(r.v6, x.v6)}
}

// shared returns the intersection of two normalized sets.
func (r ranges) shared(x ranges) ranges { return r.minus(r.minus(x)) }

// meet returns the first address of r, in r's order, that the normalized set x holds too.
func (r ranges) meet(x ranges) (netip.Addr, bool) {
	for _, s := range r.v4 {
		if a, ok := meet(x.v4, s); ok {
			return a.netip(), true
		}
	}
	for _, s := range r.v6 {
		if a, ok := meet(x.v6, s); ok {
			return a.netip(), true
		}
	}
	return netip.Addr{}, false
}

// count returns the number of addresses of a normalized set, math.MaxUint64 standing for more.
func (r ranges) count() uint64 {
	var n uint64
	for _, s := range r.v4 {
		n += uint64(s.last-s.first) + 1
	}
	for _, s := range r.v6 {
		size := s.last.sub(s.first)
		sum, carry := bits.Add64(n, size.lo, 1)
		if size.hi != 0 || carry != 0 {
			return math.MaxUint64
		}
		n = sum
	}
	return n
}

// prefixes calls yield with the minimal CIDR decomposition in ascending order until it returns false.
func (r ranges) prefixes(yield func(netip.Prefix) bool) {
	r.each(func(x netipx.IPRange) bool {
		var room [256]netip.Prefix // a range of n bits needs at most 2n-2 prefixes
		for _, p := range x.AppendPrefixes(room[:0]) {
			if !yield(p) {
				return false
			}
		}
		return true
	})
}

func (r ranges) each(yield func(netipx.IPRange) bool) {
	for _, s := range r.v4 {
		if !yield(netipx.IPRangeFrom(s.first.netip(), s.last.netip())) {
			return
		}
	}
	for _, s := range r.v6 {
		if !yield(netipx.IPRangeFrom(s.first.netip(), s.last.netip())) {
			return
		}
	}
}
