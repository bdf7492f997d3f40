package route

import (
	"errors"
	"fmt"
	"net/netip"
	"synoptic/bench/lab/testnet"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestWatchAddressAndRoute(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	a, b := twoNetworks(t)
	path := pathTo(t, "10.77.0.1")
	target := netip.MustParseAddr("10.77.0.1")
	w := follow(t)
	check := func(want Cause, o Options, text string) *FaultError {
		t.Helper()
		err := w.Check(&path, target, o)
		if once := Check(&path, target, o); fmt.Sprint(once) != fmt.Sprint(err) {
			t.Errorf("Check: %v, the watcher's: %v", once, err)
		}
		var f *FaultError
		if want == "" && err == nil {
			return nil
		}
		if !errors.As(err, &f) || f.Cause != want || f.Error() != text {
			t.Fatalf("%v, want %q: %s", err, want, text)
		}
		return f
	}
	prefix := netip.MustParsePrefix("10.77.0.0/28")
	of := func(c Change) bool { return c.Prefix == prefix }
	check("", Options{}, "")

	// A more specific route over the other network.
	more := &netlink.Route{LinkIndex: linkIndex(t, b.Link), Gw: b.GatewayAddr.AsSlice(), Dst: ipNet(prefix)}
	if err := netlink.RouteAdd(more); err != nil {
		t.Fatal(err)
	}
	if c := await(t, w, of, RouteChanged); c.Link != linkIndex(t, b.Link) || c.Name != b.Link {
		t.Errorf("%+v", c)
	}
	f := check(CauseRouteChanged, Options{}, fmt.Sprintf("the route to 10.77.0.1 has changed: via 10.78.0.2 dev %s src 10.78.0.1, before via 10.76.0.2 dev %s src 10.76.0.1", b.Link, a.Link))
	if f.Now == nil || f.Now.Link.Name != b.Link || f.Now.Gateway != b.GatewayAddr {
		t.Errorf("%+v", f.Now)
	}
	if err := netlink.RouteDel(more); err != nil {
		t.Fatal(err)
	}
	await(t, w, of, RouteChanged)
	check("", Options{}, "")
	addRoute(t, netlink.Route{Type: unix.RTN_BLACKHOLE}, prefix.String())
	check(CauseRouteChanged, Options{}, "the route to 10.77.0.1 is gone: the routing table has a blackhole route for it")
	if err := netlink.RouteDel(&netlink.Route{Type: unix.RTN_BLACKHOLE, Dst: ipNet(prefix)}); err != nil {
		t.Fatal(err)
	}
	rule := netlink.NewRule()
	rule.Dst, rule.Table, rule.Priority = ipNet(prefix), 77, 100
	addRoute(t, netlink.Route{LinkIndex: linkIndex(t, b.Link), Gw: b.GatewayAddr.AsSlice(), Table: 77}, "0.0.0.0/0")
	if err := netlink.RuleAdd(rule); err != nil {
		t.Fatal(err)
	}
	await(t, w, func(c Change) bool { return c.Prefix == netip.MustParsePrefix("0.0.0.0/0") && c.Link == 0 }, RouteChanged)
	check(CauseRouteChanged, Options{}, f.Error())
	if err := netlink.RuleDel(rule); err != nil {
		t.Fatal(err)
	}
	check("", Options{}, "")

	// One of several next hops is as good as another, until it is none of them.
	several := &netlink.Route{Dst: ipNet(prefix), MultiPath: []*netlink.NexthopInfo{
		{LinkIndex: linkIndex(t, b.Link), Gw: b.GatewayAddr.AsSlice(), Hops: 200}, {LinkIndex: path.Link.Index, Gw: path.Gateway.AsSlice()},
	}}
	if err := netlink.RouteAdd(several); err != nil {
		t.Fatal(err)
	}
	for range 16 {
		check("", Options{}, "")
		target = target.Next()
	}
	target = netip.MustParseAddr("10.77.0.1")
	if err := netlink.RouteDel(several); err != nil {
		t.Fatal(err)
	}

	// The source address is taken away, and given back.
	addr := &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(path.Src, 24))}
	of = func(c Change) bool { return c.Addr == path.Src }
	if err := netlink.AddrDel(linkOfName(t, a.Link), addr); err != nil {
		t.Fatal(err)
	}
	if c := await(t, w, of, AddressRemoved); c.Name != a.Link {
		t.Errorf("%+v", c)
	}
	check(CauseAddressRemoved, Options{}, "source address 10.76.0.1 was removed")
	check(CauseAddressRemoved, Options{Interface: a.Link}, "source address 10.76.0.1 was removed")
	if err := netlink.AddrAdd(linkOfName(t, a.Link), addr); err != nil {
		t.Fatal(err)
	}
	if c := await(t, w, of, AddressAdded); c.Name != a.Link {
		t.Errorf("%+v", c)
	}
	addRoute(t, netlink.Route{LinkIndex: path.Link.Index, Gw: path.Gateway.AsSlice(), Src: path.Src.AsSlice()}, "10.77.0.0/16")
	check("", Options{}, "")
	check("", Options{Interface: a.Link}, "")
	if err := w.Check(&path, netip.Addr{}, Options{}); err != nil {
		t.Errorf("without a target: %v", err)
	}

	// A source address that never was one of ours is none that was removed.
	o := Options{Source: netip.MustParseAddr("10.76.0.200")}
	p, err := New(seq("10.77.0.1"), o)
	if err != nil {
		t.Fatal(err)
	}
	if path = p.Paths[0]; !path.Foreign {
		t.Errorf("%+v", path)
	}
	check("", o, "")
}
