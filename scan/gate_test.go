package scan

import (
	"net/netip"
	"sync"
	"testing"

	"synoptic/scan/gate"
)

var addr = netip.MustParseAddr("10.77.0.1")

func always(a gate.Answer) gate.Rule {
	return gate.RuleFunc(func(uint64, netip.Addr, uint16) gate.Answer { return a })
}

// The first rule that does not let a probe go decides, and a rule that is removed has no say.
func TestRulesInOrder(t *testing.T) {
	var g gate.Gate
	ask := func(want gate.Answer) {
		t.Helper()
		if a := g.Ask(1, addr, 80); a != want {
			t.Errorf("%v, want %v", a, want)
		}
	}
	ask(gate.Go)
	open := g.Add(always(gate.Go))
	ask(gate.Go)
	if g.Open() {
		t.Error("a gate with a rule counts as open")
	}
	later := g.Add(always(gate.Later))
	never := g.Add(always(gate.Never))
	ask(gate.Later)
	later()
	ask(gate.Never)
	later() // once more takes nothing else away
	ask(gate.Never)
	never()
	ask(gate.Go)
	open()
	if !g.Open() {
		t.Error("not open without rules")
	}
}

// A rule sees what it is asked about.
func TestRuleSeesTheProbe(t *testing.T) {
	var g gate.Gate
	g.Add(gate.RuleFunc(func(position uint64, a netip.Addr, port uint16) gate.Answer {
		if position == 7 && a == addr && port == 443 {
			return gate.Never
		}
		return gate.Go
	}))
	if g.Ask(7, addr, 443) != gate.Never || g.Ask(7, addr, 80) != gate.Go || g.Ask(8, addr, 443) != gate.Go {
		t.Error("the rule was asked about something else")
	}
}

// Rules change while lanes ask.
func TestRulesChangeWhileAsked(t *testing.T) {
	var g gate.Gate
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
		g.Add(always(gate.Later))()
	}
	close(stop)
	lanes.Wait()
	if !g.Open() {
		t.Error("rules are left")
	}
}

func TestParkingIsBounded(t *testing.T) {
	var g gate.Gate
	for i := range gate.MaxParked {
		if !g.Park() {
			t.Fatalf("no room for position %d", i)
		}
	}
	if g.Park() || g.Parked() != gate.MaxParked {
		t.Errorf("%d parked, want %d and no more", g.Parked(), gate.MaxParked)
	}
	g.Unpark(10)
	if !g.Park() {
		t.Error("no room after some were unparked")
	}
}

// BenchmarkOpen is what a gate without rules costs a probe: the difference of the two.
func BenchmarkOpen(b *testing.B) {
	const probes = 1 << 12
	var g gate.Gate
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
			if g.Ask(i, addr, 80) == gate.Go {
				sent++
			}
		}
	})
}
