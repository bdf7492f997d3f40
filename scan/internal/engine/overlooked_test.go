package engine

import (
	"math"
	"net/netip"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/results"
	"synoptic/scan/beacon"
)

// takings are what a sentinel has taken back.
type takings struct{ since []time.Time }

func (k *takings) takeBack(since time.Time)    { k.since = append(k.since, since) }
func (k *takings) rouse(func(netip.Addr) bool) {}
func (k *takings) lose(*beacon.Part) uint64    { return 0 }
func (k *takings) back(*beacon.Part)           {}
func (k *takings) reached() uint64             { return 0 }

// What was sent between two looks of the sentinel, up to the newest answered probe, has not stayed out.
func TestExpectedAfterABurst(t *testing.T) {
	var n connectNet
	b, ph := n.begin(t)
	w := newSentinel(ph, nil, nil)
	done := func(at int64, n uint64) {
		ph.cur.next.Store(n)
		w.done.note(at, ph)
	}
	done(1e9, 100)
	ph.tally.open.Store(150)
	b.session.beacons.set.Heard(1e9 + 5e6)
	done(1e9+10e6, 200)
	done(1e9+20e6, 200)
	if e := w.expected(2e9); e.Open != 0 {
		t.Errorf("%v nats", e.Open)
	}
	done(1e9+30e6, 300)
	if e := w.expected(2e9); math.Abs(e.Open-150*math.Log(1.5)) > 1e-9 {
		t.Errorf("%v nats", e.Open)
	}
}

// A few answers tell where others should have come: most of the first tries were answered, or some by the way.
func TestExpectedOfFew(t *testing.T) {
	for _, c := range []struct {
		answered     int64
		tried, since uint64
		enough       bool
	}{
		{30, 31, 100, true}, {30, 31, 25, false}, {3, 100, 100, false}, {3, 100, 400_000, true}, {0, 100, 1 << 40, false},
	} {
		var n connectNet
		b, ph := n.begin(t)
		w := newSentinel(ph, nil, nil)
		ph.tally.closed.Store(c.answered)
		b.session.beacons.set.Heard(1e9 - 5e6)
		for i, done := range []uint64{c.tried, c.tried + c.since} {
			ph.cur.next.Store(done)
			w.done.note(int64(1+i)*1e9, ph)
		}
		if e := w.expected(4e9); e.Open != 0 || (e.All >= beacon.Enough) != c.enough {
			t.Errorf("%+v: %+v", c, e)
		}
	}
}

// Beacons that have not left after all are not lost.
func TestLullOfUnsent(t *testing.T) {
	var l lull
	l.look(1e9, beaconsBy{1, 0, 0}, beacon.Expected{})
	l.look(1e9, beaconsBy{0, 0, 0}, beacon.Expected{})
	if since, outage := l.look(3e9, beaconsBy{0, 0, 0}, beacon.Expected{}); outage {
		t.Errorf("an outage since %d", since)
	}
	l.look(3e9, beaconsBy{40, 0, 0}, beacon.Expected{})
	if since, outage := l.look(9e9, beaconsBy{41, 1, 0}, beacon.Expected{}); !outage || since != 3e9 {
		t.Errorf("outage %v since %d", outage, since)
	}
}

// What was lost in outages before does not hide another that is over before it is believed.
func TestLullAfterOutages(t *testing.T) {
	var l lull
	now := beaconsBy{20, 20, 0}
	at := int64(1e9)
	for range 16 {
		l.look(at, now, beacon.Expected{})
		now.asked, now.lost = now.asked+170, now.lost+170
		l.end(now, false)
		now.asked, now.answered, at = now.asked+1, now.answered+1, at+20e9
	}
	l.look(at, now, beacon.Expected{})
	now.asked, now.lost = now.asked+10, now.lost+10
	l.look(at, now, beacon.Expected{})
	now.asked, now.answered = now.asked+1, now.answered+1
	if since, outage := l.look(at+2e9, now, beacon.Expected{}); !outage || since != at {
		t.Errorf("outage %v since %d", outage, since)
	}
}

// A host that is too busy for an alarm sees the outage when it is over, and trusts nothing that was sent in it meanwhile.
func TestOutageOverlooked(t *testing.T) {
	for _, lasts := range []time.Duration{0, 4 * time.Second} {
		bubble.Test(t, func(t *testing.T) {
			const from = 6 * time.Second
			n := connectNet{cut: during(from, from+lasts)}
			b, ph := n.begin(t)
			var taken takings
			w := newSentinel(ph, &taken, nil)
			c := newConnectBeacons(t.Context(), b, ph)
			defer c.stop()
			for i := range 50 {
				addr, _ := ph.id.endpoint(uint64(i))
				b.session.beacons.offer(addr, uint16(1+i%20), true, time.Now().UnixNano(), n.trip)
			}
			for time.Since(n.begun) < 2*from {
				time.Sleep(150 * time.Millisecond) // more than what counts as standing still
				at, trusted := time.Since(n.begun), ph.trusted().Sub(n.begun)
				if at > from && at < from+lasts && trusted > from {
					t.Errorf("at %v what was sent until %v is trusted", at, trusted)
				}
				w.tick(t.Context(), time.Now().UnixNano())
			}
			events := happened(ph.rec.queue.told())
			if lasts == 0 {
				if len(events)+len(taken.since) != 0 {
					t.Errorf("events %q, taken back %v", events, taken.since)
				}
				return
			}
			equal(t, events, []string{"outage all path", "resumed all path"})
			if len(taken.since) != 1 || taken.since[0].Sub(n.begun) > from || taken.since[0].Sub(n.begun) < from-time.Second {
				t.Errorf("taken back %v", taken.since)
			}
			if e := b.session.Evidence(); e.Outages != 1 || e.Without < lasts.Seconds() || e.Without > lasts.Seconds()+1 {
				t.Errorf("%+v", e)
			}
		})
	}
}

// An outage that was over when it was believed: the first answers in the pause are to what was sent behind it, so all since the newest
// probe answered before it is asked again. Where answers were only late, the last of them shows that what was sent before it has travelled.
func TestOutageOverWhenBelieved(t *testing.T) {
	for _, c := range []struct {
		heard []int64 // ms, each seen by itself; the pause begins at 1600, and the newest answer before is of 1000
		want  int64   // since when it is taken back
	}{
		{nil, 1000},
		{[]int64{1500, 1510, 1590}, 1000},
		{[]int64{1020, 1060, 1100, 1140}, 1140},
		{[]int64{1040, 1500, 1580}, 1040},
		{[]int64{1700}, 1000},
	} {
		var n connectNet
		b, ph := n.begin(t)
		var taken takings
		w := newSentinel(ph, &taken, nil)
		b.session.beacons.set.Heard(1000 * msec)
		w.pause(1600*msec, 1000*msec, cause{word: results.CausePath})
		w.lookBehind()
		for _, at := range c.heard {
			b.session.beacons.set.Heard(at * msec)
			w.lookBehind()
		}
		w.resume(false)
		if len(taken.since) != 1 || taken.since[0].UnixNano() != c.want*msec || w.past {
			t.Errorf("heard %v: taken back since %v", c.heard, taken.since)
		}
	}
}
