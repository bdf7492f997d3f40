package monitor

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"synoptic/results"
	"synoptic/scan/target"
)

const (
	snapshotMagic   = "SYNMONIT"
	snapshotVersion = 1
)

// ErrOtherSpace is the cause where a snapshot is of other targets or ports.
var ErrOtherSpace = errors.New("the snapshot is of other targets or ports")

// Snapshot writes the whole state, with a version and a CRC-32C: 12 bytes for each endpoint of tiers 1 and 2.
func (p *Planner) Snapshot(w io.Writer) error {
	p.replan() // which is what Restore does: so both go on alike
	e := &encoder{w: bufio.NewWriterSize(w, 1<<16)}
	e.text(snapshotMagic)
	e.u64(snapshotVersion, p.seed)
	digest := digestOf(p.space)
	e.bytes(digest[:])
	e.i64(p.now, p.started, p.table.epoch, p.replanAt, p.meter.since)
	e.u64(p.turn, p.meter.sent, p.confirms.sent)
	e.f64(p.virtual, p.bucket.tokens, p.work.tokens, p.confirms.credit, p.confirms.recent)
	c := p.counts
	e.u64(c.Sent, c.Answered, c.Unknown, c.Stray, c.Changes, c.Dropped)
	e.u64(uint64(p.table.n), uint64(len(p.zones)))
	for _, z := range p.zones {
		e.text(z.prefix.String())
		e.f64(z.bucket.tokens)
		z.cycle.write(e)
	}
	for _, z := range p.zones {
		e.f64(z.all.next, z.all.weight)
		for t := range z.tiers {
			for l := range z.tiers[t] {
				p.writeGroup(e, &z.tiers[t][l])
			}
		}
	}
	p.learn.write(e)
	p.writeDoubts(e)
	return e.end()
}

// digestOf tells spaces apart.
func digestOf(space *target.Space) [sha256.Size]byte {
	h := sha256.New()
	addrs, ports := space.Product()
	if ports != nil {
		fmt.Fprintln(h, ports)
		for r := range addrs.Ranges() {
			fmt.Fprintln(h, r)
		}
	}
	for port, set := range space.Pairs() {
		fmt.Fprintln(h, port)
		for r := range set.Ranges() {
			fmt.Fprintln(h, r)
		}
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func (p *Planner) writeGroup(e *encoder, g *group) {
	e.u64(uint64(g.n))
	if g.n == 0 {
		return
	}
	e.u64(uint64(g.round), uint64(g.left))
	e.f64(g.next, g.weight)
	for id := g.head; id != 0; id = p.table.at(id).next {
		e.entry(p.table.at(id))
	}
}

func (p *Planner) writeDoubts(e *encoder) {
	e.u64(uint64(len(p.doubts)))
	for _, index := range slices.Sorted(maps.Keys(p.doubts)) {
		d := p.doubts[index]
		counted := uint64(0)
		if d.counted {
			counted = 1
		}
		e.u64(index, uint64(d.reason), uint64(d.step), uint64(d.tries), uint64(d.tier), uint64(d.asked), uint64(d.state), counted)
		e.i64(d.first, d.before, d.due)
	}
	e.u64(uint64(len(p.flights)))
	for _, index := range slices.Sorted(maps.Keys(p.flights)) {
		f := p.flights[index]
		e.u64(index, f.position, f.prev, f.cycle, uint64(f.tier), uint64(f.tries))
		e.i64(f.at, f.before)
	}
}

// Restore makes a Planner that goes on where another stood when it wrote a snapshot, under the same configuration or another. Probes that were
// in flight count as not sent. The error is an *Error, or ErrOtherSpace or that of a damaged snapshot is its cause.
func Restore(c Config, space *target.Space, snapshot io.Reader) (*Planner, error) {
	d := &decoder{r: bufio.NewReaderSize(snapshot, 1<<16)}
	if d.text() != snapshotMagic {
		return nil, cmp.Or(d.err, fmt.Errorf("%w: this is none", errDamaged))
	}
	if v := d.u64(); v != snapshotVersion {
		return nil, cmp.Or(d.err, fmt.Errorf("the snapshot has version %d, and this program knows %d", v, snapshotVersion))
	}
	seed := d.u64()
	var digest [sha256.Size]byte
	d.fill(digest[:])
	if d.err != nil {
		return nil, d.err
	}
	if digest != digestOf(space) {
		return nil, ErrOtherSpace
	}
	now := d.i64()
	p, err := New(c, space, seed, now)
	if err != nil {
		return nil, err
	}
	p.read(d)
	if err := d.end(); err != nil {
		return nil, err
	}
	for _, index := range slices.Sorted(maps.Keys(p.flights)) {
		f := p.flights[index]
		delete(p.flights, index)
		p.unasked(index, f)
	}
	p.look()
	p.replan()
	return p, nil
}

func (p *Planner) read(d *decoder) {
	p.started, p.table.epoch, p.replanAt, p.meter.since = d.i64(), d.i64(), d.i64(), d.i64()
	p.turn, p.meter.sent, p.confirms.sent = d.u64()&turnMask, d.u64(), d.u64()
	p.virtual, p.bucket.tokens, p.work.tokens, p.confirms.credit, p.confirms.recent = d.f64(), d.f64(), d.f64(), d.f64(), d.f64()
	c := &p.counts
	c.Sent, c.Answered, c.Unknown, c.Stray, c.Changes, c.Dropped = d.u64(), d.u64(), d.u64(), d.u64(), d.u64(), d.u64()
	tracked := d.count(p.n)
	zones := d.count(maxNetworks + 1)
	prefixes, cycles, tokens := make([]string, zones), make([]cycle, zones), make([]float64, zones)
	for i := range zones {
		prefixes[i], tokens[i] = d.text(), d.f64()
		cycles[i].read(d, p.n)
	}
	same := slices.EqualFunc(prefixes, p.zones, func(s string, z *zone) bool { return s == z.prefix.String() })
	if d.err == nil {
		p.takeCycles(cycles, same)
	}
	p.table.reserve(min(tracked, maxPredicted)) // a damaged number takes no more
	for i := range zones {
		var to *zone
		if same {
			to = p.zones[i]
			to.bucket.tokens = min(tokens[i], to.bucket.most)
		}
		p.readZone(d, to)
	}
	p.learn.read(d)
	p.readDoubts(d)
}

// takeCycles gives the zones their cycles. Where networks are others now all begin with the one that is furthest behind: some
// positions are asked once more, and none is left out.
func (p *Planner) takeCycles(cycles []cycle, same bool) {
	if same {
		for i, z := range p.zones {
			z.cycle = cycles[i]
		}
		return
	}
	last := slices.MinFunc(cycles, func(a, b cycle) int {
		return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.cursor, b.cursor))
	})
	for _, c := range cycles {
		for k := range last.marks {
			last.marks[k], last.before[k] = min(last.marks[k], c.marks[k]), min(last.before[k], c.before[k])
		}
	}
	for k := range last.holes {
		last.holes[k], last.given[k] = nil, 0
	}
	last.lost, last.inHoles, last.retry, last.last = last.missed(p.n), 0, retrying{}, noPosition
	for _, z := range p.zones {
		last.n = float64(z.positions)
		z.cycle = last
	}
}

// readZone reads the queues of a zone; nil: endpoints go where they belong by now.
func (p *Planner) readZone(d *decoder, to *zone) {
	next, weight := d.f64(), d.f64()
	if to != nil {
		to.all.next, to.all.weight = next, weight
	}
	for t := range 2 {
		for l := range levels {
			n := d.count(2 * p.n) // with dead ones
			if n == 0 {
				continue
			}
			round, left, next, weight := d.count(2*p.n), d.count(2*p.n), d.f64(), d.f64()
			for range n {
				p.readEntry(d, t, l, to != nil)
				if d.err != nil {
					return
				}
			}
			if to != nil {
				g := &to.tiers[t][l]
				g.round, g.left, g.next, g.weight = round, left, next, weight
			}
		}
	}
}

func (p *Planner) readEntry(d *decoder, tier, level int, same bool) {
	x := d.entry()
	index, dead := x.index(), x.meta&flagDead != 0
	if d.err == nil && (index >= p.n || !dead && (x.first() != (tier == 0) || p.table.find(index) != 0)) {
		d.err = fmt.Errorf("%w: an endpoint", errDamaged)
	}
	if d.err != nil || dead && !same {
		return
	}
	id := p.table.alloc()
	e := p.table.at(id)
	*e = x
	e.setLevel(level)
	addr, _ := p.space.At(index)
	z := p.zoneOfAddr(addr)
	z.tiers[tier][level].push(&p.table, id)
	if dead {
		return
	}
	p.table.put(id)
	z.tracked++
	if e.meta&flagFresh != 0 {
		z.fresh++
	}
	if tier == 1 {
		p.predicted++
	}
	if e.open() {
		p.openIn[network(addr)]++
	}
}

func (p *Planner) readDoubts(d *decoder) {
	for range d.count(mostDoubts) {
		index, reason := d.u64(), d.u64()
		x := doubt{reason: Reason(reason), step: uint8(d.u64()), tries: uint8(d.u64()), tier: Tier(d.u64()), asked: uint16(d.u64()), state: results.State(d.u64()), counted: d.u64() != 0}
		x.first, x.before, x.due = d.i64(), d.i64(), d.i64()
		if d.err == nil && (index >= p.n || reason >= uint64(numReasons) || x.tier >= numTiers) {
			d.err = fmt.Errorf("%w: an endpoint in doubt", errDamaged)
		}
		if d.err != nil {
			return
		}
		addr, _ := p.space.At(index)
		if x.counted {
			p.darken(addr)
		}
		p.doubted(p.zoneOfAddr(addr), index, x)
	}
	for range d.count(1 << 32) {
		index := d.u64()
		f := flight{position: d.u64(), prev: d.u64(), cycle: d.u64(), tier: Tier(d.u64()), tries: uint8(d.u64()), at: d.i64(), before: d.i64()}
		if d.err == nil && (index >= p.n || f.tier >= numTiers) {
			d.err = fmt.Errorf("%w: a probe in flight", errDamaged)
		}
		if d.err != nil {
			return
		}
		p.flights[index] = f
	}
}

func (c *cycle) write(e *encoder) {
	e.u64(c.cursor, c.number, c.last, uint64(c.marked), c.inHoles, c.lost, c.lostOld)
	e.i64(c.begun, c.oldest)
	e.f64(c.n)
	e.i64(c.marks[:]...)
	e.i64(c.before[:]...)
	active := uint64(0)
	if c.retry.active {
		active = 1
	}
	e.u64(active, uint64(c.retry.tries), c.retry.next, c.retry.given)
	c.retry.write(e)
	for k := range c.holes {
		left := c.holes[k][c.given[k]:]
		e.u64(uint64(len(left)))
		for i := range left {
			left[i].write(e)
		}
	}
}

func (h *hole) write(e *encoder) {
	e.u64(h.first, h.last, h.n, h.cycle)
	e.i64(h.due)
}

func (c *cycle) read(d *decoder, n uint64) {
	c.cursor, c.number, c.last, c.marked, c.inHoles, c.lost, c.lostOld = d.u64(), d.u64(), d.u64(), d.count(markLen), d.u64(), d.u64(), d.u64()
	c.begun, c.oldest, c.n = d.i64(), d.i64(), d.f64()
	c.blind = c.oldest != 0 // that is found out in the next cycle
	for k := range c.marks {
		c.marks[k] = d.i64()
	}
	for k := range c.before {
		c.before[k] = d.i64()
	}
	c.retry.active = d.u64() != 0
	c.retry.tries, c.retry.next, c.retry.given = d.count(holeTries), d.u64(), d.u64()
	c.retry.hole = readHole(d, n)
	for k := range c.holes {
		for range d.count(mostHoles) {
			c.holes[k] = append(c.holes[k], readHole(d, n))
		}
	}
	if d.err == nil && (c.cursor > n || c.retry.active && c.retry.next >= n) {
		d.err = fmt.Errorf("%w: a cycle", errDamaged)
	}
}

func readHole(d *decoder, n uint64) hole {
	h := hole{first: d.u64(), last: d.u64(), n: d.u64(), cycle: d.u64(), due: d.i64()}
	if d.err == nil && (h.first > h.last || h.last >= n) {
		d.err = fmt.Errorf("%w: positions that were not asked", errDamaged)
	}
	return h
}

func (l *learner) write(e *encoder) {
	for _, g := range l.all {
		e.f64(g.a, g.b)
	}
	e.u64(uint64(len(l.ports)))
	for _, key := range slices.Sorted(maps.Keys(l.ports)) {
		e.u64(uint64(key))
		e.f64(l.ports[key].a, l.ports[key].b)
	}
	e.u64(uint64(l.n))
	for _, c := range l.cells {
		if c.key != 0 {
			e.u64(c.key)
			e.f64(c.a, c.b)
		}
	}
}

func (l *learner) read(d *decoder) {
	for s := range l.all {
		l.all[s] = readGamma(d)
	}
	for range d.count(1 << 18) {
		key, g := d.u64(), readGamma(d)
		l.ports[uint32(key)] = &g
	}
	for range d.count(mostClasses) {
		key, g := d.u64(), readGamma(d)
		if d.err != nil || key == 0 {
			return
		}
		if (l.n+1)*3 > len(l.cells)*2 {
			l.grow()
		}
		*l.find(key) = cell{key, g}
		l.n++
	}
}

func readGamma(d *decoder) gamma {
	g := gamma{d.f64(), d.f64()}
	if d.err == nil && !(g.a > 0 && g.b > 0 && g.a < math.MaxFloat64 && g.b < math.MaxFloat64) {
		d.err = fmt.Errorf("%w: a rate of changes", errDamaged)
	}
	return g
}
