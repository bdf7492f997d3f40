package engine

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"synoptic/results"
	"synoptic/scan/beacon"
)

// How a scan over several paths goes on where some of them are at fault:
//
//	the host, or a gateway's silence, names a path ─▶ leave: lanes walk over its positions without asking them
//	   its fault is over, and a beacon on it answered ─▶ comeBack: all passes since are taken back
//	   patience is over ─▶ giveUp: what was not asked since is unknown; the rest goes on
//
// Where no path is left, everything pauses, as with a single one.

// away is a path that is left.
type away struct {
	cause   cause
	since   int64 // the newest probe that was answered on it before
	from    int64 // since when what was sent there, and is not done with, is asked again: that, or a gap before
	begun   int64 // when it was left
	again   int64 // since when a beacon on it that is answered ends it
	faulted bool  // the host names a fault of it
	lost    *beacon.Part
}

// leave has the others go on without a path.
func (w *sentinel) leave(now, since int64, path int, c cause, faulted bool) {
	w.away[path] = &away{cause: c, since: since, from: since, begun: now, again: now, faulted: faulted}
	w.session.hops[path].away.Store(true)
	proven := w.set.GoodOf(path) != 0
	w.set.Leave(path)
	w.awaited()
	w.shared.leave(path)
	w.session.trust.outages.Add(1)
	e := w.pathEvent(path, c)
	e.Kind, e.Begin = results.EventOutage, since
	e.Message = fmt.Sprintf("no packets get through %v any more, and the rest goes on: %v", &w.session.paths()[path], c.err)
	w.emit(e)
	if proven {
		w.noticedLate(path, c, []gap{{since, now}})
	}
}

// awaited takes note of since when nothing is known of the paths that may come back, and of the parts whose gateways are
// being asked.
func (w *sentinel) awaited() {
	since := int64(math.MaxInt64)
	for _, a := range w.away {
		if a != nil && a.lost == nil {
			since = min(since, a.from)
		}
	}
	for _, p := range w.suspects {
		since = min(since, p.Since)
	}
	if since == math.MaxInt64 {
		since = 0
	}
	w.session.trust.away.Store(since)
}

// anyAway tells whether a path is left.
func (w *sentinel) anyAway() bool {
	return slices.ContainsFunc(w.away, func(a *away) bool { return a != nil })
}

// lookAtAway looks whether paths that are left are back, or will not come back in time.
func (w *sentinel) lookAtAway(ctx context.Context, now int64) {
	if !w.anyAway() {
		return
	}
	if now-w.checked >= checkEvery {
		w.check(ctx, now)
	}
	for i, a := range w.away {
		switch {
		case a == nil:
		case !a.faulted && (!w.set.ProvenOn(i) || w.set.GoodOf(i) > a.again):
			w.comeBack(now, i)
		case a.lost == nil && time.Duration(now-a.begun) >= w.session.plan.Asked.Patience:
			w.giveUp(i, false)
		case !a.faulted && !w.seeking && now-max(w.sought, a.again) > int64(time.Second):
			w.seek(ctx) // its gateway may have another MAC address
		}
	}
}

// comeBack has the lanes use a path again.
func (w *sentinel) comeBack(now int64, path int) {
	a := w.away[path]
	if a.lost == nil && w.phase.sending.Load() != 0 {
		w.giveUp(path, true) // the lanes have ended: nothing is asked again
	}
	w.away[path] = nil
	w.session.hops[path].away.Store(false)
	w.set.Return(path)
	e := w.pathEvent(path, a.cause)
	e.Kind, e.Begin, e.End = results.EventResumed, a.since, now
	e.Message = fmt.Sprintf("answers arrive again %v", &w.session.paths()[path])
	if a.cause.word == results.CauseNextHopMoved {
		e.Message = fmt.Sprintf("answers arrive again, or will soon, %v", &w.session.paths()[path])
	}
	if a.lost == nil {
		before := w.phase.tally.again.Load()
		w.shared.takeBack(time.Unix(0, a.from-int64(w.phase.ev.rtts.Longest())))
		e.Again = w.phase.tally.again.Load() - before
		e.Message += ": what was sent meanwhile is probed again"
	}
	w.shared.comeBack(path, a.lost, now)
	w.awaited()
	w.emit(e)
}

// giveUp waits no longer for a path: patience is over, or the scan has ended, which may have asked all there before.
func (w *sentinel) giveUp(path int, ended bool) {
	a := w.away[path]
	a.lost = &beacon.Part{Scope: beacon.Path, Path: path, Since: a.from}
	if ended { // what was done with in the gaps before is unknown already
		a.lost.Since = a.since
	}
	n := w.shared.lose(a.lost)
	when := "before the end"
	if !ended {
		w.session.trust.lost.Store(true)
		when = fmt.Sprintf("within %v", w.session.plan.Asked.Patience)
	} else if n == 0 {
		return
	}
	e := w.pathEvent(path, a.cause)
	e.Kind, e.Begin, e.Unknown = results.EventLost, a.since, n
	e.Message = fmt.Sprintf("evidence did not come back %s %v, and the rest goes on: ports not probed there are unknown, not filtered: %v",
		when, &w.session.paths()[path], a.cause.err)
	w.awaited()
	w.emit(e)
}

// pathEvent is an event about a path.
func (w *sentinel) pathEvent(path int, c cause) results.Event {
	p := &w.session.paths()[path]
	e := results.Event{Scope: results.ScopeInterface, Cause: c.word, Iface: p.Link.Name, NextHop: p.Gateway}
	if c.word == results.CauseNextHopSilent || c.word == results.CauseNextHopMoved {
		e.Scope = results.ScopeNextHop
	}
	return e
}

// newestOn is newest of a path.
func (w *sentinel) newestOn(now int64, path int) int64 {
	if good := w.set.GoodOf(path); good != 0 {
		return good
	}
	return max(w.begun, now-int64(w.session.plan.Asked.Wait))
}

// suspect has a part's gateway asked before the part is told to be lost, where the scan has several paths; false where
// there is none to ask.
func (w *sentinel) suspect(ctx context.Context, p *beacon.Part) bool {
	if len(w.session.hops) < 2 || w.session.hops[p.Path].ear == nil {
		return false
	}
	w.suspects = append(w.suspects, p)
	w.awaited()
	if !w.seeking {
		w.seek(ctx)
	}
	return true
}

// judgeSuspects tells which parts are lost, and which only have a silent gateway that may come back, or one that has moved.
func (w *sentinel) judgeSuspects(f *finding, moved map[int]bool) {
	now := time.Now().UnixNano()
	for _, p := range w.suspects {
		i := p.Path
		c, silent := f.silent[i]
		switch {
		case moved[i] || w.away[i] != nil && w.away[i].since <= p.Since: // all since is asked again, or will be when it is back
			w.set.Drop(p)
		case !silent || w.release != nil || !w.others(i) || w.away[i] != nil:
			w.tellLost(p)
		default:
			w.leave(now, min(p.Since, w.newestOn(now, i)), i, c, false)
			w.set.Drop(p)
		}
	}
	w.suspects = nil
	w.awaited()
}

// swallowed says that a gateway has another MAC address than the one used so far: nobody knows since when what was sent there
// has been for nobody, but that it was for somebody until the newest answer. back tells that the path was left for that, until
// the new address is used.
func (w *sentinel) swallowed(path int) (back bool) {
	now := time.Now().UnixNano()
	c := cause{word: results.CauseNextHopMoved}
	switch {
	case w.away[path] != nil:
	case w.shared != nil && w.others(path) && w.set.GoodOf(path) != 0:
		since := w.newestOn(now, path)
		for _, p := range w.suspects {
			if p.Path == path {
				since = min(since, p.Since)
			}
		}
		c.err = fmt.Errorf("%v has another MAC address", w.session.paths()[path].Gateway)
		w.leave(now, since, path, c, false)
		return true
	case w.release == nil:
		w.pause(now, w.newest(now), c)
	}
	return false
}

// tellLost makes unknown what was asked of a part since it has stopped answering.
func (w *sentinel) tellLost(p *beacon.Part) {
	e := w.partEvent(p)
	e.Kind, e.Begin, e.Unknown = results.EventLost, p.Since, w.asked.lose(p)
	e.Message = fmt.Sprintf("%s has stopped answering, while others go on: ports probed there since are unknown, not filtered", w.partName(p))
	w.emit(e)
}

// part ends what waits for an answer when the phase ends.
func (w *sentinel) part() {
	for _, p := range w.suspects {
		w.tellLost(p)
	}
	for i, a := range w.away {
		if a == nil {
			continue
		}
		if a.lost == nil {
			w.giveUp(i, true)
		}
		w.session.hops[i].away.Store(false) // the next phase may find it up
		w.set.Return(i)
	}
	w.session.trust.away.Store(0)
}

// others tells whether a path is left to send on besides one.
func (w *sentinel) others(path int) bool {
	for i, a := range w.away {
		if i != path && a == nil {
			return true
		}
	}
	return false
}

// leave takes note of a path that lanes do not send on from now on.
func (s *sharedSchedule) leave(path int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away[path] = s.schedule.Oldest()
}

// comeBack takes note of its return; lost is its part, where patience was over.
func (s *sharedSchedule) comeBack(path int, lost *beacon.Part, now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.away, path)
	if lost != nil {
		lost.Until = now
		s.parts.back(lost)
	}
}

// abandonAway gives up what was not asked on paths that are left, when the lanes have been stopped.
func (s *sharedSchedule) abandonAway() {
	s.mu.Lock()
	defer s.mu.Unlock()
	routes := s.phase.plan.Routes
	for path, from := range s.away {
		s.phase.distrustSome(from, s.phase.cur.next.Load(), func(a netip.Addr) bool { return routes.Lookup(a) == path })
	}
}
