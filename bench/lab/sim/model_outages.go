package sim

import (
	"net/netip"
	"strings"
	"time"

	"synoptic/results"
)

// outage is one that the scan has told of.
type outage struct {
	since time.Duration // the newest probe that was answered before it was sent then
	begun time.Duration // it was noticed
	end   time.Duration // it was over; never: it was not
	good  time.Duration // when the newest probe was sent, until it was noticed, whose answer had come by its end
	known time.Duration // answers had come, and those to beacons among them; never: not before it was noticed
	cut   bool          // it ended the scan
}

// listen goes through what the scan told of its evidence.
func (m *model) listen() {
	at := func(t int64) time.Duration { return time.Unix(0, t).Sub(m.records.Begun) }
	for i := range m.records.Told {
		e := &m.records.Told[i]
		switch {
		case e.Kind == results.EventOutage:
			m.outages = append(m.outages, outage{since: at(e.Begin), begun: at(e.Time), end: never})
		case e.Kind == results.EventLost && m.under() && strings.HasPrefix(e.Message, "evidence did not come back"):
			m.outages[len(m.outages)-1].cut, m.cut = true, true
		case e.Kind == results.EventLost:
			m.parts++
		case e.Kind == results.EventResumed && m.under() && m.outages[len(m.outages)-1].end == never && strings.HasPrefix(e.Message, "answers come again"):
			m.outages[len(m.outages)-1].end = at(e.End) // it is told when it is known what came of it
		}
	}
	if m.end.Evidence != nil {
		m.unknown = m.end.Evidence.Unknown
	}
	for i := range m.outages {
		o := &m.outages[i]
		o.good, o.known = m.newest(o.begun, o.end), m.proven(o.begun)
	}
}

// newest is when the newest probe before a moment was sent that had been answered by another, as far as a scanner can
// know. All beacons to a target are the same SYN, and so are their answers: one that comes late, or again, as from a host
// that has not heard of our reset, cannot be told from that to the beacon last sent.
func (m *model) newest(before, by time.Duration) (good time.Duration) {
	last := map[netip.AddrPort][]time.Duration{}
	for i := range m.all.Probes {
		if p := &m.all.Probes[i]; p.SourcePort == m.BeaconPort {
			k := netip.AddrPortFrom(p.Addr, p.Port)
			last[k] = append(last[k], p.At)
		}
	}
	for i := range m.all.Answers {
		a := &m.all.Answers[i]
		if a.Fate != Handed || a.Probe < 0 || a.Probe >= len(m.all.Probes) || a.Handed > by {
			continue
		}
		if at := m.all.Probes[a.Probe].At; at <= before {
			good = max(good, at)
		}
		for _, at := range last[netip.AddrPortFrom(a.Addr, a.Port)] {
			if a.SourcePort == m.BeaconPort && at <= before && at < a.Handed {
				good = max(good, at)
			}
		}
	}
	return good
}

// proven is when the first answer was handed over, where beacons were answered before a moment; else never.
func (m *model) proven(before time.Duration) time.Duration {
	first, beacons := never, false
	for i := range m.all.Answers {
		a := &m.all.Answers[i]
		if a.Fate != Handed || a.Handed > before || a.Reason != results.SYNACK && a.Reason != results.RST {
			continue
		}
		first = min(first, a.Handed)
		beacons = beacons || a.SourcePort == m.BeaconPort
	}
	if !beacons {
		return never
	}
	return first
}

// under tells whether an outage was told of, and not its end.
func (m *model) under() bool { return len(m.outages) > 0 && m.outages[len(m.outages)-1].end == never }

// takenBack tells whether an outage has ended between two moments: what was sent before may be sent again.
func (m *model) takenBack(from, to time.Duration) bool {
	for i := range m.outages {
		if o := &m.outages[i]; o.end != never && o.end >= from && o.end <= to {
			return true
		}
	}
	return false
}

// void tells whether a try must have been taken back: it was sent behind the newest probe that was answered, before an
// outage was noticed that is over. As long as nobody has answered, a chunk is done with when its last pass is sent: there is
// no evidence to wait for.
func (m *model) void(p *Probe) bool {
	for i := range m.outages {
		if o := &m.outages[i]; o.end != never && p.At > max(o.good, o.since, o.known)+tripSlack && p.At <= o.begun {
			return true
		}
	}
	return false
}

// paused is for how long all outages lasted.
func (m *model) paused() (d time.Duration) {
	for i := range m.outages {
		o := &m.outages[i]
		d += min(o.end, m.Ended) - o.begun
	}
	return d
}
