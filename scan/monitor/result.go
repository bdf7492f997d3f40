package monitor

import (
	"net/netip"

	"synoptic/results"
)

// Change is a difference that is confirmed.
type Change struct {
	Addr      netip.AddrPort
	Before    results.State // Open or 0
	After     results.State // Open; of what was open: Closed (a RST says so), Filtered (an ICMP error), or 0 (silence)
	NotBefore int64         // when the endpoint was asked last and answered as before
	NotAfter  int64         // when the difference was seen first
	Confirmed int64
	Asked     int  // answers, or silences, that it rests on
	Tier      Tier // for which it was asked when the difference was seen first
}

// Result takes what came of an endpoint that Next gave: the best answer, 0 for silence; or with results.Unknown and no
// answer, that silence says nothing because evidence was lost. That counts as not asked. It gives a change where this result confirms
// one.
func (p *Planner) Result(ap netip.AddrPort, s results.State, at int64) (Change, bool) {
	index, ok := p.space.Index(ap.Addr(), ap.Port())
	f, flew := p.flights[index]
	if !ok || !flew {
		p.counts.Stray++
		return Change{}, false
	}
	delete(p.flights, index)
	at = max(at, f.at)
	if s.Best() == 0 && s&results.Unknown != 0 {
		p.unasked(index, f)
		return Change{}, false
	}
	p.counts.Answered++
	r := answer{index: index, addr: netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), state: s.Best(), at: at, flight: f}
	d, doubted := p.doubts[index]
	switch {
	case doubted && (d.reason == ReasonOpened || d.reason == ReasonEnded):
		return p.confirm(&r, &d)
	case doubted:
		p.resolve(r.addr.Addr(), index, &d)
	}
	return p.compare(&r)
}

// answer is a result that counts.
type answer struct {
	index  uint64
	addr   netip.AddrPort
	state  results.State // the best answer, or 0
	at     int64
	flight flight
}

func (r *answer) open() bool { return r.state == results.Open }

// asked gives what is believed of an endpoint, and when it was asked last; its entry then has the new time.
func (p *Planner) asked(r *answer) (s standing, before int64) {
	id := p.table.find(r.index)
	if id == 0 {
		if before = r.flight.before; before == 0 { // somebody has requested it
			before = p.askedInCycle(r.index)
		}
		return standsOther, before
	}
	e := p.table.at(id)
	before = p.table.time(e.asked)
	e.asked = max(e.asked, p.table.seconds(r.at))
	if e.open() {
		return standsOpen, before
	}
	return standsPredicted, before
}

// compare holds an answer against what is known.
func (p *Planner) compare(r *answer) (Change, bool) {
	s, before := p.asked(r)
	if r.open() == (s == standsOpen) {
		p.see(r, s, false, r.at-before)
		return Change{}, false
	}
	d := doubt{reason: ReasonOpened, tier: r.flight.tier, asked: 1, state: r.state, first: r.at, before: before}
	if s == standsOpen {
		d.reason = ReasonEnded
	}
	due, more := p.nextStep(&d, r.at)
	if !more {
		return p.change(r, &d), true
	}
	d.due = due
	p.countDark(r, &d)
	if !p.doubted(p.zoneOf(r.index), r.index, d) {
		p.resolve(r.addr.Addr(), r.index, &d)
		p.counts.Dropped++
	}
	return Change{}, false
}

// countDark notes that an open endpoint is silent, and has the others of its host asked.
func (p *Planner) countDark(r *answer, d *doubt) {
	if d.reason == ReasonEnded && !d.counted && r.state != results.Closed {
		d.counted = true
		if p.darken(r.addr.Addr()) {
			p.askSiblings(r.addr.Addr(), r.index)
		}
	}
}

// confirm takes an answer about an endpoint in doubt. Answers are facts: one SYN-ACK more and it has opened, one RST and it is closed. Silence is
// none; it has to last for all of Config.Confirm, and does not count where much of the network is silent.
func (p *Planner) confirm(r *answer, d *doubt) (Change, bool) {
	p.asked(r)
	d.asked++
	d.step++
	d.state = r.state
	switch {
	case r.open() == (d.reason == ReasonOpened) && (r.open() || r.state == results.Closed):
		return p.change(r, d), true
	case r.open():
		p.resolve(r.addr.Addr(), r.index, d)
		p.see(r, standsOpen, false, r.at-d.before)
		return Change{}, false
	}
	p.countDark(r, d)
	due, more := p.nextStep(d, r.at)
	switch {
	case more:
	case d.reason == ReasonOpened: // it has not
		p.resolve(r.addr.Addr(), r.index, d)
		return Change{}, false
	case p.isDark(network(r.addr.Addr())):
		d.step--
		due = r.at + int64(p.config.Confirm[len(p.config.Confirm)-1])
	default:
		return p.change(r, d), true
	}
	d.due = due
	p.doubted(p.zoneOf(r.index), r.index, *d)
	return Change{}, false
}

// change makes a difference the state.
func (p *Planner) change(r *answer, d *doubt) Change {
	p.resolve(r.addr.Addr(), r.index, d)
	p.counts.Changes++
	c := Change{Addr: r.addr, After: r.state, NotBefore: d.before, NotAfter: d.first, Confirmed: r.at, Asked: int(d.asked), Tier: d.tier}
	net, id := network(r.addr.Addr()), p.table.find(r.index)
	s := standsOther
	if d.reason == ReasonEnded {
		c.Before, s = results.Open, standsOpen
		if p.openIn[net]--; p.openIn[net] == 0 {
			delete(p.openIn, net)
		}
		p.end(id, r)
	} else {
		p.openIn[net]++
		if id == 0 {
			p.add(r.index, r.addr.Addr(), r.addr.Port(), flagOpen, r.at)
		} else {
			s = standsPredicted
			p.move(id, r.index, r.addr.Addr(), r.addr.Port(), p.table.at(id).meta|flagOpen, -1)
		}
	}
	p.see(r, s, true, d.first-d.before)
	return c
}

// end makes an open endpoint a predicted one, for what was open is likely to open again; or leaves it to the cycle, where there are enough.
func (p *Planner) end(id uint32, r *answer) {
	e := p.table.at(id)
	if e.meta&flagNeeded == 0 && p.predicted >= p.config.Predicted {
		z := p.zoneOfAddr(r.addr.Addr())
		if z.tracked--; e.meta&flagFresh != 0 {
			z.fresh--
		}
		p.table.drop(r.index)
		e.meta |= flagDead // until its turn
		return
	}
	e.setTurn(p.turn)
	p.move(id, r.index, r.addr.Addr(), r.addr.Port(), e.meta&^flagOpen, -1)
}

// see has the learner learn.
func (p *Planner) see(r *answer, s standing, changed bool, dt int64) {
	p.learn.learn(network(r.addr.Addr()), r.addr.Port(), s, changed, float64(dt)/1e9)
}

// againWait is how long an endpoint of tier 1 or 2, or of the confirm queue, waits that counts as not asked; longer if that goes on.
const againWait = 60 * second

// unasked takes a probe back: its endpoint is as old as it was.
func (p *Planner) unasked(index uint64, f flight) {
	p.counts.Unknown++
	z := p.zoneOf(index)
	d, doubted := p.doubts[index]
	id := p.table.find(index)
	switch {
	case doubted && d.reason == ReasonUnknown && d.tries >= holeTries:
		delete(p.doubts, index)
	case doubted:
		d.tries = min(d.tries+1, 10)
		d.due = p.now + int64(d.tries)*againWait
		p.doubted(z, index, d)
	case id == 0 && f.tier == TierCycle:
		z.cycle.unasked(&f, p.now)
	case f.tries < holeTries:
		p.doubted(z, index, doubt{reason: ReasonUnknown, tries: f.tries + 1, due: p.now + againWait})
	}
}
