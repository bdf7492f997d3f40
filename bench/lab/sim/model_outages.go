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
	path  string        // the one that it is about, while others go on; "": all
	lost  bool          // that path was given up
}

// listen goes through what the scan told of its evidence.
func (m *model) listen() {
	at := func(t int64) time.Duration { return time.Unix(0, t).Sub(m.records.Begun) }
	for i := range m.records.Told {
		e := &m.records.Told[i]
		path, on := "", strings.Contains(e.Message, "the rest goes on")
		resumes := e.Kind == results.EventResumed && strings.HasPrefix(e.Message, "answers arrive again")
		if on || resumes && !strings.HasPrefix(e.Message, "answers arrive again:") {
			path = e.Iface + " " + e.NextHop.String()
			m.left = true
		}
		o := m.under(path)
		switch {
		case e.Kind == results.EventOutage:
			m.outages = append(m.outages, outage{since: at(e.Begin), begun: at(e.Time), end: never, path: path})
		case e.Kind == results.EventLost && o != nil && (strings.HasPrefix(e.Message, "evidence did not come back") || inVain(e)):
			if path != "" {
				o.lost, m.parts, m.gaveUp = true, m.parts+1, true
				continue
			}
			o.cut, m.cut = true, true
			if inVain(e) && len(m.outages) <= mostVain {
				m.wrong("the scan gave up after %d outages", len(m.outages))
			}
		case e.Kind == results.EventLost:
			m.parts++
		case e.Kind == results.EventLimited && m.Slowest > 0:
			m.slowed = min(m.slowed, at(e.Time))
		case resumes && o != nil && !o.lost:
			o.end = at(e.End) // it is told when it is known what came of it
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

// mostVain outages that follow one another without anything new are waited out.
const mostVain = 10

// inVain tells of an event whether it ends a scan because one outage has followed another without anything new.
func inVain(e *results.Event) bool {
	return strings.Contains(e.Message, " outages followed one another")
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

// under is the outage of a path, or of all, that was told of, and not its end; nil where there is none.
func (m *model) under(path string) *outage {
	for i := len(m.outages) - 1; i >= 0; i-- {
		if o := &m.outages[i]; o.path == path {
			if o.end == never {
				return o
			}
			return nil
		}
	}
	return nil
}

// untried is how many positions were not tried at all, for their path was given up.
func (m *model) untried() uint64 {
	tried := uint64(len(m.places)) + m.never
	if !m.gaveUp && (!m.left || m.complete()) || !m.whole() || tried > m.Positions {
		return 0
	}
	return m.Positions - tried
}

// doubted is how many of the positions that were tried the scan says nothing about.
func (m *model) doubted() uint64 { return m.unknown - min(m.unknown, m.untried()) }

// takenBack tells whether an outage has ended between two moments, or first contacts were too many by then: what was sent before may be
// sent again.
func (m *model) takenBack(from, to time.Duration) bool {
	if to >= m.slowed {
		return true
	}
	for i := range m.outages {
		if o := &m.outages[i]; o.end != never && o.end >= from && o.end <= to {
			return true
		}
	}
	return false
}

// void tells whether a try must have been taken back: it was sent behind the newest probe that was answered, before an
// outage was noticed that is over. As long as nobody has answered, a chunk is done with when its last pass is sent: there is
// no evidence to wait for. Of what was sent in the very instant in which it was noticed nobody can say which came first: a
// driver lets go of a batch, and the scan's clock goes on, at one moment.
func (m *model) void(p *Probe) bool {
	for i := range m.outages {
		if o := &m.outages[i]; o.end != never && p.At > max(o.good, o.since, o.known)+tripSlack && p.At < o.begun {
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
