package beacon

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// world is a network with a moving clock: beacons are sent, and answered after a round trip.
type world struct {
	*testing.T
	set  *Set
	rng  *rand.Rand
	now  time.Duration
	rate float64
	step time.Duration // between two ticks

	trip     time.Duration
	loss     float64
	down     func(Target, time.Duration) bool // nil: nothing is
	forbids  func(Target) bool                // nil: nobody does
	resets   float64                          // a second, that a host with only closed ports sends; 0: as many as are asked for
	open     func(Target) bool                // nil: all are
	sent     map[Target]int
	coming   []answer
	budget   map[netip.Addr]float64
	silent   time.Duration // when Silent said so first; 0: never
	lost     []*Part
	back     []*Part
	expected Expected
}

type answer struct {
	Target
	at time.Duration
}

func newWorld(t *testing.T, paths int) *world {
	return &world{
		T: t, set: New(paths), rng: rand.New(rand.NewPCG(1, 2)), now: time.Hour, rate: 100, trip: 30 * time.Millisecond, step: TickStep,
		sent: map[Target]int{}, budget: map[netip.Addr]float64{},
	}
}

func (w *world) unix() int64 { return int64(w.now) }

func (w *world) isOpen(t Target) bool { return w.open == nil || w.open(t) }

// targets are hosts of a net, with some ports each.
func targets(net string, hosts, ports, path int) (all []Target) {
	a := netip.MustParseAddr(net)
	for range hosts {
		for p := range ports {
			all = append(all, Target{Addr: a, Port: uint16(80 + p), Path: path})
		}
		a = a.Next()
	}
	return all
}

// offer has them answer, in an order as random as a scan's.
func (w *world) offer(net string, hosts, ports, path int) {
	w.offerAll(targets(net, hosts, ports, path))
}

func (w *world) offerAll(all []Target) {
	w.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, t := range all {
		w.set.Offer(t, w.isOpen(t), w.unix()-int64(w.trip), w.trip)
	}
}

// run lets time pass.
func (w *world) run(d time.Duration) {
	var due []Target
	for end := w.now + d; w.now < end; {
		w.now += w.step
		for i := 0; i < len(w.coming); {
			if a := w.coming[i]; a.at <= w.now {
				if w.forbids != nil && w.forbids(a.Target) {
					w.set.Refused(a.Addr, a.Port, int64(a.at))
					w.set.Refused(a.Addr, a.Port, int64(a.at)) // a duplicate
				} else {
					w.set.Answered(a.Addr, a.Port, w.isOpen(a.Target), int64(a.at))
				}
				w.coming = append(w.coming[:i], w.coming[i+1:]...)
				continue
			}
			i++
		}
		w.set.Tick(w.unix())
		due = w.set.Next(due[:0], w.unix(), w.rate)
		for _, t := range due {
			w.sent[t]++
			w.set.Sent(t, w.unix())
			w.answer(t)
		}
		if _, silent := w.set.Silent(w.expected); silent && w.silent == 0 {
			w.silent = w.now
		}
		if w.now%(10*TickStep) == 0 {
			lost, back := w.set.Parts(w.unix())
			w.lost, w.back = append(w.lost, lost...), append(w.back, back...)
		}
	}
}

func (w *world) answer(t Target) {
	if w.rng.Float64() < w.loss || w.down != nil && w.down(t, w.now) {
		return
	}
	if w.resets > 0 && !w.isOpen(t) {
		second := w.now.Truncate(time.Second).Seconds()
		if w.budget[t.Addr] < second*1e3 {
			w.budget[t.Addr] = second * 1e3
		}
		if w.budget[t.Addr] >= second*1e3+w.resets {
			return
		}
		w.budget[t.Addr]++
	}
	w.coming = append(w.coming, answer{t, w.now + w.trip})
}

// cut ends all answers for ten seconds, and checks that the outage is seen within so long.
func (w *world) cut(most time.Duration) {
	w.Helper()
	begun := w.now
	w.down = func(Target, time.Duration) bool { return true }
	w.run(10 * time.Second)
	if after := w.silent - begun; w.silent == 0 || after > most {
		w.Errorf("the outage was seen after %v, want %v at most", after, most)
	}
}

// quiet tells of alarms.
func (w *world) quiet(what string) {
	w.Helper()
	if w.silent != 0 || len(w.lost) > 0 {
		w.Errorf("%s: silent at %v, %d parts lost", what, w.silent-time.Hour, len(w.lost))
	}
}
