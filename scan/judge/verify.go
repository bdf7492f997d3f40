package judge

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"synoptic/ratelimit"
	"synoptic/results"
	"synoptic/scan/rtt"
)

// Verifier completes the handshake with every open port before its record goes on, and listens for
// what the server says first. It is a sink before the others:
//
//	batch ─▶ open? ─▶ limiter ─▶ slot ─▶ connect(2), read ─▶ collect ─▶ next sink
//	           └ anything else ─────────────────────────────▶ collect
//
// Where connections are slower than discoveries, Ports blocks; the queue before it fills, and the
// senders pause.
type Verifier struct {
	results.Sink
	ctx     context.Context
	source  netip.Addr
	limiter *ratelimit.Limiter
	slots   chan struct{}
	pending sync.WaitGroup

	mu  sync.Mutex
	out []results.Port // done, waiting for the next hand-over
}

const (
	// verifyRate connections a second are tried at most, and no more than the scan's own rate.
	verifyRate = 2000
	// MaxVerify connections are open at once at most.
	MaxVerify = 1024
	// verifyConnect bounds a handshake: one retransmission of the SYN by the kernel, RFC 6298's
	// initial timeout of 1 s, is within it.
	verifyConnect = 3 * time.Second
	// verifyListen is how long a server may take to speak first.
	verifyListen = 2 * time.Second
)

// VerifierConfig says how connections are made.
type VerifierConfig struct {
	Source netip.Addr // to connect from; zero: the kernel's choice
	Rate   float64    // connections per second at most; no more than verifyRate in any case
	Slots  int        // connections under way at most; no more than MaxVerify in any case
}

// NewVerifier puts verification before a sink. When ctx ends, records go on unverified.
func NewVerifier(ctx context.Context, next results.Sink, c VerifierConfig) (*Verifier, error) {
	limiter, err := ratelimit.New(min(c.Rate, verifyRate), ratelimit.System())
	if err != nil {
		return nil, err
	}
	return &Verifier{Sink: next, ctx: ctx, source: c.Source, limiter: limiter, slots: make(chan struct{}, min(c.Slots, MaxVerify))}, nil
}

// Ports starts a connection for every open port of the batch.
func (v *Verifier) Ports(batch []results.Port) error {
	for _, p := range batch {
		if p.Reason.State() != results.Open || !v.admit() {
			v.collect(p)
			continue
		}
		v.pending.Go(func() {
			v.verify(&p)
			<-v.slots
			v.collect(p)
		})
	}
	return v.handOver()
}

// admit waits for a token and a slot; false when the scan is told to stop.
func (v *Verifier) admit() bool {
	if _, err := v.limiter.Take(v.ctx, 1); err != nil {
		return false
	}
	select {
	case v.slots <- struct{}{}:
		return true
	case <-v.ctx.Done():
		return false
	}
}

func (v *Verifier) verify(p *results.Port) {
	ctx, cancel := rtt.WithTimeout(v.ctx, verifyConnect)
	defer cancel()
	d := net.Dialer{KeepAlive: -1}
	conn, err := d.DialTCP(ctx, "tcp", netip.AddrPortFrom(v.source, 0), netip.AddrPortFrom(p.Addr, p.Port))
	if err != nil {
		if v.ctx.Err() == nil { // else nobody knows
			p.Verified = results.VerifyFalse
		}
		return
	}
	defer conn.Close()
	conn.SetLinger(0) // taken down by a RST: no TIME_WAIT behind thousands of connections
	p.Verified = results.VerifyTrue
	defer context.AfterFunc(v.ctx, func() { _ = conn.SetReadDeadline(time.Now()) })()
	_ = conn.SetReadDeadline(time.Now().Add(verifyListen))
	banner := make([]byte, results.MaxBanner)
	n, err := conn.Read(banner) // a server that waits for us to speak says nothing
	if errors.Is(err, os.ErrDeadlineExceeded) && v.ctx.Err() == nil {
		_ = conn.SetReadDeadline(time.Now().Add(rtt.SecondLook))
		n, _ = conn.Read(banner)
	}
	p.Banner = banner[:n]
}

func (v *Verifier) collect(p results.Port) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.out = append(v.out, p)
}

// handOver gives the next sink what is done.
func (v *Verifier) handOver() error {
	v.mu.Lock()
	out := v.out
	v.out = nil
	v.mu.Unlock()
	if len(out) == 0 {
		return nil
	}
	return v.Sink.Ports(out)
}

// Flush hands on what is done; the scan calls it ten times a second.
func (v *Verifier) Flush() error {
	return errors.Join(v.handOver(), v.Sink.Flush())
}

// Unwrap gives the sink behind.
func (v *Verifier) Unwrap() results.Sink { return v.Sink }

// End waits for the connections under way.
func (v *Verifier) End(end *results.ScanEnd) error {
	v.pending.Wait()
	return errors.Join(v.handOver(), v.Sink.End(end))
}
