package sim

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"synoptic/results"
	"synoptic/scan/plan"
)

func steered(seed uint64, capacity float64, queue, trip time.Duration, loss, hit float64) *drawn {
	d := &drawn{targets: []string{"10.0.0.0/16"}}
	n := int(min(max(capacity*12/65536, 1), 16))
	for port := range uint16(n) {
		d.ports = append(d.ports, 100+port)
	}
	d.network = Config{
		Seed: seed, Routes: routes(false, false), Targets: Targets{Open: hit},
		Out: Leg{Delay: trip / 2, Loss: loss, Capacity: capacity, Queue: queue}, Back: Leg{Delay: trip / 2, Loss: loss},
	}
	d.config = plan.Config{
		Seed: seed, HasSeed: true, Backend: plan.BackendAFPacket, Auto: true, MaxRate: 1e6, Attempts: 3, RetryGap: time.Second, Wait: 2 * time.Second, Lanes: 1,
		Show: results.Open, Patience: time.Minute,
	}
	return d
}

func TestAuto(t *testing.T) {
	for _, c := range []float64{20_000} {
		for _, q := range []time.Duration{20 * ms, 200 * ms} {
			for _, hit := range []float64{0.01, 0.3} {
				t.Run(fmt.Sprint(c, q, hit), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						d := steered(1, c, q, 50*ms, 0, hit)
						o := d.run(t, nil)
						e := o.records.Closing
						var last time.Duration
						at := make([]int, 200)
						for i := range o.log.Probes {
							p := &o.log.Probes[i]
							last = max(last, p.At)
							if k := int(p.At / (100 * ms)); k < len(at) {
								at[k]++
							}
						}
						t.Logf("%v sent %d open %d last %v, evidence %+v, per 100 ms %v", o.Ended, e.Sent, e.Open, last, e.Evidence, at)
						for _, ev := range o.records.Told {
							t.Logf("%v %s", ev.Kind, ev.Message)
						}
					})
				})
			}
		}
	}
}
