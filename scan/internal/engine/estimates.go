package engine

import (
	"sync"
	"time"

	"synoptic/results"
	"synoptic/scan/estimate"
)

// Estimates are the loss and the number of open ports missed, with their intervals, or why there are none.
type Estimates struct {
	Loss, Missed *results.Estimate // nil where Void says why
	Void         string
}

// Unmeasured is Void where the kernel asks again by itself, so that nobody knows which attempt was answered.
const Unmeasured = "unmeasured"

// EvidenceLost is Void where positions are unknown: what is not known of them may be missed, and nothing is printed that says less.
const EvidenceLost = "evidence-lost"

// estimatesEvery is how long estimates of a running scan are good: they cost a millisecond or two.
const estimatesEvery = time.Second

// lastEstimates are those that were made last.
type lastEstimates struct {
	mu    sync.Mutex
	made  time.Time
	final bool // made of the whole
	e     Estimates
}

// Estimates may be called at any time, from any goroutine. While the phase runs, missed are those that nobody will
// ask again; at its end, all that were asked.
func (ph *Phase) Estimates() Estimates {
	if ph.ev.loss == nil {
		return Estimates{Void: Unmeasured}
	}
	l := &ph.estimates
	l.mu.Lock()
	defer l.mu.Unlock()
	now, ended := time.Now(), ph.ended.Load() != 0
	if l.final || !ended && now.Sub(l.made) < estimatesEvery {
		return l.e
	}
	l.made, l.final, l.e = now, ended, Estimates{}
	switch {
	case ph.limited.Load():
		l.e.Void = string(estimate.FirstContacts)
	case ph.tally.unknown.Load() > 0:
		l.e.Void = EvidenceLost
	default:
		counts := ph.ev.loss.Counts(now.Add(-ph.listenTime()))
		if r := estimate.Of(&counts); r.Void != estimate.None {
			l.e.Void = string(r.Void)
		} else {
			l.e.Loss, l.e.Missed = written(r.Loss), written(r.Missed)
		}
	}
	return l.e
}

func written(i estimate.Interval) *results.Estimate {
	return &results.Estimate{Value: i.Value, Low: i.Low, High: i.High}
}
