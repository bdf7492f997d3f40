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
		{0, 0, false, 10_000, "the default"},
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

// A rate that may be changed has room upwards as long as nothing else of the plan would be another one, and no more than the
// bandwidth allows.
func TestLivePace(t *testing.T) {
	for _, c := range []struct {
		rate, bandwidth float64
		local           bool
		max             float64
	}{
		{0, 0, false, 40_000}, {5, 0, false, 20}, {0.0001, 0, false, 0.0004}, {60_000, 0, false, kernelRate - 1}, {kernelRate, 0, false, kernelRate}, {5e6, 0, false, 5e6}, {0, 0, true, 500_000},
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
