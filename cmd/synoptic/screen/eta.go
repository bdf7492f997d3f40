package screen

import (
	"time"

	"synoptic/scan"
)

// eta estimates how long a phase takes yet, from the work that is done and the time that it took. Time in which the process
// stood still is none of it.
//
//	work, open ports verified ─▶ estimate ─▶ countdown ─▶ what is shown
type eta struct {
	began   time.Duration // on the clock that stands still
	at      time.Duration
	checked samples // open ports verified
	shown   countdown
}

func (e *eta) see(at time.Duration, p *scan.Progress) {
	passed := at - e.at
	e.at = at
	if p.Verification != nil {
		e.checked.add(at, p.Verification.Settled)
	}
	e.shown.see(passed, e.estimate(p))
}

// left is 0 where nothing can be said.
func (e *eta) left() time.Duration { return e.shown.left }

// estimate is what the work so far makes of the time that is left; 0: nothing.
func (e *eta) estimate(p *scan.Progress) time.Duration {
	if p.Verifying() {
		return e.checked.left(e.at, p.Open)
	}
	return p.Left(e.at - e.began)
}

// countdown is a time left as people expect it, made of estimates that go up and down: it counts down, and stands still
// rather than go up, unless an estimate is so much longer that something has changed.
type countdown struct{ left time.Duration }

const (
	// slack is how much longer than what is shown an estimate may be, besides a quarter of that, for it to be no more than chance.
	slack = time.Second
	// nearer is the time in which most of the way to a shorter estimate is gone.
	nearer = 2 * time.Second
)

// see takes an estimate, 0 where there is none, when so much time has passed since the last.
func (c *countdown) see(passed, estimate time.Duration) {
	expected := max(c.left-passed, 0)
	switch {
	case estimate == 0 || c.left == 0 || estimate > c.left+c.left/4+slack:
		c.left = estimate
	case estimate >= expected:
		c.left = min(c.left, estimate)
	default:
		c.left = expected - time.Duration(float64(expected-estimate)*min(passed.Seconds()/nearer.Seconds(), 1))
	}
}

// samples are the latest moments at which a count grew, from which its speed is taken. It may grow in bursts: open ports
// that say nothing are done with all at once, when their time is over.
type samples struct {
	at    []time.Duration
	count []uint64
}

// sampledFor is how far samples reach back.
const sampledFor = 10 * time.Second

func (s *samples) add(at time.Duration, count uint64) {
	last := len(s.at) - 1
	switch {
	case last >= 0 && s.count[last] == count:
		return
	case last > 0 && at-s.at[last] > max(overdue*s.gap(), slack): // a stop that is over says nothing of the speed
		stopped := at - s.at[last] - s.gap()
		for i := range s.at {
			s.at[i] += stopped
		}
	}
	s.at, s.count = append(s.at, at), append(s.count, count)
	for len(s.at) > 2 && at-s.at[1] >= sampledFor {
		s.at, s.count = s.at[1:], s.count[1:]
	}
}

// overdue is how many times the usual gap between two bursts makes a stop.
const overdue = 3

// gap is the time between two bursts.
func (s *samples) gap() time.Duration {
	last := len(s.at) - 1
	return (s.at[last] - s.at[0]) / time.Duration(last)
}

// left is how long the count takes from now on to reach all at its speed, 0 where it has none, or has had none for longer than
// that.
func (s *samples) left(now time.Duration, all uint64) time.Duration {
	last := len(s.at) - 1
	if last < 1 || s.count[last] >= all {
		return 0
	}
	gap, idle := s.gap(), now-s.at[last]
	took := s.at[last] - s.at[0]
	if idle > overdue*gap {
		took += idle - gap
	}
	left := Seconds(took.Seconds() * float64(all-s.count[last]) / float64(s.count[last]-s.count[0]))
	if idle > max(left, overdue*gap, slack) {
		return 0
	}
	return max(left-min(idle, gap), progressEvery)
}
