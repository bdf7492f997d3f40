package exposure

import (
	"iter"
	"net/netip"
	"slices"

	"synoptic/results"
)

// Records is a View of the port records of scans. What has no record is not known: most scans write none for a silent port. Its zero value is empty.
type Records struct {
	ports map[netip.AddrPort]sight
	addrs map[netip.Addr]bool // those that have any record
}

type sight struct {
	state  results.State
	time   int64
	scanID string
}

// Add takes a record. Of several scans the one that saw the endpoint last counts.
func (r *Records) Add(scanID string, p *results.Port) {
	if r.ports == nil {
		r.ports, r.addrs = map[netip.AddrPort]sight{}, map[netip.Addr]bool{}
	}
	addr := p.Addr.Unmap().WithZone("")
	ep := netip.AddrPortFrom(addr, p.Port)
	next := sight{p.Reason.State(), p.Time, scanID}
	switch before, known := r.ports[ep]; {
	case known && before.scanID == scanID:
		next.state |= before.state
	case known && before.time > next.time:
		return
	}
	r.ports[ep], r.addrs[addr] = next, true
}

// Seen implements View.
func (r *Records) Seen(ep netip.AddrPort) (state results.State, known bool) {
	if s, ok := r.ports[ep]; ok && s.state.Best() != 0 {
		return s.state, true
	}
	if r.addrs[ep.Addr()] {
		return results.Unknown, false
	}
	return 0, false
}

// Open implements View, by address and port.
func (r *Records) Open() iter.Seq[Sight] {
	var all []Sight
	for ep, s := range r.ports {
		if s.state.Best() == results.Open {
			all = append(all, Sight{ep, s.time, s.scanID})
		}
	}
	slices.SortFunc(all, func(a, b Sight) int { return a.Compare(b.AddrPort) })
	return slices.Values(all)
}
