package beacon

import (
	"net/netip"
	"time"
)

const (
	// again is the least time between two probes to a beacon, awayAgain to one that is known to be lost.
	again, awayAgain = int64(250 * time.Millisecond), int64(time.Second)
	// round is how long it takes at most until every active beacon has had its turn.
	round = 2 * time.Second
	// fewestActive beacons take turns in any case.
	fewestActive = 16
)

// Next appends the beacons to be asked now to due, at a rate in probes per second. Those that have just lost a probe
// go first, with half of the rate, be it one in two calls: it is soon known whether they are lost for good. Those that
// have never answered as beacons have no such claim: they may never do.
func (s *Set) Next(due []Target, now int64, rate float64) []Target {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.debt = min(s.debt+rate*TickStep.Seconds(), max(1, rate*2*TickStep.Seconds()))
	n := int(s.debt)
	if n == 0 || len(s.members) == 0 {
		return due
	}
	first := len(due)
	for _, m := range s.members {
		if len(due)-first >= (n+s.odd)/2 {
			break
		}
		if m.lost > 0 && m.answers > 0 && s.ready(m, now) {
			due = s.take(due, m, now)
		}
	}
	s.odd = 1 - s.odd
	active := max(fewestActive, int(rate*round.Seconds()))
	if s.focus > 0 {
		active = s.focus
	}
	active = min(active, len(s.members))
	for range active {
		if len(due)-first >= n {
			break
		}
		s.turn++
		if m := s.turnOf(active); s.ready(m, now) {
			due = s.take(due, m, now)
		}
	}
	s.debt -= float64(len(due) - first)
	return due
}

// Focus says how many beacons take turns, the oldest first; 0: as many as the rate asks for.
func (s *Set) Focus(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.focus = n
}

// turnOf is the active beacon whose turn it is. One that has never answered as a beacon changes places with one that is
// not active, if there is any.
func (s *Set) turnOf(active int) *member {
	i := s.turn % active
	if rest := len(s.members) - active; rest > 0 && s.members[i].mute() {
		j := active + s.turn%rest
		s.members[i], s.members[j] = s.members[j], s.members[i]
	}
	return s.members[i]
}

func (s *Set) take(due []Target, m *member, now int64) []Target {
	m.turn = now
	s.hosts[m.Addr].asked = now
	return append(due, m.Target)
}

// ready tells whether a beacon may be asked. A host that has gone silent is not to be hammered: it may have us on a list.
func (s *Set) ready(m *member, now int64) bool {
	wait := again
	if m.away {
		wait = awayAgain
	}
	if (m.away || s.pausedAt.Load() != 0) && now-s.hosts[m.Addr].asked < awayAgain {
		return false
	}
	return !m.flying && now-max(m.turn, m.last) >= wait
}

// Unsent takes back the last Sent: the beacon has not left after all, or nobody waits for its answer any more.
func (s *Set) Unsent(t Target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.index[netip.AddrPortFrom(t.Addr, t.Port)]
	if m == nil || !m.flying {
		return // it is lost by now
	}
	m.flying = false
	s.paths[m.Path].Asked--
}
