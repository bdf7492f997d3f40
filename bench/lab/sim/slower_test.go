package sim

import (
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/results"
	"synoptic/scan/plan"
)

// The last router's table of neighbours is too small: an automatic rate goes down to what it bears, finds what there is, and says what has limited it.
// Where the table is large enough nothing is said, and nothing probed again.
func TestFirstContactsSteered(t *testing.T) {
	for seed := range seedsOf(t, 8, 1) {
		for _, c := range []struct {
			name   string
			recall float64 // asked for; 0: two retries
			table  int
			least  float64 // share found
		}{
			{"two retries", 0, 1024, 0.99},
			{"a target", 0.999, 1024, 0.95},
			{"no table", 0, 0, 1},
		} {
			bubble.Test(t, func(t *testing.T) {
				d := &drawn{
					network: Config{Seed: seed, Routes: routes(false, false), Targets: Targets{Dead: 0.99, Open: 1}, Back: Leg{Delay: ms}, Neighbours: c.table},
					config: plan.Config{
						Seed: seed, HasSeed: true, Backend: plan.BackendAFPacket, Auto: true, Attempts: 3, TargetRecall: c.recall, RetryGap: time.Second,
						Wait: time.Second, Lanes: 1, Show: results.Open, Patience: time.Minute,
					},
					targets: []string{"10.0.0.0/18"}, ports: []uint16{80},
				}
				o := d.run(t, nil)
				e, limited := o.records.Closing, 0
				for _, x := range o.records.Told {
					if x.Kind == results.EventLimited {
						limited++
					}
				}
				want, all := 0, d.responsive(o)
				if c.table > 0 {
					want = 1
				}
				if float64(e.Open) < c.least*float64(all) || !e.Complete || limited != want || (e.LimitedBy == "first-contacts") != (want > 0) || (e.Evidence.Again > 0) != (want > 0) {
					t.Errorf("seed %d, %s: %d of %d found, complete %v, told %d times, limited by %s, %+v", seed, c.name, e.Open, all, e.Complete, limited, e.LimitedBy, e.Evidence)
				}
			})
		}
	}
}
