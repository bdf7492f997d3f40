package engine

import (
	"math"
	"time"

	"synoptic/results"
	"synoptic/scan/beacon"
)

// A silence is believed once the process has run through half a second of it. On a host that is too busy for that the
// answers may come back first, and all that was sent meanwhile would pass for travelled. So the sentinel looks at every
// step that the newest answered probe makes, and what it has not looked at is not trusted.

// lull is the time since the newest answered probe has last changed.
type lull struct {
	good        int64     // when it was sent, Unix time in ns
	first, last beaconsBy // the beacons by the ticks at which it was seen so first and last
}

// look takes note of a tick, and tells whether an outage began with the probe sent at since and is over: the newest answered
// probe has made a step in which the beacons say as much against the path as an alarm takes.
func (l *lull) look(good int64, now beaconsBy) (since int64, outage bool) {
	if good == l.good {
		l.last = now
		return 0, false
	}
	before := *l
	*l = lull{good, now, now}
	if before.good == 0 || time.Duration(good-before.good) < beacon.Shortest {
		return 0, false
	}
	// One that has not left after all is not asked any more: the counts may fall.
	lost := float64(before.last.asked) - float64(before.first.asked) - (float64(now.answered) - float64(before.first.answered))
	// The share of beacons lost before, those that never answer twice included.
	share := float64(before.first.asked-min(before.first.answered, before.first.asked)+1) / float64(before.first.asked+2)
	return before.good, -lost*math.Log(share) >= beacon.Enough
}

// lookBack takes back what was sent in an outage that is over before it was believed.
func (w *sentinel) lookBack(now int64) {
	good := w.set.Good()
	if since, outage := w.lull.look(good, w.beacons()); outage {
		w.pause(now, since, cause{word: results.CausePath})
		w.past = true
		w.resume(false)
		w.past = false
		w.session.trust.without.Add(good - since)
	}
	w.session.trust.seen.Store(good)
}
