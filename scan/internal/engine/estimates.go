package engine

import (
	"sync"
	"time"

	"synoptic/scan/estimate"
)

// estimatesEvery is how long estimates of a running scan are good: they cost a millisecond or two.
const estimatesEvery = time.Second

// lastEstimates are those that were made last.
type lastEstimates struct {
	mu    sync.Mutex
	made  time.Time
	final bool // made of the whole
	e     estimate.Result
}

// Estimates may be called at any time, from any goroutine. While the phase runs, missed are those that nobody will
// ask again; at its end, all that were asked.
func (ph *Phase) Estimates() estimate.Result {
	if ph.ev.loss == nil {
		return estimate.Result{Void: estimate.Unmeasured}
	}
	l := &ph.estimates
	l.mu.Lock()
	defer l.mu.Unlock()
	now, ended := time.Now(), ph.ended.Load() != 0
	if l.final || !ended && now.Sub(l.made) < estimatesEvery {
		return l.e
	}
	l.made, l.final = now, ended
	switch {
	case ph.limited.Load():
		l.e = estimate.Result{Void: estimate.FirstContacts}
	case ph.tally.unknown.Load() > 0:
		l.e = estimate.Result{Void: estimate.EvidenceLost}
	default:
		counts := ph.ev.loss.Counts(now.Add(-ph.listenTime()))
		l.e = estimate.OfPart(&counts, ph.ofParts)
	}
	return l.e
}
