package target

import "math/bits"

// Look-up tables of a Set. Runs ascend both in address and in index, so either direction is a search
// for the last run that begins at or before the key. A guide cuts the search down to the few runs
// that share a bucket with the key: near constant time where the runs are spread evenly, a binary
// search of the bucket at worst.

// run4 is a range of IPv4 addresses: its first address and the index of that address. 2^32 addresses
// have indices that fit in 32 bits. Behind the last run stands a sentinel whose base is the number of
// addresses (mod 2^32, which the differences taken below do not notice).
type run4 struct{ first, base uint32 }

type table4 struct {
	runs   []run4
	width  uint32 // last address - first address
	byBase guide
	byAddr guide
}

// run6 is run4 for IPv6; the base counts from the first IPv6 address.
type run6 struct {
	first addr6
	base  uint64
}

type table6 struct {
	runs   []run6
	width  addr6
	byBase guide
	byAddr guide
}

func newTable4(s []span[addr4]) table4 {
	if len(s) == 0 {
		return table4{}
	}
	n := len(s)
	t := table4{runs: make([]run4, n+1), width: uint32(s[n-1].last - s[0].first)}
	var base uint64
	for i, x := range s {
		t.runs[i] = run4{uint32(x.first), uint32(base)}
		base += uint64(x.last-x.first) + 1
	}
	t.runs[n].base = uint32(base)
	t.byBase = newGuide(n, addr6{0, base - 1}, func(i int) addr6 { return addr6{0, uint64(t.runs[i].base)} })
	t.byAddr = newGuide(n, addr6{0, uint64(t.width)}, func(i int) addr6 { return addr6{0, uint64(t.runs[i].first - t.runs[0].first)} })
	return t
}

func newTable6(s []span[addr6]) table6 {
	if len(s) == 0 {
		return table6{}
	}
	n := len(s)
	t := table6{runs: make([]run6, n+1), width: s[n-1].last.sub(s[0].first)}
	var base uint64
	for i, x := range s {
		t.runs[i] = run6{x.first, base}
		base += x.last.sub(x.first).lo + 1
	}
	t.runs[n].base = base
	t.byBase = newGuide(n, addr6{0, base - 1}, func(i int) addr6 { return addr6{0, t.runs[i].base} })
	t.byAddr = newGuide(n, t.width, func(i int) addr6 { return t.runs[i].first.sub(t.runs[0].first) })
	return t
}

// at needs i below the number of addresses.
func (t *table4) at(i uint32) addr4 {
	lo := uint32(0)
	if len(t.runs) > 2 {
		var hi uint32
		lo, hi = t.byBase.bounds(uint64(i) >> t.byBase.shift)
		for lo < hi {
			mid := (lo + hi + 1) / 2
			if t.runs[mid].base <= i {
				lo = mid
			} else {
				hi = mid - 1
			}
		}
	}
	r := &t.runs[lo]
	return addr4(r.first + (i - r.base))
}

func (t *table4) index(a addr4) (uint32, bool) {
	if len(t.runs) == 0 {
		return 0, false
	}
	// One comparison rules out both sides: below the first address the difference wraps beyond width.
	key := uint32(a) - t.runs[0].first
	if key > t.width {
		return 0, false
	}
	lo := uint32(0)
	if len(t.runs) > 2 {
		var hi uint32
		lo, hi = t.byAddr.bounds(uint64(key) >> t.byAddr.shift)
		for lo < hi {
			mid := (lo + hi + 1) / 2
			if t.runs[mid].first <= uint32(a) {
				lo = mid
			} else {
				hi = mid - 1
			}
		}
	}
	r, next := t.runs[lo], t.runs[lo+1].base
	offset := uint32(a) - r.first
	return r.base + offset, offset <= next-r.base-1
}

func (t *table6) at(i uint64) addr6 {
	lo := uint32(0)
	if len(t.runs) > 2 {
		var hi uint32
		lo, hi = t.byBase.bounds(i >> t.byBase.shift)
		for lo < hi {
			mid := (lo + hi + 1) / 2
			if t.runs[mid].base <= i {
				lo = mid
			} else {
				hi = mid - 1
			}
		}
	}
	r := &t.runs[lo]
	return r.first.add(i - r.base)
}

func (t *table6) index(a addr6) (uint64, bool) {
	if len(t.runs) == 0 {
		return 0, false
	}
	key := a.sub(t.runs[0].first)
	if t.width.less(key) {
		return 0, false
	}
	lo := uint32(0)
	if len(t.runs) > 2 {
		var hi uint32
		lo, hi = t.byAddr.bounds(key.shr(uint(t.byAddr.shift)))
		for lo < hi {
			mid := (lo + hi + 1) / 2
			if a.less(t.runs[mid].first) {
				hi = mid - 1
			} else {
				lo = mid
			}
		}
	}
	r, next := &t.runs[lo], t.runs[lo+1].base
	offset := a.sub(r.first)
	return r.base + offset.lo, offset.hi == 0 && offset.lo < next-r.base
}

// guide divides the keys 0..top into at most n buckets of 2^shift keys. start[b] is the last run whose
// bucket lies before b, so a key of bucket b belongs to a run of start[b]..start[b+1].
type guide struct {
	start []uint32
	shift uint8
}

// newGuide takes the ascending first keys of n < 2^32 runs and the highest key there is.
func newGuide(n int, top addr6, key func(i int) addr6) guide {
	size := 64 - bits.LeadingZeros64(top.lo)
	if top.hi != 0 {
		size = 128 - bits.LeadingZeros64(top.hi)
	}
	// 2^keep <= n buckets: 4 bytes each, no more than half of what the runs themselves take.
	keep := bits.Len(uint(n)) - 1
	g := guide{shift: uint8(max(0, size-keep))}
	if n == 1 {
		return g // never asked, and its shift may be 128
	}
	g.start = make([]uint32, top.shr(uint(g.shift))+2)
	run := 0
	for b := range g.start {
		for run+1 < n && key(run+1).shr(uint(g.shift)) < uint64(b) {
			run++
		}
		g.start[b] = uint32(run)
	}
	return g
}

func (g *guide) bounds(bucket uint64) (lo, hi uint32) {
	pair := g.start[bucket : bucket+2]
	return pair[0], pair[1]
}
