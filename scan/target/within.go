package target

// Within returns the part of a space whose addresses are in a set, and the part whose are not; nil where that is empty.
func (s *Space) Within(set *Set) (in, out *Space, err error) {
	some := set.ranges()
	cut := func(keep func(ranges) ranges) (*Space, error) {
		product, err := newSet(keep(s.addrs.ranges()))
		if err != nil {
			return nil, err
		}
		left := product.Len()
		pairs := make(map[uint16]*Set, len(s.groups))
		for _, g := range s.groups {
			if pairs[g.port], err = newSet(keep(g.addrs.ranges())); err != nil {
				return nil, err
			}
			left += pairs[g.port].Len()
		}
		if left == 0 {
			return nil, nil
		}
		return NewSpace(product, s.ports, pairs)
	}
	if in, err = cut(func(r ranges) ranges { return r.shared(some) }); err != nil {
		return nil, nil, err
	}
	out, err = cut(func(r ranges) ranges { return r.minus(some) })
	return in, out, err
}

// Families returns the part of a space with IPv4 addresses and the part with IPv6 addresses; nil where there are none.
func (s *Space) Families() (v4, v6 *Space, err error) {
	switch s.all.len4 {
	case 0:
		return nil, s, nil
	case s.all.len:
		return s, nil, nil
	}
	only4, err := newSet(ranges{v4: s.all.ranges().v4})
	if err != nil {
		return nil, nil, err
	}
	return s.Within(only4)
}
