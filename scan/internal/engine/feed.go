package engine

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/results"
	"synoptic/results/crash"
	"synoptic/scan/gate"
	"synoptic/scan/probe"
)

// Asker hands out endpoints one by one, without an end, and takes what came of each. One goroutine calls its methods.
type Asker interface {
	// Next appends endpoints that are to be asked now, at a Unix time in ns, each by one SYN. It is called every feedTick, but not while
	// some that it gave could not leave.
	Next(now int64, to []netip.AddrPort) []netip.AddrPort
	// Take takes what came of endpoints that Next gave, once each: an answer; results.NoResponse where none came while evidence held;
	// results.NoARP; or results.EvidenceLost, which says that it counts as not asked.
	Take(answers []results.Port)
}

// feed is a phase that asks what an Asker hands out:
//
//	Asker ─▶ pace ─▶ gate ─▶ frame ─▶ flight ─▶ answered ────────────────────▶ Asker
//	                                    ├─▶ silent, and trusted by then ──────▶ Asker
//	                                    └─▶ outage, lost part, nothing left: not asked ─▶ Asker
//
// It has no result map, for endpoints are asked again and again, and no retries: who hands them out knows what silence is worth. The source
// port tells an answer from a late one to the probe before.
type feed struct {
	session *Session
	phase   *Phase
	asker   Asker
	routes  *route.Plan
	out     []*egress
	batches [][]netip.AddrPort // what the frames of each ask
	told    []gate.Question

	mu      sync.Mutex // of all that follows
	flights map[netip.AddrPort]shot
	order   []launch // by time, the oldest first; those that are no flights any more are passed over
	number  uint64
	answers []results.Port // that the Asker has yet to take
	parts   lostParts
}

// shot is a probe under way.
type shot struct {
	number uint64
	at     int64 // Unix time in ns
	sport  uint16
}

// launch says which probe went where.
type launch struct {
	to     netip.AddrPort
	number uint64
}

const (
	// feedTick is how often the Asker is asked: probes leave as evenly.
	feedTick = 5 * time.Millisecond
	// pressedWait is how long a driver may have no room before what waits for it counts as not asked, and pressedStep how often it is tried.
	pressedWait, pressedStep = 100 * time.Millisecond, time.Millisecond
	// partsKept is for how long parts are remembered that answer again.
	partsKept = int64(time.Minute)
)

// Feed asks what an Asker hands out, until ctx ends or evidence does not come back, which is an error. Sink gets the events. The session
// has to be open, by packet sockets.
func (s *Session) Feed(ctx context.Context, asker Asker, sink results.Sink) error {
	b, ok := s.backend.(*packetBackend)
	if !ok {
		return fmt.Errorf("backend %s cannot ask endpoints one by one: packet sockets are needed", s.choice.Backend)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ph := s.phases[0]
	ph.begun.Store(time.Now().UnixNano())
	defer func() { ph.ended.Store(time.Now().UnixNano()) }()
	ph.rec.macs = s.onLinkMACs()
	s.pacer.Restart()
	drained := ph.pump(ctx, sink, cancel)
	f := &feed{
		session: s, phase: ph, asker: asker, routes: s.plan.Routes, out: b.lanes[0], batches: make([][]netip.AddrPort, len(b.lanes[0])),
		flights: map[netip.AddrPort]shot{},
	}
	f.run(ctx, cancel, rxLanes(ph, b.rings))
	ph.complete.Store(true)
	if !drained() {
		return ErrUndrained
	}
	if errors.Is(context.Cause(ctx), errEvidence) {
		return errEvidence
	}
	return stopCause(ctx)
}

// run sends and receives until ctx ends.
func (f *feed) run(ctx context.Context, cancel context.CancelCauseFunc, lanes []*rxLane) {
	stop := make(chan struct{})
	var receiving, watching sync.WaitGroup
	for _, lane := range lanes {
		lane.feed = f
		receiving.Go(crash.Guarded(func() {
			if err := lane.run(stop); err != nil {
				cancel(fatal{err})
			}
		}))
	}
	guard := newSentinel(f.phase, f, cancel)
	guard.begin(ctx)
	watching.Go(crash.Guarded(func() { guard.run(ctx, stop) }))
	f.send(ctx, cancel)
	close(stop)
	watching.Wait()
	guard.tellLater()
	for _, lane := range lanes {
		lane.wake()
	}
	receiving.Wait()
	f.lostIf(func(netip.AddrPort, shot) bool { return true })
	f.hand(f.settled(time.Now().UnixNano()))
}

// hand gives answers to the Asker.
func (f *feed) hand(answers []results.Port) {
	if len(answers) > 0 {
		f.asker.Take(answers)
	}
}

// errClock ends a feed whose clock was set back: what it knows of the path is of a time that is still to come.
var errClock = errors.New("the clock was set back")

// mostBack is how far a clock may go back unnoticed: less than it takes to notice an outage.
const mostBack = int64(100 * time.Millisecond)

// send asks the Asker, and sends what it gives as the pace grants it, until ctx ends.
func (f *feed) send(ctx context.Context, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(feedTick)
	defer tick.Stop()
	var all, due []netip.AddrPort // due is what is left of all
	last := int64(0)
	for {
		select {
		case <-ctx.Done():
			f.unasked(due...)
			return
		case <-tick.C:
		}
		now := time.Now().UnixNano()
		if now < last-mostBack {
			cancel(fatal{errClock})
			continue
		}
		last = now
		f.hand(f.settled(now))
		if len(due) == 0 {
			all = f.asker.Next(now, all[:0])
			due = all
		}
		due = f.paced(ctx, due)
	}
}

// paceWait is how long the pace is waited for before silence is looked at again: it may be paused.
const paceWait = 20 * time.Millisecond

// paced asks endpoints as the pace grants it, and gives those that it has not granted by then.
func (f *feed) paced(ctx context.Context, due []netip.AddrPort) (left []netip.AddrPort) {
	ctx, end := context.WithTimeout(ctx, paceWait)
	defer end()
	for len(due) > 0 {
		n, err := f.session.pacer.Take(ctx, len(due))
		if err != nil {
			break
		}
		f.ask(ctx, due[:n])
		due = due[n:]
	}
	return due
}

// ask sends a probe to each of some endpoints.
func (f *feed) ask(ctx context.Context, endpoints []netip.AddrPort) {
	for _, e := range f.out {
		e.begin()
	}
	now := time.Now().UnixNano()
	for _, at := range endpoints {
		path := f.way(at)
		if path < 0 {
			f.session.pacer.Return(1)
			f.unasked(at)
			continue
		}
		e := f.out[path]
		if e.n == len(e.frames) {
			f.flush(ctx, path)
			e.begin()
		}
		if sport := f.sourcePort(now); e.craft(f.session.key, at.Addr(), sport, at.Port()) {
			e.n++
			f.batches[path] = append(f.batches[path], at)
			f.launched(at, now, sport)
			continue
		}
		f.session.pacer.Return(1)
		f.phase.tally.noARP.Add(1)
		f.came(results.Port{Time: now, Addr: at.Addr(), Port: at.Port(), Reason: results.NoARP, Source: e.path.Src, Iface: e.path.Link.Name})
	}
	for path := range f.out {
		f.flush(ctx, path)
	}
}

// way is the path to an endpoint; -1 where it may not be asked now.
func (f *feed) way(at netip.AddrPort) int {
	if _, ours := f.phase.plan.Space.Index(at.Addr(), at.Port()); !ours { // without a route, or a broadcast address
		return -1
	}
	if !f.session.gate.Open() {
		f.told = append(f.told[:0], gate.Question{Addr: at.Addr(), Port: at.Port()})
		f.session.gate.AskAll(gate.Now(), f.told, false)
		switch f.told[0].Answer {
		case gate.Later:
			f.session.gate.Unpark(1)
			return -1
		case gate.Never:
			return -1
		}
	}
	path := f.routes.Lookup(at.Addr())
	if path >= 0 && f.out[path].skips {
		return -1
	}
	return path
}

// feedPorts is how many source ports take turns, a second each. A SYN-ACK comes again 1, 3, 7, 15, 31 and 63 s later where our RST has been
// lost (tcp_synack_retries of Linux, ip-sysctl.rst): modulo 13 none of these is 0, so it is to another port than a probe of that moment.
const feedPorts = 13

// sourcePort is that of a probe at a Unix time in ns.
func (f *feed) sourcePort(now int64) uint16 {
	ports := f.phase.id.ports
	return ports.Min + uint16(now/int64(time.Second)%min(feedPorts, int64(ports.Max-ports.Min))) // the last is the beacons'
}

// flush hands a path's batch to the kernel. What it does not take was not asked.
func (f *feed) flush(ctx context.Context, path int) {
	e, batch := f.out[path], f.batches[path]
	n, sent := e.n, 0
	e.n, f.batches[path] = 0, batch[:0]
	var pressed time.Time
	for sent < n {
		k, err := e.tx.Send(sent, min(sent+f.phase.plan.Asked.Batch, n, sent+f.session.beacons.seat()))
		f.phase.tally.sent.Add(uint64(k))
		f.phase.cur.next.Add(uint64(k))
		f.session.beacons.carry(k)
		sent += k
		switch {
		case err == nil:
			continue
		case errors.Is(err, rawsock.ErrBackpressure):
			f.phase.stuck.Store(true)
			f.phase.tally.pressed.Add(1)
			if pressed.IsZero() {
				pressed = time.Now()
			}
			if time.Since(pressed) < pressedWait && sleep(ctx, pressedStep) {
				continue
			}
		case errors.Is(err, rawsock.ErrInterface):
			f.phase.fault.Store(true)
			_ = e.replace() // or with the next batch: the sentinel waits for the interface
		default:
			f.phase.errors.keep(fmt.Errorf("send on %s: %w", e.path.Link.Name, err))
			f.phase.tally.txErrors.Add(1)
			f.unasked(batch[sent])
			sent++
			continue
		}
		f.unasked(batch[sent:n]...)
		return
	}
}

// launched takes note of a probe, before it leaves: an answer may come before the call returns.
func (f *feed) launched(to netip.AddrPort, now int64, sport uint16) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.number++
	f.flights[to] = shot{number: f.number, at: now, sport: sport}
	f.order = append(f.order, launch{to, f.number})
}

// came takes what came of an endpoint.
func (f *feed) came(p results.Port) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers = append(f.answers, p)
}

// unasked says of endpoints that they were not asked.
func (f *feed) unasked(all ...netip.AddrPort) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, at := range all {
		f.lostOne(at)
	}
}

// lostOne says so of one, for who holds the lock.
func (f *feed) lostOne(at netip.AddrPort) {
	delete(f.flights, at)
	f.phase.tally.unknown.Add(1)
	f.phase.tally.unsent.Add(1)
	f.answers = append(f.answers, results.Port{Time: time.Now().UnixNano(), Addr: at.Addr(), Port: at.Port(), Reason: results.EvidenceLost})
}

// answered takes a genuine answer, received at a Unix time in ns, and gives its round trip; false where no probe of that port is under way.
func (f *feed) answered(r *probe.Reply, received int64) (rtt time.Duration, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := netip.AddrPortFrom(r.Target, r.Port)
	s, ok := f.flights[at]
	if !ok || s.sport != r.LocalPort {
		return 0, false
	}
	delete(f.flights, at)
	return time.Duration(max(received-s.at, 0)), true
}
