package gate

import (
	"net/netip"
	"sync"
	"testing"
)

var addr = netip.MustParseAddr("10.77.0.1")

func always(a Answer) Rule { return RuleFunc(func(uint64, netip.Addr, uint16) Answer { return a }) }

// The first rule that does not let a probe go decides, and a rule that is removed has no say.
func TestRulesInOrder(t *testing.T) {
	var g Gate
	ask := func(want Answer) {
		t.Helper()
		if a := g.Ask(1, addr, 80); a != want {
			t.Errorf("%v, want %v", a, want)
		}
	}
	ask(Go)
	open := g.Add(always(Go))
	ask(Go)
	if g.Open() {
		t.Error("a gate with a rule counts as open")
	}
	later := g.Add(always(Later))
	never := g.Add(always(Never))
	ask(Later)
	later()
	ask(Never)
	later() // once more takes nothing else away
	ask(Never)
	never()
	ask(Go)
	open()
	if !g.Open() {
		t.Error("not open without rules")
	}
}

// A rule sees what it is asked about.
func TestRuleSeesTheProbe(t *testing.T) {
	var g Gate
	g.Add(RuleFunc(func(position uint64, a netip.Addr, port uint16) Answer {
		if position == 7 && a == addr && port == 443 {
			return Never
		}
		return Go
	}))
	if g.Ask(7, addr, 443) != Never || g.Ask(7, addr, 80) != Go || g.Ask(8, addr, 443) != Go {
		t.Error("the rule was asked about something else")
	}
}

// Rules change while lanes ask.
func TestRulesChangeWhileAsked(t *testing.T) {
	var g Gate
	var lanes sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		lanes.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					g.Ask(1, addr, 80)
				}
			}
		})
	}
	for range 1000 {
		g.Add(always(Later))()
	}
	close(stop)
	lanes.Wait()
	if !g.Open() {
		t.Error("rules are left")
	}
}

func TestParkingIsBounded(t *testing.T) {
	var g Gate
	for i := range MaxParked {
		if !g.Park() {
			t.Fatalf("no room for position %d", i)
		}
	}
	if g.Park() || g.Parked() != MaxParked {
		t.Errorf("%d parked, want %d and no more", g.Parked(), MaxParked)
	}
	g.Unpark(10)
	if !g.Park() {
		t.Error("no room after some were unparked")
	}
}

// BenchmarkOpen is what a gate without rules costs a probe: the difference of the two.
func BenchmarkOpen(b *testing.B) {
	const probes = 1 << 12
	var g Gate
	var sent uint64
	measure := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/probes, "ns/probe")
		})
	}
	measure("without", func() {
		for range uint64(probes) {
			sent++
		}
	})
	measure("with", func() {
		for i := range uint64(probes) {
			if g.Ask(i, addr, 80) == Go {
				sent++
			}
		}
	})
}
