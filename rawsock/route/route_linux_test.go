package route

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"synoptic/bench/lab/testnet"
	"synoptic/rawsock"
)

func TestMain(m *testing.M) { testnet.Main(m) }

// describe prints a plan in a form to compare.
func describe(p *Plan) (out []string) {
	for _, s := range p.Segments {
		path := p.Paths[s.Path]
		line := fmt.Sprintf("%v-%v %s src %v", s.From, s.To, path.Link.Name, path.Src)
		if path.Gateway.IsValid() {
			line += fmt.Sprintf(" via %v", path.Gateway)
		}
		if path.Local {
			line += " local"
		}
		out = append(out, line)
	}
	for _, a := range p.Broadcast {
		out = append(out, fmt.Sprintf("%v broadcast", a))
	}
	for _, u := range p.Unrouted {
		out = append(out, u.Error())
	}
	return out
}

func addRoute(t *testing.T, r netlink.Route, dst string) {
	t.Helper()
	_, n, err := net.ParseCIDR(dst)
	if err != nil {
		t.Fatal(err)
	}
	r.Dst = n
	if err := netlink.RouteAdd(&r); err != nil {
		t.Fatalf("add route %s: %v", dst, err)
	}
	t.Cleanup(func() { _ = netlink.RouteDel(&r) }) // gone already if its interface is
}

func linkIndex(t *testing.T, name string) int {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return l.Attrs().Index
}

// twoNetworks: 10.77.0.0/16 via a gateway on a, 10.79.0.0/16 on-link on b.
func twoNetworks(t *testing.T) (a, b *testnet.Network) {
	t.Helper()
	a = testnet.New(t, testnet.Config{Gateway: true})
	b = testnet.New(t, testnet.Config{
		Prefix: netip.MustParsePrefix("10.79.0.0/16"), Subnet: netip.MustParsePrefix("10.78.0.0/24"),
	})
	return a, b
}

func TestNew(t *testing.T) {
	a, b := twoNetworks(t)
	ia, ib := linkIndex(t, a.Link), linkIndex(t, b.Link)
	// A second address on b, an exception to a's prefix that leads to b, a
	// route whose metric loses, and a table that a rule selects by destination.
	second := &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(10, 78, 0, 9).To4(), Mask: net.CIDRMask(24, 32)}}
	lb, err := netlink.LinkByIndex(ib)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.AddrAdd(lb, second); err != nil {
		t.Fatal(err)
	}
	addRoute(t, netlink.Route{LinkIndex: ib, Gw: b.GatewayAddr.AsSlice()}, "10.77.128.0/24")
	addRoute(t, netlink.Route{LinkIndex: ia, Scope: netlink.SCOPE_LINK, Priority: 900}, "10.79.64.0/18")
	addRoute(t, netlink.Route{LinkIndex: ib, Scope: netlink.SCOPE_LINK, Priority: 100}, "10.79.64.0/18")
	addRoute(t, netlink.Route{LinkIndex: ia, Scope: netlink.SCOPE_LINK, Table: 77}, "0.0.0.0/0")
	rule := netlink.NewRule()
	rule.Dst = &net.IPNet{IP: net.IPv4(10, 79, 200, 0).To4(), Mask: net.CIDRMask(30, 32)}
	rule.Table, rule.Priority = 77, 100
	if err := netlink.RuleAdd(rule); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = netlink.RuleDel(rule) })
	addRoute(t, netlink.Route{Type: unix.RTN_BLACKHOLE}, "10.80.1.0/24")
	addRoute(t, netlink.Route{Type: unix.RTN_UNREACHABLE}, "10.80.2.0/24")
	addRoute(t, netlink.Route{Type: unix.RTN_PROHIBIT}, "10.80.3.0/24")
	addRoute(t, netlink.Route{LinkIndex: linkIndex(t, "lo"), Scope: netlink.SCOPE_LINK}, "10.80.4.0/24")

	for _, c := range []struct {
		name   string
		ranges []string
		o      Options
		want   []string // segments, then broadcast; or the error alone
	}{
		{"via gateway", []string{"10.77.0.0/17"}, Options{},
			[]string{"10.77.0.0-10.77.127.255 A src 10.76.0.1 via 10.76.0.2"}},
		{"on-link", []string{"10.79.0.0/24"}, Options{},
			[]string{"10.79.0.0-10.79.0.255 B src 10.78.0.1"}},
		{"two interfaces and a more specific route", []string{"10.77.0.0/16", "10.79.0.0-10.79.0.9"}, Options{}, []string{
			"10.77.0.0-10.77.127.255 A src 10.76.0.1 via 10.76.0.2",
			"10.77.128.0-10.77.128.255 B src 10.78.0.1 via 10.78.0.2",
			"10.77.129.0-10.77.255.255 A src 10.76.0.1 via 10.76.0.2",
			"10.79.0.0-10.79.0.9 B src 10.78.0.1"}},
		{"metric and policy rule", []string{"10.79.0.0/16"}, Options{}, []string{
			"10.79.0.0-10.79.199.255 B src 10.78.0.1",
			"10.79.200.0-10.79.200.3 A src 10.76.0.1",
			"10.79.200.4-10.79.255.255 B src 10.78.0.1"}},
		{"single addresses", []string{"10.77.0.1", "10.77.0.3", "10.77.128.9"}, Options{}, []string{
			"10.77.0.1-10.77.0.1 A src 10.76.0.1 via 10.76.0.2",
			"10.77.0.3-10.77.0.3 A src 10.76.0.1 via 10.76.0.2",
			"10.77.128.9-10.77.128.9 B src 10.78.0.1 via 10.78.0.2"}},
		{"own network: local and broadcast inside", []string{"10.78.0.0/24"}, Options{}, []string{
			"10.78.0.0-10.78.0.0 B src 10.78.0.1",
			"10.78.0.1-10.78.0.1 lo src 10.78.0.1 local",
			"10.78.0.2-10.78.0.8 B src 10.78.0.1",
			"10.78.0.9-10.78.0.9 lo src 10.78.0.1 local",
			"10.78.0.10-10.78.0.254 B src 10.78.0.1",
			"10.78.0.255 broadcast"}},
		{"loopback", []string{"127.0.0.0-127.0.0.9", "127.1.2.3"}, Options{}, []string{
			"127.0.0.0-127.0.0.9 lo src 127.0.0.1 local",
			"127.1.2.3-127.1.2.3 lo src 127.0.0.1 local"}},
		{"source of our own", []string{"10.79.0.0/24"}, Options{Source: netip.MustParseAddr("10.78.0.9")},
			[]string{"10.79.0.0-10.79.0.255 B src 10.78.0.9"}},
		{"source of nobody", []string{"10.79.0.0/24", "127.0.0.1"}, Options{Source: netip.MustParseAddr("10.78.0.200")}, []string{
			"10.79.0.0-10.79.0.255 B src 10.78.0.200",
			"127.0.0.1-127.0.0.1 lo src 127.0.0.1 local"}},
		{"source for loopback", []string{"127.0.0.1"}, Options{Source: netip.MustParseAddr("127.0.0.7")},
			[]string{"127.0.0.1-127.0.0.1 lo src 127.0.0.7 local"}},
		{"interface", []string{"10.79.64.0/24"}, Options{Interface: "A"},
			[]string{"10.79.64.0-10.79.64.255 A src 10.76.0.1"}},
		{"interface, local address", []string{"10.76.0.1", "10.78.0.8-10.78.0.9"}, Options{Interface: "B"}, []string{
			"10.76.0.1-10.76.0.1 lo src 10.76.0.1 local",
			"10.78.0.8-10.78.0.8 B src 10.78.0.1",
			"10.78.0.9-10.78.0.9 lo src 10.78.0.1 local"}},

		{"interface, blackhole", []string{"10.80.1.5"}, Options{Interface: "A"},
			[]string{"no route to 10.80.1.5 through A: the interface has none"}},
		{"interface that leads elsewhere", []string{"10.79.0.0/24"}, Options{Interface: "A"},
			[]string{"no route to 10.79.0.0/24 through A: the interface has none"}},
		{"no route", []string{"10.77.0.0/24", "10.81.0.0/16", "10.82.0.0/16"}, Options{},
			[]string{"no route to 10.81.0.0/16: network is unreachable"}},
		{"blackhole", []string{"10.80.1.5-10.80.1.9"}, Options{},
			[]string{"no route to 10.80.1.5-10.80.1.9: the routing table has a blackhole route for it"}},
		{"unreachable", []string{"10.80.2.1"}, Options{},
			[]string{"no route to 10.80.2.1: the routing table has an unreachable route for it"}},
		{"prohibit", []string{"10.80.3.0/24"}, Options{},
			[]string{"no route to 10.80.3.0/24: the routing table has a prohibit route for it"}},
		{"a route to lo", []string{"10.80.4.1"}, Options{}, []string{"no route to 10.80.4.1: its route leads to lo, where only this host is"}},
		{"lo for others", []string{"10.77.0.1"}, Options{Interface: "lo"}, []string{"no route to 10.77.0.1 through lo: its route leads to lo, where only this host is"}},
		{"lo for this host", []string{"10.76.0.1", "127.0.0.9"}, Options{Interface: "lo"}, []string{"10.76.0.1-10.76.0.1 lo src 10.76.0.1 local", "127.0.0.9-127.0.0.9 lo src 127.0.0.1 local"}},
		{"some without a route", []string{"10.77.0.0/24", "10.80.2.0-10.80.4.9", "10.81.0.1"}, Options{LeaveOut: true}, []string{
			"10.77.0.0-10.77.0.255 A src 10.76.0.1 via 10.76.0.2",
			"no route to 10.80.2.0/24: the routing table has an unreachable route for it",
			"no route to 10.80.3.0/24: the routing table has a prohibit route for it",
			"no route to 10.80.4.0-10.80.4.9: its route leads to lo, where only this host is",
			"no route to 10.81.0.1: network is unreachable"}},
		{"broadcast addresses beside others", []string{"10.77.0.1", "10.78.0.255", "255.255.255.255"}, Options{LeaveOut: true}, []string{
			"10.77.0.1-10.77.0.1 A src 10.76.0.1 via 10.76.0.2", "10.78.0.255 broadcast", "255.255.255.255 broadcast"}},
		{"broadcast alone", []string{"10.78.0.255"}, Options{}, []string{"target 10.78.0.255 is a broadcast address"}},
		{"limited broadcast alone", []string{"255.255.255.255"}, Options{}, []string{"target 255.255.255.255 is a broadcast address"}},
		{"limited broadcast inside", []string{"255.255.255.254-255.255.255.255"}, Options{}, []string{"no route to 255.255.255.254: network is unreachable"}},
		{"this host", []string{"0.0.0.0"}, Options{}, []string{"no route to 0.0.0.0: not the address of a host"}},
		{"this network", []string{"0.1.2.3"}, Options{}, []string{"no route to 0.1.2.3: not the address of a host"}},
		{"multicast", []string{"224.0.0.0/30"}, Options{Interface: "A"}, []string{"no route to 224.0.0.0/30 through A: not the address of a single host"}},
		{"interface unknown", []string{"10.77.0.1"}, Options{Interface: "tn-none"}, []string{"interface tn-none: no such interface"}},
		{"source absurd", []string{"10.77.0.1"}, Options{Source: netip.MustParseAddr("224.0.0.1")},
			[]string{"source address 224.0.0.1: not the address of a host"}},
		{"source of nobody at all", []string{"127.0.0.1"}, Options{Source: netip.MustParseAddr("0.0.0.0")}, []string{"source address 0.0.0.0: not the address of a host"}},
		{"source of this network", []string{"10.77.0.1"}, Options{Source: netip.MustParseAddr("0.1.2.3")}, []string{"source address 0.1.2.3: not the address of a host"}},
		{"source of everybody", []string{"10.77.0.1"}, Options{Source: netip.MustParseAddr("255.255.255.255")}, []string{"source address 255.255.255.255: not the address of a host"}},
		{"source that is a broadcast address", []string{"10.77.0.1"}, Options{Source: netip.MustParseAddr("10.78.0.255")}, []string{"source address 10.78.0.255: a broadcast address"}},
		{"loopback source, to others", []string{"10.77.0.1", "127.0.0.1"}, Options{Source: netip.MustParseAddr("127.0.0.7")},
			[]string{"source address 127.0.0.7: a loopback address, to which 10.77.0.1 cannot answer"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			names := strings.NewReplacer(a.Link, "A", b.Link, "B")
			switch c.o.Interface {
			case "A":
				c.o.Interface = a.Link
			case "B":
				c.o.Interface = b.Link
			}
			p, err := New(seq(c.ranges...), c.o)
			var got []string
			if err != nil {
				got = []string{names.Replace(err.Error())}
				h, ok := err.(interface{ Hint() string })
				if !ok || h.Hint() == "" {
					t.Errorf("%v has no hint", err)
				}
			} else {
				for _, line := range describe(p) {
					got = append(got, names.Replace(line))
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("want -, got +\n%s", diff)
			}
		})
	}
}

func TestLinks(t *testing.T) {
	n := testnet.New(t, testnet.Config{MTU: 1400})
	p, err := New(seq("10.77.0.1", "127.0.0.1"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []Link{
		{Index: linkIndex(t, n.Link), Name: n.Link, MTU: 1400, HardwareAddr: n.HardwareAddr, Framing: rawsock.Ethernet},
		{Index: linkIndex(t, "lo"), Name: "lo", MTU: 65536, Framing: rawsock.Loopback},
	}
	if diff := cmp.Diff(want, []Link{p.Paths[0].Link, p.Paths[1].Link}); diff != "" {
		t.Error(diff)
	}
	if !p.Paths[1].Local || p.Paths[0].Local || p.Paths[0].Gateway.IsValid() {
		t.Errorf("%+v", p.Paths)
	}
}

// An interface without MAC addresses: no routes are needed to send there.
func TestHeaderless(t *testing.T) {
	testnet.Require(t)
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skip(err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = testnet.InterfacePrefix + "tun"
	tun := &netlink.Tuntap{LinkAttrs: attrs, Mode: netlink.TUNTAP_MODE_TUN, Queues: 1}
	if err := netlink.LinkAdd(tun); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := netlink.LinkDel(tun); err != nil {
			t.Error(err)
		}
	})
	addr := &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(10, 88, 0, 1).To4(), Mask: net.CIDRMask(24, 32)}}
	if err := errors.Join(netlink.AddrAdd(tun, addr), netlink.LinkSetUp(tun)); err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{{}, {Interface: attrs.Name}} {
		ranges := []string{"10.88.0.2"}
		if o.Interface != "" {
			ranges = append(ranges, "10.99.0.0/24")
		}
		p, err := New(seq(ranges...), o)
		if err != nil {
			t.Fatal(err)
		}
		if o.Interface != "" {
			addRoute(t, netlink.Route{Type: unix.RTN_PROHIBIT}, "10.98.0.0/24")
			var none *NoRouteError
			if _, err := New(seq("10.98.0.1"), o); !errors.As(err, &none) || !errors.Is(err, unix.EACCES) {
				t.Errorf("a prohibited target: %v", err)
			}
		}
		if len(p.Paths) != 1 || p.Paths[0].Link.Framing != rawsock.None || p.Paths[0].Src != netip.MustParseAddr("10.88.0.1") {
			t.Errorf("%+v", p.Paths)
		}
	}
	if _, err := Resolve(t.Context(), Link{Name: attrs.Name, Framing: rawsock.None}, netip.MustParseAddr("10.88.0.1"), slices.Values([]netip.Addr{}), ResolveOptions{}); err == nil {
		t.Error("MAC addresses were looked for where there are none")
	}
}

func TestInterfaceDown(t *testing.T) {
	n := testnet.New(t, testnet.Config{})
	attrs := netlink.NewLinkAttrs()
	attrs.Name = testnet.InterfacePrefix + "down"
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: testnet.InterfacePrefix + "peer"}
	if err := netlink.LinkAdd(veth); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := netlink.LinkDel(veth); err != nil {
			t.Error(err)
		}
	})
	check := func(want string) { // of the same interface, as it comes up
		t.Helper()
		_, err := New(seq("10.77.0.1"), Options{Interface: attrs.Name})
		var bad *InterfaceError
		if !errors.As(err, &bad) || bad.Error() != want {
			t.Fatalf("got %v, want %s", err, want)
		}
		if !strings.Contains(bad.Hint(), n.Link+",") || !strings.Contains(bad.Hint(), "lo") {
			t.Errorf("hint: %s", bad.Hint())
		}
	}
	check("interface tndown: is down")
	if err := netlink.LinkSetUp(veth); err != nil {
		t.Fatal(err)
	}
	check("interface tndown: has no carrier")
}

// A million-route table is out of reach of a unit test; that the number of
// look-ups follows the targets and not the table shows with a thousand.
func TestManyRoutes(t *testing.T) {
	n := testnet.New(t, testnet.Config{Prefix: netip.MustParsePrefix("10.64.0.0/12"), Gateway: true})
	idx := linkIndex(t, n.Link)
	for i := range 1000 {
		r := netlink.Route{
			LinkIndex: idx, Gw: net.IPv4(10, 76, 0, byte(2+i%3)),
			Dst: &net.IPNet{IP: net.IPv4(10, 64, byte(i>>8), byte(i)).To4(), Mask: net.CIDRMask(32, 32)},
		}
		if err := netlink.RouteAdd(&r); err != nil {
			t.Fatal(err)
		}
	}
	p, err := New(seq("10.64.0.0/16"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	// The last one has the same gateway as what follows it.
	if len(p.Paths) != 3 || len(p.Segments) != 1000 {
		t.Errorf("%d paths, %d segments", len(p.Paths), len(p.Segments))
	}
	for i := range 1000 {
		a := netip.AddrFrom4([4]byte{10, 64, byte(i >> 8), byte(i)})
		if gw := p.Paths[p.Lookup(a)].Gateway; gw != netip.AddrFrom4([4]byte{10, 76, 0, byte(2 + i%3)}) {
			t.Fatalf("%v via %v", a, gw)
		}
	}
}
