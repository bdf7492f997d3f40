package target

// Tables are the look-up tables of a Space of IPv4 addresses, for those who search it in another
// language. The slices are the Space's own and must not be changed, but for Runs, which are copies.
type Tables struct {
	Product uint64 // addresses × ports come first
	Magic   uint64 // ⌈2^64 / ports⌉, 0 for one port: see split
	Ports   []uint16
	Sets    []SetTables // the product's addresses, then the sparse ones by port
}

// SetTables are the tables of one set of addresses. Addresses are numbers in host byte order.
type SetTables struct {
	Port   uint16 // of sparse targets
	Base   uint64 // index of the set's first probe
	Len    uint64
	Runs   [][2]uint32 // first address and its index in the set; behind the last a sentinel whose index is Len
	Width  uint32      // last address - first
	ByBase GuideTable  // by index in the set
	ByAddr GuideTable  // by address, counted from the first
}

// GuideTable divides keys into buckets of 2^Shift: a key of bucket b belongs to one of the runs
// Start[b] to Start[b+1]. A set of a single run has none.
type GuideTable struct {
	Start []uint32
	Shift uint8
}

// Tables returns the tables; ok is false where there are IPv6 addresses.
func (s *Space) Tables() (t Tables, ok bool) {
	if n := s.all.Len(); n > 0 && s.all.len4 != n {
		return t, false
	}
	t = Tables{Product: s.product, Magic: s.magic}
	if s.ports != nil {
		t.Ports = s.ports.list
	}
	t.Sets = append(t.Sets, s.addrs.v4.tables(0, 0, s.addrs.len4))
	for _, g := range s.groups {
		t.Sets = append(t.Sets, g.addrs.v4.tables(g.port, g.base, g.addrs.len4))
	}
	return t, true
}

func (t *table4) tables(port uint16, base, length uint64) SetTables {
	s := SetTables{
		Port: port, Base: base, Len: length, Width: t.width,
		ByBase: GuideTable{t.byBase.start, t.byBase.shift}, ByAddr: GuideTable{t.byAddr.start, t.byAddr.shift},
	}
	for _, r := range t.runs {
		s.Runs = append(s.Runs, [2]uint32{r.first, r.base})
	}
	return s
}
