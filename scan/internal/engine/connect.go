package engine

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"synoptic/rawsock"
	"synoptic/results"
	"synoptic/results/crash"
	"synoptic/scan/gate"
	"synoptic/scan/plan"
	"synoptic/scan/rtt"
)

// connectBackend is for the unprivileged and for other systems: every position is asked by a connect(2) of its own,
//
//	position → index → (address, port) → slot → pace → gate → connect → reason ─▶ mark → news
//	                                                     no answer: unanswered └─▶ trusted: mark → news; outage: again
//
// with as many under way as the file limit allows. Beacons are connects besides.
type connectBackend struct {
	session  *Session
	slots    chan struct{} // one token per connection under way to a position,
	spare    chan struct{} // and to a beacon
	timeouts rtt.Timeouts
	flights  flights
	able     atomic.Int64 // Unix time in ns when a connection was last not refused for want of files or ports

	// dial is connect but in tests.
	dial func(ctx context.Context, remote netip.AddrPort) (local netip.AddrPort, err error)
}

const (
	// One in beaconSlots connections may be to a beacon, mostBeaconSlots at most.
	beaconSlots, mostBeaconSlots = 16, 64
	// connectWait is waited when the host has no file or port to spare just now.
	connectWait = 10 * time.Millisecond
	// connectGrace is waited for a file or a port beyond the time by which each connection that
	// holds one now has ended: then the want is not ours to end.
	connectGrace = time.Second
)

func (b *connectBackend) open(context.Context) error {
	n := b.session.plan.Connections(plan.MaxConnections)
	spare := max(1, min(n/beaconSlots, mostBeaconSlots))
	b.slots, b.spare = make(chan struct{}, max(1, n-spare)), make(chan struct{}, spare)
	b.dial = b.connect
	return nil
}

func (b *connectBackend) close() {}

func (b *connectBackend) run(ctx context.Context, ph *Phase) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	begun := time.Now()
	_, stood := b.session.pacer.Standing()
	b.able.Store(begun.UnixNano())
	r := &connectRun{connectBackend: b, phase: ph, next: ph.plan.Positions.Begin, last: begun}
	r.silent.phase = ph
	beacons := newConnectBeacons(ctx, b, ph)
	guard, stop := newSentinel(ph, &r.silent, cancel), make(chan struct{})
	var watching sync.WaitGroup
	guard.begin(ctx)
	watching.Go(crash.Guarded(func() { guard.run(ctx, stop) }))
	r.feed(ctx)
	r.pending.Wait()
	ph.sent(r.last.Sub(begun), stood)
	close(stop)
	watching.Wait()
	beacons.stop()
	r.silent.giveUp()
	ph.oldest.Store(ph.cur.next.Load()) // all before has a verdict, or is unknown
	guard.tellLater()
	ph.cut = errors.Is(context.Cause(ctx), errEvidence)
	return stopCause(ctx)
}

// connectRun is the run of one phase.
type connectRun struct {
	*connectBackend
	phase   *Phase
	next    uint64    // the first position that was not asked yet
	held    heldTurns // that the gate has put off
	stuck   *turn     // likewise, without room for it
	settled time.Time // when verdicts were last settled
	last    time.Time // when the last connect so far began
	flying  atomic.Int64
	pending sync.WaitGroup
	silent  unanswered
}

// settleEvery is how often verdicts are settled while there is something to ask.
const settleEvery = 100 * time.Millisecond

// feed asks every position, those again that an outage has hidden, until each has its state or ctx ends.
func (r *connectRun) feed(ctx context.Context) {
	for r.phase.rec.queue.waitRoom(ctx) && ctx.Err() == nil {
		if now := time.Now(); now.Sub(r.settled) >= settleEvery {
			r.settled = now
			r.silent.settle(false)
		}
		t, ok := r.turn()
		switch {
		case ok:
			if !r.start(ctx, t) {
				r.unasked(t)
			}
		case r.over(), !sleep(ctx, r.untilTurn()):
			r.giveUpHeld()
			return
		}
	}
	r.giveUpHeld()
}

// over tells that there is nothing left to ask or to wait for.
func (r *connectRun) over() bool {
	// In this order: who ends a connect has handed its verdict on before.
	return len(r.held) == 0 && r.stuck == nil && r.flying.Load() == 0 && r.silent.settle(true) == 0
}

// unasked takes note of a position that is not asked.
func (r *connectRun) unasked(t turn) {
	r.phase.unsettled(t.pos)
	r.dealtWith(t)
}

// dealtWith says that a position has had its turn.
func (r *connectRun) dealtWith(t turn) {
	if t.parked {
		r.session.gate.Unpark(1)
	}
	if !t.repeated {
		r.phase.cur.passed(1)
	}
}

// start asks a position if the gate lets it go, once there is room for one more connection and the pace grants it; false
// when ctx ended first.
func (r *connectRun) start(ctx context.Context, t turn) bool {
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	addr, port := r.phase.id.endpoint(t.pos)
	answer, ok := r.granted(ctx, &t, addr, port)
	if !ok || answer != gate.Go {
		<-r.slots
	}
	switch {
	case !ok:
		return false
	case answer == gate.Later:
		r.putOff(t)
	case answer == gate.Never:
		r.phase.never(t.pos, addr)
		r.dealtWith(t)
	default:
		r.dealtWith(t)
		r.last = time.Now()
		if r.phase.refusals != nil && !t.repeated {
			r.phase.refusals.Sent(addr)
		}
		r.phase.tally.begun.Add(1)
		r.flying.Add(1)
		r.pending.Go(crash.Guarded(func() {
			r.probe(ctx, t, netip.AddrPortFrom(addr, port))
			r.flying.Add(-1)
			<-r.slots
		}))
	}
	return true
}

// granted waits for the pace, and asks the gate; false when ctx ended first.
func (r *connectRun) granted(ctx context.Context, t *turn, addr netip.Addr, port uint16) (gate.Answer, bool) {
	if _, err := r.session.pacer.Take(ctx, 1); err != nil {
		return gate.Later, false
	}
	t.asked = gate.Now()
	q := [1]gate.Question{{Position: t.pos, Addr: addr, Port: port}}
	t.stuck = r.session.gate.AskAll(t.asked, q[:], t.parked) == 0
	if q[0].Answer != gate.Go {
		r.session.pacer.Return(1)
	}
	t.due, t.parked = q[0].Turn, t.parked || q[0].Answer == gate.Later && !t.stuck
	return q[0].Answer, true
}

// probe asks one position, and settles it where something has come back. A position whose connect is cut short stays
// unsettled.
func (r *connectRun) probe(ctx context.Context, t turn, remote netip.AddrPort) {
	ph := r.phase
	ctx, end := r.flights.begin(ctx, remote.Addr())
	defer end()
	if r.session.excludes(remote.Addr()) { // since the gate was asked
		ph.never(t.pos, remote.Addr())
		return
	}
	r.session.gate.Late(t.asked, gate.Now(), remote.Addr())
	a := r.ask(ctx, t.pos, remote)
	reason := connectReason(a.err)
	if !t.repeated {
		came(ph.refusals, remote.Addr(), reason)
	}
	switch {
	case reason == results.ReasonNone && errors.Is(context.Cause(ctx), errExcluded):
		if errors.Is(a.err, context.Canceled) {
			r.sent(t) // its SYN has left
		}
		ph.never(t.pos, remote.Addr())
	case errors.Is(a.err, context.Canceled):
		r.sent(t) // its SYN is under way
		if errors.Is(context.Cause(ctx), errEvidence) {
			r.silent.cut(t.pos)
		} else {
			ph.unsettled(t.pos)
		}
	case shortOfFiles(a.err) && ctx.Err() != nil, isDown(a.err):
		ph.unsettled(t.pos)
	case reason == results.ReasonNone:
		ph.errors.keep(a.err)
		ph.tally.txErrors.Add(1)
		ph.unsettled(t.pos)
	case reason == results.Timeout && a.cut && int(t.tries)+1 < ph.plan.Asked.Attempts:
		r.sent(t)
		r.silent.retry(t)
	case reason == results.Timeout, reason == results.HostUnreachable, reason == results.NetUnreachable:
		r.sent(t)
		r.silent.add(t.pos, a.begun.UnixNano(), reason)
	default:
		if reason != results.AdminProhibited { // which says that no SYN left this host
			r.sent(t)
		}
		r.settle(t.pos, remote, a, reason)
	}
}

// sent counts a connect whose SYN has left.
func (r *connectRun) sent(t turn) {
	r.phase.tally.sent.Add(1)
	if t.repeated {
		r.phase.tally.retransmitted.Add(1)
	}
}

// attempt is a connect that has ended.
type attempt struct {
	local netip.AddrPort
	begun time.Time
	took  time.Duration
	cut   bool // before the kernel would repeat the SYN
	err   error
}

// ask connects, and waits where the host is out of files or of ephemeral ports, or has its interface down, which is not
// the target's answer, as long as there is hope. In an outage the sentinel says when there is none.
func (r *connectRun) ask(ctx context.Context, pos uint64, remote netip.AddrPort) (a attempt) {
	wait := r.phase.plan.Asked.Wait
	for {
		timeout := r.timeouts.Of(remote.Addr(), pos, wait)
		if a.cut = timeout > plan.OneSYN && r.session.gate.Limited(remote.Addr()); a.cut {
			timeout = plan.OneSYN // for the gate knows of one
		}
		limited, cancel := rtt.WithTimeout(ctx, timeout)
		a.begun = time.Now()
		a.local, a.err = r.dial(limited, remote)
		now := time.Now()
		a.took = now.Sub(a.begun)
		if errors.Is(a.err, context.Canceled) && ctx.Err() == nil {
			a.err = context.Cause(limited) // the time is over
		}
		cancel()
		switch _, waits := r.phase.Outage(); {
		case isDown(a.err):
			r.phase.fault.Store(true)
		case !shortOfFiles(a.err):
			r.able.Store(now.UnixNano())
			return a
		case !waits && now.Sub(time.Unix(0, r.able.Load())) > r.timeouts.Longest(wait)+connectGrace:
			return a
		}
		r.phase.tally.txRetries.Add(1)
		r.phase.tally.pressed.Add(1)
		r.phase.cur.ahead.Add(1) // no answer is to be expected to it
		slept := sleep(ctx, connectWait)
		for slept && r.session.gate.Ask(pos, remote.Addr(), remote.Port()) == gate.Later {
			slept = sleep(ctx, connectWait)
		}
		r.phase.cur.passed(1)
		if !slept {
			return a
		}
	}
}

func shortOfFiles(err error) bool { return rawsock.ConnectFailureOf(err) == rawsock.ConnectExhausted }

func isDown(err error) bool { return rawsock.ConnectFailureOf(err) == rawsock.ConnectNetDown }

// settle gives a position the state that its connect has found.
func (r *connectRun) settle(pos uint64, remote netip.AddrPort, a attempt, reason results.Reason) {
	ph := r.phase
	p := results.Port{Addr: remote.Addr(), Port: remote.Port(), Attempt: 1, Time: time.Now().UnixNano(), Reason: reason}
	if reason == results.Connect || reason == results.Refused {
		ph.tally.replies.Add(1)
		p.RTT, p.HasRTT = a.took, true
		r.heard(remote, reason == results.Connect, a)
	}
	if a.local.IsValid() {
		p.Source, p.SourcePort = a.local.Addr().Unmap(), a.local.Port()
	}
	old, ok := ph.results.Mark(pos, reason.State())
	if !ok {
		ph.tally.late.Add(1)
		return
	}
	ph.tally.count(old, reason)
	if ph.rec.emits&reason.State() != 0 {
		ph.rec.emit(make([]results.Port, 0, 1), p) // full with one record: handed over at once
	}
}

// connect tries to complete a handshake and takes it down at once with a RST, which leaves no
// TIME_WAIT behind on our side.
func (b *connectBackend) connect(ctx context.Context, remote netip.AddrPort) (local netip.AddrPort, err error) {
	d := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: false}, KeepAlive: -1}
	conn, err := d.DialTCP(ctx, "tcp", netip.AddrPortFrom(b.session.plan.Asked.Source, 0), remote)
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer conn.Close()
	conn.SetLinger(0)
	local = conn.LocalAddr().(*net.TCPAddr).AddrPort()
	if local.Port() == remote.Port() && local.Addr().Unmap() == remote.Addr() {
		// Simultaneous open with ourselves (RFC 9293 section 3.5): the kernel chose the probed port
		// as our ephemeral port, which it does only where nobody listens.
		return local, rawsock.ErrRefused
	}
	return local, nil
}

// connectReason says what connect(2)'s error tells of the target; ReasonNone where it tells of
// this host only.
func connectReason(err error) results.Reason {
	var timeout net.Error
	switch failure := rawsock.ConnectFailureOf(err); {
	case err == nil:
		return results.Connect
	case failure == rawsock.ConnectRefused:
		return results.Refused
	case errors.As(err, &timeout) && timeout.Timeout():
		return results.Timeout
	case failure == rawsock.ConnectHostUnreachable:
		return results.HostUnreachable
	case failure == rawsock.ConnectNetUnreachable:
		return results.NetUnreachable
	case failure == rawsock.ConnectNoProtocol:
		return results.ICMPProtocolUnreachable
	case failure == rawsock.ConnectDenied:
		return results.AdminProhibited
	}
	return results.ReasonNone
}
