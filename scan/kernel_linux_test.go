//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package scan

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"synoptic/bench/lab/testnet"
	"synoptic/results"
	"synoptic/scan/plan"
	"synoptic/scan/target"
)

func planOf(t *testing.T, c plan.Config, targets string) *plan.Plan {
	t.Helper()
	ports, err := target.ParsePorts("443")
	if err != nil {
		t.Fatal(err)
	}
	if c.Targets, err = target.Load(t.Context(), target.Config{Targets: []string{targets}, Ports: ports}); err != nil {
		t.Fatal(err)
	}
	p, err := plan.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// programOn tells whether the interface has an XDP program.
func programOn(t *testing.T, name string) bool {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return l.Attrs().Xdp != nil && l.Attrs().Xdp.Attached
}

// Progress may be asked while the scan runs, while it ends, and when the programs' memory is gone.
func TestProgressOutlivesPrograms(t *testing.T) {
	for _, backend := range []string{plan.BackendXDP, plan.BackendEBPF} {
		t.Run(backend, func(t *testing.T) {
			n := testnet.New(t, testnet.Config{Gateway: true})
			n.NAPI(t)
			s, err := New(planOf(t, plan.Config{Backend: backend, Rate: 200_000, Attempts: 4, RetryGap: 50 * time.Millisecond, Wait: 3 * time.Second}, "10.77.0.0/20"))
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			var asking sync.WaitGroup
			asking.Go(func() {
				for {
					s.Progress()
					select {
					case <-done:
						return
					default:
					}
				}
			})
			end, err := s.Run(t.Context(), results.SinkFuncs{})
			if err != nil || end.Closed != 1<<12 || end.Backend != backend {
				t.Errorf("%+v: %v", end, err)
			}
			for range 1000 {
				s.Progress()
			}
			close(done)
			asking.Wait()
			if p := s.Progress(); p.Done != 1<<12 || p.Closed != 1<<12 {
				t.Errorf("%+v", p)
			}
			if programOn(t, n.Link) {
				t.Error("a program is left on the interface")
			}
		})
	}
}

// A gateway that does not answer is found out after the receiver was attached: nothing may stay.
func TestProgramsLeaveAFailedStart(t *testing.T) {
	n := testnet.New(t, testnet.Config{Gateway: true})
	n.NAPI(t)
	p := planOf(t, plan.Config{Backend: plan.BackendEBPF, Rate: 200_000}, "10.77.0.0/20")
	s, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlinkDown(n); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(t.Context(), results.SinkFuncs{}); err == nil || !strings.Contains(err.Error(), "backend ebpf") {
		t.Errorf("%v", err)
	}
	if programOn(t, n.Link) {
		t.Error("a program is left on the interface")
	}
	s.Progress()
}

// netlinkDown takes the target's end down.
func netlinkDown(n *testnet.Network) error {
	return n.Do(func() error {
		l, err := netlink.LinkByName(n.PeerLink)
		if err != nil {
			return err
		}
		return netlink.LinkSetDown(l)
	})
}

// What is opened for the canary ports serves the scan, and the fall-back is there with them, too.
func TestCanariesKeepTheFallBack(t *testing.T) {
	testnet.New(t, testnet.Config{Gateway: true, MTU: 9000})
	testnet.RequireXDP(t)
	p := planOf(t, plan.Config{Backend: plan.BackendAuto, Rate: 300_000, Wait: 3 * time.Second, Attempts: 4, Canaries: true}, "10.77.0.0/20")
	s, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	end, err := s.Run(t.Context(), results.SinkFuncs{})
	if err != nil || end.Closed != 1<<12 || end.Canaries < 2<<12 || end.Backend != plan.BackendAFPacket {
		t.Errorf("%+v: %v", end, err)
	}
}

// The programs of the scan take over from those of the canary ports, by both senders.
func TestCanariesInTheKernel(t *testing.T) {
	for _, backend := range []string{plan.BackendXDP, plan.BackendEBPF} {
		t.Run(backend, func(t *testing.T) {
			n := testnet.New(t, testnet.Config{Gateway: true})
			n.NAPI(t)
			s, err := New(planOf(t, plan.Config{Backend: backend, Rate: 200_000, Attempts: 4, Wait: 3 * time.Second, Canaries: true}, "10.77.0.0/20"))
			if err != nil {
				t.Fatal(err)
			}
			end, err := s.Run(t.Context(), results.SinkFuncs{})
			if err != nil || end.Closed != 1<<12 || end.Canaries < 2<<12 || end.Backend != backend {
				t.Errorf("%+v: %v", end, err)
			}
			var names []string
			for _, ph := range end.Phases {
				if ph.Duration <= 0 && ph.Name != PhaseResolve {
					t.Errorf("phase %+v took no time", ph)
				}
				names = append(names, ph.Name)
			}
			if want := []string{PhaseResolve, PhaseCanaries, PhaseScan}; !slices.Equal(names, want) {
				t.Errorf("phases %v, want %v", names, want)
			}
			if programOn(t, n.Link) {
				t.Error("a program is left on the interface")
			}
		})
	}
}

// A program cannot be attached to a link whose packets may be longer than a page holds: where the choice
// was ours, packet sockets do it.
func TestAutoFallsBackToPacketSockets(t *testing.T) {
	testnet.New(t, testnet.Config{Gateway: true, MTU: 9000})
	testnet.RequireXDP(t)
	p := planOf(t, plan.Config{Backend: plan.BackendAuto, Rate: 300_000, Wait: 3 * time.Second, Attempts: 4}, "10.77.0.0/20")
	if p.Choice.Backend != plan.BackendEBPF {
		t.Fatalf("the plan is %s: %s", p.Choice.Backend, p.Choice.Reason)
	}
	s, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	end, err := s.Run(t.Context(), results.SinkFuncs{})
	if err != nil || end.Closed != 1<<12 || end.Backend != plan.BackendAFPacket || !strings.Contains(end.BackendReason, "no XDP:") {
		t.Errorf("%+v: %v", end, err)
	}
}
