package sim

import (
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/results"
	"synoptic/scan"
	"synoptic/scan/plan"
	"synoptic/scan/target"
)

// effective is how soon a change has to take effect.
const effective = 100 * ms

// changed is a scan of 256 hosts and 24 ports at 1,000 a second, that loses a little, and is changed while it runs.
func changed(seed uint64, live func(*scan.Scan)) *drawn {
	d := &drawn{targets: []string{"10.0.0.0/24"}, live: live}
	for port := range uint16(24) {
		d.ports = append(d.ports, 100+port)
	}
	d.network = Config{
		Seed: seed, Routes: routes(false, false), Targets: Targets{Dead: 0.3, Open: 0.2, Closed: 0.4},
		Out: Leg{Delay: 15 * ms, Loss: 0.01}, Back: Leg{Delay: 15 * ms, Loss: 0.01},
	}
	d.config = plan.Config{
		Seed: seed, HasSeed: true, Backend: plan.BackendAFPacket, Rate: 1000, Live: true, Attempts: 3, RetryGap: 500 * ms, Wait: time.Second, Lanes: 2,
		Show: results.Open | results.Closed | results.Filtered, Patience: time.Minute,
	}
	return d
}

// at calls f so long after the scan has begun to run.
func at(d time.Duration, f func()) { time.AfterFunc(d, f) }

// kinds are the kinds of events that were told, in order.
func kinds(o *outcome) (all []results.EventKind) {
	for _, e := range o.records.Told {
		all = append(all, e.Kind)
	}
	return all
}

// sentBetween is how many packets left from one time to another, beacons included, to some addresses.
func (o *outcome) sentBetween(from, to time.Duration, some func(netip.Addr) bool) (n int) {
	for i := range o.log.Probes {
		if p := &o.log.Probes[i]; p.At > from && p.At < to && (some == nil || some(p.Addr)) {
			n++
		}
	}
	return n
}

// A pause of ten minutes sends nothing, beacons neither, and is no outage: the same is found as without, and the time is told.
func TestPause(t *testing.T) {
	for seed := range seedsOf(t, 20, 5) {
		bubble.Test(t, func(t *testing.T) {
			const from, to = 2 * time.Second, 602 * time.Second
			d := changed(seed, func(s *scan.Scan) {
				at(from, s.Pause)
				at(from+time.Second, s.Pause) // again: nothing changes
				at(to, s.Resume)
			})
			d.config.Live = false // the model knows chunks of 20 ms
			o := d.run(t, nil)
			o.Patience = to - from
			for _, err := range o.check() {
				t.Errorf("seed %d: %v", seed, err)
			}
			if n := o.sentBetween(from+effective, to, nil); n > 0 {
				t.Errorf("seed %d: %d packets left in the pause", seed, n)
			}
			if n := o.sentBetween(to, to+effective, nil); n < 30 {
				t.Errorf("seed %d: %d packets left in the %v after it", seed, n, effective)
			}
			e := o.records.Closing
			if !e.Complete || e.Coverage != 1 || e.Evidence.State != results.EvidenceStateHeld || e.Evidence.Outages != 0 || math.Abs(e.Paused-600) > 0.01 || math.Abs(e.PPS-1000) > 150 {
				t.Errorf("seed %d: %+v, %+v", seed, e, e.Evidence)
			}
			if got := kinds(o); !slices.Equal(got, []results.EventKind{results.EventPaused, results.EventContinued}) {
				t.Errorf("seed %d: events %v", seed, got)
			}
		})
	}
}

// Patience does not run out in a pause: an outage that is over by then is mended, and nothing is lost.
func TestPauseInAnOutage(t *testing.T) {
	for seed := range seedsOf(t, 20, 5) {
		bubble.Test(t, func(t *testing.T) {
			d := changed(seed, func(s *scan.Scan) {
				at(5*time.Second, s.Pause)
				at(10*time.Minute, s.Resume)
			})
			d.network.Faults = []Fault{{Kind: PathOut, Begin: 2 * time.Second, End: 10*time.Minute + 5*time.Second}}
			o := d.run(t, nil)
			e := o.records.Closing
			if !e.Complete || e.Coverage != 1 || e.Evidence.State != results.EvidenceStateHeld || e.Evidence.Outages != 1 || e.Evidence.Without > 20 {
				t.Errorf("seed %d: %+v, %+v", seed, e, e.Evidence)
			}
			if n := o.sentBetween(5*time.Second+effective, 10*time.Minute, nil); n > 0 {
				t.Errorf("seed %d: %d packets left in the pause", seed, n)
			}
		})
	}
}

// A rate holds within 100 ms, within its bounds.
func TestRateChanges(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var held []float64
		d := changed(1, func(s *scan.Scan) {
			for i, c := range []float64{100, 1e9, 0.5, 2000} {
				at(time.Duration(2+i)*time.Second, func() { held = append(held, s.SetRate(c)) })
			}
		})
		o := d.run(t, nil)
		if !slices.Equal(held, []float64{100, 4000, 0.5, 2000}) {
			t.Errorf("the rates held are %v", held)
		}
		for i, want := range []float64{1000, 100, 4000, 0.5} {
			from := time.Duration(1+i) * time.Second
			n := o.sentBetween(from+effective, from+time.Second, nil)
			if want *= 0.9; math.Abs(float64(n)-want) > 0.05*want+10 {
				t.Errorf("%d packets in 0.9 s from %v on, want %v", n, from+effective, want)
			}
		}
		if e := o.records.Closing; !e.Complete || e.Coverage != 1 || len(o.records.Told) != 4 {
			t.Errorf("%+v, events %v", e, kinds(o))
		}
	})
}

// exclusions are what is excluded in a test.
func exclusions(t *testing.T, words ...string) *target.Exclusions {
	t.Helper()
	x, err := target.ParseExclusions(words)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// What is excluded gets no packet any more, beacons neither. What was not probed of it is counted, and all else is as it was: that
// fewer answer, or nobody does any more, is no fault of the network.
func TestExcludeLive(t *testing.T) {
	for name, c := range map[string]struct {
		exclude []string
		rest    bool // all others say nothing
	}{
		"a quarter":       {exclude: []string{"10.0.0.64/26"}},
		"in ranges":       {exclude: []string{"10.0.0.3-10.0.0.60", "10.0.0.200", "10.0.0.128-191"}},
		"most":            {exclude: []string{"10.0.0.0/25", "10.0.0.128/26", "10.0.0.192/27"}},
		"whoever answers": {exclude: []string{"10.0.0.0/25"}, rest: true},
	} {
		for seed := range seedsOf(t, 10, 3) {
			bubble.Test(t, func(t *testing.T) {
				const from = 2500 * ms
				x := exclusions(t, c.exclude...)
				var sum scan.Excluded
				var err error
				d := changed(seed, func(s *scan.Scan) { at(from, func() { sum, err = s.Exclude(x) }) })
				if c.rest {
					d.network.Faults = []Fault{{Kind: PrefixOut, Prefix: netip.MustParsePrefix("10.0.0.128/25")}}
				}
				o := d.run(t, nil)
				if err != nil || o.Err != nil {
					t.Fatal(err, o.Err)
				}
				addresses := uint64(0)
				for _, a := range o.Addrs {
					if x.Contains(a) {
						addresses++
					}
				}
				if sum.Addresses != addresses || sum.Probes != addresses*24 {
					t.Errorf("%s: %+v, want %d addresses", name, sum, addresses)
				}
				if n := o.sentBetween(from+effective, time.Hour, x.Contains); n > 0 {
					t.Errorf("%s, seed %d: %d packets to what was excluded", name, seed, n)
				}
				// Each of the rest has had its probes, and what of it answers was found.
				e, silent := o.records.Closing, 0
				probed := map[netip.AddrPort]int{}
				for i := range o.log.Probes {
					if p := &o.log.Probes[i]; p.SourcePort != o.BeaconPort {
						probed[netip.AddrPortFrom(p.Addr, p.Port)]++
					}
				}
				for _, a := range o.Addrs {
					for _, port := range d.ports {
						if n := probed[netip.AddrPortFrom(a, port)]; n == 0 && !x.Contains(a) {
							silent++
						}
					}
				}
				// Of the excluded, all count that have neither answered nor had their three probes.
				wanting := uint64(0)
				answered := map[netip.AddrPort]bool{}
				for i := range o.records.All {
					if r := &o.records.All[i]; r.Reason != results.NoResponse && r.Reason != results.EvidenceLost {
						answered[netip.AddrPortFrom(r.Addr, r.Port)] = true
					}
				}
				for _, a := range o.Addrs {
					for _, port := range d.ports {
						if k := netip.AddrPortFrom(a, port); x.Contains(a) && !answered[k] && probed[k] < 3 {
							wanting++
						}
					}
				}
				if wanting != o.records.Closing.ExcludedLive {
					t.Errorf("%s, seed %d: %d ports are wanting, %d are said to be excluded", name, seed, wanting, o.records.Closing.ExcludedLive)
				}
				if silent > 0 {
					t.Errorf("%s, seed %d: %d ports that were not excluded were not probed", name, seed, silent)
				}
				if all := e.Open + e.Closed + e.Filtered + e.ExcludedLive; all != e.Probes || e.ExcludedLive == 0 || e.ExcludedLive > sum.Probes ||
					math.Abs(e.Coverage-float64(e.Probes-e.ExcludedLive)/float64(e.Probes)) > 1e-9 || !e.Complete || e.Evidence.Outages != 0 || e.Evidence.Unknown != 0 {
					t.Errorf("%s, seed %d: %d settled, %+v, %+v", name, seed, all, e, e.Evidence)
				}
				var prefixes []netip.Prefix
				for _, told := range o.records.Told {
					if told.Kind != results.EventExcluded {
						t.Errorf("%s, seed %d: %v: %s", name, seed, told.Kind, told.Message)
					}
					prefixes = append(prefixes, told.Prefix)
				}
				if !slices.Equal(prefixes, slices.Collect(x.Prefixes())) {
					t.Errorf("%s: told of %v", name, prefixes)
				}
			})
		}
	}
}

// What is excluded before the first probe is probed never, beacons that were named neither; a pause from before holds, too.
func TestChangedBeforeItRuns(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		d := changed(1, nil)
		x := exclusions(t, "10.0.0.0/25")
		d.config.Beacons = []netip.AddrPort{netip.MustParseAddrPort("10.0.0.5:100")}
		d.live = func(s *scan.Scan) {
			if _, err := s.Exclude(x); err != nil {
				t.Error(err)
			}
			s.SetRate(500)
			s.Pause()
			at(time.Second, s.Resume)
		}
		o := d.run(t, nil)
		e := o.records.Closing
		if o.sentBetween(0, time.Hour, x.Contains) > 0 || o.sentBetween(0, time.Second, nil) > 0 || e.ExcludedLive != 128*24 || !e.Complete {
			t.Errorf("%+v", e)
		}
		if n := o.sentBetween(1100*ms, 2*time.Second, nil); n < 400 || n > 500 {
			t.Errorf("%d packets in 0.9 s", n)
		}
	})
}

// The status says what the closing record says in the end, and may be asked all the time.
func TestStatus(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var s *scan.Scan
		var mid scan.Status
		d := changed(1, func(running *scan.Scan) {
			s = running
			at(1500*ms, func() { mid = s.Status() })
		})
		o := d.run(t, nil)
		if mid.Phase != scan.PhaseScan || math.Abs(mid.Achieved-1000) > 60 || mid.Rate != 1000 || mid.MinRate != 0.001 || mid.MaxRate != 4000 || mid.LimitedBy != scan.LimitedByPlan ||
			mid.Left == nil || *mid.Left < 5 || *mid.Left > 15 || mid.Probed < 800 || mid.Probed > 1600 || mid.Beacons.Answered == 0 || mid.Over {
			t.Errorf("after 1.5 s: %+v, %v left", mid, mid.Left)
		}
		st, e := s.Status(), o.records.Closing
		if !st.Over || st.End != e || st.Sent != e.Sent || st.Open != e.Open || st.Closed != e.Closed || st.Filtered != e.Filtered || st.Replies != e.Replies || st.Beacons.Sent != e.Evidence.Asked {
			t.Errorf("%+v, closing record %+v", st, e)
		}
		n := uint64(0)
		for _, c := range st.Beacons.Delays.Counts {
			n += c
		}
		if mean := st.Beacons.Delays.Sum / time.Duration(n); n != st.Beacons.Answered || mean < 30*ms || mean > 50*ms {
			t.Errorf("%d delays of %v on average, %d beacons answered", n, mean, st.Beacons.Answered)
		}
	})
}
