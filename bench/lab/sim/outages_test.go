package sim

import (
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/results"
	"synoptic/scan/plan"
)

// What was asked in an outage, and was about to be asked again when a second one began that ended the scan, is unknown: the probes
// of the batch that never left like the rest of their pass.
func TestCutWhileAskedAgain(t *testing.T) {
	for seed := uint64(1); seed <= 4; seed++ {
		bubble.Test(t, func(t *testing.T) {
			d := &drawn{targets: []string{"10.0.0.0/26"}, ports: []uint16{22, 80, 443, 8080, 8443, 9000}}
			d.network = Config{
				Seed: seed, Routes: routes(false, false), Targets: Targets{Open: 0.06, Closed: 0.02}, Out: Leg{Delay: 20 * ms}, Back: Leg{Delay: 3 * ms},
				Faults: []Fault{
					{Kind: CarrierOut, Link: "eth0", Begin: 125 * ms, End: 203 * ms},
					{Kind: LinkDown, Link: "eth0", Begin: 296 * ms, End: 10 * time.Minute},
				},
			}
			d.config = plan.Config{
				Seed: seed, HasSeed: true, Backend: plan.BackendAFPacket, Rate: 3400, Attempts: 1, RetryGap: plan.DefaultRetryGap, Wait: time.Second,
				Lanes: 1, Show: results.Open | results.Closed | results.Filtered | results.Unknown, Patience: time.Minute,
			}
			o := d.run(t, nil)
			for _, err := range o.check() {
				t.Errorf("seed %d: %v", seed, err)
			}
			lost := uint64(0)
			for i := range o.records.All {
				if o.records.All[i].Reason == results.EvidenceLost {
					lost++
				}
			}
			if e := o.records.Closing; e.Complete || e.Evidence.Again == 0 || e.Evidence.Unknown != lost {
				t.Errorf("seed %d: %d records of lost evidence, %+v, %+v", seed, lost, e, e.Evidence)
			}
		})
	}
}

// A driver that takes nothing, for its link has no carrier, is told as that within moments, whenever the kernel may say so by itself:
// its work on links waits for others' (net/core/link_watch.c, Linux 6.18).
func TestNoCarrierWithoutNews(t *testing.T) {
	for seed := uint64(1); seed <= 4; seed++ {
		bubble.Test(t, func(t *testing.T) {
			d := &drawn{targets: []string{"10.0.0.0/24"}, ports: []uint16{22, 80, 443, 8080}}
			d.network = Config{
				Seed: seed, Routes: routes(false, false), Targets: Targets{Open: 1}, Out: Leg{Delay: ms}, Back: Leg{Delay: ms},
				Faults: []Fault{{Kind: CarrierOut, Link: "eth0", Begin: 200 * ms, End: 1200 * ms}}, NewsLate: time.Minute,
			}
			d.config = plan.Config{
				Seed: seed, HasSeed: true, Backend: plan.BackendAFPacket, Rate: 2000, Attempts: 1, RetryGap: plan.DefaultRetryGap, Wait: time.Second,
				Lanes: 1, Show: results.Open, Patience: time.Minute,
			}
			o := d.run(t, nil)
			for _, err := range o.check() {
				t.Errorf("seed %d: %v", seed, err)
			}
			told := map[results.EventKind]time.Duration{}
			for _, e := range o.records.Told {
				if e.Cause == results.CauseNoCarrier {
					told[e.Kind] = time.Unix(0, e.Time).Sub(time.Time(o.records.Opening.Time))
				}
			}
			if at := told[results.EventOutage]; at < 200*ms || at > 600*ms {
				t.Errorf("seed %d: the outage was told at %v: %v", seed, at, o.records.Told)
			}
			if e := o.records.Closing; told[results.EventResumed] < 1200*ms || !e.Complete || e.Open != 1024 {
				t.Errorf("seed %d: %+v, %v", seed, e, o.records.Told)
			}
		})
	}
}
