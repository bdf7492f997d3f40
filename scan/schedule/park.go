package schedule

import (
	"slices"
	"time"
)

// A pass that could not be walked whole waits for parkMin; where nothing of it could be probed, twice as long as the
// last time, up to parkMax.
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
	p.due = now.Add(p.wait)
	p.again, p.later = append(p.later, p.again...), nil
	s.parked = append(s.parked, p)
}

// Parked calls f for every pass that waits.
func (s *Schedule) Parked(f func(*Pass)) {
	for _, p := range s.parked {
		f(p)
	}
}

// unpark gives the parked pass that is due first, or tells how long none is: negative where none waits.
func (s *Schedule) unpark(now time.Time) (p *Pass, wait time.Duration) {
	first := 0
	wait = -1
	for i, p := range s.parked {
		if left := max(p.due.Sub(now), 0); wait < 0 || left < wait {
			wait, first = left, i
		}
	}
	if wait != 0 {
		return nil, wait
	}
	p = s.parked[first]
	s.parked = slices.Delete(s.parked, first, first+1)
	s.flying++
	return p, 0
}
