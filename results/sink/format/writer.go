package format

import "synoptic/results"

// Event is one piece of an output that means something by itself: a line, a message, a document.
type Event struct {
	End     int             // offset in the batch's data behind the event with its terminator
	Time    int64           // nanoseconds since the Unix epoch
	ID      results.EventID // zero where the format is no message and has none
	Records int             // that the event holds: 0 for a header, the number of its ports for a host
}

// Batch is a run of whole events: what is queued, spooled and delivered together.
type Batch struct {
	Data   []byte
	Events []Event
}

// Records is how many records the batch holds.
func (b *Batch) Records() (n uint64) {
	for i := range b.Events {
		n += uint64(b.Events[i].Records)
	}
	return n
}

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

// BatchSize is where a batch is handed on without waiting for Flush, in bytes: large enough that a
// system call is cheap beside the encoding, small enough that a reader sees progress.
const BatchSize = 64 << 10

// Writer gathers events into batches. After an error it takes nothing more: every call returns it.
type Writer struct {
	batch *Batch
	next  func(*Batch) (*Batch, error)
	err   error
}

// NewWriter hands every batch that is full to next, which gives an empty one in return.
func NewWriter(next func(*Batch) (*Batch, error)) *Writer {
	return &Writer{batch: &Batch{}, next: next}
}

// Buf is what the next event is appended to.
func (w *Writer) Buf() []byte { return w.batch.Data }

// Commit takes Buf with one event more at its end. Of e, the end is filled in here.
func (w *Writer) Commit(buf []byte, e Event) error {
	if w.err != nil {
		return w.err
	}
	e.End = len(buf)
	w.batch.Data, w.batch.Events = buf, append(w.batch.Events, e)
	if len(buf) < BatchSize {
		return nil
	}
	return w.Flush()
}

// omit counts records that a format has no place for, as an event without bytes: nothing is still to be
// delivered of them.
func (w *Writer) omit(records int) error {
	if records == 0 {
		return nil
	}
	return w.Commit(w.Buf(), Event{Records: records})
}

// Flush hands on what has been gathered.
func (w *Writer) Flush() error {
	if w.err != nil || len(w.batch.Events) == 0 {
		return w.err
	}
	w.batch, w.err = w.next(w.batch)
	return w.err
}
