package inventory

import (
	"net/netip"
	"slices"
	"sort"

	"synoptic/results/coverage"
)

// latest tells which sweep has asked an endpoint last, of all sweeps: for each order of a plan, ranges of positions with the newest sweep that covers them.
// It reads back as far as it is asked to. Of a monitor's stream, whose pieces cover a part of the plan each, it saves one look per piece.
type latest struct {
	down   int // sweeps from this one on are in it
	orders []latestOrder
	index  map[spaceKey]int
}

type latestOrder struct {
	part   part          // without what is covered, which ranges say
	ranges []latestRange // ascending
	n      uint64        // positions in them
}

type latestRange struct {
	coverage.Range
	sweep int
}

// lastCovered is the newest sweep that covers an endpoint, or -1 where none behind the given one does.
func (t *timeline) lastCovered(at netip.AddrPort, behind int) int {
	l := t.latest
	if l == nil {
		l = &latest{down: len(t.sweeps), index: map[spaceKey]int{}}
		t.latest = l
	}
	for t.err == nil {
		last := -1
		for i := range l.orders {
			last = max(last, l.orders[i].find(t, at))
		}
		if last >= 0 || l.down <= behind+1 {
			return last
		}
		t.take(l)
	}
	return -1
}

func (o *latestOrder) find(t *timeline, at netip.AddrPort) int {
	if !t.inside(&o.part, at) {
		return -1
	}
	if len(o.ranges) == 1 && o.n == o.part.n {
		return o.ranges[0].sweep
	}
	position, in := t.position(&o.part, at)
	if !in {
		return -1
	}
	return o.newest(position)
}

// newest is the newest sweep that covers a position, or -1.
func (o *latestOrder) newest(position uint64) int {
	i, found := slices.BinarySearchFunc(o.ranges, position, func(r latestRange, p uint64) int {
		if p < r.Begin {
			return 1
		} else if p >= r.End {
			return -1
		}
		return 0
	})
	if !found {
		return -1
	}
	return o.ranges[i].sweep
}

// take adds the sweep before those that are in it.
func (t *timeline) take(l *latest) {
	l.down--
	for _, p := range t.pieces(l.down) {
		for _, q := range t.sets(p) {
			if q.covered.NumRanges() == 0 {
				continue
			}
			k := spaceKey{q.space, q.seed}
			i, known := l.index[k]
			if !known {
				i = len(l.orders)
				l.index[k], l.orders = i, append(l.orders, latestOrder{part: part{q.number, q.space, q.seed, q.n, &coverage.Set{}}})
			}
			l.orders[i].take(q.covered, l.down)
		}
	}
}

// take adds what a sweep covers, as far as no newer one does.
func (o *latestOrder) take(set *coverage.Set, sweep int) {
	var fresh []latestRange
	add := func(r coverage.Range) {
		if r.Len() > 0 {
			fresh, o.n = append(fresh, latestRange{r, sweep}), o.n+r.Len()
		}
	}
	for r := range set.Ranges() {
		i := sort.Search(len(o.ranges), func(i int) bool { return o.ranges[i].End > r.Begin })
		for ; i < len(o.ranges) && o.ranges[i].Begin < r.End; i++ {
			add(coverage.Range{Begin: r.Begin, End: o.ranges[i].Begin})
			r.Begin = o.ranges[i].End
		}
		add(r)
	}
	if len(fresh) == 0 {
		return
	}
	all := make([]latestRange, 0, len(o.ranges)+len(fresh))
	for _, r := range o.ranges {
		for len(fresh) > 0 && fresh[0].Begin < r.Begin {
			all, fresh = append(all, fresh[0]), fresh[1:]
		}
		all = append(all, r)
	}
	o.ranges = append(all, fresh...)
}
