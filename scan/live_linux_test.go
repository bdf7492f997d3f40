//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package scan

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/net/bpf"

	"synoptic/bench/lab/stall"
	"synoptic/bench/lab/testnet"
	"synoptic/results"
	"synoptic/scan/plan"
	"synoptic/scan/target"
)

// synOnly takes TCP segments with SYN and without ACK, over IPv4 without options.
var synOnly = []bpf.Instruction{
	bpf.LoadAbsolute{Off: 12, Size: 2}, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0x0800, SkipTrue: 6},
	bpf.LoadAbsolute{Off: 23, Size: 1}, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 6, SkipTrue: 4},
	bpf.LoadAbsolute{Off: 47, Size: 1}, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0x12}, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0x02, SkipTrue: 1},
	bpf.RetConstant{Val: 64},
	bpf.RetConstant{Val: 0},
}

// effective is how soon a change has to take effect.
const effective = 100 * time.Millisecond

// What is changed while a scan runs holds within 100 ms on the wire, by every backend: no packet to what is excluded, be it a first probe,
// a retry or what a kernel repeats; none at all in a pause; and all else goes on.
func TestLiveOnTheWire(t *testing.T) {
	excluded := netip.MustParsePrefix("10.77.64.0/18")
	for _, c := range []struct {
		backend, targets, ports string
		rate                    float64
		kernel                  bool
	}{
		{plan.BackendAFPacket, "10.77.0.0/17", "443,444", 20_000, false},
		{plan.BackendXDP, "10.77.0.0/17", "443,444", 20_000, true},
		{plan.BackendEBPF, "10.77.0.0/16", "443-446", 100_000, true},
		{plan.BackendConnect, "10.77.60.0/22,10.77.64.0/22", "443,444", 2000, false},
	} {
		t.Run(c.backend, func(t *testing.T) {
			n := testnet.New(t, testnet.Config{Gateway: true})
			if c.kernel {
				n.NAPI(t)
			}
			if err := n.DropPrefix(excluded); err != nil { // so that retries go there
				t.Fatal(err)
			}
			stall.Judge(t, stall.Bound{Gap: effective / 4, Here: true}, func() error {
				capture := n.Capture(t, synOnly...)
				l, err := changeLive(t, c.targets, c.ports, plan.Config{Backend: c.backend, Rate: c.rate, Live: true, Attempts: 2, RetryGap: 100 * time.Millisecond, Wait: 2 * time.Second}, excluded)
				if err != nil {
					return err
				}
				var before, late, paused, after int
				for _, f := range capture.Stop() {
					to := netip.AddrFrom4([4]byte(f.Data[30:34]))
					switch {
					case excluded.Contains(to) && f.Time.Before(l.excluded):
						before++
					case excluded.Contains(to) && f.Time.After(l.excluded.Add(effective)):
						late++
						t.Logf("%v after the answer: %v:%d", f.Time.Sub(l.excluded), to, binary.BigEndian.Uint16(f.Data[36:]))
					case f.Time.After(l.resumed):
						after++
					case f.Time.After(l.paused.Add(effective)):
						paused++
					}
				}
				end := l.end
				settled := end.Open + end.Closed + end.Filtered + end.ExcludedLive
				t.Logf("%d probes there before, %d in all after the pause; %+v", before, after, end)
				if end.Backend != c.backend || before < 50 || after < 100 || end.ExcludedLive == 0 || settled != end.Probes || end.Retransmitted == 0 && c.backend != plan.BackendConnect && c.backend != plan.BackendEBPF || !end.Complete || end.Evidence.Outages != 0 {
					return fmt.Errorf("%d probes there before, %d after the pause, %d settled: %+v", before, after, settled, end)
				}
				if late > 0 || paused > 0 {
					return fmt.Errorf("%d packets to what was excluded, %d in the pause", late, paused)
				}
				return nil
			})
		})
	}
}

// changes are when a scan was changed, that is when the call came back.
type changes struct {
	excluded, paused, resumed time.Time
	end                       *results.ScanEnd
}

// changeLive runs a scan, excludes a prefix when it has sent what leaves in 0.4 s at its rate, and pauses for 0.6 s after 0.3 s more of that.
func changeLive(t *testing.T, targets, ports string, c plan.Config, excluded netip.Prefix) (l changes, err error) {
	list, err := target.ParsePorts(ports)
	if err != nil {
		return l, err
	}
	if c.Targets, err = target.Load(t.Context(), target.Config{Targets: []string{targets}, Ports: list}); err != nil {
		return l, err
	}
	p, err := plan.New(c)
	if err != nil {
		return l, err
	}
	s, err := New(p)
	if err != nil {
		return l, err
	}
	x, err := target.ParseExclusions([]string{excluded.String()})
	if err != nil {
		return l, err
	}
	ended := make(chan error, 1)
	go func() {
		var err error
		l.end, err = s.Run(t.Context(), results.SinkFuncs{})
		ended <- err
	}()
	sent := func(seconds float64) {
		for s.Status().Sent < uint64(seconds*c.Rate) && len(ended) == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	sent(0.4)
	_, err = s.Exclude(x)
	l.excluded = time.Now()
	sent(0.7)
	s.Pause()
	l.paused = time.Now()
	time.Sleep(600 * time.Millisecond)
	l.resumed = time.Now()
	s.Resume()
	return l, errors.Join(err, <-ended)
}
