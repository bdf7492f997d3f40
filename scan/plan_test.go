package scan

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"synoptic/scan/permute"
	"synoptic/scan/probe"
	"synoptic/scan/target"
)

// A duration beyond what a time.Duration holds is not negative.
func TestPlanDuration(t *testing.T) {
	for _, c := range []struct {
		probes   uint64
		rate     float64
		min, max time.Duration
	}{
		{1000, 1000, time.Second, 2 * time.Second},
		{target.MaxLen, 1, maxDuration, math.MaxInt64},
		{target.MaxLen, 1e-9, maxDuration, math.MaxInt64},
		{1, math.SmallestNonzeroFloat64, maxDuration, math.MaxInt64},
	} {
		p := Plan{Config: Config{Rate: c.rate}, Positions: permute.Range{End: c.probes}}
		if d := p.Duration(); d < c.min || d > c.max {
			t.Errorf("%d probes at %v pps take %v, want %v to %v", c.probes, c.rate, d, c.min, c.max)
		}
	}
}

// Source ports keep out of the ephemeral range while anything is left outside, and what the hint says
// is then accepted.
func TestSourcePorts(t *testing.T) {
	for _, c := range []struct {
		asked, low, high int
		first            uint16 // 0: refused
	}{
		{0, 32768, 60999, 61000}, {0, 32768, 65535, 32752}, {0, 1024, 60999, 61000}, {0, 1024, 65535, 0}, {0, 1039, 65520, 0},
		{61000, 32768, 60999, 61000}, {60999, 32768, 60999, 0}, {32752, 32768, 60999, 32752}, {32753, 32768, 60999, 0}, {40000, 32768, 60999, 0},
		{65520, 32768, 60999, 65520}, {65521, 32768, 60999, 0}, {65520, 32768, 65535, 0}, {20000, 1024, 60999, 0},
		{20000, 1024, 65535, 20000}, // no port is outside: the user must know
	} {
		got, err := sourcePorts(c.asked, c.low, c.high)
		if c.first != 0 {
			if want := (PortRange{c.first, c.first + maxAttempts - 1}); err != nil || got != want {
				t.Errorf("%+v: %v, %v", c, got, err)
			}
			continue
		}
		var hint interface{ Hint() string }
		if !errors.As(err, &hint) {
			t.Errorf("%+v: %v, %v", c, got, err)
			continue
		}
		var advised int
		if digits := strings.IndexAny(hint.Hint(), "0123456789"); digits >= 0 {
			fmt.Sscan(hint.Hint()[digits:], &advised)
			if _, err := sourcePorts(advised, c.low, c.high); err != nil {
				t.Errorf("%+v: the hint says %q, and then %v", c, hint.Hint(), err)
			}
		}
	}
}

// One lane up to the rate that it is good for; then as many as the rate needs and the host has room for.
func TestPlanLanes(t *testing.T) {
	for _, c := range []struct {
		rate              float64
		processors, lanes int
		asked             int
	}{
		{10e3, 64, 1, 0}, {300e3, 64, 1, 0}, {301e3, 64, 2, 0}, {1e6, 64, 4, 0}, {20e6, 64, 8, 0}, {1e300, 64, 8, 0},
		{20e6, 1, 1, 0}, {20e6, 2, 2, 0}, {20e6, 3, 2, 0}, {20e6, 8, 4, 0}, {10e3, 1, 5, 5},
	} {
		before := runtime.GOMAXPROCS(c.processors)
		p := Plan{Config: Config{Rate: c.rate, Lanes: c.asked, Backend: BackendAFPacket}}
		p.chooseLanes()
		runtime.GOMAXPROCS(before)
		if p.Lanes != c.lanes {
			t.Errorf("%v pps on %d processors, %d asked for: %d lanes, want %d", c.rate, c.processors, c.asked, p.Lanes, c.lanes)
		}
	}
}

// What a Config asks for and no plan can do is refused with a hint, whoever made the Config.
func TestNewPlanRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		says   string
	}{
		"lanes of raw probes":     {func(c *Config) { c.Lanes, c.Backend = 2, BackendConnect }, "lanes"},
		"too many lanes":          {func(c *Config) { c.Lanes = MaxLanes + 1 }, "lanes"},
		"shard of nothing":        {func(c *Config) { c.ShardI = 2 }, "shard 2"},
		"recall that is NaN":      {func(c *Config) { c.TargetRecall = math.NaN() }, "recall"},
		"profile of raw probes":   {func(c *Config) { c.Profile, c.Backend = probe.ProfileLinux, BackendConnect }, "TCP options"},
		"interface of raw probes": {func(c *Config) { c.Interface, c.Backend = "lo", BackendConnect }, "interface"},
		"port of raw probes":      {func(c *Config) { c.SourcePort, c.Backend = 1024, BackendConnect }, "source ports"},
	} {
		ports, err := target.ParsePorts("80")
		if err != nil {
			t.Fatal(err)
		}
		all, err := target.Load(t.Context(), target.Config{Targets: []string{"127.0.0.1"}, Ports: ports})
		if err != nil {
			t.Fatal(err)
		}
		config := Config{Targets: all}
		c.change(&config)
		_, err = NewPlan(config)
		var hint interface{ Hint() string }
		if err == nil || !strings.Contains(err.Error(), c.says) || !errors.As(err, &hint) || hint.Hint() == "" {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
