package backoff

import (
	"math"
	"time"
)

const (
	// slower is by what a prefix is slowed at each step, as long as that does not help, and deepest how far at most.
	slower, deepest = 4.0, 64.0
	// minRate in packets per second is the least that a prefix is slowed to. What gets less than twice that is left alone.
	minRate = 1.0
	// A prefix that is clean for so many verdicts is sped up by faster: at first, and at most where it came back.
	faster, cleanRuns, maxRuns = 1.5, 2.0, 8.0
	// slowerAgain is by what one is slowed that is not clean any more.
	slowerAgain = 2.0
	// settle is how long after a change of the rate nothing is counted: later answers are to what was sent before.
	settle = int64(time.Second)
	// patience is how long a prefix that refuses as much stays as slow as can be.
	patience = int64(time.Minute)
	// verdict in nats is enough to tell whether a slowed prefix refuses still; after verdictTime it does not.
	verdict, verdictTime = 5.0, int64(20 * time.Second)
	// leastSent probes tell so where shares of what was sent do.
	leastSent = 16.0
)

// slow is how a prefix is slowed.
type slow struct {
	reason  Reason
	pair    *pair   // nil: refusals are a share of what was sent
	was, is float64 // shares of refusals, before and in the surge
	begun   int64
	full    float64 // rate before
	rate    float64
	bottom  int64   // since when it has been as slow as can be, and refuses; 0: it is not so
	helped  bool    // it has been clean since
	clean   float64 // verdicts in a row
	needed  float64
	window  window // begins when it has settled
}

// begin slows the prefix.
func (t *track) begin(s *slow, now int64) Change {
	s.needed = cleanRuns
	if t.before != nil && now-t.released < patience {
		s.needed = min(2*t.before.needed, maxRuns)
	}
	if t.powerless {
		t.done = true
		return t.change(s, Change{Began: true})
	}
	t.slow = s
	c := t.at(s.full/slower, now)
	c.Began = true
	return c
}

// at has the prefix go at a rate from now on, or at the least.
func (t *track) at(rate float64, now int64) Change {
	s := t.slow
	s.rate = max(rate, s.least())
	s.window = window{begin: now + settle}
	return t.change(s, Change{Rate: s.rate})
}

func (s *slow) least() float64 { return max(s.full/deepest, minRate) }

func (t *track) change(s *slow, c Change) Change {
	c.Prefix, c.Reason, c.Full, c.Begin = t.prefix, s.reason, s.full, s.begun
	return c
}

// release has the prefix go as fast as others. What it says from now on is compared with what it said before the surge.
func (t *track) release(now int64, why Ending) Change {
	c := t.change(t.slow, Change{Ended: why})
	t.before, t.released = t.slow, now
	t.slow, t.done, t.cur.begin = nil, why != Over, 0 // the next look begins anew
	for i := range t.drifts {
		t.drifts[i].restart()
	}
	return c
}

// faster speeds the prefix up, for a reason.
func (t *track) faster(now int64, why Ending) Change {
	s := t.slow
	if s.clean = 0; s.rate*faster >= s.full {
		return t.release(now, why)
	}
	return t.at(s.rate*faster, now)
}

// again judges a slowed prefix.
func (t *track) again(seen *sample, now int64) (Change, bool) {
	s := t.slow
	if now < s.window.begin {
		s.window.start = *seen
		return Change{}, false
	}
	w := seen.minus(&s.window.start)
	refuses, decided := s.judge(&w)
	if !decided && now-s.window.begin < verdictTime {
		return Change{}, false
	}
	s.window = window{now, *seen}
	if !refuses {
		s.helped, s.bottom = true, 0
		if s.clean++; s.clean < s.needed {
			return Change{}, false
		}
		return t.faster(now, Over), true
	}
	s.clean = 0
	switch {
	case s.rate > s.least() && s.helped: // at this rate, not at the one before
		s.needed = min(2*s.needed, maxRuns)
		return t.at(s.rate/slowerAgain, now), true
	case s.rate > s.least():
		return t.at(s.rate/slower, now), true
	case s.bottom == 0:
		s.bottom = now
	case now-s.bottom >= patience:
		return t.release(now, Vain), true
	}
	return Change{}, false
}

// judge tells whether the prefix refuses still, by a sequential test (Wald 1945) between its share before and halfway to that in the
// surge.
func (s *slow) judge(w *sample) (refuses, decided bool) {
	if s.pair == nil {
		refused := w.kinds[Prohibited]
		if s.reason == Storm {
			refused = w.kinds[Extra]
		}
		return refused >= w.sent/4, w.sent >= leastSent
	}
	half := (s.was + s.is) / 2
	n := s.pair.bad(w)*math.Log(half/s.was) + s.pair.good(w)*math.Log((1-half)/(1-s.was))
	return n >= verdict, math.Abs(n) >= verdict
}
