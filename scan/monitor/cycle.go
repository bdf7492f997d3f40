package monitor

// cycle goes over all positions of a zone, in the order of the space's permutation, again and again. Positions of other zones, and
// endpoints of tiers 1 and 2, which are asked at least as often, are passed over.
type cycle struct {
	cursor uint64 // the next position
	number uint64 // from 0
	begun  int64
	last   uint64 // the position that was handed out last in this cycle, noPosition: none
	n      float64

	marks  [markLen]int64 // when the cursor last passed the k-th part of the positions
	before [markLen]int64 // and the time before that
	marked int            // parts passed in this cycle

	holes   [holeTries][]hole // positions that count as not asked, by how often that was tried again; each in the order of time
	given   [holeTries]int    // of each, holes that are done with
	retry   retrying
	inHoles uint64 // positions
	lost    uint64 // positions of this cycle that are not asked again before the next
	lostOld uint64 // and of the one before
	oldest  int64  // when the oldest of all these was asked before; 0: there are none
	blind   bool   // some have come in this cycle
}

const (
	markLen    = 1024
	noPosition = 1<<64 - 1

	holeTries = 3
	mostHoles = 1 << 16 // ranges of a zone
)

// holeWaits are the times before positions are asked again.
var holeWaits = [holeTries]int64{60e9, 600e9, 3600e9}

// hole is a range of positions that count as not asked: all that were handed out one after the other from first to last.
type hole struct {
	first, last uint64
	n           uint64
	due         int64
	cycle       uint64 // in which they were handed out: another one may have begun
}

// retrying is the hole that is being asked.
type retrying struct {
	hole
	next   uint64
	given  uint64 // the position of it that was handed out last
	tries  int
	active bool
}

// part is which of the marks a position belongs to.
func partOf(position, positions uint64) int {
	hi := position / ((positions + markLen - 1) / markLen)
	return int(min(hi, markLen-1))
}

// restart begins a cycle. What counts as not asked in the one before is still asked again.
func (c *cycle) restart(now int64) {
	c.cursor, c.begun, c.last, c.marked = 0, now, noPosition, 0
	c.lost, c.lostOld = 0, c.lost
}

// pass notes that the cursor has come to a position.
func (c *cycle) pass(position, positions uint64, now int64) {
	for k := partOf(position, positions); c.marked <= k; c.marked++ {
		c.before[c.marked], c.marks[c.marked] = c.marks[c.marked], now
	}
}

// askedBefore is when a position was passed last before the cursor's last pass over it.
func (c *cycle) askedBefore(position, positions uint64) int64 {
	return c.before[partOf(position, positions)]
}

// passed is when the cursor came over a position last.
func (c *cycle) passed(position, positions uint64) int64 {
	k := partOf(position, positions)
	if position >= c.cursor && k < c.marked { // in the part that is being passed
		return c.before[k]
	}
	return c.marks[k]
}

// unasked takes back a position that was handed out.
func (c *cycle) unasked(f *flight, now int64) {
	position, tries := f.position, int(f.tries)
	if c.blind = true; c.oldest == 0 {
		c.oldest = f.before
	}
	if tries >= holeTries {
		c.lost++
		return
	}
	q := c.holes[tries]
	if n := len(q); n > c.given[tries] && f.prev != noPosition && q[n-1].last == f.prev && q[n-1].cycle == f.cycle {
		q[n-1].last = position
		q[n-1].n++
		c.inHoles++
		return
	}
	if len(q)-c.given[tries] >= mostHoles {
		c.lost++
		return
	}
	c.holes[tries] = append(q, hole{position, position, 1, now + holeWaits[tries], f.cycle})
	c.inHoles++
}

// due makes the first hole whose time has come the one that is asked.
func (c *cycle) due(now int64) bool {
	if c.retry.active {
		return true
	}
	for k := range c.holes {
		if c.given[k] == len(c.holes[k]) {
			continue
		}
		h := c.holes[k][c.given[k]]
		if h.due > now {
			continue
		}
		if c.given[k]++; c.given[k] > 64 && 2*c.given[k] > len(c.holes[k]) {
			c.holes[k] = append([]hole(nil), c.holes[k][c.given[k]:]...)
			c.given[k] = 0
		}
		c.inHoles -= h.n
		c.retry = retrying{h, h.first, noPosition, k + 1, true}
		return true
	}
	return false
}

// missed is how many positions count as not asked by now, of this cycle or of the one before where this one has not come to them.
func (c *cycle) missed(positions uint64) uint64 {
	n := c.inHoles + c.lost + uint64(float64(c.lostOld)*(1-float64(c.cursor)/float64(positions)))
	if c.retry.active {
		n += c.retry.n // more than are left of it
	}
	return n
}

// scanned bounds the positions that are looked at for one probe: a small zone's are far apart, and Next is to come back.
const scanned = 4096

// fromCycle gives the next position of a zone's cycle that is to be asked, with the one before it and how often it was tried; false
// where there is none by now.
func (p *Planner) fromCycle(g *group) (f flight, index uint64, ok bool) {
	z, c, now := g.zone, &g.zone.cycle, p.now
	for range min(scanned, p.n) {
		var position uint64
		if c.due(now) {
			position = c.retry.next
			f = flight{tier: TierCycle, position: position, prev: c.retry.given, tries: uint8(c.retry.tries), cycle: c.retry.cycle}
			if c.retry.next++; c.retry.next > c.retry.last {
				c.retry.active = false
			}
			if f.cycle != c.number && position < c.cursor { // asked since, in its turn
				continue
			}
		} else {
			if c.cursor == p.n {
				p.wrap(z, now)
			}
			position = c.cursor
			c.cursor++
			c.pass(position, p.n, now)
			f = flight{tier: TierCycle, position: position, prev: c.last, cycle: c.number}
		}
		index = p.order.Index(position)
		if len(p.zones) > 1 && p.zoneOf(index) != z || p.covered(z, index) {
			continue
		}
		if f.tries == 0 {
			c.last = position
		} else {
			c.retry.given = position
		}
		f.before = c.askedBefore(position, p.n)
		return f, index, true
	}
	return flight{}, 0, false
}

// wrap ends a cycle and begins the next.
func (p *Planner) wrap(z *zone, now int64) {
	c := &z.cycle
	if !c.blind {
		c.oldest = 0
	}
	c.blind = false
	c.number++
	c.restart(now)
	c.n = forCycle(z)
}

// covered tells that the cycle need not ask an endpoint: it is being asked, or its tier asks it at least as often. One that has just come to its
// tier may have to wait there as long as it had waited for the cycle, so it is asked unless it was since the cycle began.
func (p *Planner) covered(z *zone, index uint64) bool {
	if id := p.table.find(index); id != 0 {
		e := p.table.at(id)
		return e.meta&flagFresh == 0 || p.table.time(e.asked) > z.cycle.begun || p.busy(index)
	}
	return p.busy(index)
}
