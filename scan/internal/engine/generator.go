package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"synoptic/ratelimit"
	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/rawsock/xdp"
	"synoptic/scan/schedule"
)

// generator is the sender lane of the backend ebpf: the probes are made in the kernel.
//
//	shared schedule gives passes → posted to the program, some ahead
//	limiter grants n → the program's budget
//	the program's counters → finished passes go back to the schedule, tally
//
// The program runs on a thread of its own (liveThread); the lane's goroutine feeds it.
type generator struct {
	phase    *Phase
	programs *xdp.Programs
	shared   *sharedSchedule
	pace     *ratelimit.Pacer
	iface    string
	rate     float64 // pps at most

	flying   []*schedule.Pass // posted and not finished, in order
	finished uint64           // passes
	epoch    uint64           // of shared, as seen
	seen     xdp.Progress

	thread *liveThread
	busy   time.Time // when there was last something to send
}

const (
	// generatorEntries bounds a table of send times to 2 MiB: at 3 M pps 64 positions share an entry,
	// which are sent within 22 µs.
	generatorEntries = 1 << 19
	// feedWait is how often the generator is fed, and so how long a stop may wait for the feeder.
	feedWait = time.Millisecond
	// passesAhead are posted at a time, of 20 ms of sending each.
	passesAhead = 4
	// grantAhead is how much sending may be granted and not done, so that what the program cannot keep
	// up with does not pile up.
	grantAhead = 4 * time.Millisecond
	// restAfter is how long the program spins without anything to send: some calls' worth of setting up.
	restAfter = 50 * time.Millisecond
	// stuckTime is how long a driver may refuse everything.
	stuckTime = 2 * time.Second
	// starvedTime is how long the program's thread may get no processor: others have it, or a hypervisor.
	starvedTime = 30 * time.Second
)

// startThread makes the thread of a phase's programs, which are attached already, and sends a harmless frame
// through the driver: an ARP request for the next hop, or for the first target where there is none. The
// error says what the driver has against it; the thread is there in any case.
func (b *kernelBackend) startThread(ph *Phase) (*liveThread, error) {
	path := &ph.plan.Routes.Paths[0]
	asked := path.Gateway
	if !asked.IsValid() {
		asked = ph.plan.Space.Addrs().At(0)
	}
	return startThread(ph.kernel.programs, route.Request(path.Link.HardwareAddr, path.Src, asked))
}

func newGenerator(s *Session, ph *Phase, shared *sharedSchedule, t *liveThread) *generator {
	return &generator{
		phase: ph, programs: ph.kernel.programs, shared: shared, pace: s.pacer, thread: t,
		iface: ph.plan.Routes.Paths[0].Link.Name, rate: ph.plan.Pace.Max,
	}
}

// backpressure is how often the driver refused a probe, which was then sent again.
func (g *generator) backpressure() uint64 { return g.programs.Progress().Refused }

// run feeds the program until all is sent, or ctx ends.
func (g *generator) run(ctx context.Context) error {
	err := errors.Join(g.feed(ctx), g.thread.rest())
	g.collect()
	g.abandon()
	return err
}

func (g *generator) feed(ctx context.Context) error {
	progressed := time.Now()
	refused := g.seen.Refused // when it last progressed
	for ctx.Err() == nil {
		if e := g.shared.epoch.Load(); e != g.epoch {
			g.epoch = e
			g.interrupted()
		}
		if g.phase.rec.queue.full.Load() || g.pace.Paused() { // no grants, then: the sinks are behind, or nothing travels
			g.collect()
			progressed = time.Now()
			if err := g.restWhenIdle(); err != nil {
				return err
			}
			sleep(ctx, feedWait)
			continue
		}
		before := g.seen
		g.collect()
		if g.seen.Sent != before.Sent || g.seen.Finished != before.Finished || g.seen.Excluded != before.Excluded || g.idle() {
			progressed = time.Now()
			refused = g.seen.Refused
		} else if since, limit := time.Since(progressed), g.tolerates(refused); since > limit {
			return g.stuck(limit)
		} else if since > rawsock.MaxSendWait {
			g.phase.stuck.Store(true)
		}
		wait, all, err := g.post()
		if err != nil {
			return err
		}
		if all && g.seen.Flying == 0 && g.landed() {
			return nil
		}
		g.grant()
		if err := g.keepRunning(); err != nil {
			return err
		}
		if len(g.flying) > 0 {
			wait = feedWait
		} else {
			g.phase.tally.starved.Add(1)
		}
		if !sleep(ctx, max(min(wait, idleWait), feedWait)) {
			break
		}
	}
	return nil
}

// idle tells whether the program has nothing to send, or nothing granted: at a low rate it waits.
func (g *generator) idle() bool {
	return g.seen.Flying == 0 && (len(g.flying) == 0 || g.programs.Granted() == g.seen.Spent)
}

// keepRunning has the program run while there is something to send, and not spin for long where there
// is nothing.
func (g *generator) keepRunning() error {
	if len(g.flying) > 0 || g.seen.Flying > 0 {
		g.busy = time.Now()
		return g.thread.run()
	}
	return g.restWhenIdle()
}

func (g *generator) restWhenIdle() error {
	if time.Since(g.busy) > restAfter {
		return g.thread.rest()
	}
	return nil
}

// tolerates is how long nothing may be sent, by what had been refused before. An interface that is down or gone is not the
// driver's refusal: who watches the path tells of it, and pauses the scan or ends it, but may come late to it.
func (g *generator) tolerates(refused uint64) time.Duration {
	if g.seen.Refused == refused || errors.Is(g.programs.Refusal(), rawsock.ErrInterface) {
		return starvedTime
	}
	return stuckTime
}

// stuck is the error of a driver that takes nothing any more, or of a program that does not run.
func (g *generator) stuck(since time.Duration) error {
	err := g.programs.Refusal()
	if err == nil {
		return fmt.Errorf("the generator is stuck: no probe was sent for %v", since)
	}
	if errors.Is(err, rawsock.ErrInterface) {
		return fmt.Errorf("send on %s: %w", g.iface, err)
	}
	return err
}

// landed tells whether nothing is on its way. The program's counters say so only while it does not run:
// a probe is not counted between its being taken and its being redirected.
func (g *generator) landed() bool {
	if err := g.thread.rest(); err != nil {
		return true // run will tell
	}
	g.collect()
	return g.seen.Flying == 0
}

// post hands passes to the program. all tells that everything is sent; otherwise wait is for the next.
func (g *generator) post() (wait time.Duration, all bool, err error) {
	wait = feedWait
	for len(g.flying) < passesAhead {
		var p *schedule.Pass
		if p, wait = g.shared.take(); p == nil {
			return wait, wait < 0 && len(g.flying) == 0, nil
		}
		g.phase.ev.timesOf(p.Probes).Sent(p.End)
		if p.Sampled {
			g.phase.ev.timesOf(p.Probes + 1).Sent(p.End)
		}
		posted := g.programs.Post(xdp.Pass{
			Begin: p.Begin, End: p.End, First: p.First, Sample: p.Step == schedule.Sample,
			Sampled: p.Sampled, Stride: p.Stride, Probes: p.Probes,
		})
		g.flying = append(g.flying, p)
		if !posted {
			return 0, false, errors.New("the generator has no room for a pass") // passesAhead is less than it takes
		}
	}
	return wait, false, nil
}

// grant lets pass what the limiter lets pass, but no more than a little ahead of the program.
func (g *generator) grant() {
	p := g.programs
	ahead := max(uint64(g.rate*grantAhead.Seconds()), 64)
	waiting := p.Granted() - p.Progress().Spent
	if len(g.flying) == 0 || waiting >= ahead {
		return
	}
	if n := g.pace.TryTake(int(ahead - waiting)); n > 0 { // feed comes again within feedWait
		p.Grant(uint64(n))
	}
}

// collect takes over what the program has counted, and gives finished passes back.
func (g *generator) collect() {
	now := g.programs.Progress()
	was := &g.seen
	g.phase.tally.sent.Add(now.Sent - was.Sent)
	g.phase.tally.retransmitted.Add(now.Retransmitted - was.Retransmitted)
	g.phase.tally.unsent.Add(now.Excluded - was.Excluded)
	g.phase.tally.excluded.Add(now.Excluded - was.Excluded)
	g.phase.tally.pressed.Add(now.Refused - was.Refused)
	g.phase.session.beacons.carry(int(now.Sent - was.Sent))
	*was = now
	for ; g.finished < now.Finished; g.finished++ {
		p := g.flying[0]
		g.flying = g.flying[1:]
		g.dealt(p, p.End)
		g.shared.finish(p)
	}
}

// interrupted tells the schedule how far the passes that were taken back had come.
func (g *generator) interrupted() {
	g.collect()
	at, begun := g.programs.Cursor()
	for i, p := range g.flying {
		if i == 0 && begun {
			g.dealt(p, at)
		}
		g.shared.interrupted(p)
	}
}

// abandon gives up what the program has been posted and will not send.
func (g *generator) abandon() {
	at, begun := g.programs.Cursor()
	for i, p := range g.flying {
		if i == 0 && begun {
			g.dealt(p, at)
		}
		g.phase.abandon(p)
	}
	g.flying = nil
	g.phase.unsent(g.programs.Unsent())
}

// dealt says that the positions of a pass before cursor are dealt with.
func (g *generator) dealt(p *schedule.Pass, cursor uint64) {
	if p.First {
		g.phase.cur.passed(cursor - p.Cursor)
		if g.phase.refusals != nil {
			g.phase.refusals.SentEvenly(cursor - p.Cursor)
		}
	}
	p.Cursor = cursor
}
