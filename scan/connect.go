package scan

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
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
	slots chan struct{} // one token per connection under way
}

const (
	// connectMax bounds the connections under way: beyond some thousand, time-outs of silent
	// targets cost memory without speed.
	connectMax = 4096
	// filesKept are left for outputs, the runtime and the resolver.
	filesKept = 64
	// connectNap is waited when the host has no file or port to spare just now.
	connectNap = 10 * time.Millisecond
)

func (b *connectLanes) open(context.Context) error {
	files, err := rawsock.FileLimit()
	if err != nil {
		return err
	}
	b.slots = make(chan struct{}, max(1, min(connectMax, int64(files)-filesKept)))
	return nil
}

func (b *connectLanes) close() {}

func (b *connectLanes) run(ctx context.Context) error {
	limiter, err := b.limiter()
	if err != nil {
		return err
	}
	begun := time.Now()
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
	p := results.Port{Addr: addr, Port: port, Attempt: 1}
	for {
		begun := time.Now()
		local, err := b.connect(ctx, remote)
		switch {
		case ctx.Err() != nil && err != nil:
			b.unsent(pos)
			return
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.EADDRNOTAVAIL):
			// The host is out of files or ephemeral ports: not the target's answer.
			b.tally.txRetries.Add(1)
			time.Sleep(connectNap)
			continue
		}
		p.Reason = connectReason(err)
		if p.Reason == results.ReasonNone {
			b.unsent(pos)
			b.sendError(err)
			return
		}
		b.tally.sent.Add(1)
		p.Time = time.Now().UnixNano()
		if p.Reason != results.Timeout {
			b.tally.replies.Add(1)
			p.RTT, p.HasRTT = time.Since(begun), true
			b.rtts.observe(p.Addr, p.RTT)
		}
		if local.IsValid() {
			p.Source, p.SourcePort = local.Addr().Unmap(), local.Port()
		}
		break
	}
	b.settle(pos, p)
}

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
	if b.Show&p.Reason.State() != 0 {
		b.queue.put(b.emit(b.queue.batch(), p))
	}
}

func (b *connectLanes) unsent(pos uint64) {
	b.results.Mark(pos, results.Unsent)
	b.tally.txErrors.Add(1)
	b.tally.unsent.Add(1)
}

// connect tries to complete a handshake and takes it down at once with a RST, which leaves no
// TIME_WAIT behind on our side.
func (b *connectLanes) connect(ctx context.Context, remote netip.AddrPort) (local netip.AddrPort, err error) {
	// The wait is the cooldown's: what a round trip takes here, with a margin.
	ctx, cancel := context.WithTimeout(ctx, b.rtts.cooldown(b.Wait))
	defer cancel()
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
		return local, syscall.ECONNREFUSED
	}
	return local, nil
}

// connectReason says what connect(2)'s error tells of the target; ReasonNone where it tells of
// this host only.
func connectReason(err error) results.Reason {
	var timeout net.Error
	switch {
	case err == nil:
		return results.Connect
	case errors.Is(err, errRefused), errors.Is(err, errReset):
		return results.Refused
	case errors.As(err, &timeout) && timeout.Timeout():
		return results.Timeout
	case errors.Is(err, errHostUnreachable):
		return results.HostUnreachable
	case errors.Is(err, errNetUnreachable):
		return results.NetUnreachable
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return results.AdminProhibited
	}
	return results.ReasonNone
}
