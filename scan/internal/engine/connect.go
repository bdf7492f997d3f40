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
	"synoptic/scan/gate"
	"synoptic/scan/rtt"
)

// connectBackend is for the unprivileged and for other systems: every position is asked by a connect(2) of its own,
//
//	pace grants n → position → gate → index → (address, port) → connect → reason → mark → news
//
// with as many under way as the file limit allows.
type connectBackend struct {
	session  *Session
	slots    chan struct{} // one token per connection under way
	timeouts rtt.Timeouts
	able     atomic.Int64 // Unix time in ns when a connection was last not refused for want of files or ports

	// dial is connect but in tests.
	dial func(ctx context.Context, remote netip.AddrPort) (local netip.AddrPort, err error)
}

const (
	// connectMax bounds the connections under way: beyond some thousand, time-outs of silent
	// targets cost memory without speed.
	connectMax = 4096
	// filesKept are left for outputs, the runtime and the resolver.
	filesKept = 64
	// connectWait is waited when the host has no file or port to spare just now.
	connectWait = 10 * time.Millisecond
	// connectGrace is waited for a file or a port beyond the time by which each connection that
	// holds one now has ended: then the want is not ours to end.
	connectGrace = time.Second
)

// ConnectSlots is how many connections may be under way at once: most, or what the file limit allows.
func ConnectSlots(most int) (int, error) {
	files, err := rawsock.FileLimit()
	if err != nil {
		return 0, err
	}
	return int(min(uint64(most), max(files, filesKept+1)-filesKept)), nil
}

func (b *connectBackend) open(context.Context) error {
	n, err := ConnectSlots(connectMax)
	if err != nil {
		return err
	}
	b.slots = make(chan struct{}, n)
	b.dial = b.connect
	return nil
}

func (b *connectBackend) close() {}

func (b *connectBackend) run(ctx context.Context, ph *Phase) error {
	r := &connectRun{connectBackend: b, phase: ph}
	begun := time.Now()
	b.able.Store(begun.UnixNano())
	r.first(ctx)
	r.later(ctx)
	ph.sending.Store(int64(time.Since(begun)))
	r.pending.Wait()
	return stopCause(ctx)
}

// connectRun is the run of one phase.
type connectRun struct {
	*connectBackend
	phase   *Phase
	pending sync.WaitGroup
	held    []uint64 // positions that the gate has put off
}

// first asks every position once.
func (r *connectRun) first(ctx context.Context) {
	end := r.phase.plan.Positions.End
	for pos := r.phase.plan.Positions.Begin; pos < end && r.phase.rec.queue.waitRoom(ctx); {
		n, err := r.session.pacer.Take(ctx, int(min(uint64(cap(r.slots)), end-pos)))
		if err != nil {
			return // stopped
		}
		for stop := pos + uint64(n); pos < stop; pos++ {
			r.phase.advance(pos+1, nil) // no position leaves the window silent: each connect ends in a state
			if !r.start(ctx, pos) {
				r.unsettled(pos)
				return
			}
		}
	}
}

// later asks again about the positions that were put off, until none is left.
func (r *connectRun) later(ctx context.Context) {
	for len(r.held) > 0 && sleep(ctx, connectWait) {
		held := r.held
		r.held = nil
		r.session.gate.Unpark(len(held))
		for i, pos := range held {
			if _, err := r.session.pacer.Take(ctx, 1); err != nil || !r.start(ctx, pos) {
				r.held = append(r.held, held[i:]...)
				break
			}
		}
	}
	for _, pos := range r.held { // stopped
		r.unsettled(pos)
	}
}

// start asks a position if the gate lets it go, once there is room for one more connection; false when ctx ended first.
func (r *connectRun) start(ctx context.Context, pos uint64) bool {
	for {
		addr, port := r.phase.id.endpoint(pos)
		switch r.session.gate.Ask(pos, addr, port) {
		case gate.Never:
			r.session.pacer.Return(1)
			r.unsettled(pos)
			return true
		case gate.Later:
			if r.session.gate.Park() {
				r.session.pacer.Return(1)
				r.held = append(r.held, pos)
				return true
			}
			if !sleep(ctx, connectWait) {
				return false
			}
			continue
		}
		select {
		case r.slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return false
		}
		r.pending.Go(func() {
			r.probe(ctx, pos, netip.AddrPortFrom(addr, port))
			<-r.slots
		})
		return true
	}
}

// probe asks one position and settles it. A position whose connect is cut short stays unsettled.
func (r *connectRun) probe(ctx context.Context, pos uint64, remote netip.AddrPort) {
	ph := r.phase
	local, rtt, err := r.ask(ctx, pos, remote)
	switch {
	case errors.Is(err, context.Canceled):
		ph.tally.sent.Add(1) // its SYN is under way
		r.unsettled(pos)
		return
	case outOfResources(err) && ctx.Err() != nil:
		r.unsettled(pos)
		return
	}
	p := results.Port{Addr: remote.Addr(), Port: remote.Port(), Attempt: 1, Time: time.Now().UnixNano(), Reason: connectReason(err)}
	switch p.Reason {
	case results.ReasonNone:
		ph.errors.keep(err)
		ph.tally.txErrors.Add(1)
		r.unsettled(pos)
		return
	case results.Connect, results.Refused:
		ph.tally.replies.Add(1)
		p.RTT, p.HasRTT = rtt, true
		r.timeouts.Observe(remote.Addr(), rtt)
	}
	if p.Reason != results.AdminProhibited { // which says that no SYN left this host
		ph.tally.sent.Add(1)
	}
	if local.IsValid() {
		p.Source, p.SourcePort = local.Addr().Unmap(), local.Port()
	}
	r.settle(pos, p)
}

// ask connects, and waits where the host is out of files or of ephemeral ports, which is not the
// target's answer, as long as there is hope.
func (r *connectRun) ask(ctx context.Context, pos uint64, remote netip.AddrPort) (local netip.AddrPort, took time.Duration, err error) {
	wait := r.phase.plan.Asked.Wait
	for {
		limited, cancel := rtt.WithTimeout(ctx, r.timeouts.Of(remote.Addr(), pos, wait))
		begun := time.Now()
		local, err = r.dial(limited, remote)
		now := time.Now()
		if errors.Is(err, context.Canceled) && ctx.Err() == nil {
			err = context.Cause(limited) // the time is over
		}
		cancel()
		if !outOfResources(err) {
			r.able.Store(now.UnixNano())
			return local, now.Sub(begun), err
		}
		if now.Sub(time.Unix(0, r.able.Load())) > r.timeouts.Longest(wait)+connectGrace {
			return local, 0, err
		}
		r.phase.tally.txRetries.Add(1)
		if !sleep(ctx, connectWait) {
			return local, 0, err
		}
	}
}

func outOfResources(err error) bool {
	return rawsock.ConnectFailureOf(err) == rawsock.ConnectExhausted
}

// settle gives a position the state that its connect has found.
func (r *connectRun) settle(pos uint64, p results.Port) {
	ph := r.phase
	old, ok := ph.results.Mark(pos, p.Reason.State())
	if !ok {
		ph.tally.late.Add(1)
		return
	}
	ph.tally.count(old, p.Reason)
	if p.Reason == results.Timeout {
		ph.tally.timeouts.Add(1)
	}
	if ph.rec.emits&p.Reason.State() != 0 {
		ph.rec.emit(make([]results.Port, 0, 1), p) // full with one record: handed over at once
	}
}

// unsettled takes a position whose connect has said nothing about it out of the coverage.
func (r *connectRun) unsettled(pos uint64) {
	r.phase.results.Mark(pos, results.Unknown)
	r.phase.tally.unsent.Add(1)
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
