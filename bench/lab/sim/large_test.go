package sim

import (
	"net/netip"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/bench/lab/need"
	"synoptic/results"
	"synoptic/scan/gate"
	"synoptic/scan/plan"
)

// More positions than can be put off at a time are held back: every one of them is probed all the same, once it may
// be, and nothing but that.
func TestMoreHeldThanCanBeParked(t *testing.T) {
	need.Long(t)
	bubble.Test(t, func(t *testing.T) {
		d := &drawn{
			network: Config{Seed: 5, Routes: routes(false, false), Targets: Targets{Open: 0.05, Closed: 0.05}, Back: Leg{Delay: 10 * ms, Loss: 0.1}},
			config: plan.Config{
				HasSeed: true, Backend: plan.BackendAFPacket, Rate: 1e6, Attempts: 2, RetryGap: 300 * ms, Wait: 500 * ms, Lanes: 3, Batch: 64,
				Show: results.Open | results.Closed,
			},
			targets: []string{"10.0.0.0/16"}, ports: []uint16{80, 443}, later: time.Second, most: true,
		}
		o := d.run(t, nil)
		for _, err := range o.check() {
			t.Error(err)
		}
		var waited int
		for i := range o.log.Probes {
			if p := &o.log.Probes[i]; p.At >= time.Second && p.SourcePort == o.log.Probes[0].SourcePort {
				waited++
			}
		}
		if waited <= gate.MaxParked || waited < 3*len(o.log.Probes)/8*4/5 {
			t.Errorf("%d of %d probes waited", waited, len(o.log.Probes))
		}
	})
}

// A rate of a million a second is kept for as long as it takes, and answers come at half of it.
func TestFastScan(t *testing.T) {
	need.Long(t)
	bubble.Test(t, func(t *testing.T) {
		d := &drawn{
			network: Config{Seed: 6, Routes: routes(false, false), Targets: Targets{Open: 0.3, Closed: 0.2}, Back: Leg{Delay: 10 * ms}, Retire: 5 * ms},
			config: plan.Config{
				HasSeed: true, Backend: plan.BackendAFPacket, Rate: 1e6, Attempts: 1, Wait: 500 * ms, Lanes: 2, Batch: 64, Show: results.Open,
			},
			targets: []string{"10.0.0.0/16"}, ports: []uint16{80, 443},
		}
		o := d.run(t, nil)
		for _, err := range o.check() {
			t.Error(err)
		}
		var first, last time.Duration = o.log.Probes[0].At, 0
		for i := range o.log.Probes {
			if p := &o.log.Probes[i]; p.SourcePort != o.BeaconPort {
				last = max(last, p.At)
			}
		}
		if took := last - first; took < 125*ms || took > 135*ms {
			t.Errorf("131,072 probes took %v, want 131 ms", took)
		}
	})
}

// mostHeld is what is held back where most is.
func mostHeld(at netip.AddrPort, until time.Duration) time.Duration {
	if about(at.Addr())%4 == 0 {
		return 0
	}
	return until
}
