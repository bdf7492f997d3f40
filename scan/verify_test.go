package scan

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/results"
	"synoptic/scan/judge"
)

// What a host gets of a verifier: connections at once, ports in all, and ports where it is not to be believed.
const (
	hostConnections = 32
	hostVerified    = 256
	suspectVerified = 16
	verifyListen    = 2 * time.Second
)

// targets are what connections go to, in this process.
type targets struct {
	banner func(to netip.AddrPort) (string, error) // "" is a server that waits for us to speak

	mu     sync.Mutex
	now    map[netip.Addr]int // connections under way
	most   map[netip.Addr]int
	all    map[netip.Addr]int
	total  int
	atOnce int
}

func (w *targets) dial(_ context.Context, _, to netip.AddrPort) (net.Conn, error) {
	banner, err := w.banner(to)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	a := to.Addr()
	w.now[a]++
	w.total++
	w.all[a]++
	w.most[a], w.atOnce = max(w.most[a], w.now[a]), max(w.atOnce, w.total)
	ours, theirs := net.Pipe()
	if banner != "" {
		go io.WriteString(theirs, banner)
	}
	return &counted{ours, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.now[a]--
		w.total--
		theirs.Close()
	}}, nil
}

type counted struct {
	net.Conn
	closed func()
}

func (c *counted) Close() error { c.closed(); return c.Conn.Close() }

func silent(netip.AddrPort) (string, error) { return "", nil }

// counts keeps what came out.
type counts struct {
	keepSink
	verified, refused, none, banners int
	suspects                         int
	end                              results.ScanEnd
}

func (c *counts) Ports(b []results.Port) error {
	for _, p := range b {
		switch p.Verified {
		case results.VerifyTrue:
			c.verified++
		case results.VerifyFalse:
			c.refused++
		default:
			c.none++
		}
		if len(p.Banner) > 0 {
			c.banners++
		}
		if p.Suspect != 0 {
			c.suspects++
		}
	}
	return nil
}

func (c *counts) End(end *results.ScanEnd) error { c.end = *end; return nil }

// verification is a verifier in a bubble of time, for hosts that have each port open which says so.
type verification struct {
	hosts, ports int
	open         func(host, port int) bool
	banner       func(netip.AddrPort) (string, error)
	liars        bool // canaries have found them all
	stopAfter    time.Duration
}

// run gives every host its n-th port before any its next, as a scan in random order does in the mean.
func (b verification) run(t *testing.T) (c *counts, w *targets, took time.Duration) {
	t.Helper()
	c = &counts{}
	w = &targets{banner: b.banner, now: map[netip.Addr]int{}, most: map[netip.Addr]int{}, all: map[netip.Addr]int{}}
	bubble.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if b.stopAfter > 0 {
			time.AfterFunc(b.stopAfter, cancel)
		}
		var done int
		liars := map[netip.Addr]bool{}
		addr := func(host int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(host >> 8), byte(host)}) }
		for h := range b.hosts {
			liars[addr(h)] = b.liars
		}
		expected := func() float64 { return float64(done) / float64(b.hosts) }
		next := judge.NewHosts(c, judge.HostsConfig{Show: results.Open, Ports: b.ports, Expected: expected, Liars: liars})
		v, err := judge.NewVerifier(ctx, next, judge.VerifierConfig{Rate: 1e6, Slots: judge.MaxVerify, Ports: b.ports, Expected: expected, Liars: liars, Dial: w.dial})
		must(t, err)
		begun := time.Now()
		batch := make([]results.Port, 0, b.hosts)
		for port := range b.ports {
			batch = batch[:0]
			for h := range b.hosts {
				done++
				if b.open(h, port) {
					batch = append(batch, results.Port{Addr: addr(h), Port: uint16(port + 1), Reason: results.SYNACK})
				}
			}
			must(t, v.Ports(batch))
		}
		must(t, v.End(&results.ScanEnd{}))
		took = time.Since(begun)
		bubble.Wait()
	})
	return c, w, took
}

func every(int, int) bool { return true }

// A net of hosts that open every port and say nothing ends in minutes: of each a sample is verified, the rest goes
// on without a verdict and is counted. Hosts that are like others are verified in full beside them.
func TestVerifyBoundsLiars(t *testing.T) {
	const hosts, few = 254, 40
	for _, c := range []struct {
		name      string
		hosts     int
		ports     int
		liars     bool
		open      func(host, port int) bool
		most      time.Duration
		perHost   int
		suspect   uint64
		hostLimit uint64
	}{
		{"every port", hosts, 300, false, every, time.Minute, suspectVerified, hosts * (300 - suspectVerified), 0},
		{"known by canaries", hosts, 300, true, every, time.Minute, suspectVerified, hosts * (300 - suspectVerified), 0},
		{"just below half", few, 1200, false, func(_, port int) bool { return port%9 >= 5 }, 30 * time.Second, hostVerified, 0, few * (532 - hostVerified)},
		{"one port of each", hosts, 1, false, every, 10 * time.Second, 1, 0, 0},
		{"sixteen ports of sixteen", hosts, 16, false, every, 30 * time.Second, 16, 0, 0},
		{"ten open ports of each", hosts, 300, false, func(_, port int) bool { return port%30 == 0 }, time.Minute, 10, 0, 0},
		{"the first sixteen, and no more", hosts, 1000, false, func(_, port int) bool { return port < 16 }, time.Minute, 16, 0, 0},
		{"the first two hundred", hosts, 1000, false, func(_, port int) bool { return port < 200 }, 3 * time.Minute, suspectVerified, hosts * (200 - suspectVerified), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, w, took := verification{hosts: c.hosts, ports: c.ports, open: c.open, banner: silent, liars: c.liars}.run(t)
			var opened int
			for port := range c.ports {
				if c.open(0, port) {
					opened += c.hosts
				}
			}
			t.Logf("%d open ports, %d verified, in %v", opened, got.verified, took)
			if got.verified+got.none != opened || got.refused > 0 {
				t.Errorf("of %d open ports %d came out", opened, got.verified+got.none)
			}
			if got.verified != c.hosts*c.perHost || took > c.most {
				t.Errorf("%d verified in %v, want %d in %v at most", got.verified, took, c.hosts*c.perHost, c.most)
			}
			left := results.NotVerified{Suspect: c.suspect, HostLimit: c.hostLimit}
			if got.end.NotVerified != left.Total() || left.Total() > 0 && *got.end.NotVerifiedWhy != left || uint64(got.none) != left.Total() {
				t.Errorf("not verified: %d, %+v, %d records without; want %+v", got.end.NotVerified, got.end.NotVerifiedWhy, got.none, left)
			}
			if w.atOnce > judge.MaxVerify {
				t.Errorf("%d connections at once", w.atOnce)
			}
			for a, n := range w.most {
				if n > hostConnections {
					t.Fatalf("%d connections to %v at once", n, a)
				}
			}
		})
	}
}

// One host does not hold up the others, nor is it given all there is.
func TestVerifyPerHost(t *testing.T) {
	got, w, took := verification{hosts: 20, ports: 400, banner: silent, open: func(host, port int) bool { return host == 0 && port%3 == 0 || port == 7 }}.run(t)
	busy := netip.MustParseAddr("10.0.0.0")
	if got.none > 0 || got.verified != 134+20 || w.most[busy] != hostConnections {
		t.Errorf("%d verified, %d not; %d connections at once to the busy host", got.verified, got.none, w.most[busy])
	}
	if limit := verifyListen * time.Duration(134/hostConnections+2); took > limit {
		t.Errorf("it took %v, want %v at most", took, limit)
	}
}

// What a server says is kept, whoever refuses is told apart, and the rest is counted when the scan is stopped.
func TestVerifyOutcomes(t *testing.T) {
	banner := func(to netip.AddrPort) (string, error) {
		switch to.Port() % 3 {
		case 0:
			return fmt.Sprintf("SSH-2.0-%d", to.Port()), nil
		case 1:
			return "", syscall.ECONNREFUSED
		}
		return "", nil
	}
	got, _, _ := verification{hosts: 3, ports: 15, open: every, banner: banner}.run(t)
	if got.verified != 30 || got.refused != 15 || got.banners != 15 || got.end.NotVerifiedWhy != nil {
		t.Errorf("%d verified, %d refused, %d banners, left %+v", got.verified, got.refused, got.banners, got.end.NotVerifiedWhy)
	}
	// Stopped in mid-scan: all that is open comes out, and no verdict is made up.
	open := func(_, port int) bool { return port%9 >= 5 }
	got, _, took := verification{hosts: 254, ports: 400, open: open, banner: silent, stopAfter: 3 * time.Second}.run(t)
	if sum := got.verified + got.none; sum != 254*176 || got.refused > 0 || got.end.NotVerified != uint64(got.none) || got.end.NotVerifiedWhy.Stopped == 0 {
		t.Errorf("%d of %d, %d refused, not verified %+v", sum, 254*176, got.refused, got.end.NotVerifiedWhy)
	}
	if took > 4*time.Second {
		t.Errorf("the stop took until %v", took)
	}
}

// No connection is made while nothing may be sent, nor to what was excluded; those under way there end at once.
func TestVerifyIsChanged(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		w := &targets{banner: silent, now: map[netip.Addr]int{}, most: map[netip.Addr]int{}, all: map[netip.Addr]int{}}
		c := &counts{}
		var excluded atomic.Bool
		ours, theirs := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
		is := func(a netip.Addr) bool { return a == theirs }
		resumed := make(chan struct{})
		v, err := judge.NewVerifier(t.Context(), c, judge.VerifierConfig{
			Rate: 1e6, Slots: 8, Ports: 1, Dial: w.dial, Excluded: func(a netip.Addr) bool { return excluded.Load() && is(a) },
			Await: func(ctx context.Context) { <-resumed },
		})
		must(t, err)
		begun := time.Now()
		must(t, v.Ports([]results.Port{{Addr: ours, Port: 1, Reason: results.SYNACK}, {Addr: theirs, Port: 1, Reason: results.SYNACK}}))
		time.Sleep(time.Minute)
		if made, _, _ := w.to(ours); made > 0 {
			t.Errorf("%d connections in a pause", made)
		}
		close(resumed)
		time.Sleep(verifyListen / 2) // both listen
		excluded.Store(true)
		v.Forget(is)
		bubble.Wait()
		_, gone, _ := w.to(theirs)
		if _, kept, all := w.to(ours); gone != 0 || kept != 1 || all != 1 {
			t.Errorf("%d connections under way to what is excluded, %d to the other", gone, kept)
		}
		must(t, v.Ports([]results.Port{{Addr: theirs, Port: 2, Reason: results.SYNACK}}))
		must(t, v.End(&results.ScanEnd{}))
		if made, _, _ := w.to(theirs); made != 1 || c.end.NotVerified != 1 || c.end.NotVerifiedWhy.Excluded != 1 || c.verified != 2 || time.Since(begun) > 63*time.Second {
			t.Errorf("%d connections, %+v, %d verified after %v", made, c.end.NotVerifiedWhy, c.verified, time.Since(begun))
		}
		bubble.Wait()
	})
}

// to is how many connections were made to an address, and are under way there and in all.
func (w *targets) to(a netip.Addr) (made, now, all int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all[a], w.now[a], w.total
}

// Connections are no faster than the scan is at the moment.
func TestVerifyFollowsTheRate(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		w := &targets{banner: func(netip.AddrPort) (string, error) { return "", syscall.ECONNREFUSED }, now: map[netip.Addr]int{}, most: map[netip.Addr]int{}, all: map[netip.Addr]int{}}
		c := &counts{}
		v, err := judge.NewVerifier(t.Context(), c, judge.VerifierConfig{Rate: 1e6, Slots: 8, Ports: 1, Dial: w.dial, Pace: func() float64 { return 10 }})
		must(t, err)
		begun := time.Now()
		for i := range 100 {
			must(t, v.Ports([]results.Port{{Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), Port: 1, Reason: results.SYNACK}}))
		}
		must(t, v.End(&results.ScanEnd{}))
		if took := time.Since(begun); c.refused != 100 || took < 9*time.Second {
			t.Errorf("%d in %v", c.refused, took)
		}
	})
}
