package sim

import (
	"cmp"
	"fmt"
	"net/netip"
	"time"

	"synoptic/results"
)

// The engine's promises about what it sends. The gap shrinks on a network known to be fast, which takes so
// many round trips, and never below the floor: losses come in bursts.
const (
	gapFloor   = 250 * time.Millisecond
	fastAfter  = 100
	firstPorts = 16 // source ports, one per attempt
)

// checkSent: every position is tried once, a silent one as often as promised, none too soon or once its answer
// is known, and the attempt is in the source port.
func (m *model) checkSent() {
	m.checkHeld()
	addrs := map[netip.Addr]bool{}
	for _, a := range m.Addrs {
		addrs[a] = true
	}
	var base uint16
	var spared uint64
	for k, p := range m.places {
		if p.spared {
			if len(p.tries) > 0 {
				m.wrong("%v has no link address and was probed", k)
			}
			spared++
			continue
		}
		if !addrs[k.Addr()] || !m.ports[k.Port()] {
			m.wrong("%v is no target", k)
			continue
		}
		if len(p.tries) > 0 && base == 0 {
			base = m.log.Probes[p.tries[0]].SourcePort
		}
		m.checkTries(k, p, base)
	}
	tried, want := uint64(len(m.places)), m.Positions-m.never
	if want -= m.untried(); m.complete() && tried < want && m.whole() || spared == 0 && (tried > want || m.complete() && tried != want) {
		m.wrong("%d positions were tried, of %d", tried, want)
	}
}

func (m *model) checkTries(k netip.AddrPort, p *place, base uint16) {
	slack, asked := m.stalls()+time.Millisecond, map[uint16]bool{}
	for i, t := range p.tries {
		probe := &m.log.Probes[t]
		most := base
		if i > 0 {
			most = m.log.Probes[p.tries[i-1]].SourcePort + 1
		}
		var from time.Duration // what the gate has parked, or a driver held up, is asked anew although it left behind the outage
		if i > 0 && m.Held == nil {
			from = m.log.Probes[p.tries[i-1]].Begun - m.stalls()
		}
		again := i > 0 && (m.takenBack(from, probe.At) || m.anew(p, i))
		if probe.SourcePort != most && (!again || probe.SourcePort > most || probe.SourcePort < base) {
			m.wrong("%v: try %d from port %d, want %d: %s", k, i+1, probe.SourcePort, most, m.history(p))
		}
		if !m.void(probe) {
			asked[probe.SourcePort-base] = true
		}
		if i == 0 {
			continue
		}
		if m.log.Probes[p.tries[0]].Fate == Refused {
			m.wrong("%v: tried again, and its first probe was refused", k)
		}
		if since, gap := probe.At-m.log.Probes[p.tries[i-1]].At, m.gap(probe.At); since < gap && !again {
			m.wrong("%v: try %d came %v after the one before, want %v", k, i+1, since, gap)
		}
		if p.state != 0 && probe.At > p.told+slack {
			m.wrong("%v: try %d came %v after the engine had read that it is %v", k, i+1, probe.At-p.told, p.state)
		}
	}
	switch n := len(p.tries); {
	case n > 0 && m.log.Probes[p.tries[n-1]].SourcePort-base >= uint16(m.Attempts):
		m.wrong("%v: attempt %d, at most %d were asked for", k, m.log.Probes[p.tries[n-1]].SourcePort-base+1, m.Attempts)
	case m.Recall == 0 && m.complete() && m.unknown == 0 && !m.gaveUp && p.state == 0 && m.accepted(p) && len(asked) != m.Attempts:
		m.wrong("%v: silent after %d attempts, %d were asked for: %s", k, len(asked), m.Attempts, m.history(p))
	}
}

// anew tells whether a try may be one of a pass that is made anew, as the one before met an overload: once, with the same number, and
// only where the rate is automatic.
func (m *model) anew(p *place, try int) bool {
	same := func(i int) bool {
		return i > 0 && m.log.Probes[p.tries[i]].SourcePort == m.log.Probes[p.tries[i-1]].SourcePort
	}
	at := func(i int) time.Duration { return m.log.Probes[p.tries[i]].At }
	return m.Slowest > 0 && same(try) && (!same(try-1) || m.takenBack(at(try-2), at(try-1)))
}

// slowest is the rate that the scan keeps at least, where it has enough to send.
func (m *model) slowest() float64 { return cmp.Or(m.Slowest, m.Rate) }

// gap is the least time between two tries at a position, of which the later comes at a moment. Once something
// was lost it is what was asked for again, but for passes that have begun.
func (m *model) gap(at time.Duration) time.Duration {
	// Lanes that have a pass each share the rate.
	pass := time.Duration(m.Lanes)*max(2*chunkTime, time.Duration(2*chunkLeast/m.slowest()*float64(time.Second))) + m.stalls()
	if at < m.fast || at > m.lossy+pass {
		return m.RetryGap
	}
	return min(m.RetryGap, gapFloor)
}

// A pass is over a chunk of so much sending, or so many positions.
const (
	chunkTime  = 40 * time.Millisecond // less than the next power of two of 20 ms' worth
	chunkLeast = 32
)

// The limiter's bounds: what it remembers of credit.
const (
	sustained  = 100 * time.Millisecond
	peakFactor = 1.25
	peak       = 2 * time.Millisecond
)

// checkPace: no interval, however chosen, holds more packets than the rate allows. Beacons do not wait for their
// tokens, others do for those that they have spent: so there may be as many more as beacons leave in a tick.
func (m *model) checkPace() {
	var held float64 // granted, and not sent yet: only where a call takes time
	if m.stalls() > 0 {
		held = float64(m.Lanes * m.Batch)
	}
	times := make([]time.Duration, len(m.all.Probes))
	for i := range m.all.Probes {
		times[i] = m.all.Probes[i].At
	}
	burst := 2 + m.beaconRate(true)*beaconMemory.Seconds()
	m.checkBucket("packets", times, m.Rate, 1+m.Rate*sustained.Seconds()+held+burst)
	m.checkBucket("packets", times, m.Rate*peakFactor, 1+m.Rate*peak.Seconds()+held+burst)
}

// history is a position's tries, for people.
func (m *model) history(p *place) string {
	var all []string
	for _, t := range p.tries {
		probe := &m.log.Probes[t]
		all = append(all, fmt.Sprintf("%v from %d %v", probe.At, probe.SourcePort, probe.Fate))
	}
	return fmt.Sprint(all, m.outages)
}

// whole tells that the scan is not a shard of one.
func (m *model) whole() bool { return m.Positions == uint64(len(m.Addrs)*len(m.Ports)) }

// silent is how many positions have not answered, of those whose silence says something.
func (m *model) silent() (n uint64) {
	for _, p := range m.places {
		if p.state == 0 && m.accepted(p) {
			n++
		}
	}
	return n
}

// settled is how many positions the scan can say something about.
func (m *model) settled() (n, spared uint64) {
	for _, p := range m.places {
		switch {
		case p.spared && m.reportedSpared():
			n++
			spared++
		case m.accepted(p), p.state != 0:
			n++
		}
	}
	return n, spared
}

// reportedSpared tells whether the model knows which of the positions without a link address the scan has come to.
func (m *model) reportedSpared() bool { return m.complete() }

// best is how many positions have each state as their best.
func (m *model) best() map[results.State]uint64 {
	all := map[results.State]uint64{}
	for _, p := range m.places {
		all[p.state.Best()]++
	}
	return all
}

// oneMore is how many tries passes that are made anew add to a position's at most.
func (m *model) oneMore() int {
	if m.Slowest > 0 {
		return 1
	}
	return 0
}
