package engine

import (
	"slices"

	"synoptic/scan/estimate"
)

// What somebody who controls the scan does is no fault of the network. In a pause nothing is sent, beacons neither: the sentinel
// stands still, and so do its clocks. After an exclusion another mixture of targets is probed, and how many answer is
// learned anew.

// stands tells whether there is a pause, and sees to it that one which is over was none of an outage.
func (w *sentinel) stands() bool {
	now, inAll := w.session.pacer.Standing()
	if now {
		return true
	}
	if d := inAll - w.stood; d > 0 {
		w.stood = inAll
		w.goOn(int64(d))
	}
	return false
}

// goOn begins anew where a pause of so many ns looks like silence, and gives patience the time that it has taken.
func (w *sentinel) goOn(d int64) {
	w.lull.end(w.beacons(), true)
	for i := range w.gaps {
		w.gaps[i].good = 0
	}
	if w.release != nil {
		w.paused += d
		w.session.trust.begun.Add(d)
	}
	for _, a := range w.away {
		if a != nil {
			a.begun += d
		}
	}
}

// base is what the last exclusion has found: answers so far say nothing of what is probed since.
type base struct {
	exclusions int64    // that were seen
	until      int64    // answers to what was sent before may come until then, Unix time in ns
	answers    [2]int64 // by then: of open ports, of any
	done       uint64   // first tries by then
	from       uint64   // the first position of which no probe was sent before
}

// rebase takes note of exclusions.
func (w *sentinel) rebase(now int64) {
	b := &w.base
	if n := w.session.exclusions.Load(); n != b.exclusions {
		b.exclusions, b.until, b.from = n, now+int64(w.phase.listenTime()), w.phase.cur.next.Load()
		w.lull.end(w.beacons(), true)
	}
	if now <= b.until {
		b.answers, b.done = w.answers(), w.phase.cur.done()
	}
}

// answers are how many positions have answered: open ports, and any.
func (w *sentinel) answers() [2]int64 {
	open := w.phase.tally.open.Load()
	return [2]int64{open, open + w.phase.tally.closed.Load()}
}

// comparable are the cohorts that were probed since the last exclusion.
func (b *base) comparable(cohorts []estimate.Cohort) []estimate.Cohort {
	i := slices.IndexFunc(cohorts, func(c estimate.Cohort) bool { return c.Begin >= b.from })
	if i < 0 {
		return nil
	}
	return cohorts[i:]
}
