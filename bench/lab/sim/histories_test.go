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
	"testing/synctest"
	"time"

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

// witness is what a scan's log says of its evidence.
type witness struct {
	*model
	network *Network
	answers map[int][]*Answer // to a probe of all
}

// never an answer: judge goes through the positions that the scan says were silent, and finds those that were never
// asked while their path was up. exempt tells that for some of them no evidence was to be had.
func (o *outcome) judge(d *drawn) (errs []error, exempt int) {
	m := &model{Scan: &o.Scan, records: o.records, end: o.records.Closing, places: map[netip.AddrPort]*place{}}
	if m.end == nil {
		return nil, 0
	}
	m.split(o.log)
	m.listen()
	m.send()
	m.hear()
	w := &witness{model: m, network: &Network{config: d.network, faults: d.network.Faults}, answers: map[int][]*Answer{}}
	for i := range m.all.Answers {
		if a := &m.all.Answers[i]; a.Probe >= 0 {
			w.answers[a.Probe] = append(w.answers[a.Probe], a)
		}
	}
	index := map[netip.AddrPort][]int{} // of probes in all
	for i := range m.all.Probes {
		if p := &m.all.Probes[i]; p.SourcePort != m.BeaconPort {
			k := netip.AddrPortFrom(p.Addr, p.Port)
			index[k] = append(index[k], i)
		}
	}
	said := map[netip.AddrPort]results.Reason{}
	for i := range m.records.All {
		r := &m.records.All[i]
		said[netip.AddrPortFrom(r.Addr, r.Port)] = r.Reason
	}
	known := map[*Fault]bool{} // faults that there was no evidence of
	for k, p := range m.places {
		if p.state != 0 || said[k] != results.NoResponse && (!m.end.Complete || said[k] != 0) {
			continue
		}
		asked := false
		for _, i := range index[k] {
			asked = asked || !w.down(i)
		}
		if asked {
			continue
		}
		if f := w.unseen(index[k]); f != nil {
			known[f] = true
			exempt++
			continue
		}
		if len(errs) < 5 {
			errs = append(errs, fmt.Errorf("%v is said to be silent, and was never asked while its path was up: %s", k, m.history(p)))
		}
	}
	return errs, exempt
}

// down tells whether a probe had no chance of an answer, for its path was down.
func (w *witness) down(i int) bool {
	p := &w.all.Probes[i]
	switch p.Fate {
	case Cut, Swallowed, Refused:
		return true
	case Answered:
		for _, a := range w.answers[i] {
			if a.Fate != Cut && a.Fate != Unheard {
				return false
			}
		}
		return true
	}
	return w.network.faults.prefix(PrefixOut, p.At+w.network.config.Out.Delay, p.Addr)
}

// unseen gives the fault of a position's probes where the scan could not know of it; nil where it could.
func (w *witness) unseen(probes []int) *Fault {
	for _, i := range probes {
		p := &w.all.Probes[i]
		for j := range w.network.faults {
			f := &w.network.faults[j]
			if w.within(f, p.Addr) && p.At+w.trip() >= f.Begin && p.At < f.end() && !w.evident(f) {
				return f
			}
		}
	}
	return nil
}

// end is when it is over.
func (f *Fault) end() time.Duration {
	if f.End == 0 {
		return never
	}
	return f.End
}

// trip is the round trip of the histories' networks, which have no jitter.
func (w *witness) trip() time.Duration {
	return w.network.config.Out.Delay + w.network.config.Back.Delay
}

// within tells whether a fault concerns an address.
func (w *witness) within(f *Fault, a netip.Addr) bool {
	r := w.network.reached(a)
	switch f.Kind {
	case PrefixOut:
		return f.Prefix.Contains(a)
	case CarrierOut, LinkDown:
		return r.Link.Name == f.Link
	case HopOut, NewMAC:
		return r.Gateway.IsValid()
	}
	return true
}

// What a lost beacon says, and how much has to be said: package beacon's promises. A scanner's estimates are a little off
// the log's, which knows what was lost: almost is how much less than that is as good as nothing.
const (
	pathNats, partNats = 23, 20
	almost             = 1.5
	resetsWait         = 1500 * time.Millisecond
)

// evident tells whether there was evidence enough of a fault. What the host tells of its links and gateways is, once
// somebody has answered: until then nothing is kept that could be taken back. Of all else there is what beacons say that had been answered before, were lost in it, and were overdue before it was over; and
// where everything is concerned, the share of first tries that were answered before. Of a host or a net of which no
// position had answered, of one that answers no SYN twice, and of an outage that was over before enough was lost, nobody
// can know.
func (w *witness) evident(f *Fault) bool {
	if f.Kind == CarrierOut || f.Kind == LinkDown || f.Kind == NewMAC && !f.Silent {
		return w.proven(f.Begin) != never
	}
	type tally struct{ lost, answered float64 }
	var all tally
	of := map[netip.AddrPort]*tally{}
	late := max(20*ms, w.trip()*3/2+10*ms) + 2*10*ms
	var says, opens float64 // all, and open ports alone
	var lost, lostOpen int
	witnesses := map[netip.AddrPort]bool{}
	var firsts, hits, expected float64
	isOpen := map[netip.AddrPort]bool{}
	whole := f.Kind == PathOut || len(w.network.config.Routes) == 1 && f.Kind != PrefixOut
	until := f.end()
	if !whole {
		until = w.beside(f)
	}
	for i := range w.all.Probes {
		p := &w.all.Probes[i]
		k := netip.AddrPortFrom(p.Addr, p.Port)
		answered := false
		for _, a := range w.answers[i] {
			if a.Fate == Handed {
				answered = true
				isOpen[k] = isOpen[k] || a.Reason == results.SYNACK
			}
		}
		during := p.At+w.trip() >= f.Begin && p.At < f.end()
		if p.SourcePort != w.BeaconPort {
			switch first := len(w.place(p.Addr, p.Port).tries) > 0 && w.log.Probes[w.place(p.Addr, p.Port).tries[0]].At == p.At; {
			case first && p.At+w.trip() < f.Begin:
				firsts++
				if answered {
					hits++
				}
			case first && during && p.At+2*w.trip()+100*ms < f.end():
				expected++
			}
			continue
		}
		t := of[k]
		if t == nil {
			t = &tally{}
			of[k] = t
		}
		switch {
		case answered:
			t.answered++
			all.answered++
		case !during:
			t.lost++
			all.lost++
		case w.within(f, p.Addr) && t.answered > 0 && p.At+late < f.end() && p.At <= until:
			nats := -math.Log(max((all.lost+1)/(all.lost+all.answered+8), (t.lost+1)/(t.lost+t.answered+4)))
			says += nats
			lost++
			if isOpen[k] {
				opens += nats
				lostOpen++
			}
			witnesses[k] = true
		}
	}
	need := float64(partNats)
	if whole {
		need = pathNats
		if hits >= 50 {
			says += expected * hits / firsts
		}
	}
	switch {
	case len(witnesses) == 1 && lostOpen > 0:
		return false // one listener whose queue is full is silent, and its host is not
	case f.end()-f.Begin < resetsWait+w.trip()+500*ms: // hosts limit their resets by the second
		return lostOpen >= 3 && opens >= almost*need
	}
	return lost >= 3 && says >= almost*need
}

// beside is when the last beacon that a fault does not concern was sent while it lasted, and was answered: what is lost
// behind that, in a second fault, may have been lost everywhere.
func (w *witness) beside(f *Fault) (last time.Duration) {
	for i := range w.all.Probes {
		p := &w.all.Probes[i]
		if p.At >= f.end() || w.within(f, p.Addr) {
			continue
		}
		for _, a := range w.answers[i] {
			if a.Fate == Handed {
				last = max(last, p.At)
			}
		}
	}
	return last
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
	h := runHistories(t, true)
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

func runHistories(t *testing.T, faults bool) *histories {
	first, count := uint64(1), 60
	switch {
	case *historyFlag != 0:
		first, count = *historyFlag, 1
	case *historiesFlag > 0:
		count = *historiesFlag
	case testing.Short():
		count = 12
	}
	h := &histories{kinds: map[results.EventKind]int{}}
	t.Run("seeds", func(t *testing.T) {
		workers := uint64(min(runtime.GOMAXPROCS(0), count))
		for w := range workers {
			t.Run(fmt.Sprint(w), func(t *testing.T) {
				t.Parallel()
				for seed := first + w; seed < first+uint64(count) && h.few(); seed += workers {
					h.history(t, seed, faults)
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
	synctest.Test(t, func(t *testing.T) {
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
