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
	"synoptic/results/crash"
	"synoptic/scan/rtt"
)

// Verifier completes the handshake with open ports before their records go on, and listens for what the
// server says first. It is a sink before the others:
//
//	batch ─▶ open, and worth it? ─▶ limiter ─▶ room ─▶ host ─▶ slot ─▶ connect(2), read ─▶ collect ─▶ next sink
//	           └ anything else ──────────────────────────────────────────────────────────▶ collect
//
// Where connections are slower than discoveries, Ports blocks; the queue before it fills, and the
// senders pause.
//
// What a host can demand is bounded (verify_hosts.go): so many connections at once and in all, and a sample where it
// is not to be believed anyway. A record that goes on without a connection has no verdict, and is counted.
type Verifier struct {
	results.Sink
	VerifierConfig
	ctx     context.Context
	limiter *ratelimit.Limiter
	room    chan struct{} // ports that are being verified, or wait for their host
	slots   chan struct{} // connections
	pending sync.WaitGroup

	mu    sync.Mutex
	under map[*underWay]struct{} // connections
	hosts map[netip.Addr]*verifiedHost
	out   []results.Port // done, waiting for the next hand-over
	left  results.NotVerified
}

const (
	// verifyRate connections a second are tried at most, and no more than the scan's own rate.
	verifyRate = 2000
	// MaxVerify connections are open at once at most.
	MaxVerify = 1024
	// waitingPerSlot ports wait for a slot or their host at most.
	waitingPerSlot = 4
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
	// Pace is the scan's own rate at the moment, which Rate may be above; nil: Rate.
	Pace func() float64
	// Await waits while nothing may be sent, or until ctx ends; nil: never.
	Await func(ctx context.Context)
	// Excluded tells of addresses that are not connected to any more; nil: of none.
	Excluded func(netip.Addr) bool
	Slots    int // connections under way at most; no more than MaxVerify in any case
	Ports    int // as of HostsConfig, and so are the next two
	Expected func() float64
	Liars    map[netip.Addr]bool
	// Dial connects; nil is TCP.
	Dial func(ctx context.Context, from, to netip.AddrPort) (net.Conn, error)
}

// NewVerifier puts verification before a sink. When ctx ends, records go on unverified.
func NewVerifier(ctx context.Context, next results.Sink, c VerifierConfig) (*Verifier, error) {
	limiter, err := ratelimit.New(min(c.Rate, verifyRate), ratelimit.System())
	if err != nil {
		return nil, err
	}
	if c.Dial == nil {
		c.Dial = dialTCP
	}
	if c.Pace == nil {
		c.Pace = func() float64 { return c.Rate }
	}
	if c.Await == nil {
		c.Await = func(context.Context) {}
	}
	if c.Excluded == nil {
		c.Excluded = func(netip.Addr) bool { return false }
	}
	slots := min(c.Slots, MaxVerify)
	return &Verifier{
		Sink: next, VerifierConfig: c, ctx: ctx, limiter: limiter,
		room: make(chan struct{}, waitingPerSlot*slots), slots: make(chan struct{}, slots), hosts: map[netip.Addr]*verifiedHost{}, under: map[*underWay]struct{}{},
	}, nil
}

func dialTCP(ctx context.Context, from, to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{KeepAlive: -1}
	conn, err := d.DialTCP(ctx, "tcp", from, to)
	if err != nil {
		return nil, err // not conn: a nil *net.TCPConn in a net.Conn is not nil
	}
	_ = conn.SetLinger(0) // taken down by a RST: no TIME_WAIT behind thousands of connections
	return conn, nil
}

// Ports starts a connection for every open port of the batch that is worth one.
func (v *Verifier) Ports(batch []results.Port) error {
	for _, p := range batch {
		switch {
		case p.Reason.State() != results.Open:
			v.collect(p)
		case v.worth(&p):
			v.start(p)
		}
	}
	return v.handOver()
}

// start waits for a token and for room, and verifies the port as soon as its host and a slot allow.
func (v *Verifier) start(p results.Port) {
	if !v.admit() {
		v.leave(p, &v.left.Stopped)
		return
	}
	if !v.begin(&p) {
		return // it waits for its host
	}
	v.pending.Go(crash.Guarded(func() {
		for more := true; more; {
			v.connect(&p)
			more = v.end(&p)
		}
	}))
}

// admit waits for a token and for room; false when the scan is told to stop.
func (v *Verifier) admit() bool {
	_ = v.limiter.SetRate(min(v.Pace(), verifyRate)) // above zero, as every pace is
	if _, err := v.limiter.Take(v.ctx, 1); err != nil {
		return false
	}
	select {
	case v.room <- struct{}{}:
		return true
	case <-v.ctx.Done():
		return false
	}
}

// connect waits for a slot and verifies a port, unless the scan is told to stop.
func (v *Verifier) connect(p *results.Port) {
	v.Await(v.ctx)
	select {
	case v.slots <- struct{}{}:
		ctx, end := v.launch(p.Addr)
		if ctx.Err() == nil {
			v.verify(ctx, p)
		}
		end()
		<-v.slots
	case <-v.ctx.Done():
	}
	switch {
	case p.Verified != results.VerifyNone:
		v.collect(*p)
	case v.Excluded(p.Addr):
		v.leave(*p, &v.left.Excluded)
	default:
		v.leave(*p, &v.left.Stopped)
	}
}

// underWay is a connection that may be ended for its address.
type underWay struct {
	addr netip.Addr
	end  context.CancelFunc
}

// launch gives a connection a context that ends with the scan, or when its address is excluded.
func (v *Verifier) launch(addr netip.Addr) (ctx context.Context, end func()) {
	ctx, cancel := context.WithCancel(v.ctx)
	this := &underWay{addr, cancel}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.under[this] = struct{}{}
	if v.Excluded(addr) { // else Forget finds it
		cancel()
	}
	return ctx, func() {
		cancel()
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.under, this)
	}
}

// Forget ends the connections to some addresses, which Excluded tells of already.
func (v *Verifier) Forget(some func(netip.Addr) bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for this := range v.under {
		if some(this.addr) {
			this.end()
		}
	}
}

func (v *Verifier) verify(until context.Context, p *results.Port) {
	ctx, cancel := rtt.WithTimeout(until, verifyConnect)
	defer cancel()
	source := v.Source
	if source.Is4() != p.Addr.Is4() {
		source = netip.Addr{} // it is for the targets of its own family
	}
	conn, err := v.Dial(ctx, netip.AddrPortFrom(source, 0), netip.AddrPortFrom(p.Addr, p.Port))
	if err != nil {
		if until.Err() == nil { // else nobody knows
			p.Verified = results.VerifyFalse
		}
		return
	}
	defer conn.Close()
	p.Verified = results.VerifyTrue
	defer context.AfterFunc(until, crash.Guarded(func() { _ = conn.SetReadDeadline(time.Now()) }))()
	_ = conn.SetReadDeadline(time.Now().Add(verifyListen))
	banner := make([]byte, results.MaxBanner)
	n, err := conn.Read(banner) // a server that waits for us to speak says nothing
	if errors.Is(err, os.ErrDeadlineExceeded) && until.Err() == nil {
		_ = conn.SetReadDeadline(time.Now().Add(rtt.SecondLook))
		n, _ = conn.Read(banner)
	}
	p.Banner = banner[:n]
	if name := Detect(p.Banner); name != "" {
		p.Service, p.ServiceSource = name, results.ServiceBanner
	}
}

func (v *Verifier) collect(p results.Port) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.out = append(v.out, p)
}

// leave is collect for an open port that is not verified, with the count of its reason.
func (v *Verifier) leave(p results.Port, why *uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	*why++
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

// Pending is how many ports are being verified, or wait for it.
func (v *Verifier) Pending() int { return len(v.room) }

// End waits for the connections under way.
func (v *Verifier) End(end *results.ScanEnd) error {
	v.pending.Wait()
	if v.left.Total() > 0 {
		left := v.left
		end.NotVerified, end.NotVerifiedWhy = left.Total(), &left
	}
	return errors.Join(v.handOver(), v.Sink.End(end))
}
