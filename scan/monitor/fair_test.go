package monitor

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"synoptic/results"
)

// A network that could take more gets nearly its ceiling, and no second has more.
func TestCeiling(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	space := spaceOf(t, "22,80,443", "10.0.0.0/18")
	slow := netip.MustParsePrefix("10.0.16.0/20")
	for _, ceiling := range []float64{0.5, 7, 40} {
		c := config(200)
		c.Networks = []Network{{Prefix: slow, MaxRate: ceiling}}
		p := newPlanner(t, c, space)
		for i := range uint64(3000) {
			p.Track(addrPort(space, i*16), KnownOpen, 0)
		}
		now := monday
		var times []int64
		all, inSlow := 0, 0
		watch(p, &now, 10*time.Minute, func(e Endpoint, now int64) {
			all++
			if slow.Contains(e.Addr.Addr()) {
				inSlow++
				for times = append(times, now); times[0] <= now-second; {
					times = times[1:]
				}
				if float64(len(times)) > 1+ceiling {
					t.Fatalf("%d probes within a second, %v allowed", len(times), ceiling)
				}
			}
			p.Result(e.Addr, results.Open, now)
		})
		if float64(all) < 200*600*0.99 || float64(inSlow) < ceiling*600*0.95 {
			t.Errorf("%d probes in all, %d in a network that may have %v a second", all, inSlow, ceiling)
		}
	}
}

// An endpoint that is alone in its queue is not late for that: here shut ones that have to be open, each of another λ, beside thousands.
func TestLoneEndpoints(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	c := config(20)
	c.Exploration = 0
	space := spaceOf(t, "22,80,443", "10.0.0.0/20")
	p := newPlanner(t, c, space)
	for i := range uint64(4000) {
		p.Track(addrPort(space, 3*i), KnownOpen, 0)
	}
	lone := map[netip.AddrPort]int64{}
	for level := 4; level < 24; level += 2 {
		ap := addrPort(space, uint64(3*level*40+1))
		addr, port := ap.Addr(), ap.Port()
		g := expected(lambdaOf(level), 1e6)
		p.learn.class(network(addr), port, standsPredicted).gamma = g
		p.Track(ap, Required, 0)
		lone[ap] = monday
	}
	now, oldest := monday, time.Duration(0)
	watch(p, &now, 5*time.Hour, func(e Endpoint, now int64) {
		state := results.Closed
		if i, _ := space.Index(e.Addr.Addr(), e.Addr.Port()); i%3 == 0 && i < 12_000 {
			state = results.Open
		}
		if last, ok := lone[e.Addr]; ok {
			oldest = max(oldest, time.Duration(now-last))
			lone[e.Addr] = now
		}
		p.Result(e.Addr, state, now)
	})
	if oldest > c.OpenMaxAge || oldest < c.OpenMaxAge*9/10 {
		t.Errorf("one was asked %v after the last time", oldest)
	}
}

// A flood of differences has half of the budget at most, so that the rest goes on.
func TestFloodOfDifferences(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	space := spaceOf(t, "22,80,443", "10.0.0.0/18")
	p := newPlanner(t, config(100), space)
	for i := range uint64(20_000) {
		p.Track(addrPort(space, 2*i), KnownOpen, 0)
	}
	now, confirms, all := monday, 0, 0
	watch(p, &now, 20*time.Minute, func(e Endpoint, now int64) {
		all++
		if e.Tier == TierConfirm {
			confirms++
		}
		p.Result(e.Addr, 0, now)
	})
	if share := float64(confirms) / float64(all); share > 0.51 || share < 0.4 || float64(all) < 100*1200*0.99 {
		t.Errorf("%v of %d were to confirm", share, all)
	}
}

// One seed, one way; another seed, another one.
func TestDeterminism(t *testing.T) {
	space := spaceOf(t, "22,80,443", "10.0.0.0/24")
	run := func(seed uint64) (all []Endpoint) {
		p, err := New(config(50), space, seed, monday)
		if err != nil {
			t.Fatal(err)
		}
		for i := uint64(0); i < 90; i += 3 {
			p.Track(addrPort(space, i), KnownOpen, 0)
		}
		now := monday
		watch(p, &now, 5*time.Minute, func(e Endpoint, now int64) {
			all = append(all, e)
			switch len(all) % 7 {
			case 0: // never answered
			case 1:
				p.Result(e.Addr, results.Unknown, now)
			case 2, 3:
				p.Result(e.Addr, results.Open, now)
			default:
				p.Result(e.Addr, 0, now)
			}
		})
		return all
	}
	a, b := run(1), run(1)
	if !slices.Equal(a, b) || len(a) < 2000 {
		t.Errorf("two runs of %d and %d differ", len(a), len(b))
	}
	if slices.Equal(a, run(2)) {
		t.Error("another seed makes no difference")
	}
}

// Next and Result cost little, and Next allocates nothing of its own.
func BenchmarkNext(b *testing.B) {
	space := spaceOf(b, "22,80,443", "10.0.0.0/12")
	p := newPlanner(b, config(1e6), space)
	for i := uint64(0); i < space.Len(); i += 10 {
		p.Track(addrPort(space, i), KnownOpen, 0)
	}
	now := monday
	var batch []Endpoint
	b.ResetTimer()
	for n := 0; n < b.N; now += 1e6 {
		batch = p.Next(now, 1<<20, batch[:0])
		n += len(batch)
		for _, e := range batch {
			p.Result(e.Addr, results.Open*results.State((e.Addr.Port()+1)%2), now)
		}
	}
}
