package main

import (
	"math"
	"net/netip"
	"testing"
)

func set(endpoints ...string) map[netip.AddrPort]bool {
	s := map[netip.AddrPort]bool{}
	for _, e := range endpoints {
		s[netip.MustParseAddrPort(e)] = true
	}
	return s
}

func TestScored(t *testing.T) {
	truth := set("10.77.0.1:80", "10.77.0.2:80", "10.77.0.3:80", "10.77.0.9:80")
	s := scored(set("10.77.0.1:80", "10.77.0.2:80", "10.77.0.3:80", "10.77.0.3:443", "10.77.0.4:80"), truth)
	if s != (score{open: 4, found: 3, invented: 2}) || s.recall() != 0.75 || s.missed() != 1 {
		t.Errorf("%+v, recall %v, missed %d", s, s.recall(), s.missed())
	}
	if s := scored(nil, truth); s.recall() != 0 || s.missed() != 4 || s.invented != 0 {
		t.Errorf("nothing found: %+v", s)
	}
	if s := scored(set("10.77.0.1:80"), nil); s.recall() != 1 || s.invented != 1 {
		t.Errorf("nothing to find: %+v", s)
	}
	if part := within(truth, netip.MustParsePrefix("10.77.0.2/31")); len(part) != 2 || !part[netip.MustParseAddrPort("10.77.0.3:80")] {
		t.Errorf("within a /31: %v", part)
	}
}

func TestNeed(t *testing.T) {
	for _, c := range []struct {
		p, recall, perPosition float64
	}{
		{0, 0.999, 1},
		{0.0005, 0.999, 1},           // one attempt leaves less than the share allowed
		{0.0975, 0.9, 1},             // likewise
		{0.0975, 0.99, 1.0975},       // 0.0975² is below 0.01
		{0.0975, 0.999, 1.10700625},  // 0.0975³ is below 0.001
		{0.5, 0.999, 2 - 1.0/(1<<9)}, // 2⁻¹⁰ is the first below 0.001
		{0.36, 0.999, 1.561276},      // (1 − 0.36⁷) / 0.64
		{1, 0.999, 1},                // nothing helps
	} {
		if got := need(1000, c.p, c.recall); math.Abs(got-1000*c.perPosition) > 0.5 {
			t.Errorf("loss %v, recall %v: %v probes, want %v", c.p, c.recall, got, 1000*c.perPosition)
		}
	}
}

func TestNear(t *testing.T) {
	for _, c := range []struct {
		estimate float64
		truth    int
		want     bool
	}{
		{0, 0, true}, {2, 0, true}, {2.1, 0, false}, {0, 2, true}, {0, 3, false}, {1.4, 3, true},
		{50, 100, true}, {49, 100, false}, {200, 100, true}, {201, 100, false}, {math.NaN(), 0, false},
	} {
		if got := near(c.estimate, c.truth); got != c.want {
			t.Errorf("%v estimated, %d in truth: %v", c.estimate, c.truth, got)
		}
	}
}

func TestConditions(t *testing.T) {
	want := []float64{0, 0.0199, 0.0975, 0.36, 0.1}
	for i, c := range conditions {
		if math.Abs(c.loss()-want[i]) > 1e-9 {
			t.Errorf("%s: two-way loss %v, want %v", c.name, c.loss(), want[i])
		}
		positions := portCount << 12
		switch rate := c.rate(10_000, positions); {
		case c.period == 0 && rate != 10_000:
			t.Errorf("%s: rate %d", c.name, rate)
		case c.period > 0 && (rate < 1 || float64(positions)/float64(rate) < 3.9*c.period.Seconds()):
			t.Errorf("%s: rate %d passes %d positions in fewer than four periods", c.name, rate, positions)
		}
		if c.rate(100, 1<<20) != 100 {
			t.Errorf("%s: the rate rose above the one asked for", c.name)
		}
	}
}

func TestTruth(t *testing.T) {
	for bits, want := range map[int]int{20: 4096 + 64, 26: 64 + 1, 23: 512 + 8} {
		open := truth(targetsOf(bits))
		if len(open) != want {
			t.Errorf("/%d: %d open ports, want %d", bits, len(open), want)
		}
		for e := range within(truth(targetsOf(16)), targetsOf(bits)) {
			if !open[e] {
				t.Fatalf("/%d: %v is open in the /16 only", bits, e)
			}
		}
	}
}
