package sim

import (
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/results"
	"synoptic/scan/plan"
)

// News of a link that is read when its fault is over and answers have come again: what was asked in the fault alone, and is done
// with, is unknown. Where answers come densely, nothing is for a fault that is too short to hide between them, and nothing of the
// paths that were up.
func TestLateNews(t *testing.T) {
	seeds := seedsOf(t, 10, 2)
	for _, c := range []struct {
		what     string
		two      bool // paths
		attempts int
		late     time.Duration
		faults   []Fault
		least    uint64 // positions that are unknown,
		most     uint64
	}{
		{"a flap", false, 1, 600 * ms, []Fault{{Begin: 300 * ms, End: 315 * ms}}, 0, 0},
		{"many flaps", false, 1, 600 * ms, []Fault{{Begin: 200 * ms, End: 215 * ms}, {Begin: 500 * ms, End: 515 * ms}, {Begin: 800 * ms, End: 815 * ms}}, 0, 0},
		{"a fault", false, 1, 600 * ms, []Fault{{Begin: 300 * ms, End: 355 * ms}}, 1, 500},
		{"a fault, told a second late", false, 1, time.Second, []Fault{{Begin: 300 * ms, End: 355 * ms}}, 1, 500},
		{"a fault, asked twice", false, 2, 600 * ms, []Fault{{Begin: 300 * ms, End: 355 * ms}}, 0, 0},
		{"a fault, told in another", false, 1, 600 * ms, []Fault{{Begin: 300 * ms, End: 355 * ms}, {Begin: 880 * ms, End: 5 * time.Second}}, 1, 500},
		{"a flap of a path", true, 1, 600 * ms, []Fault{{Begin: 300 * ms, End: 315 * ms}}, 0, 0},
		{"a fault of a path", true, 1, 600 * ms, []Fault{{Begin: 300 * ms, End: 355 * ms}}, 1, 1000},
		{"a fault of a path, told in another", true, 1, 600 * ms, []Fault{{Begin: 300 * ms, End: 355 * ms}, {Begin: 880 * ms, End: 5 * time.Second}}, 1, 500},
	} {
		t.Run(c.what, func(t *testing.T) {
			for seed := uint64(1); seed <= seeds; seed++ {
				bubble.Test(t, func(t *testing.T) {
					d := &drawn{targets: []string{"10.0.0.0/25", "10.1.0.0/25"}}
					for port := range uint16(20) {
						d.ports = append(d.ports, port+1)
					}
					d.network = Config{
						Seed: seed, Routes: routes(c.two, false), Targets: Targets{Open: 0.1, Closed: 0.3},
						Out: Leg{Delay: 4 * ms}, Back: Leg{Delay: 4 * ms, Loss: 0.02}, NewsLate: c.late,
					}
					for _, f := range c.faults {
						f.Kind, f.Link = CarrierOut, "eth0"
						d.network.Faults = append(d.network.Faults, f)
					}
					d.config = plan.Config{
						Seed: seed, HasSeed: true, Backend: plan.BackendAFPacket, Rate: 5000, Attempts: c.attempts, RetryGap: plan.DefaultRetryGap,
						Wait: time.Second, Lanes: 1, Show: results.Open | results.Closed | results.Filtered,
					}
					o := d.run(t, nil)
					errs, exempt := o.check(), 0
					if f := c.faults[0]; f.End-f.Begin >= 50*ms { // else what is lost in it passes for loss
						wrong, n := o.judge(d)
						errs, exempt = append(errs, wrong...), n
					}
					for _, err := range errs {
						t.Errorf("seed %d: %v", seed, err)
					}
					e := o.records.Closing
					if n := e.Evidence.Unknown; exempt > 0 || n < c.least || n > c.most || e.Complete != (n == 0) || (e.Coverage == 1) != (n == 0) {
						t.Errorf("seed %d: %d positions are unknown, complete %v, coverage %v", seed, n, e.Complete, e.Coverage)
						o.tell(t)
					}
					for i := range o.records.All {
						if r := &o.records.All[i]; c.two && r.Reason == results.EvidenceLost && r.Addr.As4()[1] == 1 {
							t.Errorf("seed %d: %v is unknown, and its path was up", seed, r.Addr)
						}
					}
				})
			}
		})
	}
}
