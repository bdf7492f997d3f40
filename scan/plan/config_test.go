package plan

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go4.org/netipx"

	"synoptic/rawsock/route"
	"synoptic/results"
	"synoptic/results/window"
	"synoptic/scan/probe"
)

// What a Config asks for and no plan can do is refused, with the field at fault and a hint that calls fields by
// their names.
func TestNewRefuses(t *testing.T) {
	fields := regexp.MustCompile(`\b[A-Z][a-z]+([A-Z][A-Za-z]*)?\b`)
	own := netip.MustParseAddr("10.0.0.9")
	connect := func(c Config) Config {
		c.Backend = BackendConnect
		return c
	}
	for _, c := range []struct {
		asked       Config
		host        fakeHost
		field, says string
	}{
		{Config{Seed: 1 << 53}, fakeHost{}, "Seed", "seed 9007199254740992 does not fit a JSON number exactly"},
		{Config{Rate: -1}, fakeHost{}, "Rate", "negative rate"},
		{Config{Rate: math.NaN()}, fakeHost{}, "Rate", "negative rate"},
		{Config{Rate: math.Inf(1)}, fakeHost{}, "Rate", "rate "},
		{Config{Bandwidth: -1}, fakeHost{}, "Bandwidth", "negative rate"},
		{Config{Rate: 0.0009}, fakeHost{}, "Rate", "Rate of 0.0009 packets per second: 0.001 is the least"},
		{Config{Auto: true, MaxRate: 0.0009}, fakeHost{}, "MaxRate", "MaxRate of 0.0009 packets per second: 0.001 is the least"},
		{Config{Auto: true, MinRate: 0.0009}, fakeHost{}, "MinRate", "MinRate of 0.0009 packets per second: 0.001 is the least"},
		{Config{Bandwidth: 0.5}, fakeHost{}, "Bandwidth", "Bandwidth of 0.000744 packets per second: 0.001 is the least"},
		{Config{Rate: 1.5e6}, fakeHost{speed: 1e9}, "Rate", "Rate of 1.5M packets per second: more than the link carries, 1.488M"},
		{Config{Auto: true, MaxRate: 1.5e6}, fakeHost{speed: 1e9}, "MaxRate", "MaxRate of 1.5M packets per second: more than the link carries, 1.488M"},
		{Config{Auto: true, MinRate: 1.5e6, MaxRate: 2e6}, fakeHost{speed: 1e9}, "MinRate", "MinRate of 1.5M packets per second: more than the link carries, 1.488M"},
		{Config{Rate: 1000, Bandwidth: 2e9}, fakeHost{speed: 1e9}, "Bandwidth", "Bandwidth of 2.976M packets per second: more than the link carries, 1.488M"},
		{Config{Auto: true, MinRate: 2000, MaxRate: 1000}, fakeHost{}, "MinRate", "MinRate of 2k packets per second: more than MaxRate allows, 1k"},
		{Config{Auto: true, MinRate: 10_000, Bandwidth: 672e3}, fakeHost{}, "MinRate", "MinRate of 10k packets per second: more than Bandwidth allows, 1k"},
		{Config{Auto: true, MinRate: 1.5e6}, fakeHost{speed: 1e9}, "MinRate", "MinRate of 1.5M packets per second: more than can be sent at all, 1.488M"},
		{Config{Wait: -1}, fakeHost{}, "Wait", "negative Wait"},
		{Config{Batch: MaxBatch + 1}, fakeHost{}, "Batch", "a batch of 65 probes"},
		{Config{Batch: -1}, fakeHost{}, "Batch", "a batch of -1 probes"},
		{Config{Lanes: MaxLanes + 1}, fakeHost{}, "Lanes", "33 lanes"},
		{Config{Attempts: 11}, fakeHost{}, "Attempts", "10 retries"},
		{Config{TargetRecall: math.NaN()}, fakeHost{}, "TargetRecall", "a target recall of NaN is not a share below 1"},
		{Config{TargetRecall: 1}, fakeHost{}, "TargetRecall", "a target recall of 1 is not"},
		{Config{RetryGap: -1}, fakeHost{}, "RetryGap", "negative retry gap"},
		{Config{Patience: -1}, fakeHost{}, "Patience", "negative Patience"},
		{Config{Beacons: make([]netip.AddrPort, MaxBeacons+1)}, fakeHost{}, "Beacons", "1025 beacons"},
		{Config{Beacons: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:0")}}, fakeHost{}, "Beacons", "beacon 10.0.0.1 has no port"},
		{Config{Beacons: []netip.AddrPort{netip.MustParseAddrPort("10.9.0.1:80")}}, fakeHost{}, "Beacons", "beacon 10.9.0.1:80 is not among the targets"},
		{connect(Config{Beacons: make([]netip.AddrPort, 1)}), fakeHost{}, "Beacons", "beacon invalid IP has no port"},
		{Config{ShardI: 2}, fakeHost{}, "ShardOf", "shard 2 without a number of shards"},
		{Config{ShardI: 257, ShardOf: 300}, fakeHost{}, "ShardOf", "shard 257 of 300 of 256 probes is empty"},
		{Config{Source: netip.MustParseAddr("fd00::9")}, fakeHost{}, "Source", "source address fd00::9 cannot reach the IPv4 target 10.0.0.0"},
		{Config{SourcePort: 40000}, fakeHost{}, "SourcePort", "source ports 40000-40015 reach into the host's ephemeral range 32768-60999"},
		{Config{SpoofSource: true}, fakeHost{}, "SpoofSource", "there is no Source to spoof"},

		{connect(Config{Lanes: 2}), fakeHost{}, "Lanes", "backend connect (asked for) has no lanes"},
		{connect(Config{Profile: probe.ProfileLinux}), fakeHost{}, "Profile", "backend connect (asked for) leaves TCP options to the kernel"},
		{connect(Config{Interface: "lo"}), fakeHost{}, "Interface", "backend connect (asked for) leaves the interface to the kernel"},
		{connect(Config{SourcePort: 1024}), fakeHost{}, "SourcePort", "backend connect (asked for) leaves source ports to the kernel"},
		{connect(Config{GatewayMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}}), fakeHost{}, "GatewayMAC", "backend connect (asked for) leaves MAC addresses to the kernel"},
		{connect(Config{TargetRecall: 0.99}), fakeHost{}, "TargetRecall", "backend connect (asked for) leaves retries to the kernel"},
		{Config{Lanes: 2}, fakeHost{canRaw: errNoRaw}, "Lanes", "backend connect (open packet socket: no rights) has no lanes"},
		{connect(Config{Source: own}), fakeHost{bind: errors.New("not ours")}, "Source", "source address 10.0.0.9: not ours"},
	} {
		c.asked.Targets, c.asked.Host = targets(t, "80", "10.0.0.0/24"), &c.host
		_, err := New(c.asked)
		refused, ok := errors.AsType[*Error](err)
		if !ok || refused.Field() != c.field || refused.Hint() == "" || !strings.HasPrefix(refused.Error(), c.says) {
			t.Errorf("%s: %#v", c.says, err)
			continue
		}
		for _, word := range append(fields.FindAllString(refused.Hint(), -1), refused.Field()) {
			if _, ok := reflect.TypeFor[Config]().FieldByName(word); !ok && word != "TCP" {
				t.Errorf("%q names %q, which is no field of Config", refused.Hint(), word)
			}
		}
	}
	if _, err := New(Config{}); err == nil {
		t.Error("a plan without targets")
	}
}

// What other packages refuse comes as they say it.
func TestNewPassesErrorsOn(t *testing.T) {
	all := targets(t, "80", "10.0.0.0/24")
	broken := errors.New("broken")
	if _, err := New(Config{Targets: all, Host: &fakeHost{portsErr: broken}}); !errors.Is(err, broken) {
		t.Errorf("the ephemeral ports cannot be read: %v", err)
	}
	if _, err := New(Config{Targets: all, ShardI: 3, ShardOf: 2, Host: &fakeHost{}}); err == nil || hintOf(err) == "" {
		t.Errorf("a third shard of two: %v", err)
	}
	_, err := New(Config{Targets: all, MaxMemory: 1, Host: &fakeHost{}})
	if _, ok := errors.AsType[*window.SizeError](err); !ok {
		t.Errorf("a byte of memory: %v", err)
	}
	everywhere := &fakeHost{broadcast: slices.Collect(func(yield func(netip.Addr) bool) {
		for i := range all.Space.Addrs().Len() {
			if !yield(all.Space.Addrs().At(i)) {
				return
			}
		}
	})}
	if _, err := New(Config{Targets: all, Host: everywhere}); err == nil {
		t.Error("nothing but broadcast addresses")
	}
}

// Without a Host it is this one. The connect backend takes what it can get of it.
func TestThisHost(t *testing.T) {
	p, err := New(Config{Targets: targets(t, "80", "127.0.0.1"), Backend: BackendConnect})
	if err != nil {
		t.Fatal(err)
	}
	if p.Asked.Host != ThisHost() || p.Pace.Max != DefaultLoopbackRate || p.Choice.Lanes != 0 {
		t.Errorf("%+v", p)
	}
	own, err := ThisHost().LocalAddrs()
	if err != nil {
		t.Skip(err)
	}
	for _, a := range own {
		if !a.IsValid() || a.Is4In6() {
			t.Errorf("%v is an address of this host", a)
		}
	}
	if n := ThisHost().Processors(); n != runtime.GOMAXPROCS(0) {
		t.Errorf("%d processors", n)
	}
}

// A scan whose retries would come after their positions have left the result map is refused, and what the hint
// says is then accepted.
func TestNewRefusesSmallWindow(t *testing.T) {
	c := Config{Targets: targets(t, "1-1000", "10.0.0.0/12"), Backend: BackendAFPacket, MaxMemory: 16 << 20, Host: &fakeHost{}}
	for rate, want := range map[float64]uint64{10e6: 64, 6e6: 64, 4e6: 32, 1e12: 512} { // 512 MiB cover the scan
		c.Rate, c.MaxMemory = rate, 16<<20
		_, err := New(c)
		refused, ok := errors.AsType[*Error](err)
		hint := fmt.Sprintf("give MaxMemory %dM, or a lower Rate, fewer Attempts or a shorter RetryGap", want)
		if !ok || refused.Field() != "MaxMemory" || refused.Hint() != hint {
			t.Errorf("%v pps: %#v", rate, err)
		}
		c.MaxMemory = int64(want) << 20
		if _, err := New(c); err != nil {
			t.Errorf("%v pps with %d MiB: %v", rate, want, err)
		}
		c.MaxMemory /= 2
		if _, err := New(c); err == nil {
			t.Errorf("%v pps would do with %d MiB", rate, want/2)
		}
	}
	c.MaxMemory, c.Backend = 16<<20, BackendConnect // has no retries of ours
	if _, err := New(c); err != nil {
		t.Error(err)
	}
}

// The errors of routes are the caller's where raw packets need them; connect leaves all but the certain ones to
// the kernel.
func TestNewRoutes(t *testing.T) {
	all := targets(t, "80", "10.0.0.0/24")
	r := netipx.MustParseIPRange("10.0.0.0-10.0.0.255")
	for _, c := range []struct {
		err      error
		connects bool
	}{
		{&route.BroadcastError{Range: r}, false},
		{&route.NoRouteError{Range: r, Reason: "unreachable", Err: errors.New("ENETUNREACH")}, false},
		{&route.NoRouteError{Range: r, Reason: "no address to send from"}, true},
		{&route.LinkTypeError{Name: "ib0", Type: "infiniband"}, true},
		{errors.ErrUnsupported, true},
	} {
		if _, err := New(Config{Targets: all, Host: &fakeHost{routesErr: c.err}}); !errors.Is(err, c.err) {
			t.Errorf("raw: %v, want %v", err, c.err)
		}
		_, err := New(Config{Targets: all, Backend: BackendConnect, Host: &fakeHost{routesErr: c.err}})
		if (err == nil) != c.connects {
			t.Errorf("connect: %v, want %v", err, c.err)
		}
	}
}

// Broadcast addresses are no targets, by whatever backend.
func TestNewLeavesBroadcastOut(t *testing.T) {
	out := []netip.Addr{netip.MustParseAddr("10.0.0.0"), netip.MustParseAddr("10.0.0.255")}
	for _, backend := range []string{BackendAFPacket, BackendConnect} {
		p, err := New(Config{Targets: targets(t, "80,443", "10.0.0.0/24"), Backend: backend, Host: &fakeHost{broadcast: out}})
		if err != nil {
			t.Fatal(err)
		}
		if p.Space.Len() != 2*254 || p.Permutation.Len() != 2*254 || p.Probes() != 2*254 || p.Space.Addrs().Contains(out[1]) || !slices.Equal(p.Broadcast, out) {
			t.Errorf("%s: %d probes, left out %v", backend, p.Probes(), p.Broadcast)
		}
		if p.Asked.Targets.Space.Len() != 2*256 {
			t.Errorf("%s: what was asked for has been changed", backend)
		}
	}
}

// The zero value of every field but Targets has a default, and slices are the plan's own.
func TestDefaults(t *testing.T) {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	host, beacons := &fakeHost{}, []netip.AddrPort{netip.MustParseAddrPort("[::ffff:10.0.0.1]:443")}
	p, err := New(Config{Targets: targets(t, "80", "10.0.0.1"), Host: host, GatewayMAC: mac, Source: netip.MustParseAddr("::ffff:10.0.0.9"), Beacons: beacons})
	if err != nil {
		t.Fatal(err)
	}
	mac[5], beacons[0] = 9, netip.AddrPort{}
	want := Config{
		Targets: p.Asked.Targets, Host: host, GatewayMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Source: netip.MustParseAddr("10.0.0.9"),
		ShardI: 1, ShardOf: 1, Backend: BackendAuto, Attempts: DefaultAttempts, RetryGap: time.Second, Batch: DefaultBatch,
		Wait: DefaultWait, Patience: time.Minute, Beacons: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:443")}, MaxMemory: DefaultMaxMemory, Show: results.Open,
	}
	if !reflect.DeepEqual(p.Asked, want) {
		t.Errorf("got  %+v\nwant %+v", p.Asked, want)
	}
	if p.Seed > maxSeed || len(p.ScanID) != 32 {
		t.Errorf("seed %d, scan %q", p.Seed, p.ScanID)
	}
	p, err = New(Config{Targets: p.Asked.Targets, TargetRecall: 0.99, Seed: 7, HasSeed: true, Host: host})
	if err != nil || p.Asked.Attempts != MaxAttempts || p.Seed != 7 {
		t.Errorf("%d attempts by a target recall, seed %d: %v", p.Asked.Attempts, p.Seed, err)
	}
}
