package engine

import (
	"fmt"
	"math"
	"time"

	"synoptic/rawsock/route"
	"synoptic/results"
	"synoptic/scan/beacon"
)

// The host's news of a link may be read when its fault is over and answers have come again. The newest answered probe then
// lies behind the fault, and what was asked in it may be done with. So the sentinel remembers the gaps of late:
//
//	answered ── gap, in which no probe was that is answered ── answered ── news: there was a fault
//	               └─▶ not done with: taken back; done with, and asked in gaps only: unknown
//
// Where answers come densely there are no gaps but those of faults, and nothing is unknown for one that is shorter.

const (
	// newsLate is how late the host's news of a link may be read, while this process runs: Linux keeps what is not urgent for up
	// to a second (linkwatch_schedule_work in net/core/link_watch.c, 6.1), and then it has to be read.
	newsLate = 1100 * time.Millisecond
	// shortestFault is how long a fault of a link lasts at least for what is lost in it to be found.
	shortestFault = 50 * time.Millisecond
)

// gap is a time between two probes that were answered, in which none was sent that is: their times, Unix in ns.
type gap struct{ from, to int64 }

// gaps are the newest ones of at least shortestFault: there is at most one in a tick, so these reach back for longer than
// news may be late.
type gaps struct {
	good int64 // the newest answered probe
	ring [2 * int(newsLate/beacon.TickStep)]gap
	n    int
}

// look takes note of the newest answered probe.
func (g *gaps) look(good int64) {
	if good <= g.good {
		return
	}
	if g.good != 0 && good-g.good >= int64(shortestFault) {
		g.ring[g.n%len(g.ring)] = gap{g.good, good}
		g.n++
	}
	g.good = good
}

// since are the gaps in which a fault may lie that has begun after a time, in order, those together that touch. They end there.
func (g *gaps) since(t int64) (all []gap) {
	for i := max(0, g.n-len(g.ring)); i < g.n; i++ {
		next := g.ring[i%len(g.ring)]
		next.from = max(next.from, t)
		switch last := len(all) - 1; {
		case next.to <= t:
		case last >= 0 && all[last].to == next.from:
			all[last].to = next.to
		default:
			all = append(all, next)
		}
	}
	return all
}

// lookAtGaps takes note of the newest answered probe of each path.
func (w *sentinel) lookAtGaps() {
	for i := range w.gaps {
		w.gaps[i].look(w.set.NewestOn(i))
	}
}

// faultWords are what a fault is called that news of a link tell the begin or the end of.
var faultWords = map[route.ChangeKind]string{
	route.LinkGone: results.CauseInterfaceGone, route.LinkDown: results.CauseInterfaceDown, route.CarrierLost: results.CauseNoCarrier,
	route.LinkUp: results.CauseInterfaceDown, route.CarrierBack: results.CauseNoCarrier,
}

// late takes in news of a link, given what the host has to say of each path now. They are of a fault that is over where they tell that
// one has begun, and there is none; or that it has ended, and there is one, which then is another.
func (w *sentinel) late(now int64, c *route.Change, faults []*route.FaultError) {
	word, about := faultWords[c.Kind]
	if !about {
		return
	}
	ends := c.Kind == route.LinkUp || c.Kind == route.CarrierBack
	w.lookAtGaps()
	for i, f := range faults {
		path := w.session.path(i)
		switch {
		case path.Link.Index != c.Link:
		case f == nil && !ends, f != nil && ends && string(f.Cause) == word:
			w.over(now, i, cause{word: word, path: &w.session.paths()[i], err: fmt.Errorf("interface %s: %s, for a moment", path.Link.Name, word)})
		}
	}
}

// over waits for a path of which a fault is over: the next look ends it. Nobody knows which of the gaps of late it was, so all are
// as if nothing that was sent in them had travelled.
func (w *sentinel) over(now int64, path int, c cause) {
	all, since := w.gaps[path].since(w.done.awake(newsLate)), int64(math.MaxInt64)
	if len(all) > 0 {
		since = all[0].from
	}
	switch {
	case w.away[path] != nil || w.release != nil: // for another fault
	case w.shared != nil && w.others(path):
		w.leave(now, w.newestOn(now, path), path, c, false)
	default:
		w.pause(now, min(w.newest(now), since), c)
	}
	if len(all) == 0 {
		return
	}
	if a := w.away[path]; a != nil {
		a.from = min(a.from, since)
		w.awaited()
	} else {
		w.since, w.past = min(w.since, since), true
		w.session.trust.since.Store(w.since)
	}
	w.noticedLate(path, c, all)
}

// noticedLate makes unknown what was asked on a path in gaps only, and is done with: what is trusted waits for the beacons of a
// path for a while only, and for the host's news not at all.
func (w *sentinel) noticedLate(path int, c cause, all []gap) {
	if w.shared == nil {
		return // verdicts are kept for longer, and taken back
	}
	n := uint64(0)
	for _, g := range all {
		n += w.shared.lose(&beacon.Part{Scope: beacon.Path, Path: path, Since: g.from - int64(w.phase.ev.rtts.Longest()), Until: g.to})
	}
	if n == 0 {
		return
	}
	e := w.pathEvent(path, c)
	e.Kind, e.Begin, e.Unknown = results.EventLost, all[0].from, n
	e.Message = fmt.Sprintf("ports probed %v, and settled before it was noticed, are unknown, not filtered", &w.session.paths()[path])
	w.emit(e)
}
