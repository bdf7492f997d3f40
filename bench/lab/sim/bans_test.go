package sim

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
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
			bubble.Test(t, func(t *testing.T) { banned(t, seed) })
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

// A storm of resets makes every port look closed for a moment, and then a few still answer: each of their answers ends an outage, and the next
// one follows. Such a scan gives up, whether an outage is over before it is believed or not, and says so.
func TestStormThenSilence(t *testing.T) {
	past := []uint64{168, 242} // outage after outage is over before it is believed
	for seed := range seedsOf(t, 20, 3) + 2 {
		if seed < 2 {
			seed = past[seed]
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			bubble.Test(t, func(t *testing.T) {
				o := stormed(seed).run(t, nil)
				switch e := o.records.Closing; {
				case o.endless || e == nil:
					t.Error("it did not end")
				case !e.Complete && e.Evidence.State != results.EvidenceStateLost:
					t.Errorf("not complete, and the evidence is %v", e.Evidence.State)
				case slices.Contains(past, seed) && (e.Complete || e.Evidence.Outages <= mostVain || e.Evidence.Outages > 3*mostVain):
					t.Errorf("complete %v after %d outages, want it given up after %d and some more", e.Complete, e.Evidence.Outages, mostVain)
				}
			})
		})
	}
}

func stormed(seed uint64) *drawn {
	rng := rand.New(rand.NewPCG(seed, 10))
	begin := time.Duration(500+rng.IntN(1000)) * ms
	return &drawn{
		network: Config{
			Seed: seed, Routes: routes(false, false), Targets: Targets{Closed: []float64{0.003, 0.01, 0.03}[rng.IntN(3)]},
			Out: Leg{Delay: time.Duration(1+rng.IntN(140)) * ms}, Back: Leg{Delay: time.Duration(1+rng.IntN(140)) * ms, Loss: 0.1 * float64(rng.IntN(2))},
			Faults: []Fault{{Kind: RSTStorm, Begin: begin, End: begin + 2*time.Second}},
		},
		config: plan.Config{
			Seed: seed, HasSeed: true, Backend: plan.BackendAFPacket, Rate: float64(50 + rng.IntN(400)), Attempts: 2 + rng.IntN(4), RetryGap: plan.DefaultRetryGap,
			Wait: 4 * time.Second, Lanes: 1, Show: results.Open | results.Closed | results.Filtered, Patience: time.Minute,
		},
		targets: []string{[]string{"10.0.0.0/24", "10.0.0.0/27", "10.0.0.0/28"}[rng.IntN(3)]}, ports: []uint16{39571, 443, 25, 3389},
	}
}
