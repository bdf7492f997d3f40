package engine

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"synoptic/rawsock"
	"synoptic/results/crash"
	"synoptic/scan/backoff"
	"synoptic/scan/beacon"
	"synoptic/scan/plan"
	"synoptic/scan/rtt"
)

// kernelAgain is when the kernel repeats a SYN that was not answered (RFC 6298 section 2.1). Nobody knows which of the two
// an answer after it is to (Karn's problem, section 3), so it shows neither that the first has travelled nor how long
// answers take. Where round trips are longer than that, a scan by connect has no evidence.
const kernelAgain = time.Second

// connectBeacons asks beacons by connections of their own: accepted and refused are both answers, and all else is none.
// They have slots of their own, so that they neither wait for positions nor starve them; what finds no slot is not
// asked this time.
type connectBeacons struct {
	backend *connectBackend
	beacons *beacons
	counts  *backoff.Counts // nil: nobody backs off
	ctx     context.Context // of the phase
	cancel  context.CancelFunc

	connecting sync.WaitGroup
	mu         sync.Mutex
	pending    map[netip.AddrPort]*connecting // the newest of each target
}

// connecting is a connect under way.
type connecting struct{ cancel context.CancelFunc }

// newConnectBeacons makes the session's beacons connections until stop is called.
func newConnectBeacons(ctx context.Context, b *connectBackend, ph *Phase) *connectBeacons {
	c := &connectBeacons{backend: b, beacons: b.session.beacons, counts: ph.refusals, pending: map[netip.AddrPort]*connecting{}}
	c.ctx, c.cancel = context.WithCancel(ctx)
	c.beacons.connects = c
	return c
}

// stop ends the connects under way: nobody waits for their answers.
func (c *connectBeacons) stop() {
	c.cancel()
	c.connecting.Wait()
	c.beacons.connects = nil
}

// ask begins to connect to the beacons that are due.
func (c *connectBeacons) ask(due []beacon.Target) {
	for _, t := range due {
		if !c.beacons.goes(t) {
			continue
		}
		select {
		case c.backend.spare <- struct{}{}:
		default:
			return
		}
		ctx, this := c.begin(t)
		c.connecting.Go(crash.Guarded(func() {
			c.connectTo(ctx, t, this)
			<-c.backend.spare
		}))
	}
}

// begin notes that a target is asked. One that is still waited for since the time before has been given up by the set: an
// answer to it would be taken for one to this.
func (c *connectBeacons) begin(t beacon.Target) (context.Context, *connecting) {
	ctx, cancel := rtt.WithTimeout(c.ctx, plan.OneSYN)
	this := &connecting{cancel}
	at := netip.AddrPortFrom(t.Addr, t.Port)
	c.mu.Lock()
	defer c.mu.Unlock()
	if before := c.pending[at]; before != nil {
		before.cancel()
	}
	c.pending[at] = this
	c.beacons.pace.Spend(1)
	c.beacons.set.Sent(t, time.Now().UnixNano())
	return ctx, this
}

// connectTo asks a beacon, and tells the set what came of it.
func (c *connectBeacons) connectTo(ctx context.Context, t beacon.Target, this *connecting) {
	at := netip.AddrPortFrom(t.Addr, t.Port)
	ctx, end := c.backend.flights.begin(ctx, t.Addr)
	defer end()
	err := errExcluded
	if !c.backend.session.excludes(t.Addr) { // since the gate was asked
		_, err = c.backend.dial(ctx, at)
	}
	now := time.Now()
	this.cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending[at] != this {
		return
	}
	delete(c.pending, at)
	switch refused := rawsock.ConnectFailureOf(err) == rawsock.ConnectRefused; {
	case err == nil, refused:
		c.backend.able.Store(now.UnixNano())
		echoed(c.counts, t.Addr, c.beacons.set.Answered(t.Addr, t.Port, !refused, now.UnixNano()))
	case c.ctx.Err() != nil && errors.Is(err, context.Canceled), shortOfFiles(err):
		c.beacons.set.Unsent(t) // it says nothing of the path
	}
}

// heard learns from an answer how long one takes, and takes it for evidence that probes travel.
func (r *connectRun) heard(remote netip.AddrPort, open bool, a attempt) {
	r.timeouts.Observe(remote.Addr(), a.took)
	if a.took >= kernelAgain {
		return
	}
	r.phase.ev.rtts.Observe(remote.Addr(), a.took)
	r.session.beacons.set.Heard(a.begun.UnixNano())
	r.session.beacons.heard(remote.Addr(), a.begun.UnixNano())
	r.session.beacons.offer(remote.Addr(), remote.Port(), open, a.begun.UnixNano(), a.took)
}
