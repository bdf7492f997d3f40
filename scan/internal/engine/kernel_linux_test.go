//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package scan

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"synoptic/bench/lab/testnet"
	"synoptic/results"
	"synoptic/scan/target"
)

// discard is a sink that wants nothing.
type discard struct{}

func (discard) Start(*results.ScanStart) error { return nil }
func (discard) Ports([]results.Port) error     { return nil }
func (discard) Hosts([]results.Host) error     { return nil }
func (discard) Flush() error                   { return nil }
func (discard) End(*results.ScanEnd) error     { return nil }
func (discard) Close() error                   { return nil }

func planOf(t *testing.T, c Config, targets string) *Plan {
	t.Helper()
	ports, err := target.ParsePorts("443")
	if err != nil {
		t.Fatal(err)
	}
	if c.Targets, err = target.Load(t.Context(), target.Config{Targets: []string{targets}, Ports: ports}); err != nil {
		t.Fatal(err)
	}
	p, err := NewPlan(c)
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
	for _, backend := range []string{BackendXDP, BackendEBPF} {
		t.Run(backend, func(t *testing.T) {
			n := testnet.New(t, testnet.Config{Gateway: true})
			n.NAPI(t)
			s, err := New(planOf(t, Config{Backend: backend, Rate: 200_000, Attempts: 4, RetryGap: 50 * time.Millisecond, Wait: 3 * time.Second}, "10.77.0.0/20"))
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
			end, err := s.Run(t.Context(), discard{})
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
	p := planOf(t, Config{Backend: BackendEBPF, Rate: 200_000}, "10.77.0.0/20")
	s, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlinkDown(n); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(t.Context(), discard{}); err == nil || !strings.Contains(err.Error(), "backend ebpf") {
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

// A program cannot be attached to a link whose packets may be longer than a page holds: where the choice
// was ours, packet sockets do it.
func TestAutoFallsBackToPacketSockets(t *testing.T) {
	testnet.New(t, testnet.Config{Gateway: true, MTU: 9000})
	testnet.RequireXDP(t)
	p := planOf(t, Config{Backend: BackendAuto, Rate: 300_000, Wait: 3 * time.Second, Attempts: 4}, "10.77.0.0/20")
	if p.Backend != BackendEBPF {
		t.Fatalf("the plan is %s: %s", p.Backend, p.BackendReason)
	}
	s, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	end, err := s.Run(t.Context(), discard{})
	if err != nil || end.Closed != 1<<12 || end.Backend != BackendAFPacket || !strings.Contains(end.BackendReason, "no XDP, for") {
		t.Errorf("%+v: %v", end, err)
	}
}
