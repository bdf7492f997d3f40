package engine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"synoptic/results"
	"synoptic/results/coverage"
	"synoptic/results/crash"
	"synoptic/results/window"
	"synoptic/scan/backoff"
	"synoptic/scan/gate"
	"synoptic/scan/plan"
	"synoptic/scan/rtt"
	"synoptic/scan/schedule"
)

// Phase is one run over a range of positions. Lanes are made for it of its parts.
type Phase struct {
	name    string
	plan    *plan.Plan
	gate    *gate.Gate
	session *Session

	id      identity
	ev      evidence
	cur     cursor
	rec     recorder
	tally   tally
	errors  firstError
	fed     bool // an Asker says what is asked
	results *window.Map
	kernel  *kernel // programs that mark the result map too; nil where there are none

	begun, ended atomic.Int64 // Unix time in ns
	sending      atomic.Int64 // ns from the first probe to the last
	lastPass     atomic.Int64 // Unix time in ns when the last pass so far ended; 0: none has
	complete     atomic.Bool
	cut          bool                   // evidence did not come back
	fault        atomic.Bool            // an interface has told a lane that it is down or gone
	stuck        atomic.Bool            // a driver has had no room for a while
	outage       atomic.Pointer[string] // what is waited for; nil: nothing is
	limited      atomic.Bool            // first contacts were
	estimates    lastEstimates
	ofParts      int             // of the scan that estimates are made for
	refusals     *backoff.Counts // nil: nobody backs off
	holes        coverage.Set    // that have left the window unknown
	oldest       atomic.Uint64   // the first position that was not done with, when the phase was stopped
	covered      atomic.Pointer[coverage.Set]
}

func newPhase(s *Session, c PhaseConfig) (*Phase, error) {
	p := c.Plan
	ph := &Phase{
		name: c.Name, plan: p, gate: s.gate, session: s, ofParts: max(c.Parts, 1),
		id:  identity{key: s.key, space: p.Space, permutation: p.Permutation, ports: p.SourcePorts},
		ev:  evidence{rate: p.Pace.Max, positions: p.Positions.Len()},
		cur: cursor{begin: p.Positions.Begin},
		rec: recorder{queue: newQueue(), emits: p.Asked.Show | results.Open, names: p.Asked.Targets.Names},
	}
	ph.rec.queue.frames = p.Asked.Frames
	if p.Asked.ShowHosts {
		ph.rec.emits |= results.Closed
	}
	ph.cur.next.Store(p.Positions.Begin)
	if !p.Asked.NoBackoff {
		ph.refusals = &backoff.Counts{}
	}
	if ph.fed = c.Fed; c.Fed {
		return ph, nil
	}
	return ph, ph.renew()
}

// renew makes the result map and the counters of loss, in memory of the process's own.
func (ph *Phase) renew() (err error) {
	positions := ph.plan.Positions
	if ph.results, err = window.New(positions.Begin, positions.Len(), ph.plan.Asked.MaxMemory); err != nil {
		return err
	}
	ph.results.OnUnknown(ph.holes.Add)
	if ph.plan.Choice.Backend != plan.BackendConnect {
		recorded := ph.rec.emits&results.Filtered != 0
		reach := ph.results.Reach()
		silent := func(begin, end uint64, log2 uint8) uint64 { return ph.results.CountSilent(begin, end, log2) }
		ph.ev.loss = schedule.NewLoss(positions.Begin, schedule.ChunkLen(ph.chunkRate(), reach, recorded), positions.Len(), reach, silent)
	}
	return nil
}

// steeredChunks is the rate in probes per second by which chunks are sized where it is found out on the way: as long as 20 ms of the
// most that it may come to, one would last for seconds on a slow path.
const steeredChunks = 100_000

func (ph *Phase) chunkRate() float64 {
	if ph.plan.Auto {
		return min(ph.plan.Pace.Max, steeredChunks)
	}
	return ph.plan.Pace.Max
}

// newSchedule is the schedule of the phase's positions.
func (ph *Phase) newSchedule() *schedule.Schedule {
	asked := &ph.plan.Asked
	silent := func(begin, end uint64) uint64 { return ph.results.CountSilent(begin, end, 0) }
	var policy schedule.Policy = schedule.FixedRetries{Retries: uint8(asked.Attempts - 1), Loss: ph.ev.loss}
	if asked.TargetRecall > 0 {
		policy = schedule.TargetRecall{Recall: asked.TargetRecall, Loss: ph.ev.loss}
	}
	_, chunkLen, _ := ph.ev.loss.Shape()
	c := schedule.Config{
		Positions: ph.plan.Positions, ChunkLen: chunkLen, Reach: ph.results.Reach(), Policy: policy, Silent: silent,
		Gap:     func() time.Duration { return ph.ev.retryGap(asked.RetryGap) },
		Trusted: ph.trusted,
	}
	if s := ph.session.steering; s != nil {
		c.Worthless = s.worthless
		c.Twice = func(begin uint64, first schedule.Span) {
			answered, second := ph.ev.loss.Tries(begin)
			s.yield(first, answered, second)
		}
	}
	return schedule.New(c)
}

// maxAttempts is how many probes a position can get at most.
func (ph *Phase) maxAttempts() int {
	if ph.plan.Asked.TargetRecall > 0 {
		return schedule.MaxTries
	}
	return ph.plan.Asked.Attempts
}

// advance makes room in the result map for the positions before end: their replies may come before
// the sender's call returns. One goroutine at a time calls it.
func (ph *Phase) advance(end uint64, silent func(uint64)) {
	ph.tally.left.Add(ph.results.Advance(end, silent))
	if ph.kernel != nil {
		ph.kernel.moved(ph.results.Bounds())
	}
	ph.cur.next.Store(end)
}

// silentRecorder gives the function that turns silent positions into records as they leave the
// window, or nil where nobody wants them.
func (ph *Phase) silentRecorder(batch *[]results.Port) func(uint64) {
	if ph.rec.emits&results.Filtered == 0 {
		return nil
	}
	return func(pos uint64) {
		addr, port := ph.id.endpoint(pos)
		*batch = ph.rec.emit(*batch, results.Port{Time: time.Now().UnixNano(), Addr: addr, Port: port, Reason: results.NoResponse})
	}
}

// emitSilent makes records of the positions that stayed silent to the end.
func (ph *Phase) emitSilent(ctx context.Context) {
	batch := ph.rec.queue.batch()
	record := ph.silentRecorder(&batch)
	if record == nil {
		return
	}
	ph.results.Silent(ph.plan.Positions.Begin, ph.plan.Positions.End, func(pos uint64) bool {
		record(pos)
		return ph.rec.queue.waitRoom(ctx) && ctx.Err() == nil
	})
	ph.rec.queue.put(batch)
}

// sender is a sender lane.
type sender interface {
	// run takes passes of the schedule until all is sent, or ctx ends.
	run(ctx context.Context) error
	// backpressure is how often what it sends to had no room, since it was opened.
	backpressure() uint64
}

// receiver is a receiver lane.
type receiver interface {
	// run sees answers in until stop is closed, and then on until none is left that had come before.
	run(stop <-chan struct{}) error
	// wake makes run look at stop.
	wake()
}

// drive ends when all is sent and answered, when ctx ends, or when a lane fails: then the others stop.
func (ph *Phase) drive(ctx context.Context, shared *sharedSchedule, senders []sender, receivers []receiver) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := make(chan struct{})
	var receiving, sending, watching sync.WaitGroup
	for _, r := range receivers {
		receiving.Go(crash.Guarded(func() {
			if err := r.run(stop); err != nil {
				cancel(fatal{err})
			}
		}))
	}
	var before uint64
	for _, lane := range senders {
		before += lane.backpressure()
	}
	begun := time.Now()
	_, stood := ph.session.pacer.Standing()
	guard := newSentinel(ph, shared, cancel)
	guard.begin(ctx)
	watching.Go(crash.Guarded(func() { guard.run(ctx, stop) }))
	for _, lane := range senders {
		sending.Go(crash.Guarded(func() {
			if err := lane.run(ctx); err != nil {
				cancel(fatal{err})
			}
		}))
	}
	sending.Wait()
	if ctx.Err() != nil {
		shared.abandonAway()
	}
	shared.abandonParked()
	shared.abandonUnasked()
	last := begun
	if at := ph.lastPass.Load(); at != 0 { // behind it the lanes have waited for evidence only
		last = time.Unix(0, at)
	}
	ph.sent(last.Sub(begun), stood)
	for _, lane := range senders {
		ph.tally.txRetries.Add(lane.backpressure())
	}
	ph.tally.txRetries.Add(-before)
	ph.cool(ctx)
	close(stop)
	watching.Wait()
	guard.tellLater()
	for _, r := range receivers {
		r.wake()
	}
	receiving.Wait()
	ph.cut = errors.Is(context.Cause(ctx), errEvidence)
	heard := time.Now()
	if ctx.Err() != nil {
		heard = heard.Add(-ph.listenTime())
	}
	ph.oldest.Store(shared.doneBefore(heard))
	ph.ev.loss.End(heard)
	guard.judgeContacts(heard)
	return stopCause(ctx)
}

// sent notes how long it took to send, without pauses; stood is how long there were some before.
func (ph *Phase) sent(took, stood time.Duration) {
	_, now := ph.session.pacer.Standing()
	ph.sending.Store(int64(max(took-(now-stood), 0)))
}

// cool waits until the answers to the last probe must have come, and until it is known of every part whether it is lost.
func (ph *Phase) cool(ctx context.Context) {
	clock := rtt.NewAwake(time.Now())
	for {
		// Asked again and again: the first answers end the blind wait, late ones raise the estimate.
		wait := ph.ev.rtts.Cooldown(ph.plan.Asked.Wait)
		if ph.silent()+ph.tally.unknown.Load() == 0 { // what is unknown may have been asked, and answer yet
			wait = ph.ev.rtts.Settled(wait)
		}
		left := wait - clock.Look(time.Now())
		if left <= 0 && ph.session.beacons.set.Suspects() {
			left = time.Duration(lookEvery)
		}
		if left <= 0 || !sleep(ctx, min(left, rtt.AwakeStep)) {
			return
		}
	}
}

// listenTime is how long answers are on their way.
func (ph *Phase) listenTime() time.Duration { return ph.ev.rtts.Settled(ph.plan.Asked.Wait) }

// sleep reports false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// silent is the number of positions probed so far that have not answered.
func (ph *Phase) silent() uint64 {
	done := ph.cur.done()
	return done - min(done, ph.tally.settled())
}

// abandon gives up the rest of a pass: what no probe was sent to must not pass for silent.
func (ph *Phase) abandon(p *schedule.Pass) {
	ph.gate.Unpark(p.Held())
	defer func() { ph.distrust(p.Unasked()) }()
	if !p.First {
		return
	}
	var n uint64
	p.Rest(func(pos uint64) {
		ph.results.Mark(pos, results.Unknown)
		n++
	})
	ph.tally.unsent.Add(n)
	ph.cur.passed(n)
}

// abandonThese gives up positions of a pass that it has dealt with, and whose probes a stop has kept from leaving. Those whose
// first tries were taken back were asked, but not while evidence held: they are unknown, as what Unasked gives is. A retry that
// is not sent leaves its position as silent as it was.
func (ph *Phase) abandonThese(p *schedule.Pass, positions []uint64) {
	switch {
	case p.First:
		ph.unsent(positions)
	case p.Passes == 0:
		ph.distrustThese(positions, nil)
	}
}

// unsent marks positions whose first probe was not sent, so that they do not pass for silent.
func (ph *Phase) unsent(positions []uint64) {
	for _, pos := range positions {
		if old, ok := ph.results.Mark(pos, results.Unknown); ok && old == 0 { // else it has answered an earlier probe
			ph.tally.unsent.Add(1)
		}
	}
}

func (ph *Phase) overruns() uint64 { return ph.results.Overruns() + ph.tally.overruns.Load() }
