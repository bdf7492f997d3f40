package engine

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/results"
)

// connectNet is a network as a test's connects find it: the kernel repeats a SYN after 1 and 3 s, and it is answered after a round
// trip where the way was open when it left. Of the ports, those up to 20 are open, up to 50 closed, and the others
// silent.
type connectNet struct {
	begun time.Time
	trip  time.Duration
	cut   func(at time.Duration, remote netip.Addr) bool // nil: never
	fault func(at time.Duration) error                   // of the host, at once; nil: none

	mu    sync.Mutex
	asked map[netip.AddrPort]time.Duration // when last
	dials int
	now   int // under way
	most  int
}

func (n *connectNet) dial(ctx context.Context, remote netip.AddrPort) (netip.AddrPort, error) {
	n.mu.Lock()
	if n.asked == nil {
		n.asked = map[netip.AddrPort]time.Duration{}
	}
	n.asked[remote] = time.Since(n.begun)
	n.dials++
	n.now++
	n.most = max(n.most, n.now)
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.now--
	}()
	if n.fault != nil {
		if err := n.fault(time.Since(n.begun)); err != nil {
			return netip.AddrPort{}, err
		}
	}
	for _, wait := range []time.Duration{kernelAgain, 2 * kernelAgain, time.Hour} {
		if remote.Port() <= 50 && (n.cut == nil || !n.cut(time.Since(n.begun), remote.Addr())) {
			wait = n.trip
		}
		if !sleep(ctx, wait) {
			if errors.Is(ctx.Err(), context.Canceled) {
				return netip.AddrPort{}, context.Canceled
			}
			return netip.AddrPort{}, os.ErrDeadlineExceeded
		}
		if wait == n.trip {
			break
		}
	}
	if remote.Port() > 20 {
		return netip.AddrPort{}, syscall.ECONNREFUSED
	}
	return netip.AddrPort{}, nil
}

// begin is a scan of 64 hosts and 60 ports at 2,000 a second: of 2 s, and the time-outs.
func (n *connectNet) begin(t *testing.T) (*connectBackend, *Phase) {
	t.Helper()
	n.begun, n.trip = time.Now(), 30*time.Millisecond
	return connectAt(t, "10.77.0.0/27 10.78.0.0/27", "1-60", 4096, 2000, n.dial)
}

// during is a cut of all from one time to another.
func during(from, to time.Duration) func(time.Duration, netip.Addr) bool {
	return func(at time.Duration, _ netip.Addr) bool { return at >= from && at < to }
}

// happened are the kinds and causes of the events.
func happened(events []results.Event) (all []string) {
	for i := range events {
		all = append(all, events[i].Kind.String()+" "+events[i].Scope+" "+events[i].Cause)
	}
	return all
}

func equal(t *testing.T, got, want []string) {
	t.Helper()
	same := len(got) == len(want)
	for i := range got {
		same = same && got[i] == want[i]
	}
	if !same {
		t.Errorf("events %q, want %q", got, want)
	}
}

// exact checks that each of the 64 × 60 positions has the state that it has.
func exact(t *testing.T, ph *Phase) {
	t.Helper()
	end := ph.Counts()
	if end.Open != 64*20 || end.Closed != 64*30 || end.Filtered != 64*10 || end.Timeouts != 64*10 || end.Unsent != 0 || ph.cut || len(ph.records()) != 64*60 {
		t.Errorf("cut %v, %+v", ph.cut, end)
	}
}

// Beacons are asked, a bounded number at a time, and no counter of positions knows of them.
func TestConnectBeaconsDoNotCount(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var n connectNet
		b, ph := n.begin(t)
		b.spare = make(chan struct{}, 1)
		n.begun = time.Now()
		if err := b.run(t.Context(), ph); err != nil {
			t.Fatal(err)
		}
		exact(t, ph)
		end, e := ph.Counts(), b.session.Evidence()
		if end.Sent != 64*60 || end.Replies != 64*50 || end.Retransmitted != 0 || end.Again != 0 {
			t.Errorf("%+v", end)
		}
		// One at a time takes 30 ms, and up to 10 ms pass until the next is sent. The end cuts one short.
		connects := n.dials - 64*60
		if e.State != results.EvidenceStateHeld || e.Asked < 50 || e.Answered != e.Asked || connects < int(e.Asked) || connects > int(e.Asked)+1 || len(e.Paths) != 1 || e.Paths[0].Asked != e.Asked {
			t.Errorf("%d connects, %+v", n.dials, e)
		}
		if took := time.Since(n.begun); took > 5*time.Second || e.Asked > uint64(took/n.trip) {
			t.Errorf("%d beacons in %v, one at a time", e.Asked, took)
		}
		equal(t, happened(ph.rec.queue.told()), nil)
	})
}

// A path that is cut for a while: what timed out meanwhile is asked again, and all is found. So it is where the cut begins
// when all have been asked, and where it ends before the connects do that it has hidden.
func TestConnectOutage(t *testing.T) {
	for _, c := range []struct{ from, lasts time.Duration }{
		{500 * time.Millisecond, 5 * time.Second}, {1900 * time.Millisecond, 5 * time.Second},
		{time.Second, 1500 * time.Millisecond}, {time.Second, 1700 * time.Millisecond}, {time.Second, 1900 * time.Millisecond},
	} {
		bubble.Test(t, func(t *testing.T) {
			n := connectNet{cut: during(c.from, c.from+c.lasts)}
			b, ph := n.begin(t)
			if err := b.run(t.Context(), ph); err != nil {
				t.Fatal(err)
			}
			exact(t, ph)
			equal(t, happened(ph.rec.queue.told()), []string{"outage all path", "resumed all path"})
			e, end := b.session.Evidence(), ph.Counts()
			if e.State != results.EvidenceStateHeld || e.Outages != 1 || e.Again == 0 || e.Unknown != 0 || e.Without < 0.3 || end.Retransmitted != e.Again {
				t.Errorf("%+v, %+v", e, end)
			}
		})
	}
}

// A path that is cut for good: what is said to be filtered was asked to its end before that, and the rest is unknown.
func TestConnectOutageForGood(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		const from = 1700 * time.Millisecond // the first time-outs are 1.2 s after the begin
		n := connectNet{cut: during(from, time.Hour)}
		b, ph := n.begin(t)
		ph.plan.Asked.Patience = 300 * time.Millisecond // some connects are under way when it is over
		if err := b.run(t.Context(), ph); err != nil {
			t.Fatal(err)
		}
		end, e := ph.Counts(), b.session.Evidence()
		if !ph.cut || e.State != results.EvidenceStateLost || e.Unknown == 0 || end.Unsent != e.Unknown || ph.Done()-end.Unsent != end.Open+end.Closed+end.Filtered {
			t.Errorf("cut %v, %+v, %+v", ph.cut, e, end)
		}
		var filtered, unknown uint64
		for _, r := range ph.records() {
			at := n.asked[netip.AddrPortFrom(r.Addr, r.Port)]
			switch r.Reason {
			case results.EvidenceLost:
				unknown++
			case results.Timeout:
				if filtered++; at > from-1200*time.Millisecond {
					t.Errorf("%v:%d was asked last at %v, and is filtered", r.Addr, r.Port, at)
				}
			}
		}
		if filtered != end.Filtered || filtered == 0 || unknown != e.Unknown {
			t.Errorf("%d filtered and %d unknown records: %+v", filtered, unknown, end)
		}
		events := ph.rec.queue.told()
		equal(t, happened(events), []string{"outage all path", "lost all path"})
		if events[1].Unknown != e.Unknown {
			t.Errorf("%d unknown were told of %d", events[1].Unknown, e.Unknown)
		}
	})
}

// A part that falls silent while the others go on: its positions are unknown, those of the others are not.
func TestConnectPartLost(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		part := netip.MustParsePrefix("10.78.0.0/24")
		n := connectNet{cut: func(at time.Duration, a netip.Addr) bool { return at > time.Second && part.Contains(a) }}
		b, ph := n.begin(t)
		if err := b.run(t.Context(), ph); err != nil {
			t.Fatal(err)
		}
		e, end := b.session.Evidence(), ph.Counts()
		events := ph.rec.queue.told()
		equal(t, happened(events), []string{"lost prefix path"})
		if events[0].Prefix != part || e.State != results.EvidenceStateLost || e.Unknown != end.Unsent || e.Unknown < 32*20 || e.Unknown > 32*60*2/3 {
			t.Errorf("%v: %+v, %+v", events[0].Prefix, e, end)
		}
		for _, r := range ph.records() {
			if inside, silent := part.Contains(r.Addr), r.Reason == results.EvidenceLost; silent && !inside || r.Reason == results.Timeout && r.Port <= 50 {
				t.Errorf("%v:%d is %v", r.Addr, r.Port, r.Reason)
			}
		}
	})
}

// between is a host's fault that lasts from one time to another.
func between(begin, end time.Duration, err error) func(time.Duration) error {
	return func(at time.Duration) error {
		if at > begin && at < end {
			return err
		}
		return nil
	}
}

// An interface that is down is waited for: what could not be sent is no silence.
func TestConnectInterfaceDown(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := connectNet{fault: between(time.Second, 4*time.Second, os.NewSyscallError("connect", syscall.ENETDOWN))}
		b, ph := n.begin(t)
		if err := b.run(t.Context(), ph); err != nil {
			t.Fatal(err)
		}
		exact(t, ph)
		equal(t, happened(ph.rec.queue.told()), []string{"outage all interface-down", "resumed all interface-down"})
	})
}

// Errors that the host makes up without a route are no answers: they are asked again when there is evidence again.
func TestConnectNoRoute(t *testing.T) {
	for _, err := range []error{syscall.ENETUNREACH, syscall.EHOSTUNREACH} {
		bubble.Test(t, func(t *testing.T) {
			n := connectNet{fault: func(at time.Duration) error {
				if at > time.Second && at < 4*time.Second {
					return os.NewSyscallError("connect", err)
				}
				return nil
			}}
			b, ph := n.begin(t)
			if err := b.run(t.Context(), ph); err != nil {
				t.Fatal(err)
			}
			exact(t, ph)
			equal(t, happened(ph.rec.queue.told()), []string{"outage all path", "resumed all path"})
		})
	}
}

// An answer that comes when the kernel has repeated its SYN says nothing of the time of the first.
func TestConnectRepeatedByTheKernel(t *testing.T) {
	b, ph := connectScan(t, "10.77.0.1", "80", 1, nil)
	r := &connectRun{connectBackend: b, phase: ph}
	at := netip.MustParseAddrPort("10.77.0.1:80")
	r.heard(at, true, attempt{begun: time.Unix(100, 0), took: kernelAgain})
	if all, _ := b.session.beacons.set.Len(); all != 0 || b.session.beacons.set.Good() != 0 || ph.ev.rtts.Longest() != 0 {
		t.Errorf("%d beacons, evidence of %d, round trip %v", all, b.session.beacons.set.Good(), ph.ev.rtts.Longest())
	}
	r.heard(at, true, attempt{begun: time.Unix(100, 0), took: kernelAgain - 1})
	if all, _ := b.session.beacons.set.Len(); all != 1 || b.session.beacons.set.Good() != 100e9 || ph.ev.rtts.Longest() != kernelAgain-1 {
		t.Errorf("%d beacons, evidence of %d, round trip %v", all, b.session.beacons.set.Good(), ph.ev.rtts.Longest())
	}
}

// A host that is out of files for a while sends nothing, which is no silence of the path.
func TestConnectShortageIsNoOutage(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := connectNet{fault: between(time.Second, 2500*time.Millisecond, os.NewSyscallError("socket", syscall.EMFILE))}
		b, ph := n.begin(t)
		if err := b.run(t.Context(), ph); err != nil {
			t.Fatal(err)
		}
		exact(t, ph)
		equal(t, happened(ph.rec.queue.told()), nil)
		if ph.Done() != 64*60 {
			t.Errorf("%d are done", ph.Done())
		}
	})
}

// A beacon for which the host has no file was not asked.
func TestConnectBeaconWithoutFile(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var n connectNet
		b, ph := n.begin(t)
		answered := map[netip.AddrPort]bool{}
		b.dial = func(ctx context.Context, remote netip.AddrPort) (netip.AddrPort, error) {
			n.mu.Lock()
			again := answered[remote]
			answered[remote] = remote.Port() <= 50
			n.mu.Unlock()
			if again {
				return netip.AddrPort{}, os.NewSyscallError("socket", syscall.EMFILE)
			}
			return n.dial(ctx, remote)
		}
		if err := b.run(t.Context(), ph); err != nil {
			t.Fatal(err)
		}
		exact(t, ph)
		if e := b.session.Evidence(); e.Asked != 0 || e.State != results.EvidenceStateHeld {
			t.Errorf("%+v", e)
		}
		equal(t, happened(ph.rec.queue.told()), nil)
	})
}
