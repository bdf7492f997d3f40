package engine

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"synoptic/results"
	"synoptic/scan/beacon"
)

// unanswered are the positions whose connects have ended without an answer: by a time-out, or by an error that this
// host may have made up itself when a router or an interface of its own was at fault. Their verdict waits until it is
// known what it is worth:
//
//	connect ends ─▶ waiting ─▶ trusted up to its end ─▶ filtered
//	                   └─▶ outage: to be asked again ─▶ no evidence to the end: unknown
//
// The kernel repeats a SYN by itself, so a connect stands for several SYNs, from its begin to its end. The rule is the
// careful one: all of them must have been sent while evidence held. So a verdict is trusted when what was sent at the
// end of the connect is known to have travelled, and a connect that an outage has cut on either side is repeated.
type unanswered struct {
	phase  *Phase
	roused atomic.Bool // what was put off is to be asked about again

	mu      sync.Mutex
	waiting []verdict // in the order in which the connects ended
	again   []turn    // to be asked again
	taken   int64     // Unix time in ns: what was begun up to then was under way in an outage
	parts   lostParts
}

// verdict is what a connect has found out.
type verdict struct {
	pos          uint64
	begun, ended int64 // Unix time in ns
	reason       results.Reason
}

// mostWaiting verdicts, trusted ones included, are kept for parts that are known to be lost some seconds after they were.
const mostWaiting = 1 << 16

// add takes the verdict of a connect that ends now.
func (u *unanswered) add(pos uint64, begun int64, reason results.Reason) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if begun <= u.taken {
		u.repeat(pos)
		return
	}
	u.waiting = append(u.waiting, verdict{pos, begun, time.Now().UnixNano(), reason})
}

// cut takes a position whose connect was under way when the phase ended for want of evidence.
func (u *unanswered) cut(pos uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.again = append(u.again, turn{pos: pos, repeated: true})
}

// retry has a position asked again because its connect was cut short before the kernel would repeat its SYN.
func (u *unanswered) retry(t turn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.again = append(u.again, turn{pos: t.pos, tries: t.tries + 1, repeated: true})
}

// repeat has a position asked again, for who holds the lock.
func (u *unanswered) repeat(pos uint64) {
	u.again = append(u.again, turn{pos: pos, repeated: true})
	u.phase.tally.again.Add(1)
}

// reached is how many positions have a state.
func (u *unanswered) reached() uint64 { return u.phase.tally.settled() }

// rouse has all asked about again that the gate has put off.
func (u *unanswered) rouse(func(netip.Addr) bool) { u.roused.Store(true) }

// next is a position to be asked again.
func (u *unanswered) next() (t turn, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if n := len(u.again); n > 0 {
		t, u.again = u.again[n-1], u.again[:n-1]
		return t, true
	}
	return t, false
}

// settle gives the positions their states whose verdicts are trusted, and not wanted any more; over tells that the phase
// has nothing else to do. It tells how many still wait.
func (u *unanswered) settle(over bool) (left int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	trusted := u.phase.trusted().UnixNano()
	if _, known := u.phase.session.beacons.set.Trusted(); !known {
		over = true // no part will be known to be lost
	}
	kept := time.Now().Add(-askedKept).UnixNano()
	n := 0
	batch := u.phase.rec.queue.batch()
	var lost []uint64
	for ; n < len(u.waiting); n++ {
		v := &u.waiting[n]
		if v.ended > trusted || !over && v.ended > kept && len(u.waiting)-n <= mostWaiting {
			break
		}
		if u.lost(v) {
			lost = append(lost, v.pos)
			continue
		}
		batch = u.phase.silentTo(batch, v)
	}
	u.phase.rec.queue.put(batch)
	u.phase.distrustThese(lost, nil)
	u.waiting = slices.Delete(u.waiting, 0, n)
	return len(u.waiting) + len(u.again)
}

// silentTo gives a position the state of its verdict.
func (ph *Phase) silentTo(batch []results.Port, v *verdict) []results.Port {
	old, ok := ph.results.Mark(v.pos, v.reason.State())
	if !ok {
		ph.tally.late.Add(1)
		return batch
	}
	ph.tally.count(old, v.reason)
	if v.reason == results.Timeout {
		ph.tally.timeouts.Add(1)
	}
	if ph.rec.emits&v.reason.State() == 0 {
		return batch
	}
	addr, port := ph.id.endpoint(v.pos)
	return ph.rec.emit(batch, results.Port{Addr: addr, Port: port, Attempt: 1, Time: time.Now().UnixNano(), Reason: v.reason})
}

// lost tells whether a position belongs to a part that was lost when it was asked.
func (u *unanswered) lost(v *verdict) bool {
	for i := range u.parts {
		if u.lostIn(&u.parts[i], v) {
			return true
		}
	}
	return false
}

func (u *unanswered) lostIn(p *beacon.Part, v *verdict) bool {
	if !lostBetween(p, v.begun, v.begun) {
		return false
	}
	addr, _ := u.phase.id.endpoint(v.pos)
	return p.Holds(addr, lookup(u.phase.session.routes, addr))
}

// takeBack has all asked again whose connects ended after a time. Those under way follow when they have ended.
func (u *unanswered) takeBack(since time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.taken = time.Now().UnixNano()
	first := len(u.waiting)
	for first > 0 && u.waiting[first-1].ended > since.UnixNano() {
		first--
		u.repeat(u.waiting[first].pos)
	}
	u.waiting = u.waiting[:first]
}

// lose makes the positions of a part unknown that were asked since it was lost.
func (u *unanswered) lose(p *beacon.Part) uint64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.parts = append(u.parts, *p)
	var gone []uint64
	u.waiting = slices.DeleteFunc(u.waiting, func(v verdict) bool {
		lost := u.lostIn(p, &v)
		if lost {
			gone = append(gone, v.pos)
		}
		return lost
	})
	return u.phase.distrustThese(gone, nil)
}

// back says that a part answers again.
func (u *unanswered) back(p *beacon.Part) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.parts.back(p)
}

// giveUp ends the waiting when the phase has ended: what is not trusted by now is unknown.
func (u *unanswered) giveUp() {
	u.settle(true)
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, v := range u.waiting {
		u.phase.unsettled(v.pos)
	}
	again := make([]uint64, 0, len(u.again))
	for _, t := range u.again {
		if t.tries > 0 { // no outage is to blame
			u.phase.unsettled(t.pos)
		} else {
			again = append(again, t.pos)
		}
	}
	u.phase.distrustThese(again, nil)
	u.waiting, u.again = nil, nil
}

// unsettled takes a position whose connect has said nothing about it out of the coverage.
func (ph *Phase) unsettled(pos uint64) {
	ph.results.Mark(pos, results.Unknown)
	ph.tally.unsent.Add(1)
}
