package sim

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"synoptic/results"
	"synoptic/scan/plan"
)

// An intrusion prevention system drops everything from us for some seconds after some SYNs, again and again: every port is found
// in the end, or the scan gives up and says so. A ban of less than that may pass for the limit that hosts have for their resets.
func TestBanned(t *testing.T) {
	const early = 322 // a ban after 36 answers
	for seed := range seedsOf(t, 20, 3) + 1 {
		if seed == 0 {
			seed = early
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { banned(t, seed) })
		})
	}
}

func banned(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 9))
	host := netip.MustParseAddr("10.0.0.1")
	d := &drawn{
		network: Config{
			Seed: seed, Routes: routes(false, false), Targets: Targets{Open: 0.005 * float64(rng.IntN(3)), Closed: 0.985},
			Out: Leg{Delay: ms, Loss: 0.03 * float64(rng.IntN(3))}, Back: Leg{Delay: ms},
			Ban: Ban{Burst: float64(20 + rng.IntN(150)), Rate: 5, For: time.Duration(4000+rng.IntN(21_000)) * ms},
		},
		config: plan.Config{
			Seed: seed, HasSeed: true, Backend: plan.BackendAFPacket, Rate: []float64{30, 100, 1000, 5000, 50_000}[rng.IntN(5)], Attempts: 1 + rng.IntN(4),
			RetryGap: plan.DefaultRetryGap, Wait: time.Second, Lanes: 1, Show: results.Open | results.Closed | results.Filtered, Patience: time.Minute,
		},
		targets: []string{host.String()},
	}
	truth := New(d.network)
	var silent uint64
	for port := range uint16(200 + rng.IntN(100)) {
		d.ports = append(d.ports, port+1)
		if truth.State(host, port+1) == 0 {
			silent++
		}
	}
	e := d.run(t, nil).records.Closing
	most := silent
	if d.network.Out.Loss > 0 { // what is lost every time is not found
		most += uint64(len(d.ports)) / 5
	}
	if e.NoResponse > most || e.Complete && e.NoResponse < silent || !e.Complete && e.Evidence.State != results.EvidenceStateLost {
		t.Errorf("rate %v, %d attempts, loss %v, %+v: %d open, %d closed, %d without a response, %d are silent, complete %v, evidence %+v",
			d.config.Rate, d.config.Attempts, d.network.Out.Loss, d.network.Ban, e.Open, e.Closed, e.NoResponse, silent, e.Complete, e.Evidence)
	}
}
