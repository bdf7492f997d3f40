package sim

import (
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/results"
	"synoptic/scan/plan"
)

// The last router's table of neighbours is too small for the rate: what has answered goes on answering, and others cannot
// be reached. The scan says so, and does not take their silence for evidence. At a rate that the table bears nothing is said.
func TestFirstContacts(t *testing.T) {
	seeds := seedsOf(t, 3, 1)
	for _, c := range []struct {
		name     string
		rate     float64
		attempts int
		recall   float64
		limited  bool
	}{
		{"once", 10_000, 1, 0, true},
		{"twice", 10_000, 2, 0, true},
		{"three times", 10_000, 3, 0, true},
		{"until nearly all is found", 10_000, 3, 0.99, true},
		{"slowly", 250, 2, 0, false},
	} {
		if seeds == 1 && c.attempts > 1 && c.limited {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			var unseen uint64
			for seed := range seeds {
				bubble.Test(t, func(t *testing.T) {
					d := &drawn{
						network: Config{
							Seed: seed, Routes: routes(false, false), Targets: Targets{Dead: 0.99, Open: 0.5, Closed: 0.5}, Back: Leg{Delay: ms}, Neighbours: 1024,
						},
						config: plan.Config{
							Seed: seed, HasSeed: true, Backend: plan.BackendAFPacket, Rate: c.rate, Attempts: c.attempts, TargetRecall: c.recall, RetryGap: time.Second,
							Wait: time.Second, Lanes: 1, Show: results.Open, Patience: time.Minute,
						},
						targets: []string{"10.0.0.0/18"}, ports: []uint16{80},
					}
					o := d.run(t, nil)
					limited := 0
					for _, e := range o.records.Told {
						if e.Kind == results.EventLimited && e.Cause == results.CauseFirstContacts {
							limited++
						}
					}
					e := o.records.Closing
					t.Logf("%d open and %d closed found, coverage %v, %d unknown, estimate void: %s, evidence %+v", e.Open, e.Closed, e.Coverage, e.Evidence.Unknown, e.EstimateVoid, e.Evidence)
					switch {
					case !c.limited && (limited > 0 || !e.Complete || e.Coverage != 1):
						t.Errorf("seed %d: limited %d times, coverage %v", seed, limited, e.Coverage)
					case c.limited && limited == 0:
						unseen++
					case c.limited && (limited > 1 || e.Complete || e.Coverage > 0.5 || e.EstimateVoid != string("first-contacts")):
						t.Errorf("seed %d: limited %d times, %+v", seed, limited, e)
					}
				})
			}
			if unseen > seeds/20 {
				t.Errorf("not seen in %d of %d scans", unseen, seeds)
			}
		})
	}
}
