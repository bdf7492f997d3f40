package plan

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"synoptic/rawsock"
	"synoptic/rawsock/route"
)

var (
	errNoRaw = fmt.Errorf("open packet socket: %w", &hinted{"no rights", "get rights"})
	errNoXDP = errors.New("no programs here")
)

// What host and user say, and the choice that it makes: every branch.
func TestChoice(t *testing.T) {
	veth, other := ethernet(2, "veth0"), ethernet(3, "eth1")
	tunnel := route.Link{Index: 4, Name: "wg0", MTU: 1420, Framing: rawsock.None}
	elsewhere := routed(veth)
	elsewhere.Src = gatewayAddr.Next()
	const v4, v6, both = "10.0.0.0/24", "fd00::1", "10.0.0.1 fd00::1"
	for _, c := range []struct {
		name    string
		asked   Config
		targets string
		host    fakeHost
		want    Choice
	}{
		{"auto needs no more than packet sockets", Config{}, v4, fakeHost{},
			Choice{Backend: "afpacket", Auto: true, Reason: "raw sockets; fast enough for 10k pps", Lanes: 1}},
		{"a rate below a thousand", Config{Rate: 12.5}, v4, fakeHost{},
			Choice{Backend: "afpacket", Auto: true, Reason: "raw sockets; fast enough for 12.5 pps", Lanes: 1}},
		{"auto takes the fastest", Config{Rate: 300e3}, v4, fakeHost{},
			Choice{Backend: "ebpf", Auto: true, Reason: "300k pps, and XDP leaves the other traffic of veth0 alone", Lanes: 1}},
		{"as much by bandwidth", Config{Bandwidth: 200e6}, v4, fakeHost{},
			Choice{Backend: "ebpf", Auto: true, Reason: "297.6k pps, and XDP leaves the other traffic of veth0 alone", Lanes: 1}},
		{"auto with lanes still has one generator", Config{Rate: 300e3, Lanes: 4}, v4, fakeHost{},
			Choice{Backend: "ebpf", Auto: true, Reason: "300k pps, and XDP leaves the other traffic of veth0 alone", Lanes: 1}},
		{"frames need packet sockets", Config{Rate: 300e3, Frames: true}, v4, fakeHost{processors: 8},
			Choice{Backend: "afpacket", Auto: true, Reason: "raw sockets; no XDP: an output keeps the replies' frames", Lanes: 1}},
		{"no Ethernet", Config{Rate: 300e3}, v4, fakeHost{paths: []route.Path{{Link: tunnel, Src: hostAddr}}},
			Choice{Backend: "afpacket", Auto: true, Reason: "raw sockets; no XDP: wg0 has no Ethernet frames", Lanes: 1}},
		{"several interfaces", Config{Rate: 300e3}, v4, fakeHost{paths: []route.Path{routed(veth), routed(other)}},
			Choice{Backend: "afpacket", Auto: true, Reason: "raw sockets; no XDP: the targets lie behind several interfaces, veth0 and eth1", Lanes: 1}},
		{"several addresses", Config{Rate: 300e3}, v4, fakeHost{paths: []route.Path{routed(veth), elsewhere}},
			Choice{Backend: "afpacket", Auto: true, Reason: "raw sockets; no XDP: the targets are reached from several addresses, 192.0.2.9 and 192.0.2.2", Lanes: 1}},
		{"several next hops", Config{Rate: 300e3}, v4, fakeHost{paths: []route.Path{routed(veth), onLink(veth)}},
			Choice{Backend: "afpacket", Auto: true, Reason: "raw sockets; no XDP: the targets lie behind 2 next hops", Lanes: 1}},
		{"a driver that would pause", Config{Rate: 300e3}, v4, fakeHost{driver: "ixgbe"},
			Choice{Backend: "afpacket", Auto: true, Reason: "raw sockets; XDP could interrupt the traffic of veth0 (driver ixgbe)",
				Hint: "Backend ebpf is many times faster; choose it where a short interruption of the interface's traffic does no harm", Lanes: 1}},
		{"the programs do not load", Config{Rate: 300e3}, v4, fakeHost{xdp: fmt.Errorf("load: %w", &hinted{"too old", "a newer kernel"})},
			Choice{Backend: "afpacket", Auto: true, Reason: "raw sockets; no XDP: load: too old", Hint: "a newer kernel", Lanes: 1}},
		{"neighbours are too many for the generator", Config{Rate: 300e3, Lanes: 3}, v4, fakeHost{paths: []route.Path{onLink(veth)}},
			Choice{Backend: "xdp", Auto: true, Reason: "no ebpf: targets on veth0 itself each have a MAC address, which the generator does not know", Lanes: 1}},
		{"no rights", Config{Rate: 300e3}, v4, fakeHost{canRaw: errNoRaw},
			Choice{Backend: "connect", Auto: true, Reason: "open packet socket: no rights", Hint: "get rights", Fallback: true}},
		{"IPv6", Config{}, v6, fakeHost{},
			Choice{Backend: "connect", Auto: true, Reason: "IPv6 targets cannot be probed raw yet", Fallback: true}},
		{"IPv6 and IPv4", Config{}, both, fakeHost{},
			Choice{Backend: "afpacket", Auto: true, Reason: "raw sockets; fast enough for 10k pps", Lanes: 1}},
		{"IPv6 and IPv4 without rights", Config{}, both, fakeHost{canRaw: errNoRaw},
			Choice{Backend: "connect", Auto: true, Reason: "IPv6 targets cannot be probed raw yet", Fallback: true}},
		{"limits are kept in user space", Config{Rate: 300e3, RatePerHost: 5}, v4, fakeHost{},
			Choice{Backend: "xdp", Auto: true, Reason: "no ebpf: the generator cannot keep limits by host or by prefix", Hint: "Backend xdp keeps limits by host and by prefix", Lanes: 1}},
		{"a limit that never binds", Config{Rate: 300e3, RatePerHost: 360e3}, v4, fakeHost{},
			Choice{Backend: "ebpf", Auto: true, Reason: "300k pps, and XDP leaves the other traffic of veth0 alone", Lanes: 1}},

		{"afpacket", Config{Backend: "afpacket", Rate: 20e6}, v4, fakeHost{processors: 8},
			Choice{Backend: "afpacket", Reason: "asked for", Lanes: 4}},
		{"afpacket with frames", Config{Backend: "afpacket", Frames: true}, v4, fakeHost{},
			Choice{Backend: "afpacket", Reason: "asked for", Lanes: 1}},
		{"xdp", Config{Backend: "xdp"}, v4, fakeHost{driver: "ixgbe"}, Choice{Backend: "xdp", Reason: "asked for", Lanes: 1}},
		{"xdp with lanes", Config{Backend: "xdp", Lanes: 2}, v4, fakeHost{}, Choice{Backend: "xdp", Reason: "asked for", Lanes: 2}},
		{"ebpf", Config{Backend: "ebpf", Rate: 100e3, Lanes: 1}, v4, fakeHost{driver: "ixgbe"}, Choice{Backend: "ebpf", Reason: "asked for", Lanes: 1}},
		{"ebpf at a low rate", Config{Backend: "ebpf", Lanes: 2}, v4, fakeHost{},
			Choice{Backend: "xdp", Reason: "ebpf is for 100k pps and more: it spins between probes", Lanes: 2}},
		{"connect", Config{Backend: "connect"}, v4, fakeHost{}, Choice{Backend: "connect", Reason: "asked for"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.asked.Targets, c.asked.Host = targets(t, "80", strings.Fields(c.targets)...), &c.host
			p, err := New(c.asked)
			if err != nil {
				t.Fatal(err)
			}
			if p.Choice != c.want {
				t.Errorf("got  %+v\nwant %+v", p.Choice, c.want)
			}
			if (p.Routes == nil) != (c.want.Backend == BackendConnect) || (p.SourcePorts == PortRange{}) != (p.Routes == nil) {
				t.Errorf("routes %v, source ports %v", p.Routes, p.SourcePorts)
			}
			// Programs are loaded to find out where auto would use them, and only there.
			if load := slices.Contains(c.host.loads, "load"); load && !p.Choice.Auto || slices.Contains(c.host.loads, "look") && p.Choice.Auto {
				t.Errorf("XDP was checked by %q", c.host.loads)
			}
		})
	}
}

// What a backend cannot do that was asked for by name.
func TestChoiceRefused(t *testing.T) {
	veth := ethernet(2, "veth0")
	for _, c := range []struct {
		asked       Config
		targets     string
		host        fakeHost
		field, hint string
		says        string
	}{
		{Config{Backend: "warp"}, "10.0.0.1", fakeHost{}, "Backend", "the backends are auto, afpacket, xdp, ebpf and connect", `unknown backend "warp"`},
		{Config{Backend: "afpacket"}, "10.0.0.1", fakeHost{canRaw: errNoRaw}, "Backend", "get rights", "backend afpacket: open packet socket: no rights"},
		{Config{Backend: "xdp"}, "fd00::1", fakeHost{}, "Backend", "use Backend connect for IPv6 targets", "backend xdp: IPv6 targets cannot be probed raw yet"},
		{Config{Backend: "xdp", Frames: true}, "10.0.0.1", fakeHost{}, "Backend", "Backend afpacket keeps them", "backend xdp: the replies' frames, which an output keeps, do not pass through it"},
		{Config{Backend: "ebpf", Frames: true}, "10.0.0.1", fakeHost{canRaw: errNoRaw}, "Backend", "Backend afpacket keeps them", "backend ebpf: the replies' frames"},
		{Config{Backend: "connect", Frames: true}, "10.0.0.1", fakeHost{}, "Backend", "Backend afpacket keeps them", "backend connect: the replies' frames"},
		{Config{Frames: true}, "10.0.0.1", fakeHost{canRaw: errNoRaw}, "", "get rights", "an output keeps the replies' frames: open packet socket: no rights"},
		{Config{Frames: true}, "fd00::1", fakeHost{}, "", "leave that output out", "an output keeps the replies' frames, and IPv6"},
		{Config{Backend: "xdp"}, "10.0.0.1", fakeHost{xdp: errNoXDP}, "Backend", "Backend afpacket has no such limit", "backend xdp: no programs here"},
		{Config{Backend: "xdp"}, "10.0.0.1", fakeHost{paths: []route.Path{routed(veth), routed(ethernet(3, "eth1"))}}, "Backend", "Backend afpacket has no such limit", "backend xdp: the targets lie behind several interfaces, veth0 and eth1"},
		{Config{Backend: "xdp"}, "10.0.0.1", fakeHost{paths: []route.Path{routed(veth), onLink(veth)}}, "Backend", "Backend afpacket has no such limit", "backend xdp: the targets lie behind 2 next hops"},
		{Config{Backend: "ebpf"}, "10.0.0.1", fakeHost{xdp: errNoXDP}, "Backend", "Backend afpacket has no such limit", "backend xdp: no programs here"},
		{Config{Backend: "ebpf", Rate: 1e6}, "10.0.0.1", fakeHost{xdp: fmt.Errorf("load: %w", &hinted{"too old", "a newer kernel"})}, "Backend", "a newer kernel", "backend ebpf: load: too old"},
		{Config{Backend: "ebpf", Rate: 1e6}, "10.0.0.1", fakeHost{paths: []route.Path{onLink(veth)}}, "Backend", "Backend afpacket has no such limit", "backend ebpf: targets on veth0 itself"},
		{Config{Backend: "ebpf", Rate: 1e6, Lanes: 2}, "10.0.0.1", fakeHost{}, "Lanes", "leave Lanes out", "backend ebpf: 2 lanes were requested, and the generator is one"},
		{Config{Backend: "ebpf", Rate: 1e6, RatePerHost: 5}, "10.0.0.1", fakeHost{}, "Backend", "Backend xdp keeps limits by host and by prefix", "backend ebpf: the generator cannot keep limits by host or by prefix"},
	} {
		c.asked.Targets, c.asked.Host = targets(t, "80", c.targets), &c.host
		_, err := New(c.asked)
		refused, ok := errors.AsType[*Error](err)
		if !ok || refused.Field() != c.field || refused.Hint() != c.hint || !strings.HasPrefix(refused.Error(), c.says) {
			t.Errorf("%q: %#v", c.says, err)
		}
		if c.host.canRaw != nil && !c.asked.Frames && !errors.Is(err, c.host.canRaw) {
			t.Errorf("%q has lost its cause", err)
		}
	}
}

// One lane up to the rate that it is good for; then as many as the rate needs and the host has room for.
func TestPacketLanes(t *testing.T) {
	for _, c := range []struct {
		rate              float64
		processors, lanes int
		asked             int
	}{
		{10e3, 64, 1, 0}, {300e3, 64, 1, 0}, {301e3, 64, 2, 0}, {1e6, 64, 4, 0}, {20e6, 64, 8, 0}, {1e300, 64, 8, 0},
		{20e6, 1, 1, 0}, {20e6, 2, 2, 0}, {20e6, 3, 2, 0}, {20e6, 8, 4, 0}, {10e3, 1, 5, 5},
	} {
		if got := packetLanes(c.asked, c.rate, c.processors); got != c.lanes {
			t.Errorf("%v pps on %d processors, %d asked for: %d lanes, want %d", c.rate, c.processors, c.asked, got, c.lanes)
		}
	}
	for sending, receiving := range []int{0, 1, 1, 2, 2, 3} {
		if got := (Choice{Lanes: sending}).ReceiverLanes(); got != receiving {
			t.Errorf("%d receiver lanes for %d sender lanes", got, sending)
		}
	}
}

// What fails when it is opened leaves another choice, and the plan as it was.
func TestFallBacks(t *testing.T) {
	for _, c := range []struct{ asked, lanes int }{{0, 4}, {2, 2}} {
		p, err := New(Config{Targets: targets(t, "80", "10.0.0.0/24"), Rate: 20e6, Lanes: c.asked, Host: &fakeHost{processors: 8}})
		if err != nil {
			t.Fatal(err)
		}
		planned := *p
		wrapped := fmt.Errorf("attach: %w", &hinted{"MTU 9000", "lower the MTU"})

		want := Choice{Backend: "xdp", Auto: true, Reason: "no ebpf: attach: MTU 9000", Hint: "lower the MTU", Lanes: 1}
		if got := p.Choice.WithoutGenerator(wrapped); got != want {
			t.Errorf("without the generator: %+v", got)
		}
		want = Choice{Backend: "afpacket", Auto: true, Reason: "raw sockets; no XDP: attach: MTU 9000", Hint: "lower the MTU", Lanes: c.lanes}
		if got := p.PacketSockets(wrapped); got != want {
			t.Errorf("packet sockets: %+v", got)
		}
		if !reflect.DeepEqual(*p, planned) || p.Choice.Backend != BackendEBPF {
			t.Errorf("the plan was changed: %+v", p.Choice)
		}
	}
	asked := Choice{Backend: "xdp", Reason: "asked for", Lanes: 2}
	want := Choice{Backend: "xdp", Reason: "asked for; the driver has no native XDP, so the kernel's generic XDP is used", Generic: true, Lanes: 2}
	if got := asked.WithGenericXDP(); got != want || asked.Generic {
		t.Errorf("generic XDP: %+v", got)
	}
}
