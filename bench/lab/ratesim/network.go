// Package ratesim is a network packet by packet, for what decides on rates: a bottleneck with a queue or a policer, delay, jitter and
// loss, and scans through it that have the habits of the engine (the limiter's bursts, sleeps that last too long, passes over chunks behind a
// gap, the real set of beacons, a tick every 10 ms). Call Run. It is a calendar of events in one goroutine: a minute of
// sending at 100,000 packets a second takes a second, and a seed replays to the last packet.
//
//	Scan ─▶ pace ─▶ probe ──▶ bottleneck ─▶ loss, delay ─▶ target ─▶ loss ─▶ answer ─▶ beacon.Set
//	         ▲        beacon ─▶                                                           │ outcomes
//	         └────────────────────────── auto.Controller ◀────────────────────────────────┘
//
// bench/lab/sim has real engines in it, and goroutines; it is for what the engine does, and too slow for ten thousand seconds.
package ratesim

import (
	"time"

	"synoptic/ratelimit/auto"
)

// Result is what came of a scan.
type Result struct {
	Sent, Beacons     int // packets; the beacons are among those sent
	Dropped           int // at the bottleneck, of all scans
	Responsive, Found int
	Extra             int           // passes beyond the retries
	Time              time.Duration // from the first probe to the last, without waiting for gaps
	Wall              time.Duration // with it
	Queue             time.Duration // the mean wait at the bottleneck
	Trace             []Point       // every 10 ms

	idle, last int64
	queued     float64
	looks      int
}

// Point is a moment of a scan.
type Point struct {
	At      time.Duration // since the run's begin
	Rate    float64       // asked for, packets per second
	Sent    int           // since the scan's begin
	Dropped int           // at the bottleneck, of all scans
	Queue   time.Duration
	Why     auto.Limit
	Phase   auto.Phase
	Known   float64 // capacity, as far as the controller knows
}

type network struct {
	path   Path
	neck   bottleneck
	events events
	scans  []*scan
}

// trip is when the answer to what leaves the bottleneck at a time is there.
func (n *network) trip(leaves int64, dice *chance) (back int64, ok bool) {
	if n.path.LossOut > 0 && dice.unit() < n.path.LossOut || n.path.LossBack > 0 && dice.unit() < n.path.LossBack {
		return 0, false
	}
	back = leaves + int64(n.path.RTT)
	if n.path.Jitter > 0 {
		back += int64(dice.unit() * float64(n.path.Jitter))
	}
	return back, true
}

// epoch is when a run begins, in ns: a time of 0 means none to the set of beacons, as in 1970.
const epoch = int64(1000 * time.Second)

// Run has scans through a path, at most for a time, and gives what came of each.
func Run(path Path, seed uint64, limit time.Duration, scans ...Scan) []Result {
	n := &network{path: path, neck: newBottleneck(&path)}
	for i, s := range scans {
		n.scans = append(n.scans, newScan(n, i, s, seed*1_000_003+uint64(i)))
	}
	open := len(scans)
	for len(n.events) > 0 && open > 0 {
		e := n.events.pop()
		if e.at > epoch+int64(limit) {
			break
		}
		s := n.scans[e.scan]
		switch e.kind {
		case wakes:
			s.wake(e.at)
			if s.over {
				open--
			}
		case ticks:
			s.tick(e.at)
		case answers:
			s.answer(&e)
		case echoes:
			t := target(e.pos)
			s.set.Answered(t.Addr, t.Port, true, e.at)
		}
	}
	results := make([]Result, len(scans))
	for i, s := range n.scans {
		r := &s.result
		r.Dropped = n.neck.dropped
		r.Extra = s.sched.extra
		r.Wall = time.Duration(r.last - s.begun)
		r.Time = r.Wall - time.Duration(r.idle)
		if r.looks > 0 {
			r.Queue = time.Duration(r.queued / float64(r.looks))
		}
		results[i] = *r
	}
	return results
}

// look notes a moment.
func (n *network) look(s *scan, now int64, d *auto.Decision) {
	n.neck.advance(now)
	wait := n.neck.wait()
	s.result.queued += float64(wait)
	s.result.looks++
	s.result.Trace = append(s.result.Trace, Point{
		At: time.Duration(now - epoch), Rate: d.Rate, Sent: s.result.Sent, Dropped: n.neck.dropped, Queue: wait, Why: d.Limit, Phase: d.Phase, Known: d.Capacity,
	})
}
