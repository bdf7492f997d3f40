package sim

import (
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/results"
	"synoptic/scan/plan"
)

// A gateway of two that fails, and is found out late, for few beacons lie behind it: what was sent to it meanwhile is asked again, or
// unknown, though other paths go on.
func TestGatewayFails(t *testing.T) {
	seeds := seedsOf(t, 20, 2)
	some := Targets{Open: 0.01, Closed: 0.02}
	for _, c := range []struct {
		what     string
		rate     float64
		attempts int
		targets  Targets
		fault    Fault
	}{
		{"silent", 400, 1, some, Fault{Kind: HopOut, Begin: 1500 * ms, End: 20 * time.Second}},
		{"silent, asked twice", 300, 2, some, Fault{Kind: HopOut, Begin: 900 * ms, End: 20 * time.Second}},
		{"silent for good", 400, 1, some, Fault{Kind: HopOut, Begin: 1500 * ms}},
		{"another MAC address", 1000, 1, Targets{Closed: 0.09}, Fault{Kind: NewMAC, Begin: 900 * ms, Silent: true}},
	} {
		t.Run(c.what, func(t *testing.T) {
			left := 0
			for seed := uint64(1); seed <= seeds; seed++ {
				bubble.Test(t, func(t *testing.T) {
					d := &drawn{targets: []string{"10.0.0.0/24", "10.1.3.0/24", "10.0.6.0/24", "10.1.9.0/24"}, ports: []uint16{80, 443}}
					d.network = Config{
						Seed: seed, Routes: routes(true, false), Targets: c.targets, Out: Leg{Delay: 20 * ms}, Back: Leg{Delay: 10 * ms, Loss: 0.05},
						Faults: []Fault{c.fault},
					}
					d.config = plan.Config{
						Seed: seed, HasSeed: true, Backend: plan.BackendAFPacket, Rate: c.rate, Attempts: c.attempts, RetryGap: plan.DefaultRetryGap,
						Wait: time.Second, Lanes: 1, Show: results.Open | results.Closed | results.Filtered,
					}
					o := d.run(t, nil)
					errs := o.check()
					wrong, _ := o.judge(d)
					for _, err := range append(errs, wrong...) {
						t.Errorf("seed %d: %v", seed, err)
					}
					for _, e := range o.records.Told {
						if e.Kind == results.EventOutage && e.NextHop.IsValid() {
							left++
						}
					}
				})
			}
			if left < int(seeds)*3/4 {
				t.Errorf("the gateway's path was left in %d of %d scans", left, seeds)
			}
		})
	}
}
