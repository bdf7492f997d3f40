package plan

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"synoptic/ratelimit"
)

// limited asks for limits as they are written on the command line, after one by host; 0: none.
func limited(t *testing.T, host float64, prefixes ...string) func(*Config) {
	t.Helper()
	var all []ratelimit.PrefixRate
	for _, s := range prefixes {
		l, err := ratelimit.ParsePrefixRate(s)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	return func(c *Config) { c.Rate, c.Attempts, c.RatePerHost, c.RatePerPrefix = 1000, 1, host, all }
}

// The busiest prefix decides how long a scan takes, unless the rate does, and so do positions that share a slot of the table.
func TestBoundsOfLimits(t *testing.T) {
	const slow = 10_100 * time.Microsecond // between two packets at 100 a second
	for name, c := range map[string]struct {
		ask              func(*Config)
		words, ports     string
		answered, silent time.Duration
	}{
		"by prefix":         {limited(t, 0, "24:100"), "10.0.0.0/24 10.0.1.0/28", "1-10", 2559*slow + 500*time.Millisecond, 2559*slow + 2*time.Second},
		"by a longer one":   {limited(t, 0, "28:100"), "10.0.0.0/24", "1-10", 2560*time.Millisecond + 500*time.Millisecond, 2560*time.Millisecond + 2*time.Second},
		"by host":           {limited(t, 1), "10.0.0.1", "1-100", 99*1010*time.Millisecond + 500*time.Millisecond, 99*1010*time.Millisecond + 2*time.Second},
		"both":              {limited(t, 1, "24:2"), "10.0.0.0/31", "1-10", 19*505*time.Millisecond + 500*time.Millisecond, 19*505*time.Millisecond + 2*time.Second},
		"never binding":     {limited(t, 5000, "24:5000"), "10.0.0.0/24", "1-10", 2560*time.Millisecond + 500*time.Millisecond, 2560*time.Millisecond + 2*time.Second},
		"pairs":             {limited(t, 1), "10.0.0.1:22 10.0.0.1:23 10.0.0.2:22 10.0.0.1:24", "", 2*1010*time.Millisecond + 500*time.Millisecond, 2*1010*time.Millisecond + 2*time.Second},
		"connect":           {func(c *Config) { limited(t, 1)(c); c.Backend, c.Attempts = BackendConnect, 3 }, "10.0.0.1", "1-100", 99*1010*time.Millisecond + 500*time.Millisecond, 3*99*1010*time.Millisecond + 2700*time.Millisecond},
		"with retries":      {func(c *Config) { limited(t, 1)(c); c.Attempts = 3 }, "10.0.0.1", "1-100", 99*1010*time.Millisecond + 500*time.Millisecond, 3*99*1010*time.Millisecond + time.Second + 2*time.Second},
		"longer than known": {limited(t, ratelimit.MinPrefixRate), "10.0.0.0/9", "-", 0, 0},
	} {
		config := Config{Targets: targets(t, c.ports, strings.Fields(c.words)...), Host: &fakeHost{}}
		c.ask(&config)
		p, err := New(config)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		b := p.Bounds()
		if c.answered == 0 {
			if b.Answered < 100*365*24*time.Hour-time.Hour {
				t.Errorf("%s: %v", name, b)
			}
			continue
		}
		if (b.Answered-c.answered).Abs() > time.Millisecond || (b.Silent-c.silent).Abs() > 2*time.Second/1000 {
			t.Errorf("%s: %v to %v, want %v to %v", name, b.Answered, b.Silent, c.answered, c.silent)
		}
	}
}

// What is estimated for very many prefixes is about what counting gives, and the counted never less than the even share. The salt is random: of
// hosts that fall into 65,536 slots as a Poisson distribution has it, the fullest has fewer than least or more than most once in 10⁹ runs.
func TestBusiestSlot(t *testing.T) {
	for _, c := range []struct {
		words    string
		least    float64 // positions of the busiest slot
		most     float64
		groups   float64
		possible float64
	}{
		{"10.0.0.0/16", 6, 16, 65536, 65536},
		{"10.0.0.0/12", 31, 55, 1 << 20, 65536},
		{"10.0.0.0/11", 53, 84, 1 << 21, 65536},
		{"10.0.0.0/24", 1, 1, 256, 256},
	} {
		config := Config{Targets: targets(t, "80", c.words), Host: &fakeHost{}}
		limited(t, 1)(&config)
		config.Rate = 1e9
		p, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Limits) != 1 {
			t.Fatalf("%s: %+v", c.words, p.Limits)
		}
		l := p.Limits[0]
		if busiest := l.busiest * float64(p.Space.Len()); busiest < c.least || busiest > c.most || l.groups != c.groups || p.LimitedRate() != c.possible {
			t.Errorf("%s: the busiest slot has %v positions, want %v to %v; %v hosts; %v pps", c.words, busiest, c.least, c.most, l.groups, p.LimitedRate())
		}
	}
}

// Where few prefixes have targets, none shares a slot.
func TestSaltAvoidsCollisions(t *testing.T) {
	shared := 0.0
	for range 20 {
		config := Config{Targets: targets(t, "80", "10.0.0.0/17"), Host: &fakeHost{}}
		limited(t, 0, "24:1")(&config)
		p, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		shared += p.Limits[0].shared
	}
	if shared > 0 { // by chance a salt has a collision in one of eight
		t.Errorf("%v of 20 × 128 prefixes share a slot", shared)
	}
}

// Limits of a family count where there are targets of it, and all parts go by the same tables.
func TestLimitsOfParts(t *testing.T) {
	for _, c := range []struct {
		words string
		ask   func(*Config)
		want  string // by part
		rate  string
	}{
		{"10.0.0.1", limited(t, 5), "[32:5]", "[5]"},
		{"fd00::1", limited(t, 5), "[128:5]", "[5]"},
		{"10.0.0.1 fd00::1", limited(t, 5), "[32:5 128:5] [32:5 128:5]", "[5 5]"},
		{"10.0.0.0/31 fd00::1", limited(t, 0, "24:7"), "[24:7] [24:7]", "[7 +Inf]"},
		{"10.0.0.0/31 fd00::1", limited(t, 0, "64:7", "v6/32:3"), "[64:7 v6/32:3] [64:7 v6/32:3]", "[+Inf 3]"},
		{"10.0.0.0/31", limited(t, 0, "64:7"), "[]", "[+Inf]"},
		{"10.0.0.0/31", limited(t, 0), "[]", "[+Inf]"},
	} {
		config := Config{Targets: targets(t, "80", strings.Fields(c.words)...), Host: &fakeHost{}}
		c.ask(&config)
		p, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		var limits []string
		var rates []float64
		for _, part := range p.Parts() {
			var all []ratelimit.PrefixRate
			for i, l := range part.Limits {
				all = append(all, l.PrefixRate)
				if l.Salt != p.Limits[i].Salt {
					t.Errorf("%s: the parts have tables with other salts", c.words)
				}
			}
			limits, rates = append(limits, fmt.Sprint(all)), append(rates, part.LimitedRate())
		}
		if got, rate := strings.Join(limits, " "), fmt.Sprint(rates); got != c.want || rate != c.rate {
			t.Errorf("%s: %s at %s, want %s at %s", c.words, got, rate, c.want, c.rate)
		}
	}
}

func TestLimitsRefused(t *testing.T) {
	prefix := func(bits int, rate float64) ratelimit.PrefixRate { return ratelimit.PrefixRate{Bits: bits, Rate: rate} }
	for _, c := range []struct {
		host     float64
		prefixes []ratelimit.PrefixRate
		field    string
		says     string
	}{
		{0.0009, nil, "RatePerHost", "RatePerHost: 0.0009 packets per second are not a limit that can be kept"},
		{-1, nil, "RatePerHost", "RatePerHost: -1"},
		{math.NaN(), nil, "RatePerHost", "RatePerHost: NaN"},
		{math.Inf(1), nil, "RatePerHost", "RatePerHost: +Inf"},
		{0, []ratelimit.PrefixRate{prefix(24, 0)}, "RatePerPrefix", "RatePerPrefix: 0 packets"},
		{0, []ratelimit.PrefixRate{prefix(24, 1e-9)}, "RatePerPrefix", "RatePerPrefix: 1e-09 packets"},
		{0, []ratelimit.PrefixRate{prefix(0, 1)}, "RatePerPrefix", "RatePerPrefix: a prefix of 0 bits"},
		{0, []ratelimit.PrefixRate{prefix(33, 1)}, "RatePerPrefix", "RatePerPrefix: a prefix of 33 bits"},
		{0, []ratelimit.PrefixRate{{V6: true, Bits: 129, Rate: 1}}, "RatePerPrefix", "RatePerPrefix: a prefix of 129 bits"},
		{0, []ratelimit.PrefixRate{prefix(24, 1), prefix(16, 1), prefix(24, 2)}, "RatePerPrefix", "RatePerPrefix: two limits for each /24"},
		{1, []ratelimit.PrefixRate{prefix(32, 2)}, "RatePerPrefix", "RatePerHost and RatePerPrefix both limit each /32"},
		{1, []ratelimit.PrefixRate{{V6: true, Bits: 128, Rate: 2}}, "RatePerPrefix", "RatePerHost and RatePerPrefix both limit each /128"},
	} {
		_, err := New(Config{Targets: targets(t, "80", "10.0.0.1"), Host: &fakeHost{}, RatePerHost: c.host, RatePerPrefix: c.prefixes})
		refused, ok := errors.AsType[*Error](err)
		if !ok || refused.Field() != c.field || refused.Hint() == "" || !strings.HasPrefix(refused.Error(), c.says) {
			t.Errorf("%v %v: %v", c.host, c.prefixes, err)
		}
	}
	config := Config{Targets: targets(t, "80", "10.0.0.1"), Host: &fakeHost{}}
	limited(t, 1, "24:1", "16:1", "v6/24:1", "64:1")(&config) // lengths may differ, in number too
	if _, err := New(config); err != nil {
		t.Error(err)
	}
}
