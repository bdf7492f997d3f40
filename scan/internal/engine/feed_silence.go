package engine

import (
	"net/netip"
	"time"

	"synoptic/results"
	"synoptic/scan/beacon"
)

// What the silence of a feed's probes is worth: the sentinel tells it of outages, and of parts that stop answering.

// settled takes the answers that wait for the Asker, with those whose silence is trusted by a Unix time in ns.
func (f *feed) settled(now int64) []results.Port {
	wait := int64(f.phase.ev.rtts.Cooldown(f.phase.plan.Asked.Wait))
	trusted := f.phase.trusted().UnixNano()
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for ; n < len(f.order); n++ {
		o := f.order[n]
		s, ok := f.flights[o.to]
		if !ok || s.number != o.number {
			continue
		}
		if now-s.at < wait || s.at > trusted {
			break
		}
		if f.lost(o.to.Addr(), s.at) {
			f.lostOne(o.to)
			continue
		}
		delete(f.flights, o.to)
		f.phase.tally.count(0, results.NoResponse)
		f.answers = append(f.answers, results.Port{Time: now, Addr: o.to.Addr(), Port: o.to.Port(), Reason: results.NoResponse})
	}
	f.order = f.order[n:]
	f.forgetParts(now)
	answers := f.answers
	f.answers = nil
	return answers
}

// lost tells whether an address belongs to a part that was lost when it was asked.
func (f *feed) lost(addr netip.Addr, at int64) bool {
	for i := range f.parts {
		if p := &f.parts[i]; lostBetween(p, at, at) && p.Holds(addr, lookup(f.routes, addr)) {
			return true
		}
	}
	return false
}

// forgetParts forgets parts that answer again, once nothing that they had swallowed is under way.
func (f *feed) forgetParts(now int64) {
	kept := f.parts[:0]
	for _, p := range f.parts {
		if p.Until == 0 || now-p.Until < partsKept {
			kept = append(kept, p)
		}
	}
	f.parts = kept
}

// lostIf says of the probes under way of which it is true that they were not asked, and tells how many they are.
func (f *feed) lostIf(is func(netip.AddrPort, shot) bool) (n uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for to, s := range f.flights {
		if is(to, s) {
			f.lostOne(to)
			n++
		}
	}
	return n
}

// takeBack says that what was sent since a time has not travelled.
func (f *feed) takeBack(since time.Time) {
	f.phase.tally.again.Add(f.lostIf(func(_ netip.AddrPort, s shot) bool { return s.at > since.UnixNano() }))
}

// lose says that a part has stopped answering. That a host does is what whoever asks wants to know: it is no evidence that is lost.
func (f *feed) lose(p *beacon.Part) (unknown uint64) {
	if p.Scope == beacon.Host {
		return 0
	}
	f.mu.Lock()
	f.parts = append(f.parts, *p)
	f.mu.Unlock()
	return f.lostIf(func(to netip.AddrPort, s shot) bool {
		return lostBetween(p, s.at, s.at) && p.Holds(to.Addr(), lookup(f.routes, to.Addr()))
	})
}

// back says that a part answers again.
func (f *feed) back(p *beacon.Part) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.parts.back(p)
}

// rouse has nothing to do: what the gate puts off counts as not asked.
func (f *feed) rouse(func(netip.Addr) bool) {}

// reached tells how far it is done.
func (f *feed) reached() uint64 { return f.phase.tally.settled() }
