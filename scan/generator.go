package scan

import (
	"context"
	"errors"
	"fmt"
	"time"

	"synoptic/ratelimit"
	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/rawsock/xdp"
)

// generator is the sender lane of the backend ebpf: the probes are made in the kernel.
//
//	shared schedule gives passes → posted to the program, some ahead
//	limiter grants n → the program's budget
//	the program's counters → finished passes go back to the schedule, tally
//
// The program runs on a thread of its own (liveThread); the lane's goroutine feeds it.
type generator struct {
	*engine
	schedule *sharedSchedule
	limiter  *ratelimit.Limiter

	flying   []*pass // posted and not finished, in order
	finished uint64  // passes
	seen     xdp.Progress

	thread *liveThread
	busy   time.Time // when there was last something to send
}

const (
	// generatorEntries bounds a table of send times to 2 MiB: at 3 M pps 64 positions share an entry,
	// which are sent within 22 µs.
	generatorEntries = 1 << 19
	// feedNap is how often the generator is fed, and so how long a stop may wait for the feeder.
	feedNap = time.Millisecond
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

// start makes the program's thread, with the receiver attached already, and sends a harmless frame
// through the driver: an ARP request for the next hop, or for the first target where there is none. The
// error says what the driver has against it.
func (g *generator) start() (err error) {
	path := &g.Routes.Paths[0]
	asked := path.Gateway
	if !asked.IsValid() {
		asked = g.Space.Addrs().At(0)
	}
	g.thread, err = startThread(g.kernel.programs, route.Request(path.Link.HardwareAddr, path.Src, asked))
	return err
}

// open is an openSender: it gives the program the constant bytes of the probe.
func (g *generator) open(hops []*hop, _ int) (sender, error) {
	frame, ipSum, tcpSum := hops[0].tmpl.Constants()
	return g, g.kernel.programs.SetFrame(frame, ipSum, tcpSum)
}

// useTimes puts the send times where the program writes them.
func (g *generator) useTimes() {
	t := g.kernel.times
	for i := range t.Attempts {
		g.times[i].Store(&sendTimes{micros: atomicWords(g.kernel.programs.Times(i)), shift: t.Shift, mask: t.Entries - 1})
	}
}

func (g *generator) assign(s *sharedSchedule, l *ratelimit.Limiter) { g.schedule, g.limiter = s, l }

// backpressure is how often the driver refused a probe, which was then sent again.
func (g *generator) backpressure() uint64 { return g.kernel.programs.Progress().Refused }

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
		if g.queue.full.Load() { // no grants, then: the sinks are behind
			g.collect()
			progressed = time.Now()
			if err := g.restWhenIdle(); err != nil {
				return err
			}
			nap(ctx, feedNap)
			continue
		}
		before := g.seen
		g.collect()
		if g.seen.Sent != before.Sent || g.seen.Finished != before.Finished || g.seen.Flying == 0 && len(g.flying) == 0 {
			progressed = time.Now()
			refused = g.seen.Refused
		} else if limit := g.patience(refused); time.Since(progressed) > limit {
			return g.stuck(limit)
		}
		wait, all, err := g.post()
		if err != nil {
			return err
		}
		if all && g.seen.Flying == 0 && g.landed() {
			return nil
		}
		g.grant(ctx)
		if err := g.keepRunning(); err != nil {
			return err
		}
		if len(g.flying) > 0 {
			wait = feedNap
		}
		if !nap(ctx, max(min(wait, idleNap), feedNap)) {
			break
		}
	}
	return nil
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

// patience is how long nothing may be sent, by what had been refused before.
func (g *generator) patience(refused uint64) time.Duration {
	if g.seen.Refused == refused {
		return starvedTime // it does not even try
	}
	return stuckTime
}

// stuck is the error of a driver that takes nothing any more, or of a program that does not run.
func (g *generator) stuck(since time.Duration) error {
	err := g.kernel.programs.Refusal()
	if err == nil {
		return fmt.Errorf("the generator does not get on: no probe was sent for %v", since)
	}
	if errors.Is(err, rawsock.ErrInterface) {
		return fmt.Errorf("send on %s: %w: %w", g.Routes.Paths[0].Link.Name, errGone, err)
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
	wait = feedNap
	for len(g.flying) < passesAhead {
		var p *pass
		if p, wait = g.schedule.take(); p == nil {
			return wait, wait < 0 && len(g.flying) == 0, nil
		}
		g.timesOf(p.probes).sent(p.end)
		if p.sampled {
			g.timesOf(p.probes + 1).sent(p.end)
		}
		posted := g.kernel.programs.Post(xdp.Pass{
			Begin: p.begin, End: p.end, First: p.first, Sample: p.step == stepSample,
			Sampled: p.sampled, Stride: p.stride, Probes: p.probes,
		})
		g.flying = append(g.flying, p)
		if !posted {
			return 0, false, errors.New("the generator has no room for a pass") // passesAhead is less than it takes
		}
	}
	return wait, false, nil
}

// grant lets pass what the limiter lets pass, but no more than a little ahead of the program.
func (g *generator) grant(ctx context.Context) {
	p := g.kernel.programs
	ahead := max(uint64(g.Rate*grantAhead.Seconds()), 64)
	waiting := p.Granted() - p.Progress().Spent
	if len(g.flying) == 0 || waiting >= ahead {
		return
	}
	if n, err := g.limiter.Take(ctx, int(ahead-waiting)); err == nil {
		p.Grant(uint64(n))
	}
}

// collect takes over what the program has counted, and gives finished passes back.
func (g *generator) collect() {
	now := g.kernel.programs.Progress()
	was := &g.seen
	g.tally.sent.Add(now.Sent - was.Sent)
	g.tally.retransmitted.Add(now.Retransmitted - was.Retransmitted)
	g.loss.retried.Add(now.Sampled - was.Sampled)
	*was = now
	for ; g.finished < now.Finished; g.finished++ {
		p := g.flying[0]
		g.flying = g.flying[1:]
		g.moveTo(p, p.end)
		g.schedule.finish(p)
	}
}

// abandon gives up what the program has been posted and will not send.
func (g *generator) abandon() {
	at, begun := g.kernel.programs.Cursor()
	for i, p := range g.flying {
		if i == 0 && begun {
			g.moveTo(p, at)
		}
		g.engine.abandon(p)
	}
	g.flying = nil
	g.unsent(g.kernel.programs.Unsent())
}

// Close ends the thread.
func (g *generator) Close() error { return g.thread.end() }
