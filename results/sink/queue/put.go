package queue

import (
	"errors"
	"time"

	"synoptic/results/sink/batch"
	"synoptic/results/sink/spool"
)

// DiskPause is how often a full spool is tried again where it is the disk that is full, and one that cannot
// be read.
const DiskPause = 500 * time.Millisecond

// verdict is what Put does next.
type verdict uint8

const (
	taken verdict = iota
	toDisk
	toDiskBeyond // its bound: nobody waits for room
	wait
)

// ErrPatience is why a queue has failed that waited for room in vain.
var ErrPatience = errors.New("it has taken nothing for too long")

// waiting is since when Put waits for room, with so many records taken by the destination.
type waiting struct {
	since time.Time
	taken uint64
}

// over tells whether nothing moves for too long.
func (w *waiting) over(c Counts, patience time.Duration) bool {
	if taken := c.Delivered + c.Dead; w.since.IsZero() || taken != w.taken {
		*w = waiting{time.Now(), taken}
	}
	return patience > 0 && time.Since(w.since) >= patience
}

// Put queues a batch, and gives an empty one in return. It blocks while there is no room, until the queue
// fails, or is stopped.
func (q *Queue) Put(b *batch.Batch) (*batch.Batch, error) {
	var w waiting
	for told := false; ; {
		next, v, err := q.admit(b)
		if v == toDisk || v == toDiskBeyond {
			put := q.disk.Put
			if v == toDiskBeyond {
				put = q.disk.PutRest
			}
			if err = put(b); err == nil {
				return q.spooled(b), nil
			}
			if !errors.Is(err, spool.ErrFull) && !told && v == toDisk {
				told = true
				q.warn(err)
			}
			next, v, err = q.refused(b)
		}
		if v == taken {
			return next, err
		}
		if w.over(q.Counts(), q.patient) {
			q.Fail(ErrPatience)
			continue
		}
		select {
		case <-q.room:
		case <-time.After(DiskPause):
		}
	}
}

// admit takes a batch into memory, or says where it is to go.
func (q *Queue) admit(b *batch.Batch) (next *batch.Batch, v verdict, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.life == Failed:
		return b, taken, q.err
	case q.life == Abandoned:
		return b, taken, q.closed()
	case q.counts.Dropped > 0:
		return q.exceed(b), taken, nil
	// Only this goroutine puts: what was taken out of the spool meanwhile is older than b.
	case q.diskEmpty() && (len(q.memory) == 0 || q.bytes+b.Footprint() <= q.most):
		return q.remember(b), taken, nil
	case q.disk != nil && q.life >= Stopped:
		return b, toDiskBeyond, nil
	case q.disk != nil:
		return b, toDisk, nil
	case q.life >= Stopped:
		return q.exceed(b), taken, nil
	}
	return b, wait, nil
}

// closed is the error of a queue that was abandoned.
func (q *Queue) closed() error {
	if q.err != nil {
		return q.err
	}
	return ErrClosed
}

// spooled counts a batch that is in the spool.
func (q *Queue) spooled(b *batch.Batch) *batch.Batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.marks.put++
	records := b.Records()
	q.counts.Encoded += records
	q.counts.Spooled += records
	q.work.give()
	q.changed.Notify()
	b.Reset()
	return b
}

// refused says what to do with a batch that the spool did not take.
func (q *Queue) refused(b *batch.Batch) (*batch.Batch, verdict, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.life == Abandoned:
		return b, taken, q.closed()
	case q.life >= Stopped:
		return q.exceed(b), taken, nil
	}
	if q.marks.held > 0 { // a sync makes room
		q.marks.release = true
		q.work.give()
	}
	return b, wait, nil
}

// exceeded is how many times its bound the memory may be after Stop: what an encoder that groups holds
// until the end may be far more.
const exceeded = 4

// exceed queues a batch in memory beyond its bound. Where there is no end to that, b is dropped, and all
// that comes later, so that what arrives has no gap. It counts as encoded: who abandons the queue says that
// it is lost.
func (q *Queue) exceed(b *batch.Batch) *batch.Batch {
	if q.counts.Dropped == 0 && q.bytes+b.Footprint() <= exceeded*q.most {
		return q.remember(b)
	}
	records := b.Records()
	q.counts.Encoded += records
	q.counts.Dropped += records
	b.Reset()
	return b
}

// remember queues a batch in memory, and gives an empty one. A small one joins the one before it: the
// memory that batches hold is bounded by what they are filled with.
func (q *Queue) remember(b *batch.Batch) *batch.Batch {
	q.marks.put++
	q.counts.Encoded += b.Records()
	q.bytes += b.Footprint()
	q.work.give()
	q.changed.Notify()
	if n := len(q.memory); n > 0 && len(q.memory[n-1].Data)+len(b.Data) <= batch.Size {
		last := &q.memory[n-1]
		last.Append(b)
		last.last = q.marks.put
		b.Reset()
		return b
	}
	q.memory = append(q.memory, entry{b, q.marks.put, q.marks.put})
	return q.Spare()
}
