package monitor

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"synoptic/results"
)

// A network in which hosts with port 80 have 443 as well, and one /24 has 3389 on every host.
func patterned(t testing.TB, predicted int) (p *Planner, hidden map[netip.AddrPort]bool) {
	c := config(100)
	c.Predicted = predicted
	space := spaceOf(t, "22,80,443,3389", "10.0.0.0/20")
	p = newPlanner(t, c, space)
	hidden = map[netip.AddrPort]bool{}
	rng := rand.New(rand.NewPCG(1, 1))
	for h := range 4096 {
		addr := netip.AddrFrom4([4]byte{10, 0, byte(h >> 8), byte(h)})
		open := func(port uint16, known float64) {
			ap := netip.AddrPortFrom(addr, port)
			if rng.Float64() < known {
				p.Track(ap, KnownOpen, 0)
			} else {
				hidden[ap] = true
			}
		}
		if h%16 == 0 {
			open(80, 1)
			open(443, 0.8)
		}
		if h>>8 == 3 && h%2 == 0 {
			open(3389, 0.8)
		}
		if h%256 == 7 { // so few that only the same host tells
			open(22, 1)
			open(3389, 0.6)
		}
	}
	return p, hidden
}

// What is likely is named, as far as there is room, the likeliest first.
func TestPredict(t *testing.T) {
	p, hidden := patterned(t, 500)
	n := p.Predict()
	found := 0
	for ap := range hidden {
		index, _ := p.space.Index(ap.Addr(), ap.Port())
		if p.table.find(index) != 0 {
			found++
		}
	}
	if n > 500 || n != p.predicted || found*10 < len(hidden)*9 {
		t.Errorf("%d named, %d predicted, %d of %d hidden ones among them", n, p.predicted, found, len(hidden))
	}
	for ap := range hidden { // whose network does not tell
		if index, _ := p.space.Index(ap.Addr(), ap.Port()); ap.Addr().As4()[3] == 7 && ap.Addr().As4()[2] != 3 && p.table.find(index) == 0 {
			t.Errorf("%v is not named", ap)
		}
	}
	few, hidden := patterned(t, 60)
	if n := few.Predict(); n > 60 || n < 50 {
		t.Errorf("%d named", n)
	}
	found = 0
	for ap := range hidden {
		index, _ := few.space.Index(ap.Addr(), ap.Port())
		if few.table.find(index) != 0 {
			found++
		}
	}
	if found < 30 {
		t.Errorf("of 60 named %d are open", found)
	}
}

// What is not named any more is left to the cycle, which goes on asking it in time.
func TestPredictionsEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	p, _ := patterned(t, 500)
	p.Predict()
	before := p.predicted
	p.config.MaxAge, p.config.OpenMaxAge = 4*time.Hour, time.Hour
	closed := func(e Endpoint, now int64) { p.Result(e.Addr, results.Closed, now) }
	now := monday
	watch(p, &now, time.Hour, closed) // all has ended
	p.Predict()
	p.Predict()
	p.Predict()
	asked := map[netip.AddrPort]int64{}
	watch(p, &now, 5*time.Hour, func(e Endpoint, now int64) {
		if last, again := asked[e.Addr]; again && now-last > int64(4*time.Hour) {
			t.Fatalf("%v was not asked for %v", e, time.Duration(now-last))
		}
		asked[e.Addr] = now
		closed(e, now)
	})
	if p.predicted > 0 || before == 0 || uint64(len(asked)) != p.n {
		t.Errorf("%d predicted of %d, %d of %d asked", p.predicted, before, len(asked), p.n)
	}
}

// A model that names the wrong ones cannot keep the cycle from its share: what opens where nobody expects it is found in one cycle.
func TestPredictionCannotBlind(t *testing.T) {
	c := config(10)
	c.MaxAge, c.OpenMaxAge = 0, 0
	c.Expect.Other, c.Expect.Predicted = 1e-9*perDay, 10*perDay // all is believed to happen elsewhere
	p := newPlanner(t, c, spaceOf(t, "80", "10.0.0.0/20"))
	for i := uint64(0); i < 3000; i++ {
		p.Track(addrPort(p.space, i), Likely, 0)
	}
	now, cycle, all := monday, 0, 0
	watch(p, &now, time.Hour, func(e Endpoint, now int64) {
		all++
		if e.Tier == TierCycle {
			cycle++
		}
		p.Result(e.Addr, results.Closed, now)
	})
	if share := float64(cycle) / float64(all); share < 0.0999 || share > 0.2 {
		t.Errorf("the cycle got %v of %d", share, all)
	}
}

func BenchmarkPredict(b *testing.B) {
	p, _ := patterned(b, 5000)
	for b.Loop() {
		p.Predict()
	}
}
