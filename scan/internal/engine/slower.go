package engine

import (
	"fmt"
	"math"
	"slices"
	"time"

	"synoptic/results"
	"synoptic/scan/estimate"
)

// An automatic rate goes down to what first contacts bear. First tries that should have been answered and were not are compared with those before
// it got too much; they count as not sent, and are sent again:
//
//	first tries by cohort ─▶ too few answer ─▶ slower, asked again ─▶ the table has emptied: once more ─▶ still too few: slower
//	                                                                                                 └─▶ as many as should: a bit faster

// slower is what is known of it.
type slower struct {
	looked int64
	from   uint64 // the first position that is compared with those before it
	since  int64  // when it was asked; 0: first contacts have not been too many yet
	waits  int64  // until when what is asked meets what was asked too fast; 0: it is over
}

const (
	slowerEvery = int64(200 * time.Millisecond)
	// keeps is how long a table of neighbours keeps those that do not answer: a router asks three times, a second each (arp(7): mcast_solicit,
	// retrans_time_ms).
	keeps = int64(3 * time.Second)
	// stillNats is what a fall must say once one was seen, and stillShare the share of the answers below which it is one.
	stillNats, stillShare = 4, 0.7
	// fasterFor answers, and so many as should have come, the rate goes up by fasterBy.
	fasterFor, fasterShare, fasterBy = 100, 0.95, 1.1
	// below is how far below what seems to get through the rate goes down: what is lost has to be asked again.
	below = 0.85
)

// lookAtFirstTries has the rate follow what first contacts bear, where it is automatic.
func (w *sentinel) lookAtFirstTries(now int64) {
	s := &w.contacts.slower
	x := w.session.steering
	if s.looked = now; x == nil || w.contacts.len == 0 || x.isHeld() {
		return
	}
	if s.waits != 0 {
		if now < s.waits {
			return
		}
		s.waits = 0
		w.asked.takeBack(time.Unix(0, s.since))
		return
	}
	heardBy := w.done.awake(blindTime)
	cohorts := w.base.comparable(w.phase.ev.loss.FirstTries(time.Unix(0, heardBy)))
	if s.since == 0 {
		l, ok := estimate.FewerContacts(cohorts, w.kinds()...)
		if !ok || w.pathLoses(cohorts[l.From].Begin, cohorts[l.To-1].Begin) {
			return
		}
		s.from, s.since = cohorts[l.From].Begin, w.contacts.begun[w.contacts.cell(cohorts[l.From].Begin)]
		w.slow(now, l.Share, w.bears(l.Share, heardBy))
		return
	}
	first := slices.IndexFunc(cohorts, func(c estimate.Cohort) bool { return c.Begin >= s.from })
	if first < 0 {
		return
	}
	l := estimate.Contacts(cohorts[first:], cohorts[:first], w.kinds()...)
	switch {
	case l.Share < stillShare && l.Nats >= stillNats:
		if rate := x.bear(); rate > x.bounds.Min {
			w.slow(now, l.Share, rate*l.Share)
		}
	case l.Share >= fasterShare && answered(cohorts[first:], w.kinds()) >= fasterFor:
		s.from, s.since = cohorts[len(cohorts)-1].End, now
		x.contacted(fasterBy * x.bear())
	}
}

// bears is how many first contacts a second get through: the share of those made since they were too many, by a time; at most what it took until the
// table was full, in the time that it keeps them.
func (w *sentinel) bears(share float64, heardBy int64) float64 {
	s := &w.contacts.slower
	begin := w.phase.plan.Positions.Begin
	rate := math.Inf(1)
	if done, ok := w.done.doneAt(heardBy); ok && heardBy > s.since && begin+done > s.from {
		rate = float64(begin+done-s.from) / time.Duration(heardBy-s.since).Seconds() * max(share, leastContacts)
	}
	if s.from > begin {
		rate = min(rate, float64(s.from-begin)/time.Duration(keeps).Seconds())
	}
	return min(rate, w.session.pacer.Rate())
}

// slow lowers the rate to a bit below what gets through, and has what was lost asked again; share is for who is told.
func (w *sentinel) slow(now int64, share, rate float64) {
	s := &w.contacts.slower
	rate = w.session.steering.contacted(below * rate)
	s.waits = now + keeps + int64(time.Second)
	w.asked.takeBack(time.Unix(0, s.since))
	if w.contacts.told {
		return
	}
	w.contacts.told = true
	w.emit(results.Event{Kind: results.EventLimited, Scope: results.ScopeAll, Cause: results.CauseFirstContacts, Message: fmt.Sprintf(
		"first contacts are limited: ports probed for the first time have answered %.2g times as often as others did, while ports that had answered still do; "+
			"a table of neighbours or sessions on the way may be full: the rate goes down to %.0f a second, and what was lost is probed again", share, rate)})
}

// pathLoses tells whether it is the path that loses what was sent to some cohorts, given where the first and the last of them begin, and not first
// contacts that are too many: what has answered was lost too, or the rate was found to be too high then.
func (w *sentinel) pathLoses(first, last uint64) bool {
	if w.set.Away() > partsLost || w.anyAway() {
		return true
	}
	c := &w.contacts
	from, to := c.cell(first), c.cell(last)
	if w.session.steering.overloaded(c.begun[from], c.begun[min(from+1, len(c.begun)-1)]) {
		return true
	}
	by := c.between(from, to+1, w.beacons())
	return float64(by.answered) < (1-lossy)*float64(by.asked)
}

// answered counts the answers of some kinds to first tries.
func answered(cohorts []estimate.Cohort, kinds []int) (n uint64) {
	for i := range cohorts {
		for _, kind := range kinds {
			n += cohorts[i].First[kind]
		}
	}
	return n
}
