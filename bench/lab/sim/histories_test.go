package sim

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/bench/lab/need"
	"synoptic/results"
	"synoptic/scan/plan"
)

var (
	historiesFlag = flag.Int("histories", 0, "run so many random fault histories; 0: some dozens")
	historyFlag   = flag.Uint64("history", 0, "run the one history of this seed")
)

// drawHistory makes a scan of a network that fails, or with faults false of one that only loses.
func drawHistory(seed uint64, faults bool) *drawn {
	rng := rand.New(rand.NewPCG(seed, 2))
	d := &drawn{}
	d.network = Config{
		Seed: rng.Uint64(), Routes: routes(chanceOf(rng, 0.4), false),
		Out: Leg{Delay: between(rng, 0, 60*ms)}, Back: Leg{Delay: between(rng, 0, 60*ms)},
	}
	for _, l := range []*Leg{&d.network.Out, &d.network.Back} {
		if chanceOf(rng, 0.7) {
			l.Loss = 0.2 * rng.Float64()
		}
	}
	answering, open := logarithmic(rng, 0.001, 0.5), rng.Float64()
	d.network.Targets = Targets{Open: answering * open, Closed: answering * (1 - open)}
	hosts := 1 << (4 + rng.IntN(7)) // 16 to 1,024
	ports := max(1, int(logarithmic(rng, 256, 4096))/hosts)
	for _, i := range rng.Perm(1 << 12)[:ports] {
		d.ports = append(d.ports, uint16(1+i*15))
	}
	for i := 0; hosts > 0; i++ {
		n := min(hosts, 256)
		bits := 32 - int(math.Log2(float64(n)))
		d.targets = append(d.targets, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i % 2), byte(i * 3), 0}), bits).String())
		hosts -= n
	}
	d.config = plan.Config{
		Seed: rng.Uint64N(1 << 53), HasSeed: true, Backend: plan.BackendAFPacket, Rate: logarithmic(rng, 1000, 1e6), Attempts: 1 + rng.IntN(4),
		RetryGap: plan.DefaultRetryGap, Wait: plan.DefaultWait, Lanes: 1 + rng.IntN(2), Show: results.Open | results.Closed | results.Filtered,
	}
	if !faults {
		return d
	}
	if chanceOf(rng, 0.2) {
		d.network.NewsLate = between(rng, 0, time.Second)
	}
	positions := float64(ports) * float64(len(d.targets)) * 256
	span := time.Duration(positions/d.config.Rate*float64(time.Second)) + time.Duration(d.config.Attempts)*time.Second
	for range 1 + rng.IntN(3) {
		begin := between(rng, 0, span)
		f := Fault{Begin: begin, End: begin + time.Duration(logarithmic(rng, float64(50*ms), float64(10*time.Minute)))}
		f.Kind = [...]Kind{PathOut, PathOut, CarrierOut, LinkDown, HopOut, NewMAC, PrefixOut, PrefixOut}[rng.IntN(8)]
		switch f.Kind {
		case CarrierOut, LinkDown:
			f.Link = "eth0"
		case NewMAC:
			if f.Silent = chanceOf(rng, 0.5); f.Silent {
				f.End = 0 // it keeps it
			}
		case PrefixOut:
			p := netip.MustParsePrefix(d.targets[rng.IntN(len(d.targets))])
			if chanceOf(rng, 0.5) {
				p = netip.PrefixFrom(p.Addr().Next(), 32)
			}
			f.Prefix = p
		}
		d.network.Faults = append(d.network.Faults, f)
	}
	return d
}

// histories are what many have come to.
type histories struct {
	sync.Mutex
	scans, complete, exempt, exemptions, failed int
	outages, lost                               int // scans with such events
	kinds                                       map[results.EventKind]int
}

// Whatever fails: a position that was not asked while its path was up is never said to be silent.
//
//	go test ./bench/lab/sim -run TestFaultHistories -histories 10000
//	go test ./bench/lab/sim -run TestFaultHistories -history 4711 -v
func TestFaultHistories(t *testing.T) {
	h := runHistories(t, true,
		10865, // news of 200 ms without carrier that is read when answers have come again
		11778, // an outage that is over when it is believed, and its first answers come behind that
	)
	t.Logf("%d histories, %d complete; in %d there was no evidence for some position (%d positions); events in so many scans: %v", h.scans, h.complete, h.exempt, h.exemptions, h.kinds)
	if h.scans >= 100 && (h.outages < h.scans/10 || h.lost < h.scans/50 || h.complete < h.scans/10) {
		t.Error("these histories have not seen enough")
	}
}

// A network that only loses is no outage: less than one false alarm in a thousand scans, with up to 20 % lost each way.
func TestFalseAlarms(t *testing.T) {
	h := runHistories(t, false)
	t.Logf("%d scans without faults, %d with an outage, %d with something lost", h.scans, h.outages, h.lost)
	if 1000*(h.outages+h.lost) > h.scans && (h.outages+h.lost > 1 || h.scans >= 1000) {
		t.Errorf("%d false alarms in %d scans", h.outages+h.lost, h.scans)
	}
}

// runHistories runs the histories of the first seeds, as many as a flag says, and always those of some.
func runHistories(t *testing.T, faults bool, always ...uint64) *histories {
	first, count := uint64(1), need.Sample(t, 12, 30, 60)
	switch {
	case *historyFlag != 0:
		first, count, always = *historyFlag, 1, nil
	case *historiesFlag > 0:
		count = *historiesFlag
	}
	h := &histories{kinds: map[results.EventKind]int{}}
	for _, seed := range always {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { h.history(t, seed, faults) })
	}
	t.Run("seeds", func(t *testing.T) {
		workers := uint64(min(runtime.GOMAXPROCS(0), count))
		for w := range workers {
			t.Run(fmt.Sprint(w), func(t *testing.T) {
				t.Parallel()
				for seed := first + w; seed < first+uint64(count) && h.few(); seed += workers {
					t.Run(fmt.Sprint(seed), func(t *testing.T) { h.history(t, seed, faults) }) // one that fails ends its own test only
				}
			})
		}
	})
	return h
}

func (h *histories) few() bool {
	h.Lock()
	defer h.Unlock()
	return h.failed < 5
}

func (h *histories) history(t *testing.T, seed uint64, faults bool) {
	replay := fmt.Sprintf("replay with: go test ./bench/lab/sim -run %s -history %d", map[bool]string{true: "TestFaultHistories", false: "TestFalseAlarms"}[faults], seed)
	defer time.AfterFunc(2*time.Minute, func() { panic("a scan takes two minutes of real time; " + replay) }).Stop()
	bubble.Test(t, func(t *testing.T) {
		d := drawHistory(seed, faults)
		o := d.run(t, nil)
		errs := o.check()
		wrong, exempt := o.judge(d)
		errs = append(errs, wrong...)
		seen := map[results.EventKind]bool{}
		for _, e := range o.records.Told {
			seen[e.Kind] = true
		}
		if *historyFlag != 0 || len(errs) > 0 {
			t.Logf("%+v\n%+v", d, o.records.Closing)
			o.tell(t)
		}
		h.Lock()
		defer h.Unlock()
		h.scans++
		if o.records.Closing != nil && o.records.Closing.Complete {
			h.complete++
		}
		if exempt > 0 {
			h.exempt++
			h.exemptions += exempt
		}
		if seen[results.EventOutage] {
			h.outages++
		}
		if seen[results.EventLost] {
			h.lost++
		}
		if !faults && (seen[results.EventOutage] || seen[results.EventLost]) {
			t.Logf("seed %d: a false alarm; %s", seed, replay)
		}
		for k := range seen {
			h.kinds[k]++
		}
		if len(errs) > 0 {
			h.failed++
			for _, err := range errs {
				t.Errorf("seed %d: %v", seed, err)
			}
			t.Log(replay)
		}
	})
}
