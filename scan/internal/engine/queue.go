package engine

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"synoptic/results"
)

// queue carries records from the lanes to the sinks, in batches. Lanes never wait in put: when more
// than highWater records queue, full makes the senders pause, so that what still comes in is bounded
// by the replies in flight. No record is ever dropped.
//
// What is put joins the last batch in the queue where it fits. So two neighbours hold more than one
// batch's worth, and the memory is bounded by the records, however few come at a time.
type queue struct {
	mu      sync.Mutex
	batches [][]results.Port
	records int
	free    [][]results.Port // emptied batches for reuse
	events  []results.Event  // in the order of what they tell
	frames  bool             // records have frames: emptied batches must not keep their memory

	full atomic.Bool
	wake chan struct{} // holds one token while batches may wait
}

const (
	queueBatch = 256
	// highWater of 65,536 records, of under 256 bytes each, in batches at least half full are under
	// 32 MiB: some tenth of a second of a file sink's work. Their frames, where they have any, are
	// frameSnap bytes each, 16 MiB.
	highWater = 1 << 16
	// flushEvery is half of what the contract allows between an event and its line in the output.
	flushEvery = 100 * time.Millisecond
	// pauseWait is how often a paused sender looks again.
	pauseWait = time.Millisecond
)

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

// batch gives an empty batch to fill.
func (q *queue) batch() []results.Port {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.spare()
}

// spare is batch for those who hold the lock.
func (q *queue) spare() []results.Port {
	if k := len(q.free); k > 0 {
		b := q.free[k-1]
		q.free = q.free[:k-1]
		return b
	}
	return make([]results.Port, 0, queueBatch)
}

// put hands over the records of a batch and gives the batch to fill next.
func (q *queue) put(b []results.Port) (next []results.Port) {
	if len(b) == 0 {
		return b
	}
	q.mu.Lock()
	next = b[:0]
	switch last := len(q.batches) - 1; {
	case last >= 0 && len(q.batches[last])+len(b) <= cap(q.batches[last]):
		q.batches[last] = append(q.batches[last], b...)
	case cap(b) < queueBatch:
		q.batches = append(q.batches, append(q.spare(), b...))
	default:
		q.batches = append(q.batches, b)
		next = q.spare()
	}
	q.records += len(b)
	q.full.Store(q.records > highWater)
	q.mu.Unlock()
	q.notify()
	return next
}

// notify wakes the pump.
func (q *queue) notify() {
	select {
	case q.wake <- struct{}{}:
	default: // it has been
	}
}

// tell hands over an event.
func (q *queue) tell(e results.Event) {
	q.mu.Lock()
	q.events = append(q.events, e)
	q.mu.Unlock()
	q.notify()
}

// told takes the events that wait.
func (q *queue) told() []results.Event {
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.events
	q.events = nil
	return e
}

// waitRoom blocks while the sinks are behind. It reports false when ctx ended first.
func (q *queue) waitRoom(ctx context.Context) bool {
	for q.full.Load() {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pauseWait):
		}
	}
	return true
}

func (q *queue) take() []([]results.Port) {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.batches
	q.batches = nil
	return b
}

func (q *queue) done(b []results.Port) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.records -= len(b)
	q.full.Store(q.records > highWater)
	if q.frames {
		clear(b[:cap(b)]) // behind its end, too: the batch may have been filled further before
	}
	if len(q.free) < 64 {
		q.free = append(q.free, b[:0])
	}
}

// pump writes batches to the sink until stop is closed and nothing waits any more. The first error is
// told to failed; the sink gets the rest all the same, for it may stand for several outputs of which
// one has broken.
func (q *queue) pump(sink results.Sink, stop <-chan struct{}, failed func(error)) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	var told bool
	flushed := time.Now()
	check := func(err error) {
		if err != nil && !told {
			told = true
			failed(err)
		}
	}
	flush := func() {
		check(sink.Flush())
		flushed = time.Now()
	}
	drain := func() {
		if events := q.told(); len(events) > 0 {
			check(sink.Events(events))
		}
		for _, b := range q.take() {
			check(sink.Ports(b))
			q.done(b)
			if time.Since(flushed) > flushEvery {
				flush()
			}
		}
	}
	for {
		select {
		case <-q.wake:
			drain()
		case <-tick.C:
			flush()
		case <-stop:
			drain()
			flush()
			return
		}
	}
}
