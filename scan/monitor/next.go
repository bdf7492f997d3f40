package monitor

import (
	"math"
	"net/netip"
	"slices"
)

// Endpoint is what is to be probed: by one SYN, which is not repeated. Its result is told by Planner.Result, silence too.
type Endpoint struct {
	Addr   netip.AddrPort
	Tier   Tier
	Reason Reason
}

const (
	second = int64(1e9)
	// lostAfter is when a probe without a result counts as not sent.
	lostAfter = 300 * second
	// flying is for how many seconds of the budget results may be outstanding; then Next gives nothing until some come.
	flying = 120
)

// Next appends up to n endpoints whose turn it is. Call it every 10 ms or more often: it gives what the budget allows by then, and what is
// not taken is forfeited, so that the rate is within 1 % of the budget in every second.
func (p *Planner) Next(now int64, n int, to []Endpoint) []Endpoint {
	p.advance(now)
	for ; n > 0 && p.bucket.tokens >= 1; n-- {
		e, ok := p.one()
		if !ok {
			break
		}
		p.bucket.tokens--
		p.counts.Sent++
		to = append(to, e)
	}
	return to
}

// advance brings what depends on the time up to it.
func (p *Planner) advance(now int64) {
	if now > p.now {
		dt := float64(now-p.now) / 1e9
		p.now = now
		p.bucket.fill(dt)
		p.work.fill(dt)
		for _, z := range p.zones[:len(p.zones)-1] {
			if !math.IsInf(z.ceiling, 1) {
				z.bucket.fill(dt)
			}
		}
	}
	if p.now >= p.replanAt {
		p.lost()
		p.replan()
	}
	if p.now/minute != p.minute {
		p.look()
		p.replan()
	}
}

// look finds which windows are open.
func (p *Planner) look() {
	p.minute = p.now / minute
	for _, z := range p.zones {
		z.open = z.windows.Open(p.now)
	}
}

// lost takes back probes whose results have never come, in the order of time.
func (p *Planner) lost() {
	if p.now/second%60 != 0 {
		return
	}
	var all []turn
	for index, f := range p.flights {
		if p.now-f.at > lostAfter {
			all = append(all, turn{f.at, index})
		}
	}
	slices.SortFunc(all, compareTurns)
	for _, t := range all {
		f := p.flights[t.index]
		delete(p.flights, t.index)
		p.unasked(t.index, f)
	}
}

// one gives the endpoint whose turn it is.
func (p *Planner) one() (Endpoint, bool) {
	if len(p.flights) >= max(4096, int(p.config.Budget*flying)) {
		return Endpoint{}, false
	}
	p.confirms.credit = min(p.confirms.credit+0.5, p.config.Budget/2+8)
	if p.confirms.credit >= 1 {
		if e, ok := p.oneOfQueue(); ok {
			p.confirms.credit--
			return e, true
		}
	}
	if p.work.tokens >= 1 {
		if e, ok := p.oneOfGroups(); ok {
			p.work.tokens--
			return e, true
		}
	}
	return p.oneOfQueue()
}

// oneOfQueue gives the first of the confirm queue that is due and may be asked.
func (p *Planner) oneOfQueue() (Endpoint, bool) {
	var first *zone
	for _, z := range p.zones {
		for len(z.due) > 0 && p.doubts[z.due[0].index].due != z.due[0].due { // resolved meanwhile
			z.due.pop()
		}
		if len(z.due) == 0 || z.due[0].due > p.now || !z.open || z.bucket.tokens < 1 {
			continue
		}
		if first == nil || z.due[0].due < first.due[0].due {
			first = z
		}
	}
	if first == nil {
		return Endpoint{}, false
	}
	t := first.due.pop()
	d := p.doubts[t.index]
	p.confirms.sent++
	return p.hand(first, t.index, flight{tier: TierConfirm, before: d.before, tries: d.tries, prev: noPosition}, d.reason), true
}

// oneOfGroups gives the next endpoint of the group that has to be served first. That is weighted fair queueing: a group of weight w is to be
// served every 1/w probes, the earliest deadline goes first, and the virtual time is that of the latest deadline served (Demers,
// Keshav and Shenker, "Analysis and Simulation of a Fair Queueing Algorithm", SIGCOMM 1989). So a group of a single endpoint is late by as many probes as
// there are groups, and no more. One that could give nothing for a while catches up with mostBehind probes at most.
func (p *Planner) oneOfGroups() (Endpoint, bool) {
	const mostBehind = 64
	call := p.counts.Sent + 1
	for {
		var best *group
		for _, g := range p.active {
			if g.weight > 0 && g.call != call && g.zone.bucket.tokens >= 1 && (best == nil || g.next < best.next) {
				best = g
			}
		}
		if best == nil {
			return Endpoint{}, false
		}
		from := p.fromList
		if best.tier == TierCycle {
			from = p.fromCycle
		}
		if f, index, ok := from(best); ok {
			p.virtual = max(p.virtual, best.next)
			best.next = max(best.next, p.virtual-mostBehind/best.weight) + 1/best.weight
			return p.hand(best.zone, index, f, ReasonTurn), true
		}
		best.call = call
	}
}

// hand gives out an endpoint.
func (p *Planner) hand(z *zone, index uint64, f flight, why Reason) Endpoint {
	z.bucket.tokens--
	f.at = p.now
	p.flights[index] = f
	if f.tier == TierCycle && f.tries > 0 {
		why = ReasonUnknown
	}
	addr, port := p.space.At(index)
	return Endpoint{netip.AddrPortFrom(addr, port), f.tier, why}
}

// fromList gives the first endpoint of a group, which goes to the end of the queue of its level.
func (p *Planner) fromList(g *group) (flight, uint64, bool) {
	const looked = 16 // endpoints that are in doubt, or dead
	for range looked {
		id := g.pop(&p.table)
		if id == 0 {
			break
		}
		if g.left--; g.left <= 0 {
			g.round, g.left = g.n, g.n
		}
		e := p.table.at(id)
		if e.meta&flagDead != 0 {
			p.table.release(id)
			continue
		}
		index := e.index()
		addr, port := p.space.At(index)
		if !e.first() && p.stale(e) && p.table.time(e.asked) >= p.askedInCycle(index) && !p.busy(index) {
			p.untrack(g.zone, id, index)
			continue
		}
		level := p.classLevel(e, addr, port)
		if e.meta&flagRaised != 0 {
			if g.level-2 > level {
				level = g.level - 2
			} else {
				e.meta &^= flagRaised
			}
		}
		p.enqueue(id, addr, level)
		if p.busy(index) {
			continue
		}
		if e.meta&flagFresh != 0 {
			e.meta &^= flagFresh
			g.zone.fresh--
		}
		return flight{tier: g.tier, before: p.table.time(e.asked), prev: noPosition}, index, true
	}
	return flight{}, 0, false
}

// stale tells that the last two predictions have not named an endpoint.
func (p *Planner) stale(e *entry) bool { return (p.turn-e.turn())&turnMask >= 2 }
