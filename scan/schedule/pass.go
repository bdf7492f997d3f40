package schedule

import (
	"time"

	"synoptic/results/window"
)

// Chunk is a run of positions that share their history.
type Chunk struct {
	Begin, End uint64
	Since      time.Time // its last pass ended
	Passes     uint8     // ended so far, the first tries included
	Probes     uint8     // that every position of it has had while silent
	Sampled    bool      // positions of the sample have had one probe more
	Stride     uint8     // log2 of: one position in how many belongs to the sample

	// Repeated: a pass of it was taken back, so an answer may be to either of two probes with one number.
	Repeated bool

	past  []before // its passes, in order: what TakeBack goes back to
	anew  Step     // of a chunk of queues[0]: what its next pass is,
	until uint64   // and up to where
}

// MaxStride makes the smallest sample one position in 32.
const MaxStride = 5

// inSample tells whether a position belongs to a chunk's sample. Positions at regular distances in the
// order of sending are a fair sample, because that order is random.
func (c *Chunk) inSample(pos uint64) bool { return pos&(1<<c.Stride-1) == 0 }

// Attempt is the number, from 0, of the probe that a position gets next.
func (c *Chunk) Attempt(pos uint64) uint8 {
	if c.Sampled && c.inSample(pos) {
		return c.Probes + 1
	}
	return c.Probes
}

// Pass is one walk over a chunk. It belongs to the lane that it was handed to.
type Pass struct {
	Chunk
	Step   Step
	First  bool   // first tries: every position, answered or not
	Cursor uint64 // the next position to look at

	begun time.Time // it was handed out for the first time
	full  uint64    // where its chunk ends: the pass itself may be over the first part of it only
	taken bool      // it is to be walked again up to redo: evidence was lost meanwhile
	redo  uint64
	since time.Time // evidence was lost then

	again  []uint64      // put off by an earlier walk: looked at before Cursor
	later  []uint64      // put off by this walk
	due    time.Time     // when a parked pass is handed out again
	wait   time.Duration // for how long it was parked the last time
	before uint64        // what was left when it was
}

// Begins tells whether nothing of the chunk has been walked: its first pass, as it is handed out for the first time.
func (p *Pass) Begins() bool { return p.First && p.wait == 0 && p.Cursor == p.Begin }

// Collect appends the next positions of the pass to due, as many as it has room for. Walked then tells how
// many of them were dealt with.
func (p *Pass) Collect(m *window.Map, due []uint64) []uint64 {
	if len(p.again) > 0 {
		return append(due, p.again[:min(len(p.again), cap(due)-len(due))]...)
	}
	if p.First {
		for pos := p.Cursor; pos < p.End && len(due) < cap(due); pos++ {
			due = append(due, pos)
		}
		return due
	}
	m.Silent(p.Cursor, p.End, func(pos uint64) bool {
		if p.Step == All || p.inSample(pos) {
			due = append(due, pos)
		}
		return len(due) < cap(due)
	})
	return due
}

// Walked says that the positions in due, the first that Collect gave, are dealt with.
func (p *Pass) Walked(due []uint64) {
	switch {
	case len(due) == 0:
	case len(p.again) > 0:
		p.again = p.again[len(due):]
	default:
		p.Cursor = due[len(due)-1] + 1
	}
}

// PutOff keeps a position that cannot be asked yet. For the rest, it is dealt with: Walked is told of it.
func (p *Pass) PutOff(pos uint64) { p.later = append(p.later, pos) }

// Held is how many positions of the pass are put off.
func (p *Pass) Held() int { return len(p.again) + len(p.later) }

// left is how many positions the pass may still have to ask.
func (p *Pass) left() uint64 { return uint64(p.Held()) + p.End - p.Cursor }

// Resumed tells whether the next positions that Collect gives were put off by an earlier walk.
func (p *Pass) Resumed() bool { return len(p.again) > 0 }

// Whole tells whether nothing was put off.
func (p *Pass) Whole() bool { return len(p.later) == 0 }

// Rest calls f for every position of a pass of first tries that was not probed, and empties the pass.
func (p *Pass) Rest(f func(pos uint64)) {
	for _, pos := range append(p.again, p.later...) {
		f(pos)
	}
	for ; p.Cursor < p.End; p.Cursor++ {
		f(p.Cursor)
	}
	p.again, p.later = nil, nil
}
