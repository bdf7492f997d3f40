package engine

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
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/ratelimit"
	"synoptic/results"
	"synoptic/scan/permute"
	"synoptic/scan/plan"
	"synoptic/scan/rtt"
	"synoptic/scan/target"
)

// reaction is what a test's network says to a connect, and how long it takes to.
type reaction struct {
	after time.Duration
	err   error
}

// dialer is connect in a test.
type dialer func(ctx context.Context, remote netip.AddrPort) (local netip.AddrPort, err error)

// dial answers as f says, in the time that the connect is given.
func dial(f func(netip.AddrPort) reaction) dialer {
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

// connectScan is a scan by connect whose network is f, with so many slots.
func connectScan(t *testing.T, targets, ports string, slots int, f func(netip.AddrPort) reaction) (*connectBackend, *Phase) {
	t.Helper()
	return connectAt(t, targets, ports, slots, 1e6, dial(f))
}

// connectAt is a scan by connect at a rate.
func connectAt(t *testing.T, targets, ports string, slots int, rate float64, dial dialer) (*connectBackend, *Phase) {
	t.Helper()
	list, err := target.ParsePorts(ports)
	if err != nil {
		t.Fatal(err)
	}
	all, err := target.Load(t.Context(), target.Config{Targets: strings.Fields(targets), Ports: list})
	if err != nil {
		t.Fatal(err)
	}
	p := &plan.Plan{
		Asked: plan.Config{
			Targets: all, Attempts: 1, Wait: plan.DefaultWait, MaxMemory: plan.DefaultMaxMemory,
			Show: results.Open | results.Closed | results.Filtered, Patience: time.Minute,
		},
		Choice: plan.Choice{Backend: plan.BackendConnect}, Space: all.Space, Pace: ratelimit.Constant(rate), Positions: permute.Range{End: all.Space.Len()},
	}
	if p.Permutation, err = permute.New(p.Space.Len(), 1); err != nil {
		t.Fatal(err)
	}
	s, ph := sessionOf(t, p)
	b := s.backend.(*connectBackend)
	b.slots, b.spare, b.dial = make(chan struct{}, slots), make(chan struct{}, 8), dial
	return b, ph
}

// records are what a finished run has put into the queue.
func (ph *Phase) records() (all []results.Port) {
	for _, batch := range ph.rec.queue.take() {
		all = append(all, batch...)
	}
	return all
}

// A network of long round trips is waited for though a near one answers in no time, alone or in the
// same /24.
func TestConnectWaitsForTheFar(t *testing.T) {
	near := netip.MustParsePrefix("10.77.1.0/28")
	for _, targets := range []string{"10.77.1.0/28 10.77.2.0/28", "10.77.1.0/28 10.77.1.128/28"} {
		bubble.Test(t, func(t *testing.T) {
			b, ph := connectScan(t, targets, "1-100", 64, func(remote netip.AddrPort) reaction {
				switch {
				case remote.Port() > 50: // silent
					return reaction{after: time.Hour}
				case near.Contains(remote.Addr()):
					return reaction{after: time.Millisecond}
				}
				return reaction{after: 900 * time.Millisecond}
			})
			if err := b.run(t.Context(), ph); err != nil {
				t.Fatal(err)
			}
			var far, missed int
			for _, r := range ph.records() {
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

// A host without a source address, for instance with IPv6 disabled, ends the scan with a reason
// instead of trying for ever.
func TestConnectGivesUpForWantOfAnAddress(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		const ports = 2000
		b, ph := connectScan(t, "::1", "1-2000", 100, func(netip.AddrPort) reaction {
			return reaction{err: os.NewSyscallError("connect", syscall.EADDRNOTAVAIL)}
		})
		begun := time.Now()
		if err := b.run(t.Context(), ph); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took > 10*time.Second { // of the test's clock
			t.Errorf("%v to find out that nothing can be sent", took)
		}
		end := ph.Counts()
		if err := ph.SendError(); end.Sent != 0 || end.TxErrors != ports || end.Unsent != ports || err == nil || !strings.Contains(err.Error(), "cannot assign requested address") {
			t.Errorf("%+v", end)
		}
	})
}

// A shortage that others' connections cause is waited out: nothing is given up while it can end.
func TestConnectWaitsOutAShortage(t *testing.T) {
	for _, shortage := range []error{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL} {
		bubble.Test(t, func(t *testing.T) {
			const files = 8
			var open atomic.Int64
			b, ph := connectScan(t, "10.77.0.1", "1-64", 32, nil)
			silent := dial(func(netip.AddrPort) reaction { return reaction{after: time.Hour} })
			b.dial = func(ctx context.Context, remote netip.AddrPort) (netip.AddrPort, error) {
				if open.Add(1) > files {
					open.Add(-1)
					return netip.AddrPort{}, os.NewSyscallError("socket", shortage)
				}
				defer open.Add(-1)
				return silent(ctx, remote)
			}
			if err := b.run(t.Context(), ph); err != nil {
				t.Fatal(err)
			}
			end := ph.Counts()
			if end.TxErrors != 0 || end.Filtered != 64 || end.TxRetries == 0 || end.Sent != 64 {
				t.Errorf("%v: %+v", shortage, end)
			}
		})
	}
}

// What is in flight at a stop is neither settled nor an error of sending.
func TestConnectStopped(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		const slots = 50
		b, ph := connectScan(t, "10.77.0.1", "1-1000", slots, func(remote netip.AddrPort) reaction {
			if remote.Port()%2 == 0 {
				return reaction{after: time.Millisecond, err: syscall.ECONNREFUSED}
			}
			return reaction{after: time.Hour}
		})
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() {
			if err := b.run(ctx, ph); err != nil {
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
		end := ph.Counts()
		if end.TxErrors != 0 || ph.SendError() != nil {
			t.Errorf("what was in flight is said to have failed: %+v", end)
		}
		if end.Closed == 0 || end.Sent != end.Closed+slots || end.Filtered != 0 || ph.Done()-end.Unsent != end.Closed {
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
		bubble.Test(t, func(t *testing.T) {
			b, ph := connectScan(t, "10.77.0.1", "80", 1, func(netip.AddrPort) reaction {
				return reaction{after: 600 * time.Millisecond, err: c.err}
			})
			if err := b.run(t.Context(), ph); err != nil {
				t.Fatal(err)
			}
			end, records := ph.Counts(), ph.records()
			if (len(records) == 1) != c.settled {
				t.Fatalf("%v: records %v", c.err, records)
			}
			if c.settled && (records[0].Reason != c.reason || records[0].HasRTT != c.reply) {
				t.Errorf("%v: %+v", c.err, records[0])
			}
			if (end.Replies == 1) != c.reply || (end.Sent == 1) != c.sent || (end.TxErrors == 1) == c.settled {
				t.Errorf("%v: %+v", c.err, end)
			}
			if learned := b.timeouts.Of(netip.MustParseAddr("10.77.0.1"), 1, time.Minute) != rtt.CooldownBlind; learned != c.reply {
				t.Errorf("%v: taken for a round trip: %v, want %v", c.err, learned, c.reply)
			}
		})
	}
}
