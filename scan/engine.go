package scan

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"synoptic/ratelimit"
	"synoptic/results"
	"synoptic/results/window"
	"synoptic/scan/permute"
	"synoptic/scan/probe"
	"synoptic/scan/target"
)

// engine is what the lanes share: the plan, which nobody changes any more, and words that are
// atomics inside.
type engine struct {
	*Plan
	emits   results.State // states that lanes hand on: what is shown, and what hosts are judged by
	key     probe.Key
	results *window.Map
	times   [maxAttempts]atomic.Pointer[sendTimes] // by attempt; made when first needed
	loss    *lossStats                             // nil for the connect backend
	rtts    rttEstimator
	queue   *news
	kernel  *kernel // programs that mark the result map too; nil where there are none
	tally   tally
	cursor  atomic.Uint64     // the first position not yet handed to a sender: the end of the last chunk that was
	ahead   atomic.Uint64     // positions before cursor whose first probe a sender has yet to send
	started atomic.Int64      // Unix time in ns
	outputs results.Deliverer // nil where the outputs do not count
	sending atomic.Int64      // ns from the first probe to the last

	canaries uint64 // probes to canary ports

	firstSendError struct {
		sync.Mutex
		err error
	}
}

// maxAttempts is how many probes a position can get at most.
func (e *engine) maxAttempts() int {
	if e.TargetRecall > 0 {
		return maxTries
	}
	return e.Attempts
}

// chunkTime is how much sending makes a chunk of the schedule.
const chunkTime = 20 * time.Millisecond

// chunkLen is the length of the schedule's chunks in positions: a power of two, so that send times
// and samples do not straddle two of them, and a small part of the window.
func (e *engine) chunkLen() uint64 {
	n := ceilPow2(max(uint64(e.Rate*chunkTime.Seconds()), 1<<maxStride))
	if e.emits&results.Filtered != 0 {
		n = min(n, recordedChunk)
	}
	return min(n, floorPow2(max(e.results.Reach()/16, 1)))
}

// recordedChunk bounds a chunk where a whole one may leave the window as records at a time: 4 MiB.
const recordedChunk = 1 << 14

// newSchedule is the schedule of a range of positions.
func (e *engine) newSchedule(positions permute.Range) *schedule {
	s := newSchedule(positions, e.loss.chunkLen, e.results.Reach())
	s.gap, s.silent = e.retryGap, e.countSilent
	s.policy = fixedRetries{uint8(e.Attempts - 1), e.loss.settle}
	if e.TargetRecall > 0 {
		s.policy = targetRecall{e.TargetRecall, e.loss, e.countSilent}
	}
	return s
}

// retryGap is the time between two attempts at a silent position: shorter than asked for on a network
// that is known to be fast and has lost nothing so far, where it only delays the end of the scan.
// Losses come in bursts, and only time gets a probe past one (docs/accuracy.md).
func (e *engine) retryGap() time.Duration {
	if e.loss.lost.Load() {
		return e.RetryGap
	}
	return e.rtts.retryGap(e.RetryGap)
}

// countSilent is the number of silent positions in [begin, end).
func (e *engine) countSilent(begin, end uint64) (n uint64) {
	e.results.Silent(begin, end, func(uint64) bool { n++; return true })
	return n
}

// timesOf is the send-time table of an attempt, for senders.
func (e *engine) timesOf(attempt uint8) *sendTimes {
	t := e.times[attempt].Load()
	if t == nil {
		e.times[attempt].CompareAndSwap(nil, newSendTimes(e.Rate, e.Positions.Len()))
		t = e.times[attempt].Load()
	}
	return t
}

// done is the number of positions probed, or settled without a probe.
func (e *engine) done() uint64 {
	done := e.cursor.Load() - e.Positions.Begin
	return done - min(done, e.ahead.Load()) // less for a moment while a chunk is handed out
}

// limiter begins to count now: what is not sent from now on is credit, within the limiter's bounds.
func (e *engine) limiter() (*ratelimit.Limiter, error) {
	return ratelimit.New(e.Rate, ratelimit.System())
}

// advance makes room in the result map for the positions before end: their replies may come before
// the sender's call returns. One goroutine at a time calls it.
func (e *engine) advance(end uint64, silent func(uint64)) {
	e.tally.left.Add(e.results.Advance(end, silent))
	if e.kernel != nil {
		e.kernel.moved(e.results.Bounds())
	}
	e.cursor.Store(end)
}

// silentRecorder gives the function that turns silent positions into records as they leave the
// window, or nil where nobody wants them.
func (e *engine) silentRecorder(batch *[]results.Port) func(uint64) {
	if e.emits&results.Filtered == 0 {
		return nil
	}
	return func(pos uint64) {
		addr, port := e.Space.At(e.Permutation.Index(pos))
		*batch = e.emit(*batch, results.Port{Time: time.Now().UnixNano(), Addr: addr, Port: port, Reason: results.NoResponse})
	}
}

// emit completes a record and appends it to a batch, which it hands over when full.
func (e *engine) emit(batch []results.Port, p results.Port) []results.Port {
	if len(e.Targets.Names) > 0 {
		p.Hostname = e.Targets.Names[p.Addr]
	}
	p.Service = target.Service(p.Port)
	batch = append(batch, p)
	if len(batch) == cap(batch) {
		return e.queue.put(batch)
	}
	return batch
}

// sendError keeps the first error of a send that was given up; the counter tells how many there were.
func (e *engine) sendError(err error) {
	e.firstSendError.Lock()
	defer e.firstSendError.Unlock()
	if e.firstSendError.err == nil {
		e.firstSendError.err = err
	}
}

// fatal is the cause of a context that the scan itself has ended, as against one whose caller has
// told the scan to stop, which is no error.
type fatal struct{ error }

// stopCause is the error that ended ctx, or nil where the scan was only told to stop.
func stopCause(ctx context.Context) error {
	var f fatal
	if errors.As(context.Cause(ctx), &f) {
		return f.error
	}
	return nil
}
