package queue

import "errors"

// Life is how far a queue has come. It goes forward only, and may leave states out:
//
//	Open ─Stop─▶ Stopped ─Close─▶ Closing ─Fail─▶ Failed ─Abandon─▶ Abandoned
type Life uint8

const (
	// Open waits for room, and for batches.
	Open Life = iota
	// Stopped has nobody who waits for room: what comes is kept beyond the bounds, or dropped beyond all bounds.
	Stopped
	// Closing gets nothing more; it ends when it is empty.
	Closing
	// Failed has a destination that takes nothing for good.
	Failed
	// Abandoned has lost its batches to the spool, or altogether: see Abandon.
	Abandoned
)

func (l Life) String() string {
	return [...]string{"open", "stopped", "closing", "failed", "abandoned"}[l]
}

// ErrClosed is what Put and marks get from a queue that was abandoned.
var ErrClosed = errors.New("the output is closed")

// Stop says that nobody waits for the destination any more: Put does not block from now on.
func (q *Queue) Stop() { q.advanceTo(Stopped, nil) }

// Close says that nothing comes any more.
func (q *Queue) Close() { q.advanceTo(Closing, nil) }

// Fail says that the destination takes nothing for good: Put and marks get the error.
func (q *Queue) Fail(err error) { q.advanceTo(Failed, err) }

// advanceTo goes forward, never back.
func (q *Queue) advanceTo(l Life, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l <= q.life {
		return
	}
	q.life = l
	if l == Failed {
		q.err = err
		q.resolve(^uint64(0), err)
	}
	q.wakeAll()
}

// wakeAll wakes whoever waits for anything. The lock is held.
func (q *Queue) wakeAll() {
	q.room.give()
	q.work.give()
	q.changed.Notify()
}

// Life is how far the queue has come.
func (q *Queue) Life() Life {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.life
}

// Err is why the queue has failed, or nil.
func (q *Queue) Err() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.err
}
