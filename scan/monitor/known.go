package monitor

import (
	"iter"
	"net/netip"
)

// Now is the latest time that the planner was told. A clock that begins behind it, after a restart, has to catch up: nothing is due before.
func (p *Planner) Now() int64 { return p.now }

// Begun is when the planner was made, a restored one's first ancestor: no endpoint was asked by it before. A Change whose NotBefore is not later
// shows an endpoint that was not asked before.
func (p *Planner) Begun() int64 { return p.started }

// Cycle is how many whole cycles over all endpoints were made.
func (p *Planner) Cycle() uint64 {
	n, _ := p.cycleDone()
	return n
}

// Rest is which networks windows do not let be asked, at the time that the planner was told last. It does not change.
type Rest struct {
	networks []netip.Prefix // the longest first; the last stands for all others
	shut     []bool
	all      bool
}

// Rest is that of now.
func (p *Planner) Rest() *Rest {
	r := &Rest{all: true}
	for _, z := range p.zones {
		r.networks, r.shut = append(r.networks, z.prefix), append(r.shut, !z.open)
		r.all = r.all && (!z.open || z.positions == 0)
	}
	return r
}

// All tells whether nothing may be asked.
func (r *Rest) All() bool { return r.all }

// Of tells so of an address.
func (r *Rest) Of(addr netip.Addr) bool {
	addr = addr.Unmap()
	for i, net := range r.networks[:len(r.networks)-1] {
		if net.Contains(addr) {
			return r.shut[i]
		}
	}
	return r.shut[len(r.shut)-1]
}

// SetAsked says when an endpoint that is tracked was asked last, as far as that is known.
func (p *Planner) SetAsked(ap netip.AddrPort, at int64) {
	if id := p.tracked(ap); id != 0 {
		p.table.at(id).asked = p.table.seconds(at)
	}
}

// IsOpen tells whether an endpoint is known to be open.
func (p *Planner) IsOpen(ap netip.AddrPort) bool {
	id := p.tracked(ap)
	return id != 0 && p.table.at(id).open()
}

// tracked is the number of an endpoint's entry, 0 if there is none.
func (p *Planner) tracked(ap netip.AddrPort) uint32 {
	index, ok := p.space.Index(ap.Addr(), ap.Port())
	if !ok {
		return 0
	}
	return p.table.find(index)
}

// Position is where an endpoint stands in the cycle; false where it is not in the space.
func (p *Planner) Position(ap netip.AddrPort) (uint64, bool) {
	index, ok := p.space.Index(ap.Addr(), ap.Port())
	if !ok {
		return 0, false
	}
	return p.order.Position(index), true
}

// Open yields the endpoints that are known to be open, in no order.
func (p *Planner) Open() iter.Seq[netip.AddrPort] {
	return func(yield func(netip.AddrPort) bool) {
		for _, id := range p.table.slots {
			if id == 0 {
				continue
			}
			if e := p.table.at(id); e.open() {
				if addr, port := p.space.At(e.index()); !yield(netip.AddrPortFrom(addr, port)) {
					return
				}
			}
		}
	}
}

// Shut takes back that an endpoint is known to be open: it is found anew when it answers.
func (p *Planner) Shut(ap netip.AddrPort) {
	id := p.tracked(ap)
	if id == 0 || !p.table.at(id).open() {
		return
	}
	index, addr := p.table.at(id).index(), ap.Addr().Unmap()
	if d, doubted := p.doubts[index]; doubted && d.reason == ReasonEnded {
		p.resolve(addr, index, &d)
	}
	net := network(addr)
	if p.openIn[net]--; p.openIn[net] == 0 {
		delete(p.openIn, net)
	}
	p.move(id, index, addr, ap.Port(), p.table.at(id).meta&^flagOpen, -1)
}

// Dark is a network, a /24 or a /64, much of which is silent at once.
type Dark struct {
	Host      netip.Addr // one of its silent hosts
	Hosts     int
	Endpoints int
}

// Dark yields those of the moment: of them nothing is confirmed as gone.
func (p *Planner) Dark() iter.Seq[Dark] {
	return func(yield func(Dark) bool) {
		for net, d := range p.dark {
			if !p.isDark(net) {
				continue
			}
			for host := range d.hosts {
				if !yield(Dark{host, len(d.hosts), d.endpoints}) {
					return
				}
				break
			}
		}
	}
}

// mostSiblings bounds how many endpoints of a host are asked because one of them is silent.
const mostSiblings = 64

// askSiblings has the other open endpoints of a host asked at once when one of them is silent: so a host that is down is known as that, and
// not port by port over the time in which each has its turn.
func (p *Planner) askSiblings(addr netip.Addr, but uint64) {
	left := mostSiblings
	ask := func(port uint16) {
		index, ok := p.space.Index(addr, port)
		if !ok || index == but || left == 0 {
			return
		}
		if id := p.table.find(index); id == 0 || !p.table.at(id).open() || p.busy(index) {
			return
		}
		if p.doubted(p.zoneOf(index), index, doubt{reason: ReasonRequested, due: p.now}) {
			left--
		}
	}
	for port := range p.Ports() {
		ask(port)
	}
}

// Ports yields the ports that are asked on any address.
func (p *Planner) Ports() iter.Seq[uint16] {
	return func(yield func(uint16) bool) {
		if _, ports := p.space.Product(); ports != nil {
			for port := range ports.All() {
				if !yield(port) {
					return
				}
			}
		}
		for port := range p.space.Pairs() {
			if !yield(port) {
				return
			}
		}
	}
}
