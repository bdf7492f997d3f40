package beacon

import (
	"net/netip"
	"slices"
)

// Remove forgets the beacons whose addresses are gone: they are not asked any more, those that somebody chose neither, and say
// nothing of what is left. Who calls it keeps them from being offered again.
func (s *Set) Remove(gone func(netip.Addr) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, proven := len(s.members), false
	s.members = slices.DeleteFunc(s.members, func(m *member) bool {
		if !gone(m.Addr) {
			proven = proven || m.answers > 0
			return false
		}
		s.drop(m)
		return true
	})
	if len(s.members) == before {
		return
	}
	s.proven = proven // by those that are left
	s.full.Store(false)
	s.sated.Store(false)
	s.pending = s.pending[:0] // some of it they have lost
	s.offered, s.unheard = s.awake, 0
	s.parts = slices.DeleteFunc(s.parts, func(p *Part) bool { return p.Scope == Host && gone(p.Prefix.Addr()) })
	s.mark()
}

// drop takes a member out of all that is kept of it but the list.
func (s *Set) drop(m *member) {
	delete(s.index, netip.AddrPortFrom(m.Addr, m.Port))
	if s.hosts[m.Addr].beacons--; s.hosts[m.Addr].beacons == 0 {
		delete(s.hosts, m.Addr)
	}
	if m.open {
		s.opens--
	}
	if m.flying {
		s.paths[m.Path].Asked-- // nobody waits for its answer
	}
}
