package auto

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

const ms = int64(time.Millisecond)

// world sends what a controller asks for and answers every beacon after a round trip.
type world struct {
	c        *Controller
	now      int64
	trip     time.Duration
	most     float64 // packets per second that leave at all; 0: any
	decision Decision
	asked    []int64 // beacons under way, by when they left
}

func newWorld(cfg Config) *world {
	return &world{c: New(cfg, 0), trip: 10 * time.Millisecond, decision: Decision{Rate: cfg.Start}}
}

func (w *world) run(d time.Duration, members int) {
	for end := w.now + int64(d); w.now < end; {
		w.now += tick
		rate := w.decision.Rate
		if w.most > 0 && rate > w.most {
			rate = w.most
			w.c.Backpressure(w.now, 1)
		}
		w.c.Sent(w.now, int(rate*seconds(tick)))
		for len(w.asked) > 0 && w.asked[0]+int64(w.trip) <= w.now {
			w.c.Beacon(Outcome{Sent: w.asked[0], RTT: w.trip, Base: w.trip, BaseAt: w.asked[0], Proven: true})
			w.asked = w.asked[1:]
		}
		w.c.Members(members, w.trip)
		w.decision = w.c.Tick(w.now)
		if members > 0 {
			n := int(w.decision.Beacons * seconds(tick))
			w.c.Asked(w.now, n)
			for range n {
				w.asked = append(w.asked, w.now)
			}
		}
	}
}

// Where nothing answers the rate stays what it is without evidence, and the reason says so.
func TestBlind(t *testing.T) {
	w := newWorld(Config{Start: 10_000, Min: 1, Max: 1e6})
	w.run(20*time.Second, 0)
	if w.decision.Rate != 10_000 || w.decision.Limit != Blind {
		t.Errorf("%+v", w.decision)
	}
}

// Whatever comes of beacons, all lost included, and however late ticks are, the rate and the beacons are numbers within their bounds.
func TestAlwaysWithinBounds(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		cfg := Config{Start: math.Pow(10, 1+4*rng.Float64())}
		cfg.Min, cfg.Max = cfg.Start*rng.Float64(), cfg.Start*(1+50*rng.Float64())
		c, lost, trip := New(cfg, 0), rng.Float64(), time.Duration(rng.IntN(300))*time.Millisecond
		var flying []int64
		for now := tick; now < int64(40*time.Second); now += tick {
			if rng.IntN(20) == 0 {
				now += rng.Int64N(int64(time.Second))
			}
			if rng.IntN(200) == 0 {
				lost = []float64{0, rng.Float64(), 1}[rng.IntN(3)]
			}
			for len(flying) > 0 && flying[0]+int64(trip) < now {
				o := Outcome{Sent: flying[0], RTT: trip + time.Duration(rng.IntN(20))*time.Millisecond, Base: trip, BaseAt: flying[0], Proven: true}
				if rng.Float64() < lost {
					o.RTT, o.Lost = 0, true
				}
				c.Beacon(o)
				flying = flying[1:]
			}
			c.Members(1+rng.IntN(50), trip)
			d := c.Tick(now)
			if !(d.Rate >= cfg.Min && d.Rate <= cfg.Max) || !(d.Beacons >= 0 && d.Beacons <= 1e4) || !(d.Capacity >= 0) {
				t.Fatalf("seed %d, after %v: %+v", seed, time.Duration(now), d)
			}
			n := int(d.Beacons * seconds(tick))
			c.Asked(now, n)
			c.Sent(now, n+int(d.Rate*seconds(tick)))
			for range n {
				flying = append(flying, now)
			}
		}
	}
}

// A path that carries everything is used up to the maximum, never beyond.
func TestMaximum(t *testing.T) {
	w := newWorld(Config{Start: 10_000, Min: 1, Max: 300_000})
	for range 300 {
		w.run(10*time.Millisecond, 200)
		if w.decision.Rate > 300_000 {
			t.Fatalf("%+v", w.decision)
		}
	}
	if w.decision.Rate != 300_000 || w.decision.Limit != Maximum {
		t.Errorf("%+v", w.decision)
	}
}

// An interface that takes less than is asked for is the limit: what it takes is used, and what is asked for beyond is little, but for trains.
func TestOwnInterface(t *testing.T) {
	w := newWorld(Config{Start: 10_000, Min: 1, Max: 1e6})
	w.most = 50_000
	w.run(2*time.Second, 200)
	sent, ticks, asked := w.c.sent, map[Limit]int{}, 0.0
	for range 400 {
		w.run(time.Duration(tick), 200)
		ticks[w.decision.Limit]++
		asked += w.decision.Rate / 400
	}
	if sent = (w.c.sent - sent) / 4; sent < 0.9*w.most || ticks[Interface] < 300 || asked > 1.05*w.most {
		t.Errorf("%.0f a second of %.0f, %.0f asked for, %v", sent, w.most, asked, ticks)
	}
	w.most = 0
	w.run(10*time.Second, 200)
	if w.decision.Limit == Interface {
		t.Errorf("ten seconds after it has room again: %+v", w.decision)
	}
}

// Drops at the own receiver lower the rate, once for each burst of them.
func TestReceiver(t *testing.T) {
	w := newWorld(Config{Start: 10_000, Min: 1, Max: 100_000})
	w.run(3*time.Second, 200)
	before := w.decision.Rate
	w.c.Drops(w.now, 100)
	w.c.Drops(w.now+ms, 100)
	w.run(100*time.Millisecond, 200)
	if w.decision.Limit != Receiver || math.Abs(w.decision.Rate/before-0.8) > 0.01 {
		t.Errorf("from %v to %+v", before, w.decision)
	}
}

// Positions that answer the second attempt where they should have answered the first are limited by first contacts; a cohort that met an
// overload says nothing of it.
func TestContacts(t *testing.T) {
	w := newWorld(Config{Start: 10_000, Min: 1, Max: 100_000})
	w.run(3*time.Second, 200)
	w.c.over.add(w.now-100*ms, w.now)
	for range 10 {
		w.c.Yield(Yield{From: w.now - 50*ms, To: w.now - 20*ms, First: 10, Second: 30})
	}
	w.run(10*time.Millisecond, 200)
	if w.decision.Limit == Contacts {
		t.Errorf("by a cohort that met an overload: %+v", w.decision)
	}
	for i := range int64(2) {
		w.c.Yield(Yield{From: w.now - (2000+200*i)*ms, To: w.now - (1900+200*i)*ms, First: 20, Second: 30})
	}
	w.run(10*time.Millisecond, 200)
	if w.decision.Limit != Contacts || w.decision.Rate > 50_000 {
		t.Errorf("%+v", w.decision)
	}
}

// What first contacts are said to bear holds, whatever comes of cohorts, until something else is said.
func TestContactsKnown(t *testing.T) {
	w := newWorld(Config{Start: 10_000, Min: 1, Max: 100_000})
	w.run(3*time.Second, 200)
	for _, most := range []float64{300, 330} {
		w.c.Contacts(most)
		for i := range int64(20) {
			w.c.Yield(Yield{From: w.now - (2000+200*i)*ms, To: w.now - (1900+200*i)*ms, First: 40 * int(i%2), Second: 40 * int(1-i%2)})
		}
		w.run(5*time.Second, 200)
		if w.decision.Limit != Contacts || w.decision.Rate != most {
			t.Errorf("%v: %+v", most, w.decision)
		}
	}
}

// What left the queue of a bottleneck shows its capacity, whatever the rate was and however it changed.
func TestFit(t *testing.T) {
	const capacity = 20_000.0
	for _, rate := range []float64{22_000, 40_000, 200_000} {
		var s samples
		sent, queue := 0.0, 0.0
		for at := ms; at < 40*ms; at += 2 * ms {
			r := rate * (1 + 0.3*math.Sin(float64(at)/1e7))
			sent += r * 0.002
			queue += r*0.002/capacity - 0.002
			s.add(sample{at: at, sent: sent, queue: queue, proven: true})
		}
		f := s.fit(0, 40*ms, exact)
		if math.Abs(f.capacity/capacity-1) > 0.001 || f.err > 0.1 || f.rise <= 0 {
			t.Errorf("rate %v: %+v", rate, f)
		}
	}
}

// A sample that came late is no loss any more.
func TestRetract(t *testing.T) {
	var s samples
	s.add(sample{at: 1, lost: true, proven: true})
	s.add(sample{at: 2, lost: true, proven: true})
	s.retract(1)
	if f := s.fit(0, 3, exact); f.lost != 1 || f.asked != 2 {
		t.Errorf("%+v", f)
	}
}

// The queue at a time lies between those at the ticks around it, and what is forgotten is none.
func TestHistory(t *testing.T) {
	var h history
	for i := range int64(3 * marks) {
		h.add(mark{at: i * tick, sent: float64(i), queue: float64(i % 2)})
	}
	at := (3*marks - 3) * tick
	if m := h.at(at + tick/4); math.Abs(m.sent-(3*marks-3)-0.25) > 1e-9 {
		t.Errorf("%+v", m)
	}
	if q := h.queueAt(tick); q != 0 {
		t.Errorf("queue %v at a time that is forgotten", q)
	}
	h.clear(at)
	if h.newest().queue != 0 || h.at(at-3*tick).queue == 0 && h.at(at-2*tick).queue == 0 {
		t.Error("cleared too much, or too little")
	}
}

// Spans of overload that touch are one; many of them do not grow without bound.
func TestOverloads(t *testing.T) {
	c := New(Config{Start: 1, Min: 1, Max: 1}, 0)
	c.over.add(10, 20)
	c.over.add(15, 30)
	for _, s := range []struct {
		from, to int64
		want     bool
	}{{0, 9, false}, {0, 10, true}, {25, 26, true}, {31, 40, false}} {
		if got := c.Overloaded(s.from, s.to); got != s.want {
			t.Errorf("%+v: %v", s, got)
		}
	}
	if c.over.n != 1 {
		t.Errorf("%d spans", c.over.n)
	}
}

// Jitter that all answers have is measured, and a queue that grows is none.
func TestJitter(t *testing.T) {
	var j jitter
	for i := range int64(100) {
		at := i * 10 * ms
		j.hear(at, 0.05)
		j.hear(at+ms, 0.0501+0.006*float64(i%2))
	}
	if j.mean < 0.0001 || j.mean > 0.0065 {
		t.Errorf("%v", j.mean)
	}
	j = jitter{}
	for i := range int64(100) {
		j.hear(i*10*ms, 0.001*float64(i))
		j.hear(i*10*ms+ms, 0.001*float64(i))
	}
	if j.mean > 0.001 {
		t.Errorf("%v of a queue that grows", j.mean)
	}
}

// No event allocates.
func TestAllocations(t *testing.T) {
	w := newWorld(Config{Start: 10_000, Min: 1, Max: 1e6})
	w.run(2*time.Second, 200)
	now := w.now
	n := testing.AllocsPerRun(1000, func() {
		now += tick
		w.c.Sent(now, 5000)
		w.c.Members(200, 0)
		for range 10 {
			w.c.Beacon(Outcome{Sent: now - 20*ms, RTT: w.trip, Base: w.trip, BaseAt: now - 100*ms, Proven: true})
		}
		w.c.Yield(Yield{From: now - 2000*ms, To: now - 1900*ms, First: 30})
		w.c.Tick(now)
		w.c.Overloaded(0, now)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A tick with the ten outcomes that came since the last: at 100 of them a second it is nothing.
func BenchmarkTick(b *testing.B) {
	w := newWorld(Config{Start: 10_000, Min: 1, Max: 1e6})
	w.run(2*time.Second, 200)
	now := w.now
	b.ReportAllocs()
	for b.Loop() {
		now += tick
		w.c.Sent(now, 5000)
		for range 10 {
			w.c.Beacon(Outcome{Sent: now - 20*ms, RTT: w.trip, Base: w.trip, BaseAt: now - 100*ms, Proven: true})
		}
		w.c.Tick(now)
	}
}
