package scan

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
)

// connectLanes is the backend for the unprivileged and for other systems: every position is asked by
// a connect(2) of its own,
//
//	limiter grants n → position → index → (address, port) → connect → reason → mark → news
//
// with as many under way as the file limit allows.
type connectLanes struct {
	*engine
	slots    chan struct{} // one token per connection under way
	timeouts connectTimeouts
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
	// connectNap is waited when the host has no file or port to spare just now.
	connectNap = 10 * time.Millisecond
	// connectPatience is waited for a file or a port beyond the time by which each connection that
	// holds one now has ended: then the want is not ours to end.
	connectPatience = time.Second
)

func (b *connectLanes) open(context.Context) error {
	n, err := connectSlots(connectMax)
	if err != nil {
		return err
	}
	b.slots = make(chan struct{}, n)
	b.dial = b.connect
	return nil
}

func (b *connectLanes) close() {}

func (b *connectLanes) run(ctx context.Context) error {
	limiter, err := b.limiter()
	if err != nil {
		return err
	}
	begun := time.Now()
	b.able.Store(begun.UnixNano())
	var pending sync.WaitGroup
	for pos := b.Positions.Begin; pos < b.Positions.End; {
		if !b.queue.waitRoom(ctx) {
			break
		}
		n, err := limiter.Take(ctx, int(min(uint64(cap(b.slots)), b.Positions.End-pos)))
		if err != nil {
			break // stopped
		}
		for end := pos + uint64(n); pos < end; pos++ {
			select {
			case b.slots <- struct{}{}:
			case <-ctx.Done():
			}
			if ctx.Err() != nil {
				break
			}
			pos := pos            // this connection's own
			b.advance(pos+1, nil) // no position leaves the window silent: each connect ends in a state
			pending.Go(func() {
				b.probe(ctx, pos)
				<-b.slots
			})
		}
		if ctx.Err() != nil {
			break
		}
	}
	b.sending.Store(int64(time.Since(begun)))
	pending.Wait()
	return stopCause(ctx)
}

// probe asks one position and settles it. A position whose connect is cut short stays unsettled.
func (b *connectLanes) probe(ctx context.Context, pos uint64) {
	addr, port := b.Space.At(b.Permutation.Index(pos))
	remote := netip.AddrPortFrom(addr, port)
	local, rtt, err := b.ask(ctx, pos, remote)
	switch {
	case errors.Is(err, context.Canceled):
		b.tally.sent.Add(1) // its SYN is under way
		b.unsettled(pos)
		return
	case outOfResources(err) && ctx.Err() != nil:
		b.unsettled(pos)
		return
	}
	p := results.Port{Addr: addr, Port: port, Attempt: 1, Time: time.Now().UnixNano(), Reason: connectReason(err)}
	switch p.Reason {
	case results.ReasonNone:
		b.sendError(err)
		b.tally.txErrors.Add(1)
		b.unsettled(pos)
		return
	case results.Connect, results.Refused:
		b.tally.replies.Add(1)
		p.RTT, p.HasRTT = rtt, true
		b.timeouts.observe(addr, rtt)
	}
	if p.Reason != results.AdminProhibited { // which says that no SYN left this host
		b.tally.sent.Add(1)
	}
	if local.IsValid() {
		p.Source, p.SourcePort = local.Addr().Unmap(), local.Port()
	}
	b.settle(pos, p)
}

// ask connects, and waits where the host is out of files or of ephemeral ports, which is not the
// target's answer, as long as there is hope.
func (b *connectLanes) ask(ctx context.Context, pos uint64, remote netip.AddrPort) (local netip.AddrPort, rtt time.Duration, err error) {
	for {
		limited, cancel := withPatience(ctx, b.timeouts.of(remote.Addr(), pos, b.Wait))
		begun := time.Now()
		local, err = b.dial(limited, remote)
		now := time.Now()
		if errors.Is(err, context.Canceled) && ctx.Err() == nil {
			err = context.Cause(limited) // the time is over
		}
		cancel()
		if !outOfResources(err) {
			b.able.Store(now.UnixNano())
			return local, now.Sub(begun), err
		}
		if now.Sub(time.Unix(0, b.able.Load())) > b.timeouts.longest(b.Wait)+connectPatience {
			return local, 0, err
		}
		b.tally.txRetries.Add(1)
		if !nap(ctx, connectNap) {
			return local, 0, err
		}
	}
}

func outOfResources(err error) bool { return rawsock.ConnectFailureOf(err) == rawsock.ConnectExhausted }

// settle gives a position the state that its connect has found.
func (b *connectLanes) settle(pos uint64, p results.Port) {
	old, ok := b.results.Mark(pos, p.Reason.State())
	if !ok {
		b.tally.late.Add(1)
		return
	}
	b.tally.count(old, p.Reason)
	if p.Reason == results.Timeout {
		b.tally.timeouts.Add(1)
	}
	if b.emits&p.Reason.State() != 0 {
		b.emit(make([]results.Port, 0, 1), p) // full with one record: handed over at once
	}
}

// unsettled takes a position whose connect has said nothing about it out of the coverage.
func (b *connectLanes) unsettled(pos uint64) {
	b.results.Mark(pos, results.Unsent)
	b.tally.unsent.Add(1)
}

// connect tries to complete a handshake and takes it down at once with a RST, which leaves no
// TIME_WAIT behind on our side.
func (b *connectLanes) connect(ctx context.Context, remote netip.AddrPort) (local netip.AddrPort, err error) {
	d := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: false}, KeepAlive: -1}
	conn, err := d.DialTCP(ctx, "tcp", netip.AddrPortFrom(b.Source, 0), remote)
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
	failure := rawsock.ConnectFailureOf(err)
	switch {
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
	case failure == rawsock.ConnectDenied:
		return results.AdminProhibited
	}
	return results.ReasonNone
}
