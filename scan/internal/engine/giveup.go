package engine

import (
	"errors"
	"fmt"
	"math"
	"time"

	"synoptic/results"
)

// errEvidence ends a phase whose evidence did not come back. It is no failure of the program.
var errEvidence = errors.New("evidence did not come back")

// mostVain outages that follow one another, each within soonAgain, without anything new end a scan: somebody shuts us out whenever
// we send.
const (
	mostVain  = 10
	soonAgain = int64(10 * time.Second)
)

// hopeless tells whether waiting is in vain: the programs' interface is gone for good, or one outage follows another.
func (w *sentinel) hopeless() bool {
	return w.cause.word == results.CauseInterfaceGone && !w.session.reopens() || w.vain > mostVain
}

// lostBecause says why an outage is not waited for any more.
func (w *sentinel) lostBecause() string {
	if w.vain > mostVain {
		return fmt.Sprintf("%d outages followed one another, and nothing was found between them: the network, or a target, drops what we send at this rate", w.vain)
	}
	return fmt.Sprintf("evidence did not come back within %v", w.session.plan.Asked.Patience)
}

// giveUpAll ends the phase: what was sent since the newest evidence has not travelled, and never will.
func (w *sentinel) giveUpAll() {
	w.cause = w.first
	w.later = &results.Event{Kind: results.EventLost, Begin: w.since, Message: w.words(w.lostBecause())}
	w.again0, w.due = 0, math.MaxInt64 // the lanes stop first
	w.session.trust.lost.Store(true)
	w.asked.takeBack(w.takenSince())
	w.end(errEvidence)
}
