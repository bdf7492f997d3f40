package engine

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"synoptic/results"
	"synoptic/scan/beacon"
	"synoptic/scan/schedule"
)

// How a phase knows what its silence is worth. What was sent has travelled up to the newest probe that was answered; what
// was sent behind that in an outage is taken back. Positions of a part that has stopped answering are unknown.

// trust is what a session has to tell of its evidence.
type trust struct {
	outages atomic.Int64
	begun   atomic.Int64 // of the outage under way, Unix time in ns; 0: there is none
	since   atomic.Int64 // the newest probe that was answered before it
	without atomic.Int64 // ns without evidence, of outages that are over
	away    atomic.Int64 // since when a path that may come back is at fault or suspected, while others go on; 0: none is
	lost    atomic.Bool  // for good
	seen    atomic.Int64 // the newest answered probe that the sentinel has looked at
}

func (t *trust) outage(now, since int64) {
	t.outages.Add(1)
	t.since.Store(since)
	t.begun.Store(now)
}

func (t *trust) resumed(now int64) { t.without.Add(now - t.begun.Swap(0)) }

// Evidence is what the session knows of its evidence.
func (s *Session) Evidence() *results.Evidence {
	e := &results.Evidence{State: results.EvidenceStateHeld, Without: time.Duration(s.trust.without.Load()).Seconds(), Outages: int(s.trust.outages.Load())}
	for _, ph := range s.phases {
		e.Again += ph.tally.again.Load()
	}
	if n := len(s.phases); n > 0 { // the scan itself is the last one: what is unknown of canary ports is none of its ports
		e.Unknown = s.phases[n-1].tally.unknown.Load()
	}
	for i, n := range s.beacons.set.Paths() {
		p := results.PathEvidence{Asked: n.Asked, Answered: n.Answered}
		if s.routes != nil {
			p.Iface, p.NextHop = s.routes.Paths[i].Link.Name, s.routes.Paths[i].Gateway
		}
		e.Paths = append(e.Paths, p)
		e.Asked += n.Asked
		e.Answered += n.Answered
	}
	switch {
	case s.trust.lost.Load() || e.Unknown > 0:
		e.State = results.EvidenceStateLost
	case s.beacons.set.Good() == 0:
		e.State = results.EvidenceStateNone
	}
	return e
}

// Lost tells whether evidence, of all or of a path, did not come back in time.
func (s *Session) Lost() bool { return s.trust.lost.Load() }

// Outage is the cause of the outage that is waited for; false where there is none.
func (ph *Phase) Outage() (cause string, waits bool) {
	if p := ph.outage.Load(); p != nil {
		return *p, true
	}
	return "", false
}

// blindTime is how long the first answer of all may be on its way (RFC 6298 section 2.1): until then it may come out that what was
// sent meanwhile has not travelled.
const blindTime = time.Second

// trusted is the time up to which what was sent is known to have travelled.
func (ph *Phase) trusted() time.Time {
	good, known := ph.session.beacons.set.Trusted()
	t := &ph.session.trust
	good = min(good, t.seen.Load())
	away := t.away.Load()
	switch {
	case t.begun.Load() != 0:
		good = t.since.Load()
	case !known && away == 0:
		return time.Now().Add(-blindTime) // nobody answers: there is nothing else to wait for
	case !known:
		good = away
	}
	if away != 0 {
		good = min(good, away)
	}
	return time.Unix(0, good-int64(ph.ev.rtts.Longest()))
}

// takeBack says that what was sent since a time, up to now, has not travelled.
func (s *sharedSchedule) takeBack(since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase.tally.again.Add(s.schedule.TakeBack(since, time.Now()))
	s.epoch.Add(1)
}

// interrupted tells that a lane goes on with a pass after what was before its cursor was taken back.
func (s *sharedSchedule) interrupted(p *schedule.Pass) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase.tally.again.Add(s.schedule.Interrupted(p))
}

// abandonUnasked gives up what would have been asked again when the lanes have stopped.
func (s *sharedSchedule) abandonUnasked() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.schedule.Unasked(s.phase.distrust)
}

// distrust says of the silent positions of a run that their silence says nothing.
func (ph *Phase) distrust(begin, end uint64) { ph.distrustSome(begin, end, nil) }

// distrustSome does so for those of which some says so, given their addresses; nil: all.
func (ph *Phase) distrustSome(begin, end uint64, some func(netip.Addr) bool) (n uint64) {
	if begin >= end {
		return 0
	}
	var silent []uint64
	ph.results.Silent(begin, end, func(pos uint64) bool { silent = append(silent, pos); return true })
	return ph.distrustThese(silent, some)
}

// distrustThese does so for positions that were silent just now.
func (ph *Phase) distrustThese(silent []uint64, some func(netip.Addr) bool) (n uint64) {
	if len(silent) == 0 {
		return 0
	}
	batch := ph.rec.queue.batch()
	for _, pos := range silent {
		addr, port := ph.id.endpoint(pos)
		if some != nil && !some(addr) {
			continue
		}
		if old, ok := ph.results.Mark(pos, results.Unknown); !ok || old != 0 {
			continue // it has answered after all
		}
		n++
		if ph.rec.emits&results.Filtered != 0 {
			batch = ph.rec.emit(batch, results.Port{Time: time.Now().UnixNano(), Addr: addr, Port: port, Reason: results.EvidenceLost})
		}
	}
	ph.rec.queue.put(batch)
	ph.tally.unsent.Add(n)
	ph.tally.unknown.Add(n)
	return n
}

// askedKept is for how long chunks are remembered that are done with: a part is known to be lost some seconds after
// it was.
const askedKept = 15 * time.Second

// settled is told of a chunk that is done with. It is called with the lock held.
func (s *sharedSchedule) settled(a schedule.Asked) {
	s.judge(a)
	last := func(a *schedule.Asked) time.Time { return a.Passes[len(a.Passes)-1].Begun }
	old := 0
	for old < len(s.asked) && last(&a).Sub(last(&s.asked[old])) > askedKept {
		old++
	}
	s.asked = append(slices.Delete(s.asked, 0, old), a)
}

// judge makes positions unknown of which nobody can say whether their parts were there in any of the passes in which they were
// asked.
func (s *sharedSchedule) judge(a schedule.Asked) uint64 {
	lost := make([]lostParts, len(a.Passes)) // in each pass
	for i, pass := range a.Passes {
		for _, p := range s.parts {
			if lostBetween(&p, pass.Ended.UnixNano(), pass.Begun.UnixNano()) {
				lost[i] = append(lost[i], p)
			}
		}
		if lost[i] == nil {
			return 0
		}
	}
	routes := s.phase.plan.Routes
	return s.phase.distrustSome(a.Begin, a.End, func(addr netip.Addr) bool {
		path := routes.Lookup(addr)
		return !slices.ContainsFunc(lost, func(l lostParts) bool { return !l.hold(addr, path) })
	})
}

// lose says that a part has stopped answering, and tells how many positions have become unknown by that.
func (s *sharedSchedule) lose(p *beacon.Part) (n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts = append(s.parts, *p)
	for _, a := range s.asked {
		n += s.judge(a)
	}
	return n
}

// back says that a part answers again.
func (s *sharedSchedule) back(p *beacon.Part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts.back(p)
}

// lostParts are parts that are lost, or were: copies, for a set goes on looking at its own.
type lostParts []beacon.Part

// back notes when a part answers again.
func (l lostParts) back(p *beacon.Part) {
	for i := range l {
		if q := &l[i]; q.Until == 0 && q.Since == p.Since && q.Scope == p.Scope && q.Prefix == p.Prefix && q.Path == p.Path {
			q.Until = p.Until
		}
	}
}

// hold tells whether any of them holds a target.
func (l lostParts) hold(addr netip.Addr, path int) bool {
	return slices.ContainsFunc(l, func(p beacon.Part) bool { return p.Holds(addr, path) })
}

// lostBetween tells whether nobody can say that a part was there when a position of it was asked from first to last, in
// Unix time in ns.
func lostBetween(p *beacon.Part, first, last int64) bool {
	return first > p.Since && (p.Until == 0 || last <= p.Until)
}
