package engine

import (
	"fmt"
	"time"

	"synoptic/results"
	"synoptic/scan/estimate"
)

// The second sense. Beacons are positions that have answered: of what happens to the first probes to others they see nothing.
// A device on the way may drop just these, for its table of neighbours or of sessions is full. Positions are asked in
// random order, so what does not answer beacons tells by how often others answer: each cohort of them should as often.

// contacts are what is known of first contacts.
type contacts struct {
	looked int64
	told   bool
	cells  []beaconsBy // by cohort
	begun  []int64     // when first tries came to each, Unix time in ns
	slower slower
	begin  uint64 // the first position of the first
	len    uint64 // positions to each; 0: the kernel repeats probes by itself, so nobody knows which one was the first
}

// beaconsBy counts beacons up to a time: what was neither answered nor lost is under way. See beacon.Set.Totals: asked may fall.
type beaconsBy struct{ asked, answered, lost uint64 }

func newContacts(ph *Phase) contacts {
	if ph.ev.loss == nil {
		return contacts{}
	}
	begin, n := ph.ev.loss.CohortShape()
	return contacts{begin: begin, len: n, cells: make([]beaconsBy, 0, (ph.plan.Positions.End-begin)/n+1)}
}

// note takes note of the beacons so far when done positions have been asked.
func (c *contacts) note(at int64, done uint64, now beaconsBy) {
	if c.len == 0 {
		return
	}
	for uint64(len(c.cells)) <= done/c.len {
		c.cells, c.begun = append(c.cells, now), append(c.begun, at)
	}
}

// cell is the number of the cell of a position, counted from the first of the phase's cohorts.
func (c *contacts) cell(pos uint64) int { return min(int((pos-c.begin)/c.len), len(c.cells)-1) }

// between are the beacons asked while some cohorts were, and of these the answered, within a few.
func (c *contacts) between(from, to int, now beaconsBy) beaconsBy {
	at := func(i int) beaconsBy {
		if i < len(c.cells) {
			return c.cells[i]
		}
		return now
	}
	a, b := at(from), at(to)
	return beaconsBy{asked: b.asked - min(a.asked, b.asked), answered: b.answered - a.answered}
}

const (
	// contactsEvery is how often the cohorts are compared.
	contactsEvery = int64(time.Second)
	// resetsPerHost is how many probes a second to one host do not meet the limits that hosts have for their resets, which are some
	// hundreds.
	resetsPerHost = 20
	// lossy is the share of beacons lost in which the path itself loses so much that nothing is known of first contacts.
	lossy = 0.3
	// partsLost is the share of beacons whose parts are lost from which on it is no wonder that fewer positions answer.
	partsLost = 0.2
)

// kinds are the kinds of answers that tell of first contacts.
func (w *sentinel) kinds() []int {
	if w.session.pacer.Rate() > resetsPerHost*float64(w.phase.plan.Space.Addrs().Len()) {
		return []int{estimate.Open}
	}
	return []int{estimate.Open, estimate.Closed}
}

// fewer looks for cohorts that have answered too seldom.
func (w *sentinel) fewer(heardBy time.Time) (begin, end uint64, e results.Event, ok bool) {
	if w.set.Away() > partsLost || w.anyAway() {
		return 0, 0, e, false
	}
	cohorts := w.base.comparable(w.phase.ev.loss.Cohorts(heardBy))
	l, ok := estimate.FewerContacts(cohorts, w.kinds()...)
	if !ok {
		return 0, 0, e, false
	}
	first, last := &cohorts[l.From], &cohorts[l.To-1]
	base, n := w.phase.ev.loss.CohortShape()
	by := w.contacts.between(int((first.Begin-base)/n), int((last.End-base)/n), w.beacons())
	e = results.Event{Kind: results.EventLimited, Scope: results.ScopeAll, Cause: results.CauseFirstContacts, Message: fmt.Sprintf(
		"first contacts are limited: ports probed for the first time have answered %.2g times as often as others did, while ports that had answered still do; "+
			"a table of neighbours or sessions on the way may be full: scan at a lower rate", l.Share)}
	if float64(by.answered) < (1-lossy)*float64(by.asked) {
		e.Cause = results.CausePath
		e.Message = fmt.Sprintf("too much is lost: ports have answered %.2g times as often as others did, and of %d probes to ports that had answered %d were answered: scan at a lower rate",
			l.Share, by.asked, by.answered)
	}
	return first.Begin, last.End, e, true
}

func (w *sentinel) beacons() beaconsBy {
	asked, answered, lost := w.set.Totals()
	return beaconsBy{asked, answered, lost}
}

// lookAtContacts tells of limits once, when they are seen first. What this process has had no time to read does not count as
// silent, nor what a busy host, ours or theirs, may be late with: to tell a second later costs nothing.
func (w *sentinel) lookAtContacts(now int64) {
	w.contacts.looked = now
	if w.contacts.told || w.contacts.len == 0 {
		return
	}
	heardBy := w.done.awake(max(w.phase.listenTime(), blindTime))
	if _, _, e, ok := w.fewer(time.Unix(0, heardBy)); ok {
		w.contacts.told = true
		w.emit(e)
	}
}

// judgeContacts makes what is silent unknown where first contacts were limited, when the phase is over.
func (w *sentinel) judgeContacts(heardBy time.Time) {
	ph := w.phase
	w.rebase(time.Now().UnixNano())
	begin, end, e, ok := w.fewer(heardBy)
	if !ok {
		counts, b := ph.ev.loss.Counts(heardBy), w.beacons()
		if !counts.StillFound(b.asked, b.asked-min(b.answered, b.asked), w.kinds()...) {
			return
		}
		begin, end = ph.plan.Positions.Begin, ph.plan.Positions.End
		e = results.Event{Kind: results.EventLimited, Scope: results.ScopeAll, Cause: results.CauseFirstContacts, Message: "first contacts are limited: " +
			"the last attempt found nearly as much as the one before it, while ports that had answered still do; more retries, or a lower rate, would find more"}
	}
	// Where the path is gone it is known why so much is lost, and no lower rate would help.
	gone := ph.cut && e.Cause == results.CausePath
	if !w.contacts.told && !gone {
		w.emit(e)
	}
	ph.limited.Store(!gone)
	begin, end = max(begin, ph.plan.Positions.Begin), min(end, ph.plan.Positions.End)
	n := ph.distrustSome(begin, end, nil)
	if n == 0 {
		return
	}
	e.Kind, e.Unknown = results.EventLost, n
	e.Message = "no response is no evidence where first contacts are limited: such ports are unknown, not filtered"
	if e.Cause == results.CausePath {
		e.Message = "no response is no evidence where so much is lost: such ports are unknown, not filtered"
	}
	w.emit(e)
}
