// Package batch is what the parts of an output hand each other: call Event to see one event of a Batch,
// Append and Join to put batches together, Records and Footprint to know what they weigh.
//
// A Batch is a run of whole events in one format. An encoder fills it; what is queued, spooled and delivered
// is the batch. So a format knows no destination, a destination no format, and the spool neither.
package batch

import "synoptic/results"

// Event is one piece of an output that means something by itself: a line, a message, a document.
type Event struct {
	End     int             // offset in the batch's data behind the event with its terminator
	Time    int64           // nanoseconds since the Unix epoch
	ID      results.EventID // zero where the format is no message and has none
	Records int             // that the event holds: 0 for a header, the number of its ports for a host
}

// eventBytes is what an entry of the table of events takes in memory.
const eventBytes = 48

// Batch is a run of whole events: what is queued, spooled and delivered together.
type Batch struct {
	Data   []byte
	Events []Event
}

// Size is where a batch is handed on without waiting for Flush, in bytes: large enough that a system call is
// cheap beside the encoding, small enough that a reader sees progress.
const Size = 64 << 10

// New is an empty batch with room for Size bytes and the event that goes beyond.
func New() *Batch { return &Batch{Data: make([]byte, 0, Size+4<<10)} }

// Records is how many records the batch holds.
func (b *Batch) Records() (n uint64) {
	for i := range b.Events {
		n += uint64(b.Events[i].Records)
	}
	return n
}

// Footprint is what the batch takes in memory, in bytes, by what it is filled with.
func (b *Batch) Footprint() int64 { return int64(len(b.Data)) + eventBytes*int64(len(b.Events)) }

// Event gives the bytes of one event, its terminator included.
func (b *Batch) Event(i int) []byte {
	begin := 0
	if i > 0 {
		begin = b.Events[i-1].End
	}
	return b.Data[begin:b.Events[i].End]
}

// Reset empties the batch, and keeps its memory.
func (b *Batch) Reset() { b.Data, b.Events = b.Data[:0], b.Events[:0] }

// Append copies the events of another batch behind its own.
func (b *Batch) Append(other *Batch) {
	at := len(b.Data)
	b.Data = append(b.Data, other.Data...)
	for _, e := range other.Events {
		e.End += at
		b.Events = append(b.Events, e)
	}
}

// AppendEvent copies one event of another batch behind its own.
func (b *Batch) AppendEvent(other *Batch, i int) {
	b.Data = append(b.Data, other.Event(i)...)
	e := other.Events[i]
	e.End = len(b.Data)
	b.Events = append(b.Events, e)
}

// Join is a new batch of the events of all.
func Join(all ...*Batch) *Batch {
	var bytes, events int
	for _, b := range all {
		bytes, events = bytes+len(b.Data), events+len(b.Events)
	}
	joined := &Batch{Data: make([]byte, 0, bytes), Events: make([]Event, 0, events)}
	for _, b := range all {
		joined.Append(b)
	}
	return joined
}
