package engine

import (
	"container/heap"
	"time"

	"synoptic/scan/gate"
)

// turn is a position that is to be asked.
type turn struct {
	pos      uint64
	due      int64 // it is not asked about before, a time of gate.Now
	asked    int64 // when the gate was asked about it, likewise
	tries    uint8 // connects that were cut short
	parked   bool  // it has room in the gate,
	stuck    bool  // or was refused it
	repeated bool  // a connect was under way in an outage, or cut short
}

// heldTurns are a heap: the one that is due first is at its top.
type heldTurns []turn

func (h heldTurns) Len() int           { return len(h) }
func (h heldTurns) Less(i, j int) bool { return h[i].due < h[j].due }
func (h heldTurns) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *heldTurns) Push(x any)        { *h = append(*h, x.(turn)) }
func (h *heldTurns) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	*h = (*h)[:last]
	return t
}

// turn is the next position to be asked; false where there is none just now. What was put off and is due comes first, and where
// nothing more can be put off, nothing else is begun: it could only be put off as well.
func (r *connectRun) turn() (t turn, ok bool) {
	now := gate.Now()
	if r.silent.roused.Swap(false) {
		for i := range r.held {
			r.held[i].due = min(r.held[i].due, now)
		}
		heap.Init(&r.held)
	}
	if len(r.held) > 0 && r.held[0].due <= now {
		return heap.Pop(&r.held).(turn), true
	}
	if r.stuck != nil {
		if r.stuck.due > now {
			return t, false
		}
		t, r.stuck = *r.stuck, nil
		return t, true
	}
	if t, ok := r.silent.next(); ok {
		return t, true
	}
	if r.next == r.phase.plan.Positions.End {
		return t, false
	}
	t.pos = r.next
	r.next++
	r.phase.cur.ahead.Add(1)
	r.phase.advance(r.next, nil) // no position leaves the window silent: each connect ends in a state
	return t, true
}

const (
	// shortestTurn bounds how often it is looked for a turn.
	shortestTurn = 200 * time.Microsecond
	// lookAtOne is what it may take to ask the gate about a position of which nobody knows when it may go: those that are held
	// are asked about so much less often as they are more.
	lookAtOne = 2 * time.Microsecond
)

// untilTurn is how long to wait where there is no turn.
func (r *connectRun) untilTurn() time.Duration {
	if len(r.held) == 0 {
		return connectWait
	}
	return min(max(time.Duration(r.held[0].due-gate.Now()), shortestTurn), connectWait)
}

// putOff keeps a position that may not be asked yet.
func (r *connectRun) putOff(t turn) {
	switch {
	case t.stuck:
		t.due = t.asked + int64(connectWait)
		r.stuck = &t
		return
	case t.due == 0:
		t.due = t.asked + int64(connectWait) + int64(len(r.held))*int64(lookAtOne)
	}
	heap.Push(&r.held, t)
}

// giveUpHeld takes back what was put off and is not asked any more.
func (r *connectRun) giveUpHeld() {
	if r.stuck != nil {
		r.unasked(*r.stuck)
		r.stuck = nil
	}
	for _, t := range r.held {
		r.unasked(t)
	}
	r.held = nil
}
