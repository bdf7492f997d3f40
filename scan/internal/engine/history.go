package engine

import (
	"math"
	"time"

	"synoptic/scan/beacon"
)

// history remembers how many first tries had been sent by when.
type history struct {
	marks [512]mark // a ring: five seconds
	n     int
}

type mark struct {
	at   int64 // Unix time in ns
	done uint64
}

func (h *history) note(now int64, ph *Phase) {
	h.marks[h.n%len(h.marks)] = mark{now, ph.cur.done()}
	h.n++
}

// newest is the number of the newest mark made by a time; of the one before the oldest that is looked at, and false, where there is
// none.
func (h *history) newest(by int64) (i int, ok bool) {
	for i = h.n - 1; i >= 0 && i > h.n-len(h.marks); i-- {
		if h.marks[i%len(h.marks)].at <= by {
			return i, true
		}
	}
	return i, false
}

// whole tells whether no mark has been written over: before the first there was nothing.
func (h *history) whole() bool { return h.n < len(h.marks) }

// doneAt is how many first tries had been sent by a time; ok is false where that is too long ago.
func (h *history) doneAt(t int64) (done uint64, ok bool) {
	if i, ok := h.newest(t); ok {
		return h.marks[i%len(h.marks)].done, true
	}
	return 0, h.whole()
}

// doneAfter is at least how many had been sent by a time: as many as at the first look after it.
func (h *history) doneAfter(t int64) (done uint64, ok bool) {
	i, ok := h.newest(t - 1)
	if i+1 < h.n {
		done = h.marks[(i+1)%len(h.marks)].done
	}
	return done, ok || h.whole()
}

// awake is since when this process has run for so long: a longer time between two marks counts as two ticks. 0: since before
// the first.
func (h *history) awake(d time.Duration) (since int64) {
	for i := h.n - 1; i > 0 && i > h.n-len(h.marks); i-- {
		to, from := h.marks[i%len(h.marks)].at, h.marks[(i-1)%len(h.marks)].at
		if d -= min(time.Duration(to-from), 2*beacon.TickStep); d <= 0 {
			return from
		}
	}
	if h.whole() {
		return 0
	}
	return max(h.marks[h.n%len(h.marks)].at-int64(d), 0) // of what has been written over nothing is known
}

// hitsLag is how long an answer may take beyond twice the longest smoothed round trip.
const hitsLag = 50 * time.Millisecond

// expected is what it says against the path, in nats, that none of the first tries was answered that were sent since the newest
// probe that was. Positions are asked in random order, so where the answers lie in it is chance: that all a of them are to the first
// t of t + n has the probability (t / (t + n))^a. Where a is large and n small, that is as many nats as answers should have come.
func (w *sentinel) expected(now int64) (e beacon.Expected) {
	if w.anyAway() {
		return e // what the others answer is another share
	}
	answers := w.answers()
	open, all := answers[0]-w.base.answers[0], answers[1]-w.base.answers[1]
	from, ok := w.done.doneAfter(w.set.Good()) // what was sent between two looks may have been answered
	to, _ := w.done.doneAt(now - int64(2*w.phase.ev.rtts.Longest()+hitsLag))
	from = max(from, w.base.done)
	if !ok || to <= from || open < 0 || all <= 0 {
		return e
	}
	nats := math.Log1p(float64(to-from) / float64(max(from-w.base.done, uint64(all)))) // all answers are to those before
	return beacon.Expected{Open: nats * float64(open), All: nats * float64(all)}
}
