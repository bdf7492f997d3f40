package monitor

import (
	"net/netip"
)

// Track tells what is known of an endpoint, asked being when it was asked last; 0 counts as now. What is known of it already stays: an
// open endpoint may be required, too. False: the endpoint is not in the space, or there are too many predicted ones.
func (p *Planner) Track(ap netip.AddrPort, as Standing, asked int64) bool {
	index, ok := p.space.Index(ap.Addr(), ap.Port())
	if !ok {
		return false
	}
	if asked == 0 {
		asked = p.now
	}
	addr := ap.Addr().Unmap()
	id := p.table.find(index)
	switch {
	case as == Likely && id != 0:
		p.table.at(id).setTurn(p.turn)
		return true
	case as == Likely && p.predicted >= p.config.Predicted:
		return false
	case as == Likely:
		p.add(index, addr, ap.Port(), 0, asked)
		return true
	}
	flag := uint64(flagOpen)
	if as == Required {
		flag = flagNeeded
	}
	if id != 0 && p.table.at(id).meta&flag != 0 {
		return true
	}
	if as == KnownOpen {
		p.openIn[network(addr)]++
	}
	if id == 0 {
		p.add(index, addr, ap.Port(), flag, asked)
		return true
	}
	p.move(id, index, addr, ap.Port(), p.table.at(id).meta|flag, -1)
	return true
}

// Release takes back that an endpoint is required.
func (p *Planner) Release(ap netip.AddrPort) {
	if index, ok := p.space.Index(ap.Addr(), ap.Port()); ok {
		if id := p.table.find(index); id != 0 && p.table.at(id).meta&flagNeeded != 0 {
			p.move(id, index, ap.Addr().Unmap(), ap.Port(), p.table.at(id).meta&^flagNeeded, -1)
		}
	}
}

// Request has an endpoint asked before all others, as soon as its network may be. False: it is not in the space, or too many are waiting.
func (p *Planner) Request(ap netip.AddrPort, now int64) bool {
	p.advance(now)
	index, ok := p.space.Index(ap.Addr(), ap.Port())
	if !ok {
		return false
	}
	d, waits := p.doubts[index]
	switch {
	case p.inFlight(index):
		return true
	case waits && d.reason != ReasonUnknown && d.tries > 0: // its last probe counts as not asked
		d.due = p.now
		return p.doubted(p.zoneOf(index), index, d)
	case waits && d.reason != ReasonUnknown:
		return true
	}
	return p.doubted(p.zoneOf(index), index, doubt{reason: ReasonRequested, due: p.now})
}

func (p *Planner) inFlight(index uint64) bool {
	_, flying := p.flights[index]
	return flying
}

// raisedLevel is that of an endpoint that something was noticed about: a change an hour.
var raisedLevel = levelOf(1.0 / 3600)

// Signal tells that something was noticed about an endpoint which makes a change likely: a new neighbour, a listener, an
// edited policy. It is asked at once, and often from then on; each time that nothing has changed its λ falls by the half, until it is that of
// its class. False as for Request.
func (p *Planner) Signal(ap netip.AddrPort, now int64) bool {
	if !p.Request(ap, now) {
		return false
	}
	index, _ := p.space.Index(ap.Addr(), ap.Port())
	if id := p.table.find(index); id != 0 {
		p.move(id, index, ap.Addr().Unmap(), ap.Port(), p.table.at(id).meta|flagRaised, raisedLevel)
	} else if p.predicted < p.config.Predicted {
		p.add(index, ap.Addr().Unmap(), ap.Port(), flagRaised, p.askedInCycle(index))
	}
	return true
}

// askedInCycle is when the cycle asked an index last.
func (p *Planner) askedInCycle(index uint64) int64 {
	return p.zoneOf(index).cycle.passed(p.order.Position(index), p.n)
}

// add begins to track an endpoint.
func (p *Planner) add(index uint64, addr netip.Addr, port uint16, flags uint64, asked int64) {
	id := p.table.alloc()
	e := p.table.at(id)
	*e = entry{meta: index | flags | flagFresh, asked: p.table.seconds(asked)}
	e.setTurn(p.turn)
	p.table.put(id)
	z := p.zoneOfAddr(addr)
	z.tracked++
	z.fresh++
	if !e.first() {
		p.predicted++
	}
	level := p.classLevel(e, addr, port)
	if flags&flagRaised != 0 {
		level = raisedLevel
	}
	p.enqueue(id, addr, level)
}

// move gives an endpoint another state, and its place at the end of another queue: a new entry, for the old one is in the midst of its own
// and stays there until its turn. Level -1 is that of its class.
func (p *Planner) move(id uint32, index uint64, addr netip.Addr, port uint16, meta uint64, level int) {
	old := p.table.at(id)
	was := old.first()
	asked := old.asked
	p.table.drop(index)
	old.meta |= flagDead
	id = p.table.alloc()
	e := p.table.at(id)
	*e = entry{meta: meta, asked: asked}
	p.table.put(id)
	switch {
	case was && !e.first():
		p.predicted++
	case !was && e.first():
		p.predicted--
	}
	if level < 0 {
		level = p.classLevel(e, addr, port)
	}
	p.enqueue(id, addr, level)
}

// untrack leaves an endpoint to the cycle. Its entry must be in no queue.
func (p *Planner) untrack(z *zone, id uint32, index uint64) {
	if p.table.at(id).meta&flagFresh != 0 {
		z.fresh--
	}
	p.table.drop(index)
	p.table.release(id)
	z.tracked--
	p.predicted--
}

func (p *Planner) enqueue(id uint32, addr netip.Addr, level int) {
	e := p.table.at(id)
	e.setLevel(level)
	t := 1
	if e.first() {
		t = 0
	}
	p.zoneOfAddr(addr).tiers[t][level].push(&p.table, id)
}

// classLevel is the level of what is known of an endpoint's class.
func (p *Planner) classLevel(e *entry, addr netip.Addr, port uint16) int {
	s := standsPredicted
	if e.open() {
		s = standsOpen
	}
	return levelOf(p.learn.lambda(network(addr), port, s))
}
