package sim

import (
	"net/netip"
	"slices"
	"time"

	"synoptic/results"
)

// Beacons are positions that have answered, asked again from a source port of their own. They are no probes of the
// scan: what it sends, counts and reports is held against the log without them, and they against rules of their own.

// split takes the beacons out of a log. What is left is what the scan asked; damaged answers prove nothing, whatever
// they answer, and stay.
func (m *model) split(l *Log) {
	m.log, m.all = &Log{Unresolved: l.Unresolved, Malformed: l.Malformed}, l
	kept := make([]int, len(l.Probes))
	for i := range l.Probes {
		p := &l.Probes[i]
		if p.SourcePort == m.BeaconPort {
			kept[i] = -1
			continue
		}
		kept[i] = len(m.log.Probes)
		m.log.Probes = append(m.log.Probes, *p)
	}
	main, turns := l.main(m), make([]int, 0, len(l.Answers))
	for i := range l.Answers {
		a := l.Answers[i]
		if a.SourcePort == m.BeaconPort && a.Reason != results.ReasonNone {
			if a.Fate == Dropped && (!m.Canaries || a.Arrives > main) {
				m.drops++ // they are counted with the others
			}
			continue
		}
		if a.Probe >= 0 && a.Probe < len(kept) {
			if a.Probe = kept[a.Probe]; a.Reason != results.ReasonNone {
				a.Probe = max(a.Probe, 0) // of a log that somebody has changed
			}
		}
		if a.Fate == Handed {
			turns = append(turns, a.Turn)
		}
		m.log.Answers = append(m.log.Answers, a)
	}
	slices.Sort(turns)
	for i := range m.log.Answers {
		if a := &m.log.Answers[i]; a.Fate == Handed {
			a.Turn, _ = slices.BinarySearch(turns, a.Turn)
		}
	}
}

// main is when the first probe of the scan proper was handed over.
func (l *Log) main(m *model) time.Duration {
	main := never
	for i := range l.Probes {
		if p := &l.Probes[i]; p.SourcePort != m.BeaconPort && slices.Contains(m.Ports, p.Port) {
			main = min(main, p.Begun)
		}
	}
	return main
}

// The promises about beacons: each at most four times a second; of the rate a hundredth, or 50 a second where that is
// more, in the first two seconds of a phase twice as much; never more than a tenth of the rate, or 2,000 a second.
// Where the rate is tiny, or nothing else is to be sent, up to four a second, and 20 in an outage, as far as the rate
// allows. What was not sent in time is remembered for two ticks of 10 ms, and a tick that came late may come again at once.
const (
	beaconGap    = 250 * time.Millisecond
	beaconTick   = 10 * time.Millisecond
	beaconsStart = 2 * time.Second
	beaconMemory = 40 * time.Millisecond
	pauseBeacons = 20
	leastBeacons = 4
)

// spread is how much later than it is due a beacon may leave: where the rate is automatic, they go among the probes of a tick.
func (m *model) spread() time.Duration {
	if m.Slowest > 0 {
		return beaconTick
	}
	return 0
}

// beaconRate is how many beacons may leave a second.
func (m *model) beaconRate(start bool) float64 {
	if m.Slowest > 0 {
		return min(m.Rate/2, 2000) // while it is measured
	}
	share, floor := 0.01, 50.0
	if start {
		share, floor = 0.02, 100
	}
	r := min(max(share*m.Rate, floor), m.Rate/10, 2000)
	return max(r, min(leastBeacons, m.Rate), min(pauseBeacons, m.Rate/10))
}

// checkBeacons: who is asked again has answered, not too often, and what is said of it is what was sent.
func (m *model) checkBeacons() {
	heard := map[netip.AddrPort]time.Duration{}
	var answers uint64 // to one probe several may come, and all to a beacon are the same
	for i := range m.all.Answers {
		a := &m.all.Answers[i]
		if a.Fate != Handed || a.Reason != results.SYNACK && a.Reason != results.RST {
			continue
		}
		if a.SourcePort == m.BeaconPort {
			answers++
			continue
		}
		k := netip.AddrPortFrom(a.Addr, a.Port)
		if at, ok := heard[k]; !ok || a.Handed < at {
			heard[k] = a.Handed
		}
	}
	last := map[netip.AddrPort]time.Duration{}
	var asked uint64
	var always, steady []time.Duration
	for i := range m.all.Probes {
		p := &m.all.Probes[i]
		if p.SourcePort != m.BeaconPort {
			continue
		}
		k := netip.AddrPortFrom(p.Addr, p.Port)
		if at, ok := heard[k]; !ok || at > p.At {
			m.wrong("beacon %v was asked at %v, and had answered: %v, %v", k, p.At, ok, at)
		}
		if at, ok := last[k]; ok && p.At-at < beaconGap-m.stalls()-m.spread() {
			m.wrong("beacon %v was asked %v after the time before, want %v", k, p.At-at, beaconGap)
		}
		if p.Fate != Refused { // else nobody has seen it
			last[k] = p.At
			asked++
		}
		if always = append(always, p.At); p.At > m.main+beaconsStart {
			steady = append(steady, p.At)
		}
	}
	m.checkBucket("beacons", always, m.beaconRate(true), 2+m.beaconRate(true)*beaconMemory.Seconds())
	m.checkBucket("beacons", steady, m.beaconRate(false), 2+m.beaconRate(true)*beaconMemory.Seconds())
	e := m.end.Evidence
	if e == nil {
		m.wrong("scan_end: no evidence")
		return
	}
	if e.Asked != asked || e.Answered > answers {
		m.wrong("scan_end: %d beacons asked, %d answered; %d were, and %d answers came", e.Asked, e.Answered, asked, answers)
	}
}

// checkBucket: no interval, however chosen, holds more than a rate and a bucket allow.
func (m *model) checkBucket(what string, times []time.Duration, rate, bucket float64) {
	var before, lowest float64
	slices.Sort(times)
	for _, at := range times {
		lowest = min(lowest, before-rate*at.Seconds())
		before++
		if over := before - rate*at.Seconds() - lowest - bucket; over > 1e-6 {
			m.wrong("%.3g %s too many up to %v, at %v pps", over, what, at, m.Rate)
			return
		}
	}
}
