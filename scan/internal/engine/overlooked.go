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
	good        int64           // when it was sent, Unix time in ns
	first, last beaconsBy       // the beacons by the ticks at which it was seen so first and last
	expected    beacon.Expected // answers by the last of them
	outages     uint64          // beacons lost in outages, which say nothing of how many are lost otherwise
}

// end says that a pause is over, in which no tick was looked at; doubtful, that it was rather no outage's.
func (l *lull) end(now beaconsBy, doubtful bool) {
	if l.good != 0 && !doubtful {
		l.outage(l.first, now)
	}
	*l = lull{outages: l.outages}
}

// outage says that the beacons lost between two counts were an outage's. One that is late is not lost any more.
func (l *lull) outage(from, to beaconsBy) { l.outages += max(to.lost, from.lost) - from.lost }

// look takes note of a tick, and tells whether an outage began with the probe sent at since and is over: the newest answered
// probe has made a step in which the beacons, and answers that should have come by themselves, say as much against the path as an
// alarm takes.
func (l *lull) look(good int64, now beaconsBy, expected beacon.Expected) (since int64, outage bool) {
	if good == l.good {
		l.last, l.expected = now, expected
		return 0, false
	}
	before := *l
	*l = lull{good: good, first: now, last: now, outages: l.outages}
	quiet := time.Duration(good - before.good)
	if before.good == 0 || quiet < beacon.Shortest {
		return 0, false
	}
	// One that has not left after all is not asked any more: the counts may fall.
	lost := float64(before.last.asked) - float64(before.first.asked) - (float64(now.answered) - float64(before.first.answered))
	// The share of beacons lost before, those that never answer twice included.
	failures := before.first.lost - min(l.outages, before.first.lost)
	share := float64(failures+1) / float64(failures+before.first.answered+2)
	says := -lost * math.Log(share)
	if quiet >= beacon.ResetsRefill {
		says += before.expected.All
	} else {
		says += before.expected.Open
	}
	if says < beacon.Enough {
		return 0, false
	}
	l.outage(before.first, now)
	return before.good, true
}

// lookBack takes back what was sent in an outage that is over before it was believed. Where one such has followed another in vain, and the
// scan has not come further, the pause stays: the phase ends. A host that stands still every few seconds gets its scan done.
func (w *sentinel) lookBack(now int64) {
	good := w.set.Good()
	if since, outage := w.lull.look(good, w.beacons(), w.expected(now)); outage {
		w.set.Overlooked(since)
		if r := w.asked.reached(); r != w.reached {
			w.reached, w.vain = r, 0
		}
		w.pause(now, since, cause{word: results.CausePath})
		w.past = true
		w.session.trust.without.Add(good - since)
		if w.hopeless() {
			w.giveUpAll()
			return
		}
		w.resume(false)
	}
	w.session.trust.seen.Store(good)
}

// lookBehind looks at the answers that come in a pause to what was sent before it. The first gap between what they answer is the outage,
// which was over when it was believed: an answer behind it shows nothing of what was sent in it.
func (w *sentinel) lookBehind() {
	newest := w.set.Before()
	if w.before != 0 && newest-w.before >= int64(shortestFault) && !w.past {
		w.since, w.past = max(w.since, w.before), true
	}
	w.before = newest
}
