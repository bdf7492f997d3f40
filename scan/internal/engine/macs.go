package engine

import (
	"net/netip"

	"synoptic/rawsock/route"
	"synoptic/results"
)

// onLinkMACs are the MAC addresses of targets on the scanner's own links, as their probes have them.
type onLinkMACs struct {
	routes *route.Plan
	tables []*route.Table // by path; nil where its targets are behind a gateway, or the link has no MAC addresses to tell
}

// onLinkMACs are nil where there are none. Call it when next hops are resolved.
func (s *Session) onLinkMACs() *onLinkMACs {
	m := &onLinkMACs{routes: s.plan.Routes, tables: make([]*route.Table, len(s.hops))}
	found := false
	for i, h := range s.hops {
		if !h.now.Load().path.Link.NoARP { // else every one is said to have our own
			m.tables[i] = h.neighbours
		}
		found = found || m.tables[i] != nil
	}
	if !found {
		return nil
	}
	return m
}

func (m *onLinkMACs) of(addr netip.Addr) results.MAC {
	path := m.routes.Lookup(addr)
	if path < 0 || m.tables[path] == nil {
		return results.MAC{}
	}
	mac, _ := m.tables[path].MAC(addr)
	return mac
}
