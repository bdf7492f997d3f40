package plan

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"synoptic/ratelimit"
	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/scan/permute"
	"synoptic/scan/target"
)

// A duration beyond what a time.Duration holds is not negative.
func TestBoundsOfWhatNeverEnds(t *testing.T) {
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
		p := Plan{Pace: ratelimit.Constant(c.rate), Positions: permute.Range{End: c.probes}}
		if b := p.Bounds(); b.Answered < c.min || b.Answered > c.max || b.Silent < b.Answered {
			t.Errorf("%d probes at %v pps take %v, want %v to %v", c.probes, c.rate, b, c.min, c.max)
		}
	}
}

// Both ends hold what is sent again, what is waited for, and what the host cannot do as fast as it was asked to.
func TestBounds(t *testing.T) {
	local := []route.Path{{Link: route.Link{Name: "lo", Framing: rawsock.Loopback}, Src: hostAddr, Local: true}}
	beside := []route.Path{onLink(ethernet(2, "veth0"))}
	for name, c := range map[string]struct {
		ask              func(*Config)
		host             fakeHost
		words, ports     string
		answered, silent time.Duration
	}{
		// The plan of 2,816 ports that promised 3.3 s, and took 11.2 s where nothing answered.
		"all silent":      {func(c *Config) { c.Rate = 1000 }, fakeHost{}, "10.91.33.0/24", "7000-7010", 3316 * time.Millisecond, 11448 * time.Millisecond},
		"no retries":      {func(c *Config) { c.Rate, c.Attempts = 1000, 1 }, fakeHost{}, "10.91.33.0/24", "7000-7010", 3316 * time.Millisecond, 4816 * time.Millisecond},
		"a wide gap":      {func(c *Config) { c.Rate, c.RetryGap = 1e5, 10*time.Second }, fakeHost{}, "10.91.33.0/24", "80", 502560 * time.Microsecond, 22002560 * time.Microsecond},
		"a short wait":    {func(c *Config) { c.Rate, c.Wait = 1000, time.Second }, fakeHost{}, "10.91.33.0/24", "7000-7010", 3316 * time.Millisecond, 10448 * time.Millisecond},
		"canaries":        {func(c *Config) { c.Rate, c.Canaries = 1000, true }, fakeHost{}, "10.91.33.0/24", "80", 256*time.Millisecond + 512*time.Millisecond + time.Second, 8792 * time.Millisecond},
		"ten attempts":    {func(c *Config) { c.Rate, c.Attempts = 1000, 10 }, fakeHost{}, "10.91.33.0/24", "7000-7010", 3316 * time.Millisecond, 34660 * time.Millisecond},
		"afpacket at 10M": {func(c *Config) { c.Rate, c.Backend, c.Attempts = 1e7, BackendAFPacket, 1 }, fakeHost{}, "10.0.0.0/8", "80", 11684810666 * time.Nanosecond, 13184810666 * time.Nanosecond},
		"xdp at 10M":      {func(c *Config) { c.Rate, c.Backend, c.Attempts = 1e7, BackendXDP, 1 }, fakeHost{}, "10.0.0.0/8", "80", 8888608 * time.Microsecond, 10388608 * time.Microsecond},
		"ebpf at 1G":      {func(c *Config) { c.Rate, c.Backend, c.Attempts = 1e9, BackendEBPF, 1 }, fakeHost{}, "10.0.0.0/8", "80", 3163050158 * time.Nanosecond, 4663050158 * time.Nanosecond},
		"this host":       {func(c *Config) { c.Rate, c.Attempts = 1e6, 1 }, fakeHost{paths: local}, "127.0.0.0/16", "80", 704800 * time.Microsecond, 2204800 * time.Microsecond},
		"automatic":       {func(c *Config) { c.MaxRate, c.Auto, c.Backend, c.Attempts = 160e3, true, BackendAFPacket, 1 }, fakeHost{}, "10.0.0.0/12", "80", 8053599999 * time.Nanosecond, 106857600 * time.Microsecond},
		"soon over":       {func(c *Config) { c.Attempts = 1 }, fakeHost{}, "10.91.33.0/24", "80", 525600 * time.Microsecond, 2025600 * time.Microsecond},
		"connect":         {func(c *Config) { c.Rate, c.Backend = 10_000, BackendConnect }, fakeHost{}, "10.0.0.0/24", "1-1000", 26100 * time.Millisecond, 535333333333},
		"few files":       {func(c *Config) { c.Rate, c.Backend = 10_000, BackendConnect }, fakeHost{files: 164}, "10.0.0.0/24", "1-1000", 26100 * time.Millisecond, 5122 * time.Second},
		"no files":        {func(c *Config) { c.Rate, c.Backend = 10_000, BackendConnect }, fakeHost{files: 24}, "10.0.0.1", "1-1000", 600 * time.Millisecond, 2002 * time.Second},
		"connect at 1M":   {func(c *Config) { c.Rate, c.Backend = 1e6, BackendConnect }, fakeHost{files: 1 << 20}, "127.0.0.0/16", "80", 1540253968, 34 * time.Second},
		"neighbours":      {func(c *Config) { c.Rate = 100 }, fakeHost{paths: beside}, "192.0.2.0/25", "80", 1280*time.Millisecond + 1280*time.Millisecond + 500*time.Millisecond, (3840 + 3840 + 1000 + 2000 + 2100) * time.Millisecond},
		"a shard":         {func(c *Config) { c.Rate, c.Seed, c.HasSeed, c.ShardI, c.ShardOf = 1000, 1, true, 1, 11 }, fakeHost{}, "10.91.33.0/24", "7000-7010", 756 * time.Millisecond, 4256 * time.Millisecond},
	} {
		config := Config{Targets: targets(t, c.ports, c.words), Host: &c.host}
		c.ask(&config)
		p, err := New(config)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if p.Routes != nil {
			set := p.Space.Addrs()
			p.Routes.Segments = []route.Segment{{From: set.At(0), To: set.At(set.Len() - 1)}}
		}
		if b := p.Bounds(); (b.Answered-c.answered).Abs() > time.Millisecond || (b.Silent-c.silent).Abs() > time.Millisecond {
			t.Errorf("%s: %v to %v, want %v to %v", name, b.Answered, b.Silent, c.answered, c.silent)
		}
	}
}

// What a plan counts with is what the documentation says that was measured.
func TestCapacityIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "## What a plan counts with\n")
	section, _, _ = strings.Cut(section, "\n## ")
	rows := map[string]float64{"afpacket, this host alone": localCapacity}
	for backend, pps := range capacity {
		rows[backend] = pps
	}
	for name, pps := range rows {
		if row := fmt.Sprintf("| %s | %.0f |\n", name, pps); !strings.Contains(section, row) {
			t.Errorf("the documentation has no row %q", row)
		}
	}
	if strings.Count(section, "\n| ") != len(rows)+1 {
		t.Errorf("the documentation has other rows than %v: %s", rows, section)
	}
}
