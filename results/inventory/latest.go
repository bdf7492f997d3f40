package inventory

import (
	"net/netip"
	"slices"

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
	part   part // covered: all that is in ranges
	ranges []latestRange
}

type latestRange struct {
	coverage.Range
	sweep int
}

// lastCovered is the newest sweep that covers an endpoint, or -1.
func (t *timeline) lastCovered(at netip.AddrPort) int {
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
		if last >= 0 || l.down == 0 {
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
	if len(o.ranges) == 1 && o.part.whole() {
		return o.ranges[0].sweep
	}
	position, in := t.position(&o.part, at)
	if !in {
		return -1
	}
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
	for _, p := range t.sweeps[l.down].pieces {
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
			o := &l.orders[i]
			before := len(o.ranges)
			for r := range q.covered.Minus(o.part.covered).Ranges() {
				o.ranges = append(o.ranges, latestRange{r, l.down})
			}
			if len(o.ranges) == before {
				continue
			}
			o.part.covered = coverage.Of(slices.AppendSeq(slices.Collect(o.part.covered.Ranges()), q.covered.Ranges())...)
			slices.SortFunc(o.ranges, func(a, b latestRange) int { return compare(key(a.Begin), key(b.Begin)) })
		}
	}
}
