package engine

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"synoptic/ratelimit"
	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/results"
	"synoptic/results/window"
	"synoptic/scan/backoff"
	"synoptic/scan/gate"
	"synoptic/scan/schedule"
)

// txLane is one of the workers that send:
//
//	shared schedule gives a pass over a chunk → its positions → pace grants n of them → gate: go, later or never
//	→ index → (address, port) → path → frame patched in the path's next slot → one kick per path
//
// It owns the chunk while the pass is in flight, and its egresses. With other lanes it shares all the rest.
type txLane struct {
	shared *sharedSchedule
	pace   *ratelimit.Pacer
	gate   *gate.Gate
	id     *identity
	routes *route.Plan
	egress []*egress
	kick   int // frames per system call

	results *window.Map
	ev      *evidence
	cur     *cursor
	rec     *recorder
	tally   *tally
	errors  *firstError

	news  []results.Port
	due   []uint64 // positions of the batch in the making
	open  bool     // nothing holds them back; else
	asked int64    // when the gate was asked about them, a time of gate.Now,
	told  []gate.Question

	refusals *backoff.Counts // nil: nobody backs off
	even     bool            // first tries of the batch count as the shares of all prefixes,
	each     bool            // or by their own

	epoch   uint64 // of shared, as seen
	beacons *beacons
	pressed uint64 // backpressure, as told
}

func newTxLane(s *Session, ph *Phase, shared *sharedSchedule, out []*egress) *txLane {
	return &txLane{
		shared: shared, pace: s.pacer, gate: s.gate, id: &ph.id, routes: s.plan.Routes, egress: out, kick: ph.plan.Asked.Batch,
		results: ph.results, ev: &ph.ev, cur: &ph.cur, rec: &ph.rec, tally: &ph.tally, errors: &ph.errors,
		due: make([]uint64, 0, out[0].tx.Batch()), beacons: s.beacons, refusals: ph.refusals,
	}
}

// interfaceWait is how often a lane tries again to send on an interface that is down.
const interfaceWait = 10 * time.Millisecond

// idleWait bounds how long a lane sleeps while chunks wait for their gap: the gap may shrink meanwhile.
const idleWait = 10 * time.Millisecond

func (l *txLane) backpressure() (n uint64) {
	for _, e := range l.egress {
		n += e.backpressure()
	}
	return n
}

// run takes passes until all is sent, or ctx ends.
func (l *txLane) run(ctx context.Context) error {
	l.news = l.rec.queue.batch()
	defer func() { l.rec.queue.put(l.news) }()
	for l.rec.queue.waitRoom(ctx) && ctx.Err() == nil {
		p, wait := l.shared.take()
		if p == nil {
			l.tally.starved.Add(1)
			if wait < 0 || !sleep(ctx, min(wait, idleWait)) {
				break // everything is sent, or stopped
			}
			continue
		}
		switch end, err := l.walk(ctx, p); end {
		case stopped:
			l.shared.phase.abandon(p)
			return err
		case putOff:
			l.shared.park(p)
		default:
			l.shared.finish(p)
		}
	}
	return nil
}

// walkEnd is how a walk over a pass ended.
type walkEnd uint8

const (
	walked  walkEnd = iota // to its end
	putOff                 // some positions must be asked later
	stopped                // before its end
)

// walk sends what a pass has to send.
func (l *txLane) walk(ctx context.Context, p *schedule.Pass) (walkEnd, error) {
	for l.rec.queue.waitRoom(ctx) {
		if l.due = p.Collect(l.results, l.due[:0]); len(l.due) == 0 {
			if !p.Whole() {
				p.Exhausted()
				return putOff, nil
			}
			return walked, nil
		}
		n, err := l.pace.Take(ctx, len(l.due))
		if err != nil {
			return stopped, nil
		}
		if e := l.shared.epoch.Load(); e != l.epoch {
			l.epoch = e
			l.shared.interrupted(p)
			if p.Cursor == p.End { // cut short
				l.pace.Return(n)
				continue
			}
		}
		n, full := l.fill(p, l.trim(p, n))
		for i, e := range l.egress {
			if err := l.flush(ctx, p, e); err != nil {
				for _, rest := range l.egress[i+1:] {
					l.refused(p, rest.positions[:rest.n])
				}
				return stopped, err
			}
		}
		if n := l.backpressure(); n != l.pressed {
			l.tally.pressed.Add(n - l.pressed)
			l.pressed = n
		}
		l.news = l.rec.queue.put(l.news)
		if full {
			l.pace.Return(len(l.due) - n)
			return putOff, nil
		}
	}
	return stopped, nil
}

// trim takes back from a grant of n what would split an entry of the send-time table between two
// batches and the pause between them.
func (l *txLane) trim(p *schedule.Pass, n int) int {
	if !p.First || p.Resumed() {
		return n
	}
	end := l.due[n-1] + 1
	if aligned := end &^ (l.ev.timesOf(0).Granule() - 1); aligned > p.Cursor {
		l.pace.Return(int(end - aligned))
		return int(aligned - p.Cursor)
	}
	return n
}

// fill puts the probes of the first n positions due into their paths' batches. full tells that no more positions
// can be put off: then the pass ends before the position that would have been.
func (l *txLane) fill(p *schedule.Pass, n int) (dealt int, full bool) {
	for _, e := range l.egress {
		e.begin()
	}
	held := p.Held()
	dealt = n
	if l.open = l.gate.Open(); !l.open { // a rule that comes now holds from the next batch on
		dealt = l.ask(p, l.due[:n])
	}
	first := l.refusals != nil && p.Passes == 0
	l.even = first && l.open && p.First
	l.each = first && !l.even
	for i := range dealt {
		l.craft(p, i)
	}
	l.due = l.due[:n]
	resumed := p.Resumed()
	p.Walked(l.due[:dealt])
	probed := dealt
	if resumed {
		probed = held - p.Held() // the others keep the room that they have
		l.gate.Unpark(probed)
	} else {
		probed -= p.Held() - held
	}
	if p.First {
		l.cur.passed(uint64(probed))
	}
	return dealt, dealt < n
}

// craft puts the probe of one position that is due into its path's batch, if it goes.
func (l *txLane) craft(p *schedule.Pass, i int) {
	pos := l.due[i]
	var addr netip.Addr
	var port uint16
	switch {
	case !l.open:
		q := &l.told[i]
		if q.Moot || q.Answer != gate.Go {
			l.hold(p, q)
			return
		}
		addr, port = q.Addr, q.Port
	case l.moot(p, pos):
		l.pace.Return(1)
		return
	default:
		addr, port = l.id.endpoint(pos)
	}
	e := l.egress[l.routes.Lookup(addr)]
	if e.skips {
		l.pace.Return(1) // it is asked when the path is back
		return
	}
	if l.each {
		l.refusals.Sent(addr)
	}
	if !l.put(p, e, pos, addr, port) {
		l.settleUnprobed(pos, results.Port{Addr: addr, Port: port, Reason: results.NoARP, Source: e.path.Src, Iface: e.path.Link.Name})
	}
}

// moot tells whether a position has answered while the grant was waited for.
func (l *txLane) moot(p *schedule.Pass, pos uint64) bool {
	if p.First {
		return false
	}
	state, ok := l.results.Get(pos)
	return !ok || state != 0
}

// put puts the probe of a position into its path's batch; false where its host has no MAC address. The attempt rides
// in the source port, so that a reply tells which one it answers.
func (l *txLane) put(p *schedule.Pass, e *egress, pos uint64, addr netip.Addr, port uint16) bool {
	if !e.craft(l.id.key, addr, l.id.ports.Min+uint16(p.Attempt(pos)), port) {
		return false
	}
	e.positions[e.n] = pos
	e.n++
	return true
}

// settleUnprobed gives a position its state without a probe.
func (l *txLane) settleUnprobed(pos uint64, p results.Port) {
	l.pace.Return(1)
	if _, ok := l.results.Mark(pos, p.Reason.State()); !ok {
		return // cannot be: the window was just advanced over pos
	}
	l.tally.count(0, p.Reason)
	l.tally.noARP.Add(1)
	if l.rec.emits&p.Reason.State() == 0 {
		return
	}
	p.Time = time.Now().UnixNano()
	l.news = l.rec.emit(l.news, p)
}

// flush hands a path's batch to the kernel. What the kernel refuses for good is counted, marked as
// not sent and reported; the scan goes on unless the interface is gone.
func (l *txLane) flush(ctx context.Context, p *schedule.Pass, e *egress) error {
	n := e.n
	if n == 0 {
		return nil
	}
	e.n = 0
	begun := time.Now().UnixNano()
	l.sentAt(p, e.positions[:n], begun, 0) // provisional: a reply may come before the kick returns
	for sent := 0; sent < n; {
		k, err := e.tx.Send(sent, min(sent+l.kick, n, sent+l.beacons.seat()))
		l.count(p, e.positions[sent:sent+k])
		l.late(e.positions[sent : sent+k])
		if k > 0 {
			l.kicked(p, e.positions[sent:sent+k], begun, time.Now().UnixNano())
			l.beacons.carry(k)
		}
		sent += k
		switch {
		case err == nil:
		case errors.Is(err, rawsock.ErrBackpressure):
			l.shared.phase.stuck.Store(true)
			switch {
			case ctx.Err() != nil:
				l.shared.phase.abandonThese(p, e.positions[sent:n])
				return nil
			case e.away.Load():
				return nil // they are asked when the path is back
			}
		case errors.Is(err, rawsock.ErrInterface):
			switch l.reopen(ctx, e) {
			case stopped:
				l.shared.phase.abandonThese(p, e.positions[sent:n])
				return nil
			case putOff:
				return nil
			}
			sent, n = 0, l.again(p, e, slices.Clone(e.positions[sent:n]))
		default:
			l.refused(p, e.positions[sent:sent+1])
			l.errors.keep(fmt.Errorf("send on %s: %w", e.path.Link.Name, err))
			sent++
		}
		if begun = time.Now().UnixNano(); err != nil && sent < n {
			l.sentAt(p, e.positions[sent:n], begun, 0) // those that wait did not leave when the call before this began
		}
	}
	return nil
}

// reopen waits for an interface that is down, as the sentinel does, who ends the scan when it takes too long, or has the
// others go on without it: then what was to leave by it is put off until it is back.
func (l *txLane) reopen(ctx context.Context, e *egress) walkEnd {
	again := e.reopen
	if len(l.egress) > 1 {
		again = e.replace // of the socket that it leaves when the path is away, the frames are still used
	}
	for {
		l.shared.phase.fault.Store(true)
		switch {
		case !sleep(ctx, interfaceWait):
			return stopped
		case e.away.Load():
			return putOff
		case again() == nil:
			l.shared.awaitGo(ctx) // it may have been paused meanwhile
			return walked
		}
	}
}

// again makes the probes of positions anew that have not left, and tells how many they are: without those that were excluded
// meanwhile.
func (l *txLane) again(p *schedule.Pass, e *egress, positions []uint64) (n int) {
	e.begin()
	for _, pos := range positions {
		addr, port := l.id.endpoint(pos)
		if l.shared.phase.session.excludes(addr) {
			l.shared.phase.never(pos, addr)
			continue
		}
		l.put(p, e, pos, addr, port)
	}
	n, e.n = e.n, 0
	return n
}

// count counts probes that the kernel has accepted.
func (l *txLane) count(p *schedule.Pass, positions []uint64) {
	l.tally.sent.Add(uint64(len(positions)))
	if l.even {
		l.refusals.SentEvenly(uint64(len(positions)))
	}
	if !p.First {
		l.tally.retransmitted.Add(uint64(len(positions)))
	}
}

// refused counts probes that the kernel did not accept for good. A refused retry leaves its position as silent as
// it was.
func (l *txLane) refused(p *schedule.Pass, positions []uint64) {
	l.tally.txErrors.Add(uint64(len(positions)))
	if p.Passes == 0 { // first tries, or in the place of some that were taken back
		l.shared.phase.unsent(positions)
	}
}
