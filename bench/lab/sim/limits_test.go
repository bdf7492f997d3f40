package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/bench/lab/need"
	"synoptic/ratelimit"
	"synoptic/results"
	"synoptic/scan/gate"
	"synoptic/scan/plan"
)

// limitedScan is a scan of prefixes of unequal size: of /24 number i, from 1, the first i·by addresses, on some ports.
func limitedScan(prefixes, by, ports int, limits ...string) *drawn {
	d := &drawn{
		network: Config{Seed: 3, Routes: routes(false, false), Targets: Targets{Dead: 0.3, Open: 0.3, Closed: 0.4}, Out: Leg{Delay: 5 * ms}, Back: Leg{Delay: 5 * ms, Jitter: ms}},
		config: plan.Config{
			Seed: 3, HasSeed: true, Backend: plan.BackendAFPacket, Rate: 20_000, Attempts: 1, RetryGap: plan.DefaultRetryGap, Wait: time.Second, Lanes: 1,
			Show: results.Open | results.Closed, Patience: time.Minute,
		},
	}
	for i := range prefixes {
		d.targets = append(d.targets, fmt.Sprintf("10.%d.%d.0-10.%d.%d.%d", i/250, i%250+1, i/250, i%250+1, min((i+1)*by, 256)-1))
	}
	for port := range uint16(ports) {
		d.ports = append(d.ports, port+1)
	}
	for _, s := range limits {
		l, err := ratelimit.ParsePrefixRate(s)
		if err != nil {
			panic(err)
		}
		d.config.RatePerPrefix = append(d.config.RatePerPrefix, l)
	}
	return d
}

// sentTo are the times of all packets to each prefix of a length, ascending: first tries, retries and beacons.
func (o *outcome) sentTo(bits int) map[netip.Prefix][]time.Duration {
	all := map[netip.Prefix][]time.Duration{}
	for i := range o.log.Probes {
		if p := &o.log.Probes[i]; p.Fate != Refused {
			prefix, _ := p.Addr.Prefix(bits)
			all[prefix] = append(all[prefix], p.At)
		}
	}
	for _, times := range all {
		slices.Sort(times)
	}
	return all
}

// mostIn is the most of ascending times that one second holds, both ends included.
func mostIn(times []time.Duration) (most int) {
	first := 0
	for i, t := range times {
		for t-times[first] > time.Second {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// checkLimit: no prefix gets more than one packet beyond its rate in any second. It returns how long the largest takes at it.
func (o *outcome) checkLimit(t *testing.T, bits int, rate float64) (longest float64) {
	t.Helper()
	for prefix, times := range o.sentTo(bits) {
		if most := mostIn(times); float64(most) > rate+1 {
			t.Errorf("%d packets to %v in a second, limit %v", most, prefix, rate)
		}
		longest = max(longest, float64(len(times))/rate)
	}
	return longest
}

// last is when the last packet left that was no beacon.
func (o *outcome) last() (last time.Duration) {
	for i := range o.log.Probes {
		if p := &o.log.Probes[i]; p.SourcePort != o.BeaconPort {
			last = max(last, p.At)
		}
	}
	return last
}

// A hundred prefixes of unequal size, each held to a rate: none gets more, the largest decides how long it takes, and it does not hold
// up the others.
func TestLimitsByPrefix(t *testing.T) {
	for _, c := range []struct {
		limit        string
		bits         int
		rate         float64
		lanes, tries int
		rateAll      float64
	}{
		{"24:100", 24, 100, 1, 1, 20_000},
		{"24:100", 24, 100, 3, 2, 20_000},
		{"24:10", 24, 10, 1, 1, 20_000},
		{"24:300", 24, 300, 1, 1, 3000}, // the whole rate decides
		{"23:170", 23, 170, 2, 1, 20_000},
	} {
		if testing.Short() && c.rate != 300 {
			continue
		}
		bubble.Test(t, func(t *testing.T) {
			d := limitedScan(100, 2, 4, c.limit)
			d.config.Lanes, d.config.Attempts, d.config.Rate = c.lanes, c.tries, c.rateAll
			o := d.run(t, nil)
			for _, err := range o.check() {
				t.Errorf("%s: %v", c.limit, err)
			}
			longest := o.checkLimit(t, c.bits, c.rate)
			if o.Ended > o.planned.Silent+o.planned.Silent/10 || o.Ended < o.planned.Answered*9/10 {
				t.Errorf("%s: ended after %v, planned %v to %v", c.limit, o.Ended, o.planned.Answered, o.planned.Silent)
			}
			possible := max(longest, float64(len(o.log.Probes))/c.rateAll)
			if took := o.last().Seconds(); took > 1.05*possible+float64(c.tries-1) || took < 0.9*possible {
				t.Errorf("%s: took %.2f s, %.2f are possible", c.limit, took, possible)
			}
			// Half-way each prefix that has more has had its rate.
			if c.tries > 1 || possible != longest {
				return
			}
			half := o.last() / 2
			o.log.Probes = slices.DeleteFunc(o.log.Probes, func(p Probe) bool { return p.SourcePort == o.BeaconPort })
			for prefix, times := range o.sentTo(c.bits) {
				n, _ := slices.BinarySearch(times, half)
				if want := min(float64(len(times)), c.rate*half.Seconds()); float64(n) < 0.9*want-2 { // beacons have some of it
					t.Errorf("%s: %d of %d packets to %v by %v, want %.0f", c.limit, n, len(times), prefix, half, want)
				}
			}
		})
	}
}

// More is put off than there is room for: the prefix that decides goes on at its rate all the same, and the scan ends when it does.
func TestLimitsBeyondParking(t *testing.T) {
	need.Long(t)
	bubble.Test(t, func(t *testing.T) {
		d := limitedScan(3, 0, 0, "24:2000")
		d.config.Rate, d.config.Lanes = 50_000, 2
		d.targets, d.ports = []string{"10.0.1.0/24", "10.0.2.0/28", "10.0.3.0-10.0.3.3"}, nil
		for port := range uint16(400) {
			d.ports = append(d.ports, port+1)
		}
		o := d.run(t, nil)
		for _, err := range o.check() {
			t.Error(err)
		}
		longest := o.checkLimit(t, 24, 2000)
		if n := 276 * 400; n <= gate.MaxParked {
			t.Fatalf("%d positions could all be put off", n)
		}
		if took := o.last().Seconds(); took > 1.05*longest {
			t.Errorf("took %.2f s, %.2f are possible", took, longest)
		}
	})
}

// Each host is held to a rate, and its prefix to another one.
func TestLimitsByHost(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		d := limitedScan(4, 12, 40, "24:50")
		d.config.RatePerHost = 5
		o := d.run(t, nil)
		for _, err := range o.check() {
			t.Error(err)
		}
		o.checkLimit(t, 32, 5)
		// The largest has 48 hosts of 40 ports: its prefix decides, but for turns that a host cannot keep because a beacon went there.
		longest := o.checkLimit(t, 24, 50)
		if took := o.last().Seconds(); took > 1.08*longest {
			t.Errorf("took %.2f s, %.2f are possible", took, longest)
		}
	})
}

// Whatever holds the senders up, what they catch up with exceeds no limit.
func TestLimitsAfterStalls(t *testing.T) {
	for _, f := range []Fault{
		{Kind: TxFull}, {Kind: CarrierOut}, {Kind: LinkDown}, {Kind: PathOut}, {Kind: SendStall}, {Kind: TxError, Share: 0.2},
	} {
		for _, last := range []time.Duration{30 * ms, 400 * ms, 3 * time.Second} {
			if testing.Short() && last != 400*ms {
				continue
			}
			bubble.Test(t, func(t *testing.T) {
				d := limitedScan(20, 10, 4, "24:40")
				for i := range 4 {
					g := f
					g.Begin = time.Duration(i)*4*time.Second + 700*ms
					g.End = g.Begin + last
					d.network.Faults = append(d.network.Faults, g)
				}
				d.config.Lanes = 3
				o := d.run(t, nil)
				for _, err := range o.check() {
					t.Errorf("%v for %v: %v", f.Kind, last, err)
				}
				o.checkLimit(t, 24, 40)
			})
		}
	}
}

// A limit above the rate never binds, and the packets go as if there was none.
func TestLimitThatNeverBinds(t *testing.T) {
	var logs [][]Probe
	for _, limits := range [][]string{nil, {"24:30k"}} {
		bubble.Test(t, func(t *testing.T) {
			d := limitedScan(2, 50, 10, limits...)
			o := d.run(t, nil)
			o.log.settle()
			logs = append(logs, o.log.Probes)
		})
	}
	if !slices.Equal(logs[0], logs[1]) {
		t.Errorf("%d probes without a limit, %d with one, or others", len(logs[0]), len(logs[1]))
	}
}
