package sim

import (
	"math"
	"net/netip"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
)

const ms = time.Millisecond

func TestDelay(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newProber(t, allOpen(Config{Out: Leg{Delay: 20 * ms}, Back: Leg{Delay: 30 * ms, PerPrefix: 40 * ms}}))
		trips := map[netip.Addr]time.Duration{}
		for _, a := range []string{"10.0.0.1", "10.0.0.200", "10.0.1.1", "10.0.2.1"} {
			time.Sleep(7 * ms)
			sent := p.net.Now()
			p.send(addr(a), 80, 0)
			got := p.receive(time.Second)
			if len(got) != 1 || !got[0].genuine {
				t.Fatalf("%s: %d answers", a, len(got))
			}
			trips[addr(a)] = got[0].at - sent
		}
		if trips[addr("10.0.0.1")] != trips[addr("10.0.0.200")] || trips[addr("10.0.0.1")] == trips[addr("10.0.1.1")] {
			t.Errorf("not the same within a /24, or the same in two: %v", trips)
		}
		for a, trip := range trips {
			if trip < 50*ms || trip > 90*ms {
				t.Errorf("%v: %v, want 50 to 90 ms", a, trip)
			}
		}
	})
}

// What is lost, comes twice, late or damaged is what was asked for, within four standard deviations.
func TestShares(t *testing.T) {
	const n = 10000
	for _, c := range []struct {
		name                string
		out, back           Leg
		answers, late, fake float64
	}{
		{"nothing", Leg{}, Leg{}, 1, 0, 0},
		{"loss on the way out", Leg{Loss: 0.1}, Leg{}, 0.9, 0, 0},
		{"loss each way", Leg{Loss: 0.2}, Leg{Loss: 0.3}, 0.56, 0, 0},
		{"duplicates on the way out", Leg{Duplicate: 0.25}, Leg{}, 1.25, 0, 0},
		{"duplicates on the way back", Leg{}, Leg{Duplicate: 0.25}, 1.25, 0, 0},
		{"reordering", Leg{Reorder: 0.2, ReorderBy: 30 * ms}, Leg{}, 1, 0.2, 0},
		{"damage", Leg{}, Leg{Corrupt: 0.1}, 1, 0, 0.1},
		{"a policer", Leg{Police: 500, PoliceBurst: 10}, Leg{}, 0.5 + 10.0/n, 0, 0},
		{"a policer on the way back", Leg{}, Leg{Police: 500, PoliceBurst: 10}, 0.5 + 10.0/n, 0, 0},
		{"a bottleneck without a queue", Leg{Capacity: 500.1}, Leg{}, 0.5, 0, 0},
		{"bursts", Leg{BurstGood: 30 * ms, BurstBad: 10 * ms}, Leg{}, 0.75, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				p := newProber(t, allOpen(Config{Seed: 3, Out: c.out, Back: c.back}))
				p.sendAt(1000, n, addr("10.0.0.0"))
				var late, fake int
				all := p.receive(time.Second)
				sent := map[netip.Addr]time.Duration{}
				for _, probe := range p.net.Log().Probes {
					sent[probe.Addr] = probe.At
				}
				for _, h := range all {
					if !h.genuine {
						fake++
					}
					if h.at-sent[h.Target] >= 30*ms {
						late++
					}
				}
				for _, x := range []struct {
					what string
					got  int
					want float64
				}{{"answers", len(all), c.answers}, {"late ones", late, c.late}, {"damaged ones", fake, c.fake}} {
					slack := 4*math.Sqrt(n*0.25) + 1
					if c.out.BurstBad > 0 {
						slack *= 4 // some 250 spells are what counts here
					}
					if c.out.ordered() || c.back.ordered() {
						slack = 2
					}
					if math.Abs(float64(x.got)-n*x.want) > slack {
						t.Errorf("%d %s, want %.0f", x.got, x.what, n*x.want)
					}
				}
			})
		})
	}
}

// Losses of the two directions, and of the attempts at one position, have nothing to do with each other.
func TestLossIsIndependent(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newProber(t, allOpen(Config{Seed: 9, Out: Leg{Loss: 0.5}}))
		const n = 4000
		a := addr("10.0.0.0")
		for range n {
			p.send(a, 80, 0)
			p.send(a, 80, 1)
			p.send(a, 80, 1) // the very same again: a choice of its own
			a = a.Next()
		}
		lost := map[netip.Addr]int{}
		for i, probe := range p.net.Log().Probes {
			if probe.Fate == Lost {
				lost[probe.Addr] |= 1 << (i % 3)
			}
		}
		var patterns [8]int
		for _, which := range lost {
			patterns[which]++
		}
		patterns[0] = n - len(lost)
		for which, count := range patterns {
			if math.Abs(float64(count)-n/8) > 4*math.Sqrt(n*7/64) {
				t.Errorf("pattern %03b of three probes: %d times, want some %d", which, count, n/8)
			}
		}
	})
}

// While a queue stands, round trips grow by rate/capacity − 1 seconds for each second of sending, and while it
// drains they shrink likewise.
func TestQueueGrows(t *testing.T) {
	const capacity = 5000.0
	for _, back := range []bool{false, true} {
		bubble.Test(t, func(t *testing.T) {
			c := allOpen(Config{Out: Leg{Delay: 25 * ms}, Back: Leg{Delay: 25 * ms}})
			leg := &c.Out
			if back {
				leg = &c.Back
			}
			leg.Capacity, leg.Queue = capacity, 200*ms
			p := newProber(t, c)
			const up, down = 2400, 1500 // at 8000 pps for 300 ms, at 2500 pps for 600 ms
			p.sendAt(8000, up, addr("10.0.0.0"))
			p.sendAt(2500, down, addr("10.1.0.0"))
			got := p.receive(time.Second)
			if len(got) != up+down {
				t.Fatalf("%d of %d were answered", len(got), up+down)
			}
			slack := time.Duration(2 / capacity * float64(time.Second))
			for _, h := range got {
				var sent time.Duration
				for _, probe := range p.net.Log().Probes {
					if probe.Addr == h.Target {
						sent = probe.At
					}
				}
				queued := sent.Seconds() * (8000/capacity - 1)
				if sent >= 300*ms {
					queued = 0.180 - (sent.Seconds()-0.3)*(1-2500/capacity)
				}
				want := 50*ms + max(time.Duration(queued*float64(time.Second)), 0)
				if trip := h.at - sent; trip < want-slack || trip > want+slack {
					t.Fatalf("sent at %v: a round trip of %v, want %v", sent, trip, want)
				}
			}
		})
	}
}

// A full queue drops, and what gets through comes at the bottleneck's rate, never later than the queue is long.
func TestQueueIsFull(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newProber(t, allOpen(Config{Out: Leg{Capacity: 1000, Queue: 100 * ms}}))
		p.sendAt(4000, 4000, addr("10.0.0.0"))
		got := p.receive(time.Second)
		if want := 1100; math.Abs(float64(len(got)-want)) > 2 {
			t.Errorf("%d answers, want %d: a second of sending and a queue", len(got), want)
		}
		for i := 1; i < len(got); i++ {
			if apart := got[i].at - got[i-1].at; apart < ms-2 || apart > ms+2 {
				t.Fatalf("answers %d and %d are %v apart, want 1 ms", i-1, i, apart)
			}
		}
		probes, _ := p.net.Log().Count()
		if probes[Overflowed]+len(got) != 4000 {
			t.Errorf("%v, %d answers", probes, len(got))
		}
	})
}

// Bursts are spells of the lengths asked for, and the same for all who ask.
func TestBursts(t *testing.T) {
	b := newBursts(chance{7}, ofLeg, 90*ms, 10*ms)
	var bad, spells int
	const steps = 1e6
	for i, was := 0, false; i < steps; i++ {
		in := b.in(time.Duration(i) * ms / 10)
		if in {
			bad++
		}
		if in && !was {
			spells++
		}
		was = in
	}
	if math.Abs(float64(bad)-steps/10) > steps/10*0.2 || math.Abs(float64(spells)-1000) > 150 {
		t.Errorf("%d of %v moments in %d spells, want a tenth in 1000", bad, steps, spells)
	}
	again := newBursts(chance{7}, ofLeg, 90*ms, 10*ms)
	for _, at := range []time.Duration{90 * time.Second, time.Second, 17 * ms, 99 * time.Second} { // in any order
		if again.in(at) != b.in(at) {
			t.Errorf("at %v: %v", at, again.in(at))
		}
	}
}
