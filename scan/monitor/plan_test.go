package monitor

import (
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// ofTheDesign is the network of the design: a /8 with ten ports.
func ofTheDesign() (Config, []Size) {
	c := Default()
	c.Budget, c.MaxAge, c.OpenMaxAge = 3889, 24*time.Hour, time.Hour
	return c, []Size{{Positions: 167_772_160, Open: 1_700_000, Predicted: 5_000_000}}
}

func TestPlan(t *testing.T) {
	c, sizes := ofTheDesign()
	s := Plan(&c, sizes, 0)
	want := (1_700_000/3600.0 + 166_072_160/86400.0) / 0.98
	if math.Abs(s.Needed-want) > 1e-9 || s.Short != 0 || !s.Enough() {
		t.Errorf("%+v, needed %v", s, want)
	}
	if s.Detect < 60*time.Minute || s.Detect > 68*time.Minute { // 1.1 h, by the design
		t.Errorf("detection after %v", s.Detect)
	}
	c.Budget = 2000
	if s = Plan(&c, sizes, 0); math.Abs(s.Short-(want-2000)) > 1e-9 || s.Enough() {
		t.Errorf("%+v, short of %v", s, want-2000)
	}
	if text := s.String(); !strings.Contains(text, "budget     2000 pps, of which the targets take 2444: 444 pps too few\n") {
		t.Error(text)
	}
	// Just enough is enough, and the least more is not.
	c.OpenMaxAge, c.Budget = 0, 49
	exact := []Size{{Positions: 49 * 86400 * 98 / 100}}
	if s = Plan(&c, exact, 0); s.Short != 0 || s.Needed != 49 {
		t.Errorf("%+v", s)
	}
	exact[0].Positions++
	if s = Plan(&c, exact, 0); !(s.Short > 0) {
		t.Errorf("%+v", s)
	}
}

func TestPlanWithLimits(t *testing.T) {
	c, _ := ofTheDesign()
	c.Windows = windowsOf(t, "UTC", "{not: 08:00-18:00}")
	slow := netip.MustParsePrefix("10.20.0.0/16")
	c.Networks = []Network{{Prefix: slow, MaxRate: 10}}
	foreign := netip.MustParsePrefix("10.99.0.0/16")
	sizes := []Size{{Network: slow, Positions: 655_360}, {Network: foreign}, {Positions: 167_116_800, Open: 1_700_000, Predicted: 5_000_000}}
	s := Plan(&c, sizes, 0)
	need := 655_360 / (0.98 * 14 * 3600)
	if len(s.Networks) != 1 || math.Abs(s.Networks[0].Needed-need) > 1e-9 || math.Abs(s.Networks[0].Short-(need-10*ceilingPart*headroom)) > 1e-9 {
		t.Errorf("%+v, needed %v", s.Networks, need)
	}
	if len(s.Closed) != 2 || s.Closed[0].Key != "open_max_age" || s.Enough() {
		t.Errorf("%+v", s.Closed)
	}
	if all := (1_700_000/3600.0+165_416_800/(14*3600.0))/0.98 + need; math.Abs(s.Needed-all) > 1e-6 {
		t.Errorf("needed %v, want %v", s.Needed, all)
	}
	for _, want := range []string{"network    10.20.0.0/16: 10 pps at most, of which the targets take 14: 3.7 pps too few", "window     open_max_age of 1h0m0s cannot be kept while a window lasts (10.20.0.0/16)", "(everywhere)", "network    10.99.0.0/16 has none of the targets"} {
		if !strings.Contains(s.String(), want) && !strings.Contains(s.String(), strings.Replace(want, "3.7", "4", 1)) {
			t.Errorf("no %q in\n%s", want, s.String())
		}
	}
}
