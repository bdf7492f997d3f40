package format

import "synoptic/results/sink/batch"

// Writer gathers events into batches. After an error it takes nothing more: every call returns it.
type Writer struct {
	batch *batch.Batch
	next  func(*batch.Batch) (*batch.Batch, error)
	err   error
	mute  bool
}

// NewWriter hands every batch that is full to next, which gives an empty one in return.
func NewWriter(next func(*batch.Batch) (*batch.Batch, error)) *Writer {
	return &Writer{batch: &batch.Batch{}, next: next}
}

// Buf is what the next event is appended to.
func (w *Writer) Buf() []byte { return w.batch.Data }

// Commit takes Buf with one event more at its end. Of e, the end is filled in here.
func (w *Writer) Commit(buf []byte, e batch.Event) error {
	if w.err != nil || w.mute {
		return w.err
	}
	e.End = len(buf)
	w.batch.Data, w.batch.Events = buf, append(w.batch.Events, e)
	if len(buf) < batch.Size {
		return nil
	}
	return w.Flush()
}

// Mute runs f, and takes nothing that it commits: so an encoder learns of a scan without telling of it.
func (w *Writer) Mute(f func() error) error {
	w.mute = true
	defer func() { w.mute = false }()
	return f()
}

// omit counts records that a format has no place for, as an event without bytes: nothing is still to be
// delivered of them.
func (w *Writer) omit(records int) error {
	if records == 0 {
		return nil
	}
	return w.Commit(w.Buf(), batch.Event{Records: records})
}

// Flush hands on what has been gathered.
func (w *Writer) Flush() error {
	if w.err != nil || len(w.batch.Events) == 0 {
		return w.err
	}
	w.batch, w.err = w.next(w.batch)
	return w.err
}
