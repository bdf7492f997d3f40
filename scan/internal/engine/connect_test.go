package scan

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"synoptic/results"
	"synoptic/scan/permute"
	"synoptic/scan/target"
)

// reaction is what a test's network says to a connect, and how long it takes to.
type reaction struct {
	after time.Duration
	err   error
}

// dial answers as f says, in the time that the connect is given.
func dial(f func(netip.AddrPort) reaction) func(context.Context, netip.AddrPort) (netip.AddrPort, error) {
	return func(ctx context.Context, remote netip.AddrPort) (netip.AddrPort, error) {
		a := f(remote)
		if a.after == 0 {
			// Not by a timer: in a bubble, one that is due at once crashes the race detector of Go 1.26.
			return netip.AddrPort{}, a.err
		}
		select {
		case <-time.After(a.after):
			return netip.AddrPort{}, a.err
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return netip.AddrPort{}, context.Canceled
			}
			return netip.AddrPort{}, os.ErrDeadlineExceeded
		}
	}
}

// connectScan is a scan by connect whose network is f, with its slots.
func connectScan(t *testing.T, targets, ports string, slots int, f func(netip.AddrPort) reaction) *connectLanes {
	t.Helper()
	list, err := target.ParsePorts(ports)
	if err != nil {
		t.Fatal(err)
	}
	all, err := target.Load(t.Context(), target.Config{Targets: strings.Fields(targets), Ports: list})
	if err != nil {
		t.Fatal(err)
	}
	c, err := Config{Targets: all, Backend: BackendConnect, Rate: 1e6, Show: results.Open | results.Closed | results.Filtered}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	p := &Plan{Config: c, Space: all.Space}
	if p.Permutation, err = permute.New(p.Space.Len(), 1); err != nil {
		t.Fatal(err)
	}
	p.Positions = permute.Range{End: p.Space.Len()}
	s, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	return &connectLanes{engine: s.e, slots: make(chan struct{}, slots), dial: dial(f)}
}

// records are what a finished run has put into the queue.
func (b *connectLanes) records() (all []results.Port) {
	for _, batch := range b.queue.take() {
		all = append(all, batch...)
	}
	return all
}

// A network of long round trips is waited for though a near one answers in no time, alone or in the
// same /24.
func TestConnectWaitsForTheFar(t *testing.T) {
	near := netip.MustParsePrefix("10.77.1.0/28")
	for _, targets := range []string{"10.77.1.0/28 10.77.2.0/28", "10.77.1.0/28 10.77.1.128/28"} {
		synctest.Test(t, func(t *testing.T) {
			b := connectScan(t, targets, "1-100", 64, func(remote netip.AddrPort) reaction {
				switch {
				case remote.Port() > 50: // silent
					return reaction{after: time.Hour}
				case near.Contains(remote.Addr()):
					return reaction{after: time.Millisecond}
				}
				return reaction{after: 900 * time.Millisecond}
			})
			if err := b.run(t.Context()); err != nil {
				t.Fatal(err)
			}
			var far, missed int
			for _, r := range b.records() {
				if !near.Contains(r.Addr) && r.Port <= 50 {
					if far++; r.Reason != results.Connect {
						missed++
					}
				}
			}
			// In one bucket with near hosts, the first far ones are cut short until one that waits
			// blindly has answered.
			if allowed := map[bool]int{true: far / 4}[strings.Contains(targets, "1.128")]; far != 800 || missed > allowed {
				t.Errorf("%s: %d of %d far ports were missed, want %d at most", targets, missed, far, allowed)
			}
		})
	}
}

func TestConnectTimeouts(t *testing.T) {
	near, far, unknown := netip.MustParseAddr("10.77.1.1"), netip.MustParseAddr("10.77.2.1"), netip.MustParseAddr("10.77.3.1")
	var c connectTimeouts
	c.observe(near, time.Millisecond)
	c.observe(far, 700*time.Millisecond)
	c.observe(far, time.Millisecond)
	for _, w := range []struct {
		addr netip.Addr
		pos  uint64
		want time.Duration
	}{
		{near, 1, connectFloor}, {near, patientOneIn, cooldownBlind},
		{far, 1, 1400 * time.Millisecond}, {unknown, 1, cooldownBlind},
	} {
		if got := c.of(w.addr, w.pos, time.Minute); got != w.want {
			t.Errorf("%v, position %d: %v, want %v", w.addr, w.pos, got, w.want)
		}
		if got := c.of(w.addr, w.pos, time.Millisecond); got != time.Millisecond {
			t.Errorf("%v: %v exceeds the limit", w.addr, got)
		}
	}
	if got := c.longest(time.Minute); got != cooldownBlind {
		t.Errorf("longest %v, want %v", got, cooldownBlind)
	}
	c.observe(far, 3*time.Second)
	if got := c.longest(time.Minute); got != 6*time.Second {
		t.Errorf("longest %v, want 6s", got)
	}
}

// A host without a source address, for instance with IPv6 disabled, ends the scan with a reason
// instead of trying for ever.
func TestConnectGivesUpForWantOfAnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ports = 2000
		b := connectScan(t, "::1", "1-2000", 100, func(netip.AddrPort) reaction {
			return reaction{err: os.NewSyscallError("connect", syscall.EADDRNOTAVAIL)}
		})
		begun := time.Now()
		if err := b.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took > 10*time.Second { // of the test's clock
			t.Errorf("%v to find out that nothing can be sent", took)
		}
		end := b.end(begun, true, nil)
		if end.Sent != 0 || end.TxErrors != ports || end.Coverage != 0 || !strings.Contains(end.Error, "cannot assign requested address") {
			t.Errorf("%+v", end)
		}
	})
}

// A shortage that others' connections cause is waited out: nothing is given up while it can end.
func TestConnectWaitsOutAShortage(t *testing.T) {
	for _, shortage := range []error{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL} {
		synctest.Test(t, func(t *testing.T) {
			const files = 8
			var open atomic.Int64
			b := connectScan(t, "10.77.0.1", "1-200", 32, nil)
			silent := dial(func(netip.AddrPort) reaction { return reaction{after: time.Hour} })
			b.dial = func(ctx context.Context, remote netip.AddrPort) (netip.AddrPort, error) {
				if open.Add(1) > files {
					open.Add(-1)
					return netip.AddrPort{}, os.NewSyscallError("socket", shortage)
				}
				defer open.Add(-1)
				return silent(ctx, remote)
			}
			if err := b.run(t.Context()); err != nil {
				t.Fatal(err)
			}
			end := b.end(time.Now(), true, nil)
			if end.TxErrors != 0 || end.Filtered != 200 || end.TxRetries == 0 || end.Sent != 200 {
				t.Errorf("%v: %+v", shortage, end)
			}
		})
	}
}

// What is in flight at a stop is neither settled nor an error of sending.
func TestConnectStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots = 50
		b := connectScan(t, "10.77.0.1", "1-1000", slots, func(remote netip.AddrPort) reaction {
			if remote.Port()%2 == 0 {
				return reaction{after: time.Millisecond, err: syscall.ECONNREFUSED}
			}
			return reaction{after: time.Hour}
		})
		ctx, cancel := context.WithCancel(t.Context())
		begun := time.Now()
		var run sync.WaitGroup
		run.Go(func() {
			if err := b.run(ctx); err != nil {
				t.Errorf("a stop is no error: %v", err)
			}
		})
		time.Sleep(300 * time.Millisecond) // now all slots hold silent ones
		cancel()
		stopped := time.Now()
		run.Wait()
		if took := time.Since(stopped); took > 0 {
			t.Errorf("%v from the stop to the end", took)
		}
		end := b.end(begun, false, nil)
		if end.TxErrors != 0 || end.Error != "" {
			t.Errorf("what was in flight is said to have failed: %+v", end)
		}
		if end.Closed == 0 || end.Sent != end.Closed+slots || end.Filtered != 0 || end.Coverage != float64(end.Closed)/1000 {
			t.Errorf("in flight is settled: %+v", end)
		}
	})
}

// Only what the target itself has answered is a reply and a round trip.
func TestConnectReplies(t *testing.T) {
	for _, c := range []struct {
		err     error
		reason  results.Reason
		reply   bool
		sent    bool
		settled bool
	}{
		{nil, results.Connect, true, true, true},
		{syscall.ECONNREFUSED, results.Refused, true, true, true},
		{syscall.ECONNRESET, results.Refused, true, true, true},
		{syscall.ENETUNREACH, results.NetUnreachable, false, true, true},
		{syscall.EHOSTUNREACH, results.HostUnreachable, false, true, true},
		{syscall.EPERM, results.AdminProhibited, false, false, true},
		{syscall.EACCES, results.AdminProhibited, false, false, true},
		{syscall.EINVAL, results.ReasonNone, false, false, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := connectScan(t, "10.77.0.1", "80", 1, func(netip.AddrPort) reaction {
				return reaction{after: 600 * time.Millisecond, err: c.err}
			})
			if err := b.run(t.Context()); err != nil {
				t.Fatal(err)
			}
			end, records := b.end(time.Now(), true, nil), b.records()
			if (len(records) == 1) != c.settled {
				t.Fatalf("%v: records %v", c.err, records)
			}
			if c.settled && (records[0].Reason != c.reason || records[0].HasRTT != c.reply) {
				t.Errorf("%v: %+v", c.err, records[0])
			}
			if (end.Replies == 1) != c.reply || (end.Sent == 1) != c.sent || (end.TxErrors == 1) == c.settled {
				t.Errorf("%v: %+v", c.err, end)
			}
			if learned := b.timeouts.of(netip.MustParseAddr("10.77.0.1"), 1, time.Minute) != cooldownBlind; learned != c.reply {
				t.Errorf("%v: taken for a round trip: %v, want %v", c.err, learned, c.reply)
			}
		})
	}
}
