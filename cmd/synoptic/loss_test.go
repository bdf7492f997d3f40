package main

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"synoptic/bench/lab/packet"
	"synoptic/bench/lab/stall"
	"synoptic/bench/lab/testnet"
)

// probesOnTheWire are the times of the probes to each endpoint, and of the first answer from each
// that left the target.
func probesOnTheWire(t *testing.T, frames []testnet.Frame) (probes map[endpoint][]time.Time, answers map[endpoint]time.Time) {
	t.Helper()
	probes, answers = map[endpoint][]time.Time{}, map[endpoint]time.Time{}
	for _, f := range frames {
		if e, ok := checkProbe(t, f); ok {
			probes[e] = append(probes[e], f.Time)
			continue
		}
		p, err := packet.ParseEthernet(f.Data)
		if f.Outgoing && err == nil && p.TCP() != nil && answers[p.From()].IsZero() {
			answers[p.From()] = f.Time
		}
	}
	return probes, answers
}

// On the wire: a silent position gets exactly N+1 probes, spaced by the gap, one that answers no
// more after its answer. (xdp sends by the lanes of afpacket.)
func TestRetriesOnTheWire(t *testing.T) { eachBackendBeside(t, retriesOnTheWire, afpacket, ebpf) }

func retriesOnTheWire(t *testing.T, b backend) {
	prefix := netip.MustParsePrefix("10.77.0.0/22")
	for _, c := range []struct {
		retries int
		loss    float64
		lanes   int
	}{{0, 0, 1}, {1, 0, 2}, {3, 0, 1}, {2, 20, 3}} {
		if b == ebpf && c.retries < 2 {
			continue
		}
		t.Run(fmt.Sprintf("retries=%d/loss=%v/lanes=%s", c.retries, c.loss, b.lanes(c.lanes)), func(t *testing.T) {
			n := b.beside(t, testnet.Config{Gateway: true})
			want := populate(t, n, prefix)
			if c.loss > 0 {
				n.Loss(c.loss, testnet.Both)
			}
			// A machine that stands still stamps a probe late, and reads an answer late. That no probe follows an answer
			// that was read is for the laboratory to say, where reading takes no time.
			stall.Judge(t, stall.Bound{Gap: 100 * time.Millisecond}, func() error {
				capture := n.Capture(t)
				o := synoptic(t, b.scan(20_000, prefix.String(), "-p", "80,443,8080,9", "--retries", fmt.Sprint(c.retries), "--lanes", b.lanes(c.lanes))...)
				s := parseStream(t, o.stdout)
				b.used(t, s)
				probes, answers := probesOnTheWire(t, capture.Stop())
				var sent, again, late uint64
				for e, at := range probes {
					sent += uint64(len(at))
					again += uint64(len(at) - 1)
					answer := answers[e]
					if len(at) > c.retries+1 {
						t.Fatalf("%s got %d probes, want %d at most", e, len(at), c.retries+1)
					}
					if answer.IsZero() && len(at) != c.retries+1 {
						t.Fatalf("%s was silent and got %d probes, want %d", e, len(at), c.retries+1)
					}
					for i, probed := range at {
						if !answer.IsZero() && probed.After(answer.Add(time.Millisecond)) {
							late++
						}
						if i > 0 && probed.Sub(at[i-1]) < 200*time.Millisecond {
							return fmt.Errorf("%s was probed twice within %v", e, probed.Sub(at[i-1]))
						}
					}
				}
				if late > uint64(len(answers))/50 {
					return fmt.Errorf("%d probes came after their answers, of which there were %d", late, len(answers))
				}
				if len(probes) != 4096 || s.end.Sent != sent || s.end.Retransmitted != again {
					t.Errorf("%d positions, %d probes, %d of them again on the wire; scan_end says %d, %d", len(probes), sent, again, s.end.Sent, s.end.Retransmitted)
				}
				if c.loss == 0 {
					sameSet(t, "open", s.found(t, "open"), want.open)
				}
				t.Logf("loss estimate %v, missed open %v, %d of %d open found", s.end.Loss, s.end.Missed, s.end.Open, len(want.open))
				return nil
			})
		})
	}
}
