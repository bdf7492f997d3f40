package sim

import (
	"fmt"
	"math"
	"net/netip"
	"time"

	"synoptic/results"
)

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
			if w.within(f, p.Addr) && p.At+w.trip() >= f.Begin && p.At < f.end() && !w.evident(f, p.Addr) {
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

// evident tells whether there was evidence enough of a fault that concerns an address. What the host tells of its links and gateways is, once
// somebody has answered: until then nothing is kept that could be taken back. Of all else there is what beacons say that had been answered before, were lost in it, and were overdue before it was over; and
// where everything is concerned, the share of first tries that were answered before. Of a host or a net of which no
// position had answered, of one that answers no SYN twice, and of an outage that was over before enough was lost, nobody
// can know; nor where one host of a net alone had answered, of the others there.
func (w *witness) evident(f *Fault, addr netip.Addr) bool {
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
		says += hits * math.Log1p(expected/max(firsts, 1)) // the chance that all answers are to those before: engine.expected
	}
	hosts := map[netip.Addr]bool{}
	for k := range witnesses {
		hosts[k.Addr()] = true
	}
	switch {
	case len(hosts) == 1 && f.Kind == PrefixOut && !hosts[addr]:
		return false
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
