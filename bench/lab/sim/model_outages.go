package sim

import (
	"time"

	"synoptic/results"
)

// outage is one that the scan has told of.
type outage struct {
	since time.Duration // the newest probe that was answered before it was sent then
	begun time.Duration // it was noticed
	end   time.Duration // it was over; never: it was not
	good  time.Duration // when the newest probe was sent, until it was noticed, whose answer had come by its end
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
		case e.Kind == results.EventLost && e.Scope != results.ScopePrefix && e.Scope != results.ScopeHost && m.under():
			m.outages[len(m.outages)-1].cut, m.cut = true, true
		case e.Kind == results.EventLost:
			m.parts++
		case e.Kind == results.EventResumed && m.under() && m.outages[len(m.outages)-1].end == never && !e.Prefix.IsValid():
			m.outages[len(m.outages)-1].end = at(e.Time)
		}
	}
	if m.end.Evidence != nil {
		m.unknown = m.end.Evidence.Unknown
	}
	for i := range m.outages {
		o := &m.outages[i]
		for j := range m.all.Answers {
			a := &m.all.Answers[j]
			if a.Fate != Handed || a.Probe < 0 || a.Probe >= len(m.all.Probes) || a.Handed > o.end {
				continue
			}
			if p := &m.all.Probes[a.Probe]; p.At <= o.begun {
				o.good = max(o.good, p.At)
			}
		}
	}
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
// outage was noticed that is over.
func (m *model) void(p *Probe) bool {
	for i := range m.outages {
		if o := &m.outages[i]; o.end != never && o.good > 0 && p.At > o.good+tripSlack && p.At <= o.begun {
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
