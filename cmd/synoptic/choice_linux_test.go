package main

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"synoptic/bench/lab/testnet"
)

// choice is what comes of --backend and a rate on a network.
type choice struct {
	backend, rate string
	more          []string
	// code and stderr: words of an error. Otherwise the backend that scans, and words of the reason.
	code         int
	stderr       []string
	used, reason string
}

// check scans a few ports, of which one is open on every address, and holds the plan against what was done.
func (c choice) check(t *testing.T, targets ...string) {
	t.Helper()
	args := append([]string{"scan", "-p", "80,81", "--backend", c.backend, "--rate", c.rate}, append(targets, c.more...)...)
	o := synoptic(t, args...)
	name := strings.Join(args, " ")
	if o.code != c.code {
		t.Fatalf("%s: exit %d, want %d: %s", name, o.code, c.code, o.stderr)
	}
	if c.code != 0 {
		for _, words := range append(c.stderr, "\nhint: ") {
			if !strings.Contains(o.stderr, words) {
				t.Errorf("%s: stderr lacks %q: %s", name, words, o.stderr)
			}
		}
		if o.stdout != "" {
			t.Errorf("%s: records of a scan that did not start: %s", name, o.stdout)
		}
		return
	}
	s := parseStream(t, o.stdout)
	if s.end.Backend != c.used || !strings.Contains(s.end.BackendReason, c.reason) {
		t.Errorf("%s: %s, %q; want %s, %q", name, s.end.Backend, s.end.BackendReason, c.used, c.reason)
	}
	if s.start.Backend != s.end.Backend || s.start.BackendReason != s.end.BackendReason {
		t.Errorf("%s: %s, %q at the start, %s, %q at the end", name, s.start.Backend, s.start.BackendReason, s.end.Backend, s.end.BackendReason)
	}
	if s.end.Open*2 != s.end.Probes || s.end.Closed*2 != s.end.Probes || !s.end.Complete {
		t.Errorf("%s: scan_end %+v", name, s.end)
	}
}

// Which backend scans, and what it says for it: by rate, by what the far end takes, by where the targets lie.
func TestChoice(t *testing.T) {
	t.Parallel()
	const enough, tooLow, tooLowForAuto = "200k", "99k", "150k"
	t.Run("behind a gateway", func(t *testing.T) {
		n := ebpf.beside(t, testnet.Config{Gateway: true})
		n.Listen(t, "0.0.0.0:80")
		for _, c := range []choice{
			{backend: "ebpf", rate: enough, used: "ebpf", reason: "asked for"},
			{backend: "ebpf", rate: tooLow, used: "xdp", reason: "ebpf is for 100k pps and more"},
			{backend: "auto", rate: enough, used: "ebpf", reason: "200k pps"},
			{backend: "auto", rate: enough, more: []string{"--lanes", "2"}, used: "ebpf", reason: "200k pps"},
			{backend: "auto", rate: tooLowForAuto, used: "afpacket", reason: "fast enough for 150k pps"},
			{backend: "ebpf", rate: enough, more: []string{"--lanes", "2"}, code: 2, stderr: []string{"backend ebpf: 2 lanes"}},
			{backend: "xdp", rate: enough, more: []string{"--lanes", "2"}, code: 1, stderr: []string{"queue 1", "ethtool -l"}},
		} {
			c.check(t, "10.77.0.0/28")
		}
		plan := synoptic(t, "scan", "10.77.0.0/28", "-p", "80", "--backend", "auto", "--rate", enough, "--dry-run")
		if plan.code != 0 || !strings.Contains(plan.stdout, "backend    ebpf: 200k pps, and XDP leaves the other traffic of "+n.Link+" alone\n") {
			t.Errorf("exit %d, plan\n%s", plan.code, plan.stdout)
		}
	})
	// The far end takes nothing that is redirected: the driver is asked at the start.
	t.Run("without NAPI", func(t *testing.T) {
		testnet.RequireXDP(t)
		n := beside(t, testnet.Config{Gateway: true})
		n.Listen(t, "0.0.0.0:80")
		for _, c := range []choice{
			{backend: "ebpf", rate: enough, code: 1, stderr: []string{"backend ebpf: the driver refuses", "gro on"}},
			{backend: "auto", rate: enough, used: "xdp", reason: "no ebpf: the driver refuses"},
			{backend: "xdp", rate: enough, used: "xdp", reason: "asked for"},
		} {
			c.check(t, "10.77.0.0/28")
		}
	})
	t.Run("on the link", func(t *testing.T) {
		n := ebpf.beside(t, testnet.Config{Prefix: netip.MustParsePrefix("10.77.0.0/24")})
		n.Listen(t, "0.0.0.0:80")
		for _, c := range []choice{
			{backend: "ebpf", rate: enough, code: 2, stderr: []string{"backend ebpf", "MAC address"}},
			{backend: "auto", rate: enough, used: "xdp", reason: "MAC address"},
			{backend: "auto", rate: enough, more: []string{"--lanes", "2"}, used: "xdp", reason: "MAC address"},
			{backend: "xdp", rate: enough, used: "xdp", reason: "asked for"},
		} {
			c.check(t, "10.77.0.0/28")
		}
	})
	t.Run("two gateways", func(t *testing.T) {
		n := ebpf.beside(t, testnet.Config{Prefix: netip.MustParsePrefix("10.77.0.0/17"), Gateway: true})
		n.Listen(t, "0.0.0.0:80")
		secondGateway(t, n)
		for _, c := range []choice{
			{backend: "ebpf", rate: enough, code: 2, stderr: []string{"backend ebpf", "2 next hops"}},
			{backend: "xdp", rate: enough, code: 2, stderr: []string{"backend xdp", "2 next hops"}},
			{backend: "auto", rate: enough, used: "afpacket", reason: "2 next hops"},
		} {
			c.check(t, "10.77.0.0/28", "10.77.128.0/28")
		}
	})
	t.Run("two interfaces", func(t *testing.T) {
		t.Parallel()
		testnet.Apart(t)
		for k := range 2 {
			n := testnet.New(t, testnet.Config{
				Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, byte(128 * k), 0}), 17),
				Subnet: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 76, byte(k), 0}), 24), Gateway: true,
			})
			ebpf.prepare(t, n)
			n.Listen(t, "0.0.0.0:80")
		}
		for _, c := range []choice{
			{backend: "ebpf", rate: enough, code: 2, stderr: []string{"backend ebpf", "several interfaces"}},
			{backend: "xdp", rate: enough, code: 2, stderr: []string{"backend xdp", "several interfaces"}},
			{backend: "auto", rate: enough, used: "afpacket", reason: "several interfaces"},
		} {
			c.check(t, "10.77.0.0/28", "10.77.128.0/28")
		}
	})
	t.Run("loopback", func(t *testing.T) {
		testnet.RequireXDP(t)
		t.Parallel()
		testnet.Apart(t)
		l, err := net.Listen("tcp", "127.0.0.1:80")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for _, c := range []choice{
			{backend: "xdp", rate: enough, code: 2, stderr: []string{"lo has no Ethernet frames"}},
			{backend: "ebpf", rate: enough, code: 2, stderr: []string{"lo has no Ethernet frames"}},
			{backend: "auto", rate: enough, used: "afpacket", reason: "lo has no Ethernet frames"},
		} {
			c.check(t, "127.0.0.1")
		}
	})
	t.Run("wrong input", func(t *testing.T) {
		t.Parallel()
		testnet.Apart(t)
		for _, c := range []choice{
			{backend: "warp", rate: enough, code: 2, stderr: []string{`unknown backend "warp"`, "xdp", "ebpf"}},
			{backend: "xdp", rate: enough, more: []string{"::1"}, code: 2, stderr: []string{"backend xdp", "lo has no Ethernet frames"}},
			{backend: "ebpf", rate: enough, more: []string{"::1"}, code: 2, stderr: []string{"backend ebpf", "lo has no Ethernet frames"}},
			{backend: "xdp", rate: "0", code: 2, stderr: []string{"--rate"}},
		} {
			c.check(t, "127.0.0.1")
		}
	})
}

// secondGateway leads the upper half of 10.77.0.0/16 through an address of its own on the link.
func secondGateway(t *testing.T, n *testnet.Network) {
	t.Helper()
	gateway := n.GatewayAddr.Next()
	if err := n.Do(func() error {
		peer, err := netlink.LinkByName(n.PeerLink)
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(peer, &netlink.Addr{IPNet: &net.IPNet{IP: gateway.AsSlice(), Mask: net.CIDRMask(24, 32)}}); err != nil {
			return err
		}
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.AddrAdd(lo, &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(10, 77, 128, 0).To4(), Mask: net.CIDRMask(17, 32)}})
	}); err != nil {
		t.Fatal(err)
	}
	if err := netlink.RouteAdd(&netlink.Route{
		Dst: &net.IPNet{IP: net.IPv4(10, 77, 128, 0).To4(), Mask: net.CIDRMask(17, 32)}, Gw: gateway.AsSlice(),
	}); err != nil {
		t.Fatal(err)
	}
}

// Somebody else's XDP program is left alone.
func TestForeignProgram(t *testing.T) {
	testnet.RequireXDP(t)
	n := beside(t, testnet.Config{Gateway: true})
	n.Listen(t, "0.0.0.0:80")
	n.Occupy(t)
	before := programOn(t, n.Link)
	refused := []string{"another XDP program is there", n.Link, "--backend afpacket"}
	for _, c := range []choice{
		{backend: "xdp", rate: "20k", code: 2, stderr: append(refused, "backend xdp")},
		{backend: "ebpf", rate: "200k", code: 2, stderr: append(refused, "backend ebpf")},
		{backend: "auto", rate: "200k", used: "afpacket", reason: "another XDP program is there"},
	} {
		c.check(t, "10.77.0.0/28")
	}
	if now := programOn(t, n.Link); now == 0 || now != before {
		t.Errorf("the program on %s was %d and is %d", n.Link, before, now)
	}
}

// programOn is the XDP program on an interface, 0 where there is none.
func programOn(t testing.TB, name string) uint32 {
	t.Helper()
	link, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	if xdp := link.Attrs().Xdp; xdp != nil && xdp.Attached {
		return xdp.ProgId
	}
	return 0
}

// Without the right to load programs the backends with programs say what is missing.
func TestProgramsWithoutPrivilege(t *testing.T) {
	n := beside(t, testnet.Config{Gateway: true})
	n.Listen(t, "0.0.0.0:80")
	testnet.Run(t, "none", programsWithoutAny)
	testnet.Run(t, "CAP_NET_RAW alone", programsByNetRaw)
}

func programsWithoutAny(t *testing.T) {
	for _, backend := range []string{"xdp", "ebpf"} {
		o := unprivileged(t, "scan", "10.77.0.0/28", "-p", "80", "--backend", backend, "--rate", "200k")
		if o.code != 2 || !strings.Contains(o.stderr, "backend "+backend) || !strings.Contains(o.stderr, "\nhint: ") || o.stdout != "" {
			t.Errorf("%s: exit %d, stderr %q", backend, o.code, o.stderr)
		}
	}
}

// CAP_NET_RAW alone is enough for packet sockets.
func programsByNetRaw(t *testing.T) {
	o := onlyNetRaw(t, "scan", "10.77.0.0/28", "-p", "80", "--backend", "auto", "--rate", "200k")
	if o.code != 0 {
		t.Fatalf("auto: exit %d: %s", o.code, o.stderr)
	}
	if s := parseStream(t, o.stdout); s.end.Backend != "afpacket" || !strings.Contains(s.end.BackendReason, "no XDP:") || s.end.Open != 16 {
		t.Errorf("auto: scan_end %+v", s.end)
	}
	for _, backend := range []string{"xdp", "ebpf"} {
		o := onlyNetRaw(t, "scan", "10.77.0.0/28", "-p", "80", "--backend", backend, "--rate", "200k")
		hint := slices.ContainsFunc(strings.Split(o.stderr, "\n"), func(l string) bool {
			return strings.HasPrefix(l, "hint: ") && strings.Contains(l, "cap_bpf")
		})
		if o.code != 2 || !hint || o.stdout != "" {
			t.Errorf("%s: exit %d, stderr %q", backend, o.code, o.stderr)
		}
	}
}
