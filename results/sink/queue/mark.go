package queue

import (
	"errors"
	"fmt"

	"synoptic/results/sink/batch"
)

// Mark is a place in the stream of batches. It comes back, once, when all that was put before it is durable:
// delivered and synced, or safe on the disk of the spool.
type Mark struct {
	place uint64
	back  chan struct{}
	err   error // once back is closed
}

// Back is closed when the mark has come back: Err says how.
func (m *Mark) Back() <-chan struct{} { return m.back }

// Err is nil where all before the mark is durable. It is for when Back is closed.
func (m *Mark) Err() error { return m.err }

// marks is what a queue knows of places; batches are numbered from 1 as they are put. What is settled is
// delivered, or dead; what is durable stays so, whatever becomes of this process.
//
//	1 … durable … done … put
//
// Batches in the spool up to pinned stay on its disk until they are durable at the destination.
type marks struct {
	put, done, durable uint64
	wanted             uint64 // a Sync is due as soon as this one is settled
	pinned             uint64
	insured            uint64 // up to here there are copies in the spool
	held               int64  // bytes that wait for a Sync on the spool's disk
	release            bool   // they are in the way
	doubt              error  // nothing can be said to be durable any more
	waiting            []*Mark
}

// holdMost is what may wait on the spool's disk for a Sync that nobody has asked for, in bytes.
const holdMost = 8 << 20

// due tells whether a Sync is: for a mark, or for what is held.
func (m *marks) due(drained bool) bool {
	return m.doubt == nil && m.wanted > m.durable && m.done >= m.wanted || m.held > 0 && (drained || m.release || m.held >= holdMost)
}

// settled notes how far the destination has come.
func (m *marks) settled(place uint64) { m.done = max(m.done, place) }

var errDropped = errors.New("records were dropped after the output was stopped")

// Mark sets a mark behind what was put. It waits for nothing, and nothing waits for it.
func (q *Queue) Mark() *Mark {
	q.mu.Lock()
	defer q.mu.Unlock()
	m := &Mark{place: q.marks.put, back: make(chan struct{})}
	switch {
	case q.life >= Failed:
		m.come(q.closed())
	case q.counts.Dropped > 0:
		m.come(errDropped)
	case q.marks.doubt != nil:
		m.come(q.marks.doubt)
	case m.place <= q.marks.durable:
		m.come(nil)
	default:
		q.marks.waiting = append(q.marks.waiting, m)
		q.marks.wanted = max(q.marks.wanted, m.place)
		if q.keeps {
			q.marks.pinned = max(q.marks.pinned, m.place)
		}
		q.work.give()
	}
	return m
}

func (m *Mark) come(err error) {
	m.err = err
	close(m.back)
}

// resolve gives back the marks up to a place. The lock is held.
func (q *Queue) resolve(place uint64, err error) {
	rest := q.marks.waiting[:0]
	for _, m := range q.marks.waiting {
		if m.place > place {
			rest = append(rest, m)
			continue
		}
		m.come(err)
	}
	clear(q.marks.waiting[len(rest):])
	q.marks.waiting = rest
}

// durableTo notes what the destination keeps. The lock is held.
func (q *Queue) durableTo(place uint64) {
	q.marks.durable = max(q.marks.durable, place)
	q.resolve(q.marks.durable, nil)
}

// Synced says that the destination has made sure of all that is done with, and lets go of what the spool
// has of that.
func (q *Queue) Synced() {
	release, uninsure := q.synced()
	if release {
		q.disk.Release()
		q.released()
	}
	if uninsure {
		q.disk.Uninsure()
	}
}

func (q *Queue) synced() (release, uninsure bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.life == Abandoned {
		return false, false
	}
	q.durableTo(q.marks.done)
	release, uninsure = q.marks.held > 0, q.marks.insured > 0 && q.marks.insured <= q.marks.durable
	q.marks.held, q.marks.release = 0, false
	if uninsure {
		q.marks.insured = 0
	}
	return release, uninsure
}

// released tells who waits for room in the spool.
func (q *Queue) released() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.room.give()
}

// Doubt says that the destination has synced what it was given, but that something else of what is done with may
// be lost for good: marks come back with the error from now on.
func (q *Queue) Doubt(err error) {
	if q.doubted(err) {
		q.disk.Release()
		q.released()
	}
}

func (q *Queue) doubted(err error) (release bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.life == Abandoned {
		return false
	}
	release = q.marks.held > 0
	q.marks.doubt, q.marks.held, q.marks.release = err, 0, false
	q.resolve(^uint64(0), err)
	return release
}

// Urge asks for a Save, where there is a spool that keeps what is in it: whoever waits for a mark does so when
// the destination is slow or down.
func (q *Queue) Urge() {
	if q.keeps {
		q.urgent.give()
		q.work.give()
	}
}

// Insure makes durable on the disk of the spool all that was put, by copies of what is not in the spool; then
// marks come back. unconfirmed is what the destination was given and is not sure of, oldest first.
func (q *Queue) Insure(unconfirmed []*batch.Batch) error {
	copies, place, ok := q.outside(unconfirmed)
	if !ok {
		return nil
	}
	if len(copies) > 0 {
		if err := q.disk.Insure(copies); err != nil {
			return fmt.Errorf("copy what waits to the spool: %w", err)
		}
	}
	if err := q.disk.Sync(); err != nil {
		return fmt.Errorf("sync the spool: %w", err)
	}
	q.insure(place, len(copies) > 0)
	return nil
}

// outside copies what is neither at the destination nor in the spool.
func (q *Queue) outside(unconfirmed []*batch.Batch) (copies []*batch.Batch, place uint64, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.life >= Failed || !q.keeps || len(q.marks.waiting) == 0 {
		return nil, 0, false
	}
	copies = unconfirmed
	if q.flight.Batch != nil && !q.flight.onDisk {
		copies = append(copies, batch.Join(q.flight.Batch))
	}
	for _, m := range q.memory {
		copies = append(copies, batch.Join(m.Batch))
	}
	return copies, q.marks.put, true
}

func (q *Queue) insure(place uint64, copied bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.life == Abandoned {
		return
	}
	if copied {
		q.marks.insured = place
	}
	q.resolve(place, nil)
}
