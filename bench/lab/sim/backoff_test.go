package sim

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/bench/lab/need"
	"synoptic/results"
	"synoptic/scan/gate"
	"synoptic/scan/plan"
)

// guarded is the prefix that has a guard, of the four that are scanned.
var guarded = netip.MustParsePrefix("10.0.2.0/24")

// guardedScan is a scan of four prefixes at 4,000 probes a second, 1,000 to each, for some 13 seconds.
func guardedScan(seed uint64, ports int, guards ...Guard) *drawn {
	d := &drawn{
		network: Config{
			Seed: seed, Routes: routes(false, false), Targets: Targets{Dead: 0.3, Open: 0.1, Closed: 0.8}, Guards: guards,
			Out: Leg{Delay: 10 * ms}, Back: Leg{Delay: 10 * ms, Jitter: ms},
		},
		config: plan.Config{
			Seed: seed, HasSeed: true, Backend: plan.BackendAFPacket, Rate: 4000, Attempts: 3, RetryGap: plan.DefaultRetryGap, Wait: time.Second, Lanes: 1,
			Show: results.Open | results.Closed | results.Filtered, Patience: time.Minute,
		},
		targets: []string{"10.0.0.0/22"},
	}
	for port := range uint16(ports) {
		d.ports = append(d.ports, port+1)
	}
	return d
}

// backoffs are the events of back-off.
func (o *outcome) backoffs() (all []results.Event) {
	for _, e := range o.records.Told {
		if e.Kind == results.EventBackoff {
			all = append(all, e)
		}
	}
	return all
}

func inGuarded(a netip.Addr) bool      { return guarded.Contains(a) }
func outsideGuarded(a netip.Addr) bool { return !guarded.Contains(a) }

// wrong is how many ports of some addresses are not what they would be said to be without a guard.
func (o *outcome) wrong(d *drawn, some func(netip.Addr) bool) (wrong, all int) {
	network, found := New(d.network), map[netip.AddrPort]results.State{}
	for i := range o.records.All {
		p := &o.records.All[i]
		at, state := netip.AddrPortFrom(p.Addr, p.Port), p.Reason.State()
		if old, ok := found[at]; !ok || state < old {
			found[at] = state
		}
	}
	for _, a := range o.Addrs {
		for _, port := range d.ports {
			state := network.State(a, port)
			if !some(a) || state == 0 {
				continue
			}
			if all++; found[netip.AddrPortFrom(a, port)] != state {
				wrong++
			}
		}
	}
	return wrong, all
}

// A firewall that refuses what exceeds a rate has its prefix slowed, and no other; an event begins and ends; and what the prefix
// says is found, but for what was refused before the surge was seen.
func TestBackoff(t *testing.T) {
	for _, c := range []struct {
		how   Refusal
		cause string
		// wrong is how many ports at most are refused before it is seen, and told wrongly for that.
		wrong int
		burst float64 // a storm takes longer to be told from answers that always come several times
	}{{Prohibits, results.CauseProhibited, 200, 1500}, {Resets, results.CauseResets, 300, 1500}, {Storms, results.CauseRSTStorm, 0, 4000}} {
		for seed := range uint64(need.Sample(t, 1, 3, 10)) {
			t.Run(fmt.Sprint(c.how, " ", seed), func(t *testing.T) {
				t.Parallel()
				bubble.Test(t, func(t *testing.T) {
					d := guardedScan(seed, 50, Guard{Prefix: guarded, Rate: 100, Burst: c.burst, How: c.how})
					o := d.run(t, nil)
					e, all := o.records.Closing, o.backoffs()
					if e == nil || !e.Complete && c.how != Resets || len(all) < 2 || len(o.records.Broken) > 0 {
						o.tell(t)
						t.Fatalf("%d backoffs; %v; %+v", len(all), o.records.Broken, e.Evidence)
					}
					for i, x := range all {
						if began := i%2 == 0; x.Prefix != guarded || x.Cause != c.cause || x.Scope != results.ScopePrefix || (x.Rate > 0) != began || (x.End == 0) != began || x.Begin == 0 {
							t.Errorf("%+v", x)
						}
					}
					seen := o.since(all[0].Time)
					if seen > 6*time.Second {
						t.Errorf("seen after %v", seen)
					}
					if n := o.sentBetween(10*time.Second, 11*time.Second, inGuarded); n > 350 || n < 20 {
						t.Errorf("%d packets to the prefix in a second, want some 100", n)
					}
					if n := o.sentBetween(5*time.Second, 6*time.Second, outsideGuarded); n < 2800 {
						t.Errorf("%d packets to the others in a second", n)
					}
					if wrong, n := o.wrong(d, outsideGuarded); wrong > 0 {
						t.Errorf("%d of %d wrong outside the prefix", wrong, n)
					}
					wrong, n := o.wrong(d, inGuarded)
					if wrong > c.wrong {
						t.Errorf("%d of %d wrong", wrong, n)
					}
					t.Logf("seen after %v, ended after %v; %d events; %d of %d wrong: %s", seen, o.Ended, len(all), wrong, n, all[0].Message)
				})
			})
		}
	}
}

// A scan of nothing but a prefix that a firewall guards is not given up: beacons that it forbids are not lost. That no answers come where nearly
// everything is refused passes for an outage some times.
func TestBackoffOfAll(t *testing.T) {
	for seed := range uint64(need.Sample(t, 1, 3, 10)) {
		bubble.Test(t, func(t *testing.T) {
			d := guardedScan(seed, 50, Guard{Prefix: guarded, Rate: 3, Burst: 1500, How: Prohibits})
			d.targets, d.config.Rate = []string{guarded.String()}, 1000
			o := d.run(t, nil)
			inVain := slices.ContainsFunc(o.records.Told, func(e results.Event) bool { return inVain(&e) })
			if e := o.records.Closing; o.endless || e == nil || inVain || e.Evidence.Outages > mostVain {
				o.tell(t)
				t.Errorf("seed %d: endless %v, %+v", seed, o.endless, e)
			}
		})
	}
}

// Whoever does not want it has all prefixes sent alike.
func TestNoBackoff(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		d := guardedScan(1, 20, Guard{Prefix: guarded, Rate: 100, Burst: 500, How: Prohibits})
		d.config.NoBackoff = true
		o := d.run(t, nil)
		if all := o.backoffs(); len(all) > 0 || o.Ended > 15*time.Second {
			t.Errorf("%v: %+v", o.Ended, all)
		}
	})
}

// A firewall that shuts us out for a while, and then forgets us: the prefix goes as fast as others again.
func TestBackoffEnds(t *testing.T) {
	need.Long(t)
	bubble.Test(t, func(t *testing.T) {
		d := guardedScan(2, 200, Guard{Prefix: guarded, Begin: 3 * time.Second, End: 15 * time.Second, How: Prohibits, Errors: 50})
		o := d.run(t, nil)
		all := o.backoffs()
		if len(all) != 2 || o.since(all[0].Time) > 5*time.Second || o.since(all[1].Time) < 15*time.Second || o.since(all[1].Time) > 2*time.Minute || !o.records.Closing.Complete {
			t.Fatalf("%v: %+v", o.Ended, all)
		}
		t.Logf("from %v to %v", o.since(all[0].Time), o.since(all[1].Time))
	})
}

// A prefix that refuses everything from some time on, however slow, stretches a scan by no more than a minute or two.
func TestBackoffInVain(t *testing.T) {
	need.Long(t)
	bubble.Test(t, func(t *testing.T) {
		d := guardedScan(3, 50, Guard{Prefix: guarded, Begin: 3 * time.Second, How: Prohibits})
		o := d.run(t, nil)
		if all := o.backoffs(); len(all) != 2 || o.Ended > 150*time.Second || !o.records.Closing.Complete {
			t.Errorf("%v: %+v", o.Ended, all)
		}
	})
}

// A prefix behind a firewall that refuses everything from the start takes as long as any other.
func TestStaticFirewall(t *testing.T) {
	for _, errors := range []float64{1, 0}[:need.Sample(t, 1, 2, 2)] {
		bubble.Test(t, func(t *testing.T) {
			d := guardedScan(4, 50, Guard{Prefix: guarded, How: Prohibits, Errors: errors})
			o := d.run(t, nil)
			if all := o.backoffs(); len(all) > 0 || o.Ended > 40*time.Second || !o.records.Closing.Complete {
				t.Errorf("%v: %+v", o.Ended, all)
			}
		})
	}
}

// Where what is put off has no room any more, the prefix goes faster, and the others are not held up.
func TestBackoffGivesWay(t *testing.T) {
	need.Long(t)
	bubble.Test(t, func(t *testing.T) {
		d := guardedScan(5, 1000, Guard{Prefix: guarded, Rate: 100, Burst: 3000, How: Prohibits})
		d.config.Rate, d.config.Attempts, d.config.Show = 40_000, 1, results.Open
		o := d.run(t, nil)
		if positions := 256 * 1000; positions < 2*gate.MaxParked {
			t.Fatal(positions)
		}
		all := o.backoffs()
		if len(all) != 2 || o.Ended > time.Minute { // what is refused then makes it incomplete
			t.Errorf("ended after %v: %+v", o.Ended, all)
		}
		for at := 2 * time.Second; at < 20*time.Second; at += time.Second {
			if n := o.sentBetween(at, at+time.Second, outsideGuarded); n < 8000 { // fewest when what has waited is sent
				t.Errorf("%d packets to the others in the second from %v", n, at)
			}
		}
	})
}

// Ordinary networks, with whatever goes wrong in them, raise no event.
func TestNoBackoffInOrdinaryNetworks(t *testing.T) {
	for seed := range seedsOf(t, 80, 1) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			bubble.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 77))
				d := guardedScan(seed, 20)
				d.drawNetwork(rng)
				d.network.Targets.Filtered = 0.3 * rng.Float64()
				d.config.Rate = logarithmic(rng, 500, 20_000)
				if chanceOf(rng, 0.3) {
					d.config.Auto, d.config.Rate = true, 0
				}
				for _, p := range []string{"10.0.0.0/24", "10.0.1.0/24"} {
					if chanceOf(rng, 0.5) {
						d.network.Guards = append(d.network.Guards, Guard{Prefix: netip.MustParsePrefix(p), How: Refusal(rng.IntN(3)), Errors: float64(rng.IntN(100))})
					}
				}
				if chanceOf(rng, 0.3) {
					begin := between(rng, 0, 5*time.Second)
					d.network.Faults = append(d.network.Faults, Fault{Kind: []Kind{PathOut, PrefixOut, TxFull, CarrierOut}[rng.IntN(4)], Begin: begin, End: begin + between(rng, ms, 3*time.Second), Prefix: guarded})
				}
				if o := d.run(t, nil); o != nil && len(o.backoffs()) > 0 {
					t.Errorf("seed %d: %+v: network %+v, rate %v, auto %v", seed, o.backoffs()[0], d.network, d.config.Rate, d.config.Auto)
				}
			})
		})
	}
}
