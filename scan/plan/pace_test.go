package plan

import (
	"errors"
	"net/netip"
	"testing"

	"synoptic/ratelimit"
	"synoptic/rawsock/route"
)

// The lower of rate and bandwidth holds, and says so.
func TestPace(t *testing.T) {
	for _, c := range []struct {
		rate, bandwidth float64
		local           bool
		want            float64
		reason          string
	}{
		{0, 0, true, 500_000, "default for local targets"},
		{5, 0, true, 5, "asked for"},
		{0, 672e3, true, 1000, "672000 bit/s of 58-byte frames"},
		{1e6, 672e3, false, 1000, "672000 bit/s of 58-byte frames"},
		{500, 672e3, false, 500, "asked for"},
	} {
		pace, reason, err := paceOf(&Config{Rate: c.rate, Bandwidth: c.bandwidth}, c.local, 58, nil)
		if err != nil || pace != ratelimit.Constant(c.want) || reason != c.reason {
			t.Errorf("%+v: %v, %q, %v", c, pace, reason, err)
		}
	}
}

// Without a rate it is found out on the way, unless all stays on this host: from a fixed one on, at most what the link carries, or all
// of it in a second.
func TestAutomaticPace(t *testing.T) {
	most := func() (float64, string) { return 50_000, "the link" }
	for name, c := range map[string]struct {
		asked  Config
		local  bool
		want   ratelimit.Pace
		reason string
	}{
		"nothing said":              {Config{}, false, ratelimit.Pace{Start: 10_000, Min: 100, Max: 50_000}, "the link"},
		"nothing said, local":       {Config{}, true, ratelimit.Constant(500_000), "default for local targets"},
		"asked for, local":          {Config{Auto: true}, true, ratelimit.Pace{Start: 10_000, Min: 100, Max: 50_000}, "the link"},
		"bounds":                    {Config{Auto: true, MinRate: 2000, MaxRate: 5000}, false, ratelimit.Pace{Start: 5000, Min: 2000, Max: 5000}, "automatic, at most what was allowed"},
		"a minimum above the start": {Config{Auto: true, MinRate: 20_000}, false, ratelimit.Pace{Start: 20_000, Min: 20_000, Max: 50_000}, "the link"},
		"a maximum below the least": {Config{Auto: true, MaxRate: 5}, false, ratelimit.Pace{Start: 5, Min: 5, Max: 5}, "automatic, at most what was allowed"},
		"bandwidth":                 {Config{Auto: true, Bandwidth: 672e3}, false, ratelimit.Pace{Start: 1000, Min: 100, Max: 1000}, "automatic, at most 672000 bit/s of 58-byte frames"},
	} {
		pace, reason, err := paceOf(&c.asked, c.local, 58, most)
		if err != nil || pace != c.want || reason != c.reason {
			t.Errorf("%s: %v, %q, %v", name, pace, reason, err)
		}
	}
	if _, _, err := paceOf(&Config{Auto: true, MinRate: 3, MaxRate: 2}, false, 58, most); err == nil {
		t.Error("a minimum above the maximum")
	}
}

// A rate that may be changed has room upwards as long as nothing else of the plan would be another one, and no more than the
// bandwidth allows.
func TestLivePace(t *testing.T) {
	for _, c := range []struct {
		rate, bandwidth float64
		local           bool
		max             float64
	}{
		{10_000, 0, false, 40_000}, {5, 0, false, 20}, {0.0001, 0, false, 0.0004}, {60_000, 0, false, kernelRate - 1}, {kernelRate, 0, false, kernelRate}, {5e6, 0, false, 5e6}, {0, 0, true, 500_000},
		{0, 672e3, false, 1000}, {500, 672e3, false, 1000}, {200, 672e3, false, 800},
	} {
		pace, _, err := paceOf(&Config{Rate: c.rate, Bandwidth: c.bandwidth, Live: true}, c.local, 58, nil)
		if err != nil || pace.Validate() != nil || pace.Max != c.max || pace.Min != min(pace.Start, ratelimit.MinRate) {
			t.Errorf("%+v: %v, %v", c, pace, err)
		}
	}
}

// A scan of this host alone crosses no network, by routes where there are some and by addresses elsewhere.
func TestLocal(t *testing.T) {
	own := []netip.Addr{hostAddr}
	for _, c := range []struct {
		target string
		local  bool
	}{
		{"127.0.0.0/8", true}, {"192.0.2.9", true}, {"127.0.0.1 192.0.2.9", true}, {"192.0.2.8/31", false}, {"10.0.0.1", false}, {"::1", true}, {"::1-::2", false},
	} {
		set := setOf(t, c.target)
		if got := allLocal(&fakeHost{local: own}, nil, set); got != c.local {
			t.Errorf("%s: %v", c.target, got)
		}
	}
	blind := &fakeHost{localErr: errors.New("no list")}
	if !allLocal(blind, nil, setOf(t, "127.0.0.1")) || allLocal(blind, nil, setOf(t, "192.0.2.9")) {
		t.Error("without a list of addresses only loopback is local")
	}
	loopback := route.Path{Local: true}
	for _, c := range []struct {
		paths []route.Path
		local bool
	}{{[]route.Path{loopback}, true}, {[]route.Path{loopback, {}}, false}} {
		host := &fakeHost{}
		if got := allLocal(host, &route.Plan{Paths: c.paths}, nil); got != c.local || host.asked > 0 {
			t.Errorf("%+v: %v", c.paths, got)
		}
	}
}
