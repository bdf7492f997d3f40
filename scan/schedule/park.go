package schedule

import (
	"cmp"
	"container/heap"
	"slices"
	"time"
)

// A pass that could not be walked whole waits until the first of the positions that were put off is due, and for parkMin at least.
// Where nobody knows when that is, or nothing more could be put off, it waits for parkMin, and twice as long as the last time where
// nothing of it could be probed, up to parkMax.
const (
	parkMin = time.Millisecond
	parkMax = 64 * time.Millisecond
)

// Park takes back a pass that could not be walked whole. It is handed out again after a while, for the
// positions that were put off and for what lies behind its cursor; its chunk goes no further meanwhile.
func (s *Schedule) Park(p *Pass, now time.Time) {
	s.flying--
	p.wait = min(2*p.wait, parkMax)
	if left := p.left(); left != p.before {
		p.wait, p.before = parkMin, left
	}
	p.again, p.later = append(p.later, p.again...), nil
	slices.SortStableFunc(p.again, func(a, b putOff) int { return cmp.Compare(a.due, b.due) })
	p.due = now.Add(p.wait)
	if len(p.again) > 0 && p.again[0].due > 0 {
		first := p.begun.Add(p.again[0].due)
		switch soonest := now.Add(parkMin); {
		case first.Before(soonest):
			p.due = soonest
		case !p.stuck() || first.Before(p.due):
			p.due = first
		}
	}
	if p.stuck() {
		s.stuck++
	}
	heap.Push(&s.parked, p)
}

// Rouse has those of the positions put off that some picks asked about again at once, for what held them back has changed.
func (s *Schedule) Rouse(now time.Time, some func(pos uint64) bool) {
	for _, p := range s.parked {
		roused := false
		for i := range p.again {
			if some(p.again[i].pos) {
				p.again[i].due, roused = min(p.again[i].due, max(now.Sub(p.begun), 1)), true
			}
		}
		if roused {
			slices.SortStableFunc(p.again, func(a, b putOff) int { return cmp.Compare(a.due, b.due) })
			p.due = now
		}
	}
	heap.Init(&s.parked)
}

// Parked calls f for every pass that waits.
func (s *Schedule) Parked(f func(*Pass)) {
	for _, p := range s.parked {
		f(p)
	}
}

// unpark gives the parked pass that is due first, or tells how long none is: negative where none waits.
func (s *Schedule) unpark(now time.Time) (p *Pass, wait time.Duration) {
	if len(s.parked) == 0 {
		return nil, -1
	}
	if wait = s.parked[0].due.Sub(now); wait > 0 {
		return nil, wait
	}
	p = heap.Pop(&s.parked).(*Pass)
	if p.stuck() {
		s.stuck--
	}
	p.now = now.Sub(p.begun)
	s.flying++
	return p, 0
}

// parkedPasses are a heap: the one that is due first is at its top.
type parkedPasses []*Pass

func (h parkedPasses) Len() int           { return len(h) }
func (h parkedPasses) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h parkedPasses) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *parkedPasses) Push(x any)        { *h = append(*h, x.(*Pass)) }
func (h *parkedPasses) Pop() any {
	last := len(*h) - 1
	p := (*h)[last]
	*h = (*h)[:last]
	return p
}
