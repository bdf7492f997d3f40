package watch

import (
	"net/netip"
	"time"

	"synoptic/results"
)

// A Monitor is a scan.Asker: what the planner hands out is asked, and what came of it is told to the planner.

// Next is of scan.Asker.
func (m *Monitor) Next(now int64, to []netip.AddrPort) []netip.AddrPort {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopped || m.paused {
		return to
	}
	t := m.clock.at(time.Now())
	m.due = m.due[:0]
	for at := max(m.asked+step, t-catchUp); at < t; at += step {
		m.due = m.planner.Next(at, mostAtOnce, m.due)
	}
	m.due, m.asked = m.planner.Next(t, mostAtOnce, m.due), t
	for _, e := range m.due {
		to = append(to, e.Addr)
	}
	m.sent += uint64(len(m.due))
	return to
}

const (
	// mostAtOnce endpoints are handed out at a time.
	mostAtOnce = 1 << 14
	// The planner forfeits what is not taken within 10 ms. What a busy host is late with is made up for, as far as catchUp goes back: the pace
	// sees to it that no more leaves in a second for that.
	step, catchUp = int64(5 * time.Millisecond), int64(250 * time.Millisecond)
)

// Take is of scan.Asker.
func (m *Monitor) Take(answers []results.Port) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	at := m.clock.at(now)
	var loss float64
	for i := range answers {
		p := &answers[i]
		ap := netip.AddrPortFrom(p.Addr, p.Port)
		state := p.Reason.State()
		switch p.Reason {
		case results.EvidenceLost:
			state = results.Unknown
		case results.NoResponse, results.NoARP:
			state = 0
		}
		change, changed := m.planner.Result(ap, state, at)
		if position, ok := m.planner.Position(ap); ok && p.Reason != results.EvidenceLost {
			m.piece.asked.Add(position)
		}
		if changed {
			if loss == 0 {
				loss = m.loss()
			}
			fresh := change.After == results.Open && change.NotBefore <= m.planner.Begun()
			m.hold(now, Turned{Change: change, Reason: p.Reason, Fresh: fresh, Loss: loss, Port: *p})
		}
	}
}

// loss is the share of beacons without an answer, or a bit more where few were sent: at least one in three hundred.
func (m *Monitor) loss() float64 {
	e := m.feed.Status().Evidence
	return (float64(e.Asked-min(e.Answered, e.Asked)) + 1) / (float64(e.Asked) + 300)
}
