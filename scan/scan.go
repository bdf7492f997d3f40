package scan

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"synoptic/results"
	"synoptic/results/window"
	"synoptic/scan/probe"
)

// Scan is one run of a plan.
type Scan struct {
	e   *engine
	ran atomic.Bool
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
	m, err := window.New(p.Positions.Begin, p.Positions.Len(), p.MaxMemory)
	if err != nil {
		return nil, err
	}
	e := &engine{Plan: p, emits: p.Show | results.Open, key: key, results: m, queue: newNews()}
	e.queue.frames = p.Frames
	if p.ShowHosts {
		e.emits |= results.Closed
	}
	if p.Backend != BackendConnect {
		e.loss = newLossStats(p.Positions.Begin, e.chunkLen(), p.Positions.Len())
	}
	if p.Backend == BackendXDP || p.Backend == BackendEBPF {
		e.kernel, err = newKernel(e)
		switch {
		case err == nil:
		case p.Auto:
			e.usePacketSockets(err)
		default:
			return nil, fmt.Errorf("backend %s: %w", p.Backend, err)
		}
	}
	e.cursor.Store(p.Positions.Begin)
	return &Scan{e: e}, nil
}

// Run scans, once, and writes the record stream to sink, which it does not close. It returns the
// closing record, or nil where the scan did not get as far as its first record. When ctx ends, the
// scan stops within a second, with complete false and no error, and tells a sink that is an Unblocker
// not to wait for anything any more.
func (s *Scan) Run(ctx context.Context, sink results.Sink) (*results.ScanEnd, error) {
	if s.ran.Swap(true) {
		return nil, errors.New("a scan runs only once")
	}
	e := s.e
	e.outputs, _ = sink.(results.Deliverer)
	outputs := sink
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if u, ok := sink.(Unblocker); ok {
		defer context.AfterFunc(ctx, u.Stop)()
	}
	b := e.newBackend()
	defer func() { b.close() }()
	sink, err := e.judge(ctx, sink)
	if err != nil {
		return nil, err
	}
	err = b.open(ctx)
	if err != nil && e.kernel != nil && e.Auto && ctx.Err() == nil {
		b.close()
		e.usePacketSockets(err)
		if err := e.renew(); err != nil {
			return nil, err
		}
		b = e.newBackend()
		err = b.open(ctx)
	}
	if err != nil {
		return nil, err
	}

	start := time.Now()
	e.started.Store(start.UnixNano())
	if err := sink.Start(e.StartRecord(start)); err != nil {
		end := e.end(start, false, err)
		return end, errors.Join(err, sink.End(end))
	}
	pumpStop, pumpDone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(pumpDone)
		e.queue.pump(sink, pumpStop, func(err error) { cancel(fatal{err}) })
	}()
	err = b.run(ctx)
	if err != nil {
		cancel(fatal{err})
	}
	if ctx.Err() == nil {
		e.emitSilent(ctx)
	}
	close(pumpStop)
	if !drained(ctx, pumpDone) {
		return nil, errors.Join(err, errors.New("stopped while an output took no more records: what waited for it is lost"))
	}
	if err == nil {
		err = stopCause(ctx) // a sink broke
	}
	if n := e.results.Overruns() + e.tally.overruns.Load(); err == nil && n > 0 {
		err = fmt.Errorf("%d replies came while their slot of the result map was being reused, so later results may be wrong: a larger map or a lower rate is needed", n)
	}
	if s, ok := outputs.(settler); ok {
		s.Settle(settleTime) // so that the closing record says of healthy outputs that they have it all
	}
	end := e.end(start, ctx.Err() == nil && err == nil, err)
	return end, errors.Join(err, sink.End(end))
}

// Unblocker is a sink whose calls may wait for a receiver. After Stop none does, those under way included,
// and what comes is kept all the same.
type Unblocker interface{ Stop() }

// settler is a sink that delivers by itself, and can be waited for.
type settler interface{ Settle(limit time.Duration) }

// settleTime is what outputs have to take what they were given before it is written down how far they are.
const settleTime = 200 * time.Millisecond

func (e *engine) newBackend() backend {
	switch e.Backend {
	case BackendConnect:
		return &connectLanes{engine: e}
	case BackendXDP, BackendEBPF:
		return newKernelLanes(e)
	}
	return newAFPacket(e)
}

// usePacketSockets is what is left where the programs cannot be used and the choice was ours.
func (e *engine) usePacketSockets(why error) {
	e.Backend, e.BackendReason, e.BackendHint = BackendAFPacket, "raw sockets are permitted; no XDP, for "+why.Error(), hintOf(why)
	e.Lanes = 0
	e.chooseLanes()
}

// renew makes the result map and the counters of loss anew, in memory of our own.
func (e *engine) renew() (err error) {
	e.loss.use(make([]chunkLoss, e.loss.chunks))
	e.results, err = window.New(e.Positions.Begin, e.Positions.Len(), e.MaxMemory)
	return err
}

// judge puts before the outputs what looks at records on their way: verification, then suspicion.
func (e *engine) judge(ctx context.Context, outputs results.Sink) (results.Sink, error) {
	h := &hosts{Sink: outputs, show: e.Show, summaries: e.ShowHosts}
	switch {
	case e.ShowHosts:
		h.seen = map[netip.Addr]*hostState{}
	case e.Space.NumPorts() >= implausibleOpen:
		h.opens = map[netip.Addr]uint16{}
	}
	h.expected = func() float64 {
		return float64(e.Space.NumPorts()) * float64(e.done()) / float64(e.Space.Len())
	}
	if e.Canaries {
		var err error
		if h.liars, e.canaries, err = probeCanaries(ctx, e.Plan); err != nil {
			return nil, fmt.Errorf("canary ports: %w", err)
		}
	}
	if !e.Verify {
		return h, nil
	}
	return newVerifier(ctx, e, h)
}

// drainTime is how long a stopped scan waits for a sink that is no Unblocker to take what it was given.
const drainTime = 700 * time.Millisecond

// drained waits for the pump: without limit, but for a short time only once the scan is told to stop.
func drained(ctx context.Context, pump <-chan struct{}) bool {
	select {
	case <-pump:
		return true
	case <-ctx.Done():
	}
	select {
	case <-pump:
		return true
	case <-time.After(drainTime):
		return false
	}
}

// coolNap is how often the cooldown looks at the estimate.
const coolNap = 5 * time.Millisecond

// awake is a clock that stands still where the process does: what a busy host or a hypervisor takes of the
// time is no waiting, for no answer gets in meanwhile.
type awake struct {
	seen   time.Time
	passed time.Duration
}

// look is the time that has passed. It is to be asked once a coolNap, of which two count at most.
func (a *awake) look(now time.Time) time.Duration {
	a.passed += min(now.Sub(a.seen), 2*coolNap)
	a.seen = now
	return a.passed
}

// cool waits until the answers to the last probe must have come.
func (e *engine) cool(ctx context.Context) {
	clock := awake{seen: time.Now()}
	for {
		// Asked again and again: the first answers end the blind wait, late ones raise the estimate.
		wait := e.rtts.cooldown(e.Wait)
		if e.silent() == 0 {
			wait = e.rtts.settled(wait)
		}
		left := wait - clock.look(time.Now())
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

// emitSilent makes records of the positions that stayed silent to the end.
func (e *engine) emitSilent(ctx context.Context) {
	batch := e.queue.batch()
	record := e.silentRecorder(&batch)
	if record == nil {
		return
	}
	e.results.Silent(e.Positions.Begin, e.Positions.End, func(pos uint64) bool {
		record(pos)
		return e.queue.waitRoom(ctx) && ctx.Err() == nil
	})
	e.queue.put(batch)
}
