package scan

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"synoptic/results"
)

// news carries records from the lanes to the sinks, in batches. Lanes never wait in put: when more
// than highWater records queue, full makes the senders pause, so that what still comes in is bounded
// by the replies in flight. No record is ever dropped.
//
// What is put joins the last batch in the queue where it fits. So two neighbours hold more than one
// batch's worth, and the memory is bounded by the records, however few come at a time.
type news struct {
	mu      sync.Mutex
	batches [][]results.Port
	records int
	free    [][]results.Port // emptied batches for reuse
	frames  bool             // records have frames: emptied batches must not keep their memory

	full atomic.Bool
	wake chan struct{} // holds one token while batches may wait
}

const (
	newsBatch = 256
	// highWater of 65,536 records, of under 256 bytes each, in batches at least half full are under
	// 32 MiB: some tenth of a second of a file sink's work. Their frames, where they have any, are
	// frameSnap bytes each, 16 MiB.
	highWater = 1 << 16
	// flushEvery is half of what the contract allows between an event and its line in the output.
	flushEvery = 100 * time.Millisecond
	// pauseNap is how often a paused sender looks again.
	pauseNap = time.Millisecond
)

func newNews() *news { return &news{wake: make(chan struct{}, 1)} }

// batch gives an empty batch to fill.
func (n *news) batch() []results.Port {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.spare()
}

// spare is batch for those who hold the lock.
func (n *news) spare() []results.Port {
	if k := len(n.free); k > 0 {
		b := n.free[k-1]
		n.free = n.free[:k-1]
		return b
	}
	return make([]results.Port, 0, newsBatch)
}

// put hands over the records of a batch and gives the batch to fill next.
func (n *news) put(b []results.Port) (next []results.Port) {
	if len(b) == 0 {
		return b
	}
	n.mu.Lock()
	next = b[:0]
	switch last := len(n.batches) - 1; {
	case last >= 0 && len(n.batches[last])+len(b) <= cap(n.batches[last]):
		n.batches[last] = append(n.batches[last], b...)
	case cap(b) < newsBatch:
		n.batches = append(n.batches, append(n.spare(), b...))
	default:
		n.batches = append(n.batches, b)
		next = n.spare()
	}
	n.records += len(b)
	n.full.Store(n.records > highWater)
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
	return next
}

// waitRoom blocks while the sinks are behind. It reports false when ctx ended first.
func (n *news) waitRoom(ctx context.Context) bool {
	for n.full.Load() {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pauseNap):
		}
	}
	return true
}

func (n *news) take() []([]results.Port) {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := n.batches
	n.batches = nil
	return b
}

func (n *news) done(b []results.Port) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.records -= len(b)
	n.full.Store(n.records > highWater)
	if n.frames {
		clear(b)
	}
	if len(n.free) < 64 {
		n.free = append(n.free, b[:0])
	}
}

// pump writes batches to the sink until stop is closed and nothing waits any more. The first error is
// told to failed; the sink gets the rest all the same, for it may stand for several outputs of which
// one has broken.
func (n *news) pump(sink results.Sink, stop <-chan struct{}, failed func(error)) {
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
		for _, b := range n.take() {
			check(sink.Ports(b))
			n.done(b)
			if time.Since(flushed) > flushEvery {
				flush()
			}
		}
	}
	for {
		select {
		case <-n.wake:
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
