package target

import "net/netip"

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
