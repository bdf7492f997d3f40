package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"synoptic/bench/lab/testnet"
)

// What the user says of the ways, and what the host says of its ports.

// way is a scan of 10.77.0.0/28 on ports 80 (open on all) and 81 (closed), or why there is none.
type way struct {
	args   []string
	code   int
	stderr []string // words of it; none: it is empty
	found  bool     // else all is silent
}

func (w way) check(t *testing.T) (stdout string) {
	t.Helper()
	args := append([]string{"scan", "10.77.0.0/28", "-p", "80,81", "--retries", "1", "--wait", "1s"}, w.args...)
	o := synoptic(t, args...)
	if !loadable(o) {
		return ""
	}
	name := strings.Join(w.args, " ")
	if o.code != w.code {
		t.Errorf("%s: exit %d, want %d: %s", name, o.code, w.code, o.stderr)
	}
	for _, words := range w.stderr {
		if !strings.Contains(o.stderr, words) {
			t.Errorf("%s: stderr lacks %q: %s", name, words, o.stderr)
		}
	}
	if w.stderr == nil && o.warned() != "" {
		t.Errorf("%s: %s", name, o.stderr)
	}
	if o.code != 0 {
		if o.stdout != "" {
			t.Errorf("%s: records of a scan that did not start: %s", name, o.stdout)
		}
		return ""
	}
	s := parseStream(t, o.stdout)
	if want := uint64(16); w.found && (s.end.Open != want || s.end.Closed != want) || !w.found && s.end.Open+s.end.Closed != 0 {
		t.Errorf("%s: scan_end %+v", name, s.end)
	}
	return o.stdout
}

// loadable tells by a refusal whether it is another than that programs may not be loaded into the kernel: an ordinary user's
// networks are scanned without.
func loadable(o outcome) bool {
	return o.code != exitUsage || !strings.Contains(o.stderr, "CAP_BPF") && !strings.Contains(o.stderr, "MEMLOCK")
}

// noRoute takes the route to the targets away: only the link's own network is left.
func noRoute(t *testing.T, n *testnet.Network) {
	t.Helper()
	l, err := netlink.LinkByName(n.Link)
	if err != nil {
		t.Fatal(err)
	}
	all, err := netlink.RouteList(l, netlink.FAMILY_V4)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if all[i].Gw == nil {
			continue
		}
		if err := netlink.RouteDel(&all[i]); err != nil {
			t.Fatal(err)
		}
	}
}

// An interface and the MAC address of the next hop are enough: no route is needed (masscan issue 220, zmap issue 633).
func TestGatewayMACWithoutRoute(t *testing.T) {
	n := beside(t, testnet.Config{Prefix: netip.MustParsePrefix("10.77.0.0/28"), Gateway: true})
	n.Listen(t, "0.0.0.0:80")
	noRoute(t, n)
	mac := n.PeerHardwareAddr.String()
	for _, w := range []way{
		{args: []string{"-e", n.Link, "--gateway-mac", mac}, found: true},
		{args: []string{"-e", n.Link, "--gateway-mac", mac, "--source-ip", n.Source.String(), "--backend", "xdp"}, found: true},
		{args: []string{"-e", n.Link, "--gateway-mac", "02:00:00:00:00:99"}, stderr: []string{"nothing has answered at all"}},
		{args: []string{"-e", n.Link}, code: 2, stderr: []string{"no route to 10.77.0.0/28 through " + n.Link, "--gateway-mac"}},
		{args: []string{"--gateway-mac", mac}, code: 2, stderr: []string{"no route to 10.77.0.0/28", "\nhint: "}},
	} {
		w.check(t)
	}
	o := synoptic(t, "scan", "10.77.0.0/28", "-p", "80", "-e", n.Link, "--gateway-mac", mac, "--dry-run")
	if want := fmt.Sprintf("source     %v:61000-61015 via %s, next hop %s", n.Source, n.Link, mac); o.code != 0 || !strings.Contains(o.stdout, want) {
		t.Errorf("exit %d: the plan lacks %q: %s%s", o.code, want, o.stdout, o.stderr)
	}
}

// What the routing table forbids stays forbidden.
func TestGatewayMACForbidden(t *testing.T) {
	n := beside(t, testnet.Config{Prefix: netip.MustParsePrefix("10.77.0.0/28"), Gateway: true})
	noRoute(t, n)
	for kind, says := range map[int]string{6: "blackhole", 7: "unreachable", 8: "prohibit"} { // RTN_*, linux/rtnetlink.h
		r := &netlink.Route{Type: kind, Dst: &net.IPNet{IP: net.IPv4(10, 77, 0, 0).To4(), Mask: net.CIDRMask(16, 32)}}
		if err := netlink.RouteAdd(r); err != nil {
			t.Fatal(err)
		}
		way{args: []string{"-e", n.Link, "--gateway-mac", n.PeerHardwareAddr.String()}, code: 2, stderr: []string{says}}.check(t)
		if err := netlink.RouteDel(r); err != nil {
			t.Fatal(err)
		}
	}
}

// A source address that is not this host's is used only where that is asked for, and then answered for.
func TestForeignSource(t *testing.T) {
	n := beside(t, testnet.Config{Prefix: netip.MustParsePrefix("10.77.0.0/28"), Gateway: true})
	n.Listen(t, "0.0.0.0:80")
	if err := n.Do(func() error {
		l, err := netlink.LinkByName(n.PeerLink)
		if err != nil {
			return err
		}
		// A network of the provider's that is routed to the scanner, and is on no interface.
		return netlink.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Gw: n.Source.AsSlice(), Dst: &net.IPNet{IP: net.IPv4(10, 79, 0, 0).To4(), Mask: net.CIDRMask(29, 32)}})
	}); err != nil {
		t.Fatal(err)
	}
	for _, w := range []way{
		{args: []string{"--source-ip", "10.76.0.66"}, code: 2, stderr: []string{"source address 10.76.0.66 is not an address of this host", "hint: give an address of this host: " + n.Source.String(), "--spoof-source"}},
		{args: []string{"--source-ip", "10.79.0.3", "--dry-run"}, code: 2, stderr: []string{"source address 10.79.0.3 is not"}},
		{args: []string{"--source-ip", "10.76.0.66", "--spoof-source"}, stderr: []string{"ARP requests for it are answered on " + n.Link}, found: true},
		{args: []string{"--source-ip", "10.76.0.67", "--spoof-source", "--backend", "xdp", "-q"}, stderr: []string{"ARP requests for it are answered on " + n.Link}, found: true},
		{args: []string{"--source-ip", "10.79.0.3", "--spoof-source"}, stderr: []string{"unless answers to it are routed here"}, found: true},
		{args: []string{"--source-ip", "10.80.0.3", "--spoof-source"}, stderr: []string{"unless answers to it are routed here"}},
		{args: []string{"--source-ip", n.GatewayAddr.String(), "--spoof-source"}, code: 1, stderr: []string{"source address " + n.GatewayAddr.String() + " is in use on " + n.Link + ", by " + n.PeerHardwareAddr.String()}},
		{args: []string{"--source-ip", n.Source.String(), "--spoof-source"}, stderr: []string{"--spoof-source changes nothing"}, found: true},
		{args: []string{"--spoof-source"}, code: 2, stderr: []string{"hint: give the address with --source-ip"}},
	} {
		out := w.check(t)
		if words := `"src_ip":"` + w.args[min(1, len(w.args)-1)] + `"`; w.found && out != "" && strings.Count(out, words) != 1+16 { // of scan_start and the open ports
			t.Errorf("%q: not from there: %s", w.args, out)
		}
	}
}

// setPorts says which ports the host gives to its own connections.
func setPorts(t *testing.T, settings map[string]string) {
	t.Helper()
	for name, value := range settings {
		if err := os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0); err != nil {
			t.Skipf("ports cannot be set: %v", err)
		}
	}
}

// However a host's ports are tuned, a scan finds some (cyhy_amis issue 62).
func TestFullEphemeralRange(t *testing.T) {
	n := beside(t, testnet.Config{Prefix: netip.MustParsePrefix("10.77.0.0/28"), Gateway: true})
	n.Listen(t, "0.0.0.0:80")
	setPorts(t, map[string]string{"ip_local_port_range": "1024 65535"})
	out := way{stderr: []string{"source ports 65520-65535 lie in the host's ephemeral range 1024-65535"}, found: true}.check(t)
	if !strings.Contains(out, `"src_port":65520,`) {
		t.Error(out)
	}
	busy, err := net.Listen("tcp4", "127.0.0.1:65530")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	way{args: []string{"-q"}, stderr: []string{"source ports 65514-65529 lie in"}, found: true}.check(t)
	setPorts(t, map[string]string{"ip_local_reserved_ports": "61000-61015"})
	if out := (way{found: true}).check(t); !strings.Contains(out, `"src_port":61000,`) {
		t.Error(out)
	}
}

// One address that goes another way does not decide for the others, and all are found.
func TestPartsOfAScan(t *testing.T) {
	n := beside(t, testnet.Config{Prefix: netip.MustParsePrefix("10.77.0.0/28"), Gateway: true})
	n.Listen(t, "0.0.0.0:80")
	own, err := net.Listen("tcp", "[::]:80")
	if err != nil {
		t.Skipf("no IPv6: %v", err)
	}
	defer own.Close()
	loads := true
	for _, c := range []struct {
		more    []string
		backend string
		apart   string
		open    uint64
	}{
		{[]string{"::1"}, "afpacket", "apart 1 IPv6 address by connect", 17},
		{[]string{"::1", "--source-port", "61000"}, "afpacket", "apart 1 IPv6 address by connect", 17},
		{[]string{n.GatewayAddr.String(), "127.0.0.1", "::1", "--backend", "xdp", "--show-hosts"}, "xdp", "apart 2 addresses by afpacket", 19},
		{[]string{"127.0.0.1", "--rate", "200k"}, "xdp", "apart 1 address by afpacket", 17},
	} {
		o := synoptic(t, append([]string{"scan", "10.77.0.0/28", "-p", "80,81", "--show", "all"}, c.more...)...)
		loads = loads && loadable(o)
		if c.backend == "xdp" && !loads {
			continue
		}
		if o.code != 0 {
			t.Errorf("%q: exit %d: %s", c.more, o.code, o.stderr)
			continue
		}
		s := parseStream(t, o.stdout)
		if s.end.Backend != c.backend || !strings.Contains(s.end.BackendReason, c.apart) || s.start.BackendReason != s.end.BackendReason {
			t.Errorf("%q: %s, %q", c.more, s.end.Backend, s.end.BackendReason)
		}
		if s.end.Open != c.open || s.end.Closed != c.open || s.end.Probes != 2*c.open || s.start.Probes != s.end.Probes || s.end.Coverage != 1 || !s.end.Complete || uint64(len(s.ports)) != 2*c.open {
			t.Errorf("%q: %d records, scan_end %+v", c.more, len(s.ports), s.end)
		}
	}
}

// On the scanner's own link every record has the MAC address that was probed.
func TestMACOnLink(t *testing.T) {
	n := beside(t, testnet.Config{Prefix: netip.MustParsePrefix("10.77.0.0/29")})
	n.Listen(t, "0.0.0.0:80")
	mac := n.PeerHardwareAddr.String()
	for _, args := range [][]string{nil, {"--backend", "xdp"}} {
		o := synoptic(t, append([]string{"scan", "10.77.0.0/29", "-p", "80,81", "--show", "all", "--show-hosts"}, args...)...)
		if !loadable(o) {
			continue
		}
		if ports, hosts := 2*8, 8; o.code != 0 || strings.Count(o.stdout, `"mac":"`+mac+`"`) != ports+hosts {
			t.Errorf("%q: exit %d, %d times %s: %s", args, o.code, strings.Count(o.stdout, mac), mac, o.stdout)
		}
	}
	for format, want := range map[string]string{
		"ecs":      `"mac":"` + strings.ToUpper(strings.ReplaceAll(mac, ":", "-")) + `"`,
		"ocsf":     `"mac":"` + mac + `"`,
		"nmap-xml": `<address addr="` + strings.ToUpper(mac) + `" addrtype="mac"/>`,
	} {
		if o := synoptic(t, "scan", "10.77.0.3", "-p", "80", "-o", format+":-"); o.code != 0 || !strings.Contains(o.stdout, want) {
			t.Errorf("%s: exit %d, no %s in %s", format, o.code, want, o.stdout)
		}
	}
}
