package target

import (
	"errors"
	"iter"
	"maps"
	"math/bits"
	"net/netip"
	"slices"
	"sort"
)

// Space is the index space [0, Len()) of a scan: the product of addresses and ports, followed by the
// sparse address:port pairs, grouped by port and disjoint from the product.
type Space struct {
	addrs   *Set
	ports   *Ports // nil if there is no product
	product uint64 // addresses × ports
	len     uint64
	magic   uint64  // ⌈2^64 / ports⌉, see split
	groups  []group // ascending by port and by base
	all     *Set
	nports  int
}

// group is the sparse targets of one port; base is the index of the first.
type group struct {
	addrs *Set
	base  uint64
	port  uint16
}

// NewSpace builds the space of addrs × ports and of pairs, a set of addresses for each port. Pairs that
// lie in the product are dropped. addrs, ports and pairs may be nil, but addresses need ports.
// It fails if there would be no probe or more than MaxLen.
func NewSpace(addrs *Set, ports *Ports, pairs map[uint16]*Set) (*Space, error) {
	if addrs == nil {
		addrs = &Set{}
	}
	s := &Space{addrs: addrs, all: addrs}
	var probed [1024]uint64
	if addrs.Len() > 0 {
		if ports == nil || ports.Len() == 0 {
			return nil, &Error{Err: errors.New("no ports given"), field: "Ports", hint: "choose them with Ports, as in 22,80,443"}
		}
		s.ports = ports
		probed = ports.bits
		hi, lo := bits.Mul64(addrs.Len(), uint64(ports.Len()))
		if hi != 0 || lo > MaxLen {
			return nil, tooManyProbes()
		}
		s.product = lo
		if n := uint64(ports.Len()); n > 1 {
			s.magic = ^uint64(0)/n + 1
		}
	}
	s.len = s.product
	if err := s.addPairs(pairs, &probed); err != nil {
		return nil, err
	}
	if s.len == 0 {
		return nil, &Error{Err: errors.New("no targets"), field: "Targets", hint: targetHint}
	}
	for _, word := range probed {
		s.nports += bits.OnesCount64(word)
	}
	return s, nil
}

func tooManyProbes() error {
	return &Error{
		Err: errors.New("more than 2^48 probes"), field: "Targets",
		hint: "scan fewer addresses or fewer ports at a time",
	}
}

func (s *Space) addPairs(pairs map[uint16]*Set, probed *[1024]uint64) error {
	var union ranges
	var product ranges // the addresses of the product, once they are needed
	for _, port := range slices.Sorted(maps.Keys(pairs)) {
		set := pairs[port]
		if port == 0 {
			return wrongPort("", portsHint, "port 0 cannot be scanned")
		}
		if s.ports != nil && s.ports.Contains(port) {
			if product.empty() {
				product = s.addrs.ranges()
			}
			var err error
			if set, err = newSet(set.ranges().minus(product)); err != nil {
				return err
			}
		}
		if set.Len() == 0 {
			continue
		}
		s.groups = append(s.groups, group{set, s.len, port})
		if s.len += set.Len(); s.len > MaxLen {
			return tooManyProbes()
		}
		probed[port/64] |= 1 << (port % 64)
		union.addRanges(set.ranges())
	}
	if union.empty() {
		return nil
	}
	union.addRanges(s.addrs.ranges())
	union.normalize()
	var err error
	s.all, err = newSet(union)
	return err
}

// Len returns the number of probes, 1..MaxLen.
func (s *Space) Len() uint64 { return s.len }

// At returns address and port of index i, which is addrIndex*ports + portIndex in the product. It
// panics if i is not below Len. It does not allocate.
func (s *Space) At(i uint64) (netip.Addr, uint16) {
	if i < s.product {
		q, r := s.split(i)
		return s.addrs.At(q), s.ports.At(int(r))
	}
	if i >= s.len {
		panicIndex(i, s.len)
	}
	g := &s.groups[sort.Search(len(s.groups), func(k int) bool { return s.groups[k].base > i })-1]
	return g.addrs.At(i - g.base), g.port
}

// split returns quotient and remainder of i by the number of ports n, without the division, which
// would cost more than all the rest of At on many processors. With m = ⌈2^64/n⌉ = (2^64+e)/n,
// 0 <= e < n, ⌊i·m/2^64⌋ is the exact quotient while i·e < 2^64 (Granlund and Montgomery 1994):
// here i < 2^48 and e < 2^16.
func (s *Space) split(i uint64) (q, r uint64) {
	if s.magic == 0 {
		return i, 0
	}
	q, _ = bits.Mul64(i, s.magic)
	return q, i - q*uint64(len(s.ports.list))
}

// Index returns the index of a probe, the inverse of At, and false if the scan has no such probe. It
// does not allocate.
func (s *Space) Index(a netip.Addr, port uint16) (uint64, bool) {
	if s.ports != nil {
		if p, ok := s.ports.Index(port); ok {
			if i, ok := s.addrs.Index(a); ok {
				return i*uint64(len(s.ports.list)) + uint64(p), true
			}
		}
	}
	if len(s.groups) == 0 {
		return 0, false
	}
	k := sort.Search(len(s.groups), func(k int) bool { return s.groups[k].port >= port })
	if k == len(s.groups) || s.groups[k].port != port {
		return 0, false
	}
	i, ok := s.groups[k].addrs.Index(a)
	return s.groups[k].base + i, ok
}

// Addrs returns every address that is probed at least once.
func (s *Space) Addrs() *Set { return s.all }

// Product returns the addresses and the ports whose product comes first in the space; ports is nil where
// there is no product.
func (s *Space) Product() (addrs *Set, ports *Ports) { return s.addrs, s.ports }

// Pairs yields the sparse targets behind the product: each port, ascending, with its addresses.
func (s *Space) Pairs() iter.Seq2[uint16, *Set] {
	return func(yield func(uint16, *Set) bool) {
		for _, g := range s.groups {
			if !yield(g.port, g.addrs) {
				return
			}
		}
	}
}

// NumPorts returns the number of distinct ports that are probed.
func (s *Space) NumPorts() int { return s.nports }

// Without returns the space less some addresses, on all their ports. It fails if no probe is left.
func (s *Space) Without(addrs []netip.Addr) (*Space, error) {
	less := func(set *Set) (*Set, error) {
		var b SetBuilder
		b.AddSet(set)
		for _, a := range addrs {
			b.RemoveAddr(a)
		}
		return b.Set()
	}
	product, err := less(s.addrs)
	if err != nil {
		return nil, err
	}
	pairs := make(map[uint16]*Set, len(s.groups))
	for _, g := range s.groups {
		if pairs[g.port], err = less(g.addrs); err != nil {
			return nil, err
		}
	}
	return NewSpace(product, s.ports, pairs)
}
