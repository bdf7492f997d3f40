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

	worthless bool     // a pass of it was, and was made anew
	past      []before // its passes, in order: what TakeBack goes back to
	anew      Step     // of a chunk of queues[0]: what its next pass is,
	until     uint64   // and up to where
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

	again  []putOff      // by an earlier walk, those that are due first at the front: looked at before Cursor
	later  []putOff      // by this walk
	now    time.Duration // when it was handed out again, from begun
	due    time.Time     // when a parked pass is handed out again
	wait   time.Duration // for how long it was parked the last time
	before uint64        // what was left when it was
	at     int           // in aloft
}

// putOff is a position that could not be asked.
type putOff struct {
	pos uint64
	due time.Duration // when it may be asked, from its pass's begun; 0: nobody knows
}

// Begins tells whether nothing of the chunk has been walked: its first pass, as it is handed out for the first time.
func (p *Pass) Begins() bool { return p.First && p.wait == 0 && p.Cursor == p.Begin }

// Collect appends the next positions of the pass to due, as many as it has room for. Walked then tells how
// many of them were dealt with.
func (p *Pass) Collect(m *window.Map, due []uint64) []uint64 {
	if p.Resumed() {
		for i := 0; i < len(p.again) && p.again[i].due <= p.now && len(due) < cap(due); i++ {
			due = append(due, p.again[i].pos)
		}
		return due
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
	case p.Resumed():
		p.again = p.again[len(due):]
	default:
		p.Cursor = due[len(due)-1] + 1
	}
}

// Exhausted says that Collect has given nothing: all behind the cursor has answered, and nothing there holds others up.
func (p *Pass) Exhausted() { p.Cursor = p.End }

// PutOff keeps a position that cannot be asked before a time; the zero Time: nobody knows when. For the rest, it is dealt with: Walked
// is told of it.
func (p *Pass) PutOff(pos uint64, until time.Time) {
	x := putOff{pos: pos}
	if !until.IsZero() {
		x.due = max(until.Sub(p.begun), 1)
	}
	p.later = append(p.later, x)
}

// Held is how many positions of the pass are put off.
func (p *Pass) Held() int { return len(p.again) + len(p.later) }

// left is how many positions the pass may still have to ask.
func (p *Pass) left() uint64 { return uint64(p.Held()) + p.End - p.Cursor }

// Resumed tells whether the next positions that Collect gives were put off by an earlier walk.
func (p *Pass) Resumed() bool { return len(p.again) > 0 && p.again[0].due <= p.now }

// Whole tells whether nothing is put off.
func (p *Pass) Whole() bool { return p.Held() == 0 }

// stuck tells whether a parked pass was not walked to its end: nothing more could be put off.
func (p *Pass) stuck() bool { return p.Cursor < p.End }

// Rest calls f for every position of a pass of first tries that was not probed, and empties the pass.
func (p *Pass) Rest(f func(pos uint64)) {
	for _, x := range append(p.again, p.later...) {
		f(x.pos)
	}
	for ; p.Cursor < p.End; p.Cursor++ {
		f(p.Cursor)
	}
	p.again, p.later = nil, nil
}
