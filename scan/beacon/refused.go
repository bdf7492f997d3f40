package beacon

import (
	"net/netip"
	"time"
)

// Refused takes in an ICMP error, received at a Unix time in ns, by which somebody on the way forbids a beacon. It says nothing of the target,
// but nothing against the way to it either: the beacon was not lost, and for Totals it was not asked.
func (s *Set) Refused(addr netip.Addr, port uint16, now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.index[netip.AddrPortFrom(addr, port)]
	if m == nil || m.last == 0 || m.good == m.last || m.refused == m.last {
		return // never asked, answered all the same, or a duplicate
	}
	if m.early(time.Duration(max(now-m.last, 0))) {
		return // rather to the one before, which was given up
	}
	s.record(m, Outcome{Refused: true, Late: !m.flying})
	s.overdue(m)
	m.flying, m.refused = false, m.last
	s.forbidden++
}

// overdue takes back that a beacon was lost about which something is heard now.
func (s *Set) overdue(m *member) {
	if m.flying || m.lost == 0 || m.refused == m.last {
		return
	}
	m.lost--
	s.lost--
	for i := range s.pending {
		if s.pending[i].sent == m.last {
			s.pending[i].weight = 0
		}
	}
}
