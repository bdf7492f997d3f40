package scan

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"synoptic/ratelimit"
	"synoptic/results"
	"synoptic/scan/permute"
	"synoptic/scan/probe"
	"synoptic/scan/target"
)

// Scan is one run of a plan.
type Scan struct{ engine }

// engine is what the lanes share: the plan, which nobody changes any more, and words that are
// atomics inside.
type engine struct {
	*Plan
	key     probe.Key
	results *results.Map
	times   [maxAttempts]atomic.Pointer[sendTimes] // by attempt; the sender makes one when it first needs it
	loss    *lossStats                             // nil for the connect backend
	rtts    rttEstimator
	queue   *news
	tally   tally
	cursor  atomic.Uint64 // the first position not yet handed to a sender
	started atomic.Int64  // Unix time in ns
	sending atomic.Int64  // ns from the first probe to the last

	firstSendError struct {
		sync.Mutex
		err error
	}
}

// backend is how probes leave and answers come in.
type backend interface {
	// open makes everything ready, receivers first; when it fails, no probe was sent.
	open(ctx context.Context) error
	// run sends all positions, sees the answers in and returns. When ctx ends it stops at once.
	run(ctx context.Context) error
	close()
}

// New prepares the run of a plan.
func New(p *Plan) (*Scan, error) {
	key, err := probe.NewKey()
	if err != nil {
		return nil, err
	}
	m, err := results.NewMap(p.Positions.Begin, p.Positions.Len(), p.MaxMemory)
	if err != nil {
		return nil, err
	}
	s := &Scan{engine{Plan: p, key: key, results: m, queue: newNews()}}
	if p.Backend != BackendConnect {
		s.loss = newLossStats(p.Positions.Begin, s.chunkLen(), p.Positions.Len())
	}
	s.cursor.Store(p.Positions.Begin)
	return s, nil
}

// Run scans and writes the record stream to sink, which it does not close. It returns the closing
// record, or nil where the scan did not get as far as its first record. When ctx ends, the scan
// stops within a second, with complete false and no error.
func (s *Scan) Run(ctx context.Context, sink results.Sink) (*results.ScanEnd, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var b backend = &packetLanes{engine: &s.engine}
	if s.Backend == BackendConnect {
		b = &connectLanes{engine: &s.engine}
	}
	if err := b.open(ctx); err != nil {
		return nil, err
	}
	defer b.close()

	start := time.Now()
	s.started.Store(start.UnixNano())
	if err := sink.Start(s.Start(start)); err != nil {
		return nil, err
	}
	pumpStop, pumpDone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(pumpDone)
		s.queue.pump(sink, pumpStop, func(err error) { cancel(err) })
	}()
	err := b.run(ctx)
	if err != nil {
		cancel(err)
	}
	complete := ctx.Err() == nil
	if complete {
		s.emitSilent(ctx)
	}
	close(pumpStop)
	<-pumpDone

	if err == nil {
		err = stopCause(ctx) // a sink broke
	}
	if n := s.results.Overruns(); err == nil && n > 0 {
		err = refuse("give more --max-memory or a lower --rate", "%d replies came while their slot of the result map was being reused: later results may be wrong", n)
	}
	end := s.end(start, complete && err == nil, err)
	return end, errors.Join(err, sink.End(end))
}

// chunkTime is how much sending makes a chunk of the schedule.
const chunkTime = 20 * time.Millisecond

// chunkLen is the length of the schedule's chunks in positions: a power of two, so that send times
// and samples do not straddle two of them, and a small part of the window.
func (e *engine) chunkLen() uint64 {
	return min(ceilPow2(max(uint64(e.Rate*chunkTime.Seconds()), sampleOneIn)), max(e.results.Reach()/16, 1))
}

// newSchedule is the schedule of a sender lane's range of positions.
func (e *engine) newSchedule(positions permute.Range) *schedule {
	s := &schedule{
		positions: positions, first: positions.Begin, chunkLen: e.loss.chunkLen, reach: e.results.Reach(),
		gap:    func() time.Duration { return e.rtts.retryGap(e.RetryGap) },
		policy: fixedRetries{uint8(e.Attempts - 1), e.loss.settle},
	}
	if e.TargetRecall > 0 {
		s.policy = targetRecall{e.TargetRecall, e.loss}
	}
	return s
}

// timesOf is the send-time table of an attempt, for the sender.
func (e *engine) timesOf(attempt uint8) *sendTimes {
	t := e.times[attempt].Load()
	if t == nil {
		t = newSendTimes(e.Rate, e.Positions.Len())
		e.times[attempt].Store(t)
	}
	return t
}

// limiter begins to count now: what is not sent from now on is credit, within the limiter's bounds.
func (e *engine) limiter() (*ratelimit.Limiter, error) {
	return ratelimit.New(e.Rate, ratelimit.System())
}

// stopCause is the error that ended ctx, or nil where it was only told to stop.
func stopCause(ctx context.Context) error {
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// coolNap is how often the cooldown looks at the estimate.
const coolNap = 20 * time.Millisecond

// cool waits until the answers to the last probe must have come.
func (e *engine) cool(ctx context.Context) {
	last := time.Now()
	for {
		// Asked again and again: the first answers end the blind wait, late ones raise the estimate.
		left := time.Until(last.Add(e.rtts.cooldown(e.Wait)))
		if left <= 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(left, coolNap)):
		}
	}
}

// advance makes room in the result map for the positions before end, and makes them count as sent:
// their replies may come before the sender's call returns.
func (e *engine) advance(end uint64, silent func(uint64)) {
	e.results.Advance(end, silent)
	e.cursor.Store(end)
}

// silentRecorder gives the function that turns silent positions into records as they leave the
// window, or nil where nobody wants them.
func (e *engine) silentRecorder(batch *[]results.Port) func(uint64) {
	if e.Show&results.Filtered == 0 {
		return nil
	}
	return func(pos uint64) {
		addr, port := e.Space.At(e.Permutation.Index(pos))
		*batch = e.emit(*batch, results.Port{Time: time.Now().UnixNano(), Addr: addr, Port: port, Reason: results.NoResponse})
	}
}

// emitSilent makes records of the positions that stayed silent to the end.
func (e *engine) emitSilent(ctx context.Context) {
	batch := e.queue.batch()
	record := e.silentRecorder(&batch)
	if record == nil {
		return
	}
	e.results.Silent(e.Positions.Begin, e.Positions.End, func(pos uint64) bool {
		record(pos)
		return e.queue.waitRoom(ctx)
	})
	e.queue.put(batch)
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

// silent is the number of positions probed so far that have not answered.
func (e *engine) silent() uint64 {
	t := &e.tally
	done := e.cursor.Load() - e.Positions.Begin
	return done - min(done, uint64(t.open.Load()+t.closed.Load()+t.filtered.Load())+t.unsent.Load())
}

// end is the closing record.
func (e *engine) end(start time.Time, complete bool, err error) *results.ScanEnd {
	t := &e.tally
	done := e.cursor.Load() - e.Positions.Begin
	open, closed, answered := uint64(t.open.Load()), uint64(t.closed.Load()), uint64(t.filtered.Load())
	unsent, silent := t.unsent.Load(), e.silent()
	end := &results.ScanEnd{
		ScanID: e.ScanID, Probes: e.Probes(), Sent: t.sent.Load(), Retransmitted: t.retransmitted.Load(),
		Open: open, Closed: closed, Filtered: answered + silent, NoResponse: silent + uint64(t.timeouts.Load()), NoARP: uint64(t.noARP.Load()),
		Replies: t.replies.Load(), Duplicates: t.duplicates.Load(), Outranked: t.outranked.Load(),
		Invalid: t.invalid.Load(), Late: t.late.Load(),
		TxErrors: t.txErrors.Load(), TxRetries: t.txRetries.Load(), RxDrops: t.rxDrops.Load(),
		Coverage: float64(done-min(done, unsent)) / float64(e.Probes()),
		Backend:  e.Backend, BackendReason: e.BackendReason, Complete: complete,
	}
	end.LossEstimate, end.MissedOpen = e.estimates()
	now := time.Now()
	end.Time = results.Time(now)
	end.Duration = now.Sub(start).Seconds()
	if sending := time.Duration(e.sending.Load()); sending > 0 {
		end.PPS = float64(end.Sent) / sending.Seconds()
	}
	switch {
	case err != nil:
		end.Error = err.Error()
	case e.firstSendError.err != nil:
		end.Error = fmt.Sprintf("%d probes could not be sent, the first: %v", t.txErrors.Load(), e.firstSendError.err)
	}
	return end
}
