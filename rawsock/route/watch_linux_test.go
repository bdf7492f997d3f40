package route

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"synoptic/bench/lab/testnet"
)

// deadline is when something that must happen at once has not.
const deadline = time.Minute

// follow watches the namespace of the test.
func follow(t *testing.T) *Watcher {
	t.Helper()
	w, err := Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// await returns the first change of the kinds that f takes; all others are passed over.
func await(t *testing.T, w *Watcher, f func(c Change) bool, kinds ...ChangeKind) Change {
	t.Helper()
	var seen []string
	for timeout := time.After(deadline); ; {
		select {
		case c, ok := <-w.Changes():
			switch {
			case !ok:
				t.Fatalf("closed: %v", w.Err())
			case slices.Contains(kinds, c.Kind) && (f == nil || f(c)):
				if c.Time.IsZero() {
					t.Errorf("without a time: %+v", c)
				}
				return c
			}
			if len(seen) > 20 {
				seen = seen[1:]
			}
			seen = append(seen, fmt.Sprintf("%s %s %v %v", c.Kind, c.Name, c.Addr, c.Prefix))
		case <-timeout:
			t.Fatalf("no %v; last %s", kinds, strings.Join(seen, ", "))
		}
	}
}

func linkOfName(t *testing.T, name string) netlink.Link {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// The watcher's reader, and whoever asks it, are other goroutines than the one that opened it.
func TestWatchLink(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	n := testnet.New(t, testnet.Config{Gateway: true})
	path := pathTo(t, "10.77.0.1")
	w := follow(t)
	of := func(c Change) bool { return c.Name == n.Link }
	peer := func(f func(netlink.Link) error) {
		t.Helper()
		if err := n.Do(func() error { return f(linkOfName(t, n.PeerLink)) }); err != nil {
			t.Fatal(err)
		}
	}
	all := []ChangeKind{LinkNew, LinkGone, LinkDown, LinkUp, CarrierLost, CarrierBack, LinkAddress}
	next := func(want ChangeKind) Change { // nothing else of the link comes before
		t.Helper()
		c := await(t, w, of, all...)
		if c.Kind != want || c.Link != path.Link.Index {
			t.Fatalf("%+v, want %s", c, want)
		}
		return c
	}
	fault := func(want Cause, text string) {
		t.Helper()
		done := make(chan error)
		go func() { done <- w.Check(&path, netip.MustParseAddr("10.77.0.1"), Options{}) }()
		err := <-done
		var f *FaultError
		if want == "" && err == nil || errors.As(err, &f) && f.Cause == want && strings.Contains(f.Error(), text) {
			return
		}
		t.Errorf("%v, want %q: %s", err, want, text)
	}

	fault("", "")
	peer(netlink.LinkSetDown)
	if c := next(CarrierLost); !c.Up || c.Carrier {
		t.Errorf("%+v", c)
	}
	fault(CauseNoCarrier, "interface "+n.Link+" has no carrier")
	if s, err := w.State(path.Link.Index); err != nil || !s.Up || s.Carrier || s.Index != path.Link.Index {
		t.Errorf("%+v, %v", s, err)
	}
	peer(netlink.LinkSetUp)
	if c := next(CarrierBack); !c.Up || !c.Carrier {
		t.Errorf("%+v", c)
	}
	fault("", "")

	if err := netlink.LinkSetDown(linkOfName(t, n.Link)); err != nil {
		t.Fatal(err)
	}
	if c := next(LinkDown); c.Up || c.Carrier {
		t.Errorf("%+v", c)
	}
	fault(CauseInterfaceDown, "interface "+n.Link+" is down")
	// Interfaces that can change their address while they are up do: a driver's business.
	mac := net.HardwareAddr{2, 7, 7, 7, 7, 7}
	if err := netlink.LinkSetHardwareAddr(linkOfName(t, n.Link), mac); err != nil {
		t.Fatal(err)
	}
	if c := next(LinkAddress); c.MAC.String() != mac.String() {
		t.Errorf("%+v", c)
	}
	if err := netlink.LinkSetUp(linkOfName(t, n.Link)); err != nil {
		t.Fatal(err)
	}
	for c := next(LinkUp); !c.Carrier; c = next(CarrierBack) {
	}
	fault(CauseInterfaceChanged, "another MAC address")
	if err := netlink.LinkSetHardwareAddr(linkOfName(t, n.Link), n.HardwareAddr); err != nil {
		t.Fatal(err)
	}
	next(LinkAddress)
	fault(CauseRouteChanged, "the route to 10.77.0.1 is gone: network is unreachable") // it went as the interface did

	// Gone, and made anew under the same name.
	if err := netlink.LinkDel(linkOfName(t, n.Link)); err != nil {
		t.Fatal(err)
	}
	next(LinkDown)
	next(LinkGone)
	fault(CauseInterfaceGone, "interface "+n.Link+" is gone")
	if s, err := w.State(path.Link.Index); err != nil || s.Index != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = testnet.InterfacePrefix + "other"
	another := &netlink.Veth{LinkAttrs: attrs, PeerName: testnet.InterfacePrefix + "peer"}
	if err := netlink.LinkAdd(another); err != nil {
		t.Fatal(err)
	}
	await(t, w, func(c Change) bool { return c.Name == attrs.Name }, LinkNew)
	if err := netlink.LinkSetName(another, n.Link); err != nil { // as udev does
		t.Fatal(err)
	}
	if c := await(t, w, of, LinkNew); c.Link == path.Link.Index {
		t.Errorf("the same index: %+v", c)
	}
	addr := &netlink.Addr{IPNet: &net.IPNet{IP: path.Src.AsSlice(), Mask: net.CIDRMask(24, 32)}}
	if err := errors.Join(netlink.AddrAdd(another, addr), netlink.LinkSetUp(another)); err != nil {
		t.Fatal(err)
	}
	addRoute(t, netlink.Route{LinkIndex: linkIndex(t, n.Link), Gw: n.GatewayAddr.AsSlice()}, "10.77.0.0/16")
	fault(CauseInterfaceGone, "there is a new one of that name")
	var f *FaultError
	err := w.Check(&path, netip.MustParseAddr("10.77.0.1"), Options{})
	if !errors.As(err, &f) || f.Now == nil || f.Now.Link.Index != linkIndex(t, n.Link) || f.Now.Gateway != path.Gateway || f.Now.Src != path.Src {
		t.Errorf("%v: %+v", err, f)
	}
}

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

func TestWatchNeighbour(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	n := testnet.New(t, testnet.Config{Gateway: true})
	path := pathTo(t, "10.77.0.1")
	hop := n.GatewayAddr.String()
	neighbour(t, path.Link, hop, netlink.NUD_STALE, n.PeerHardwareAddr)
	w := follow(t)
	of := func(c Change) bool { return c.Addr == n.GatewayAddr && c.Name == n.Link }
	mac := net.HardwareAddr{2, 7, 7, 7, 7, 7}
	neighbour(t, path.Link, hop, netlink.NUD_STALE, n.PeerHardwareAddr) // nothing new
	neighbour(t, path.Link, hop, netlink.NUD_STALE, mac)
	if c := await(t, w, of, NeighbourChanged, NeighbourFailed); c.Kind != NeighbourChanged || c.MAC.String() != mac.String() {
		t.Errorf("%+v", c)
	}
	// Of itself the kernel believes an announcement only some time after the last change (locktime).
	announce(t, n, n.GatewayAddr, n.PeerHardwareAddr, func() bool {
		select {
		case c := <-w.Changes():
			if !of(c) || c.Kind == RouteChanged {
				return false
			}
			if c.Kind != NeighbourChanged || c.MAC.String() != n.PeerHardwareAddr.String() {
				t.Errorf("%+v", c)
			}
			return true
		case <-time.After(100 * time.Millisecond):
			return false
		}
	})
	neighbour(t, path.Link, hop, netlink.NUD_FAILED, nil)
	if c := await(t, w, of, NeighbourChanged, NeighbourFailed); c.Kind != NeighbourFailed || c.MAC != nil {
		t.Errorf("%+v", c)
	}
}

// What was lost is said, and what comes later is reported again.
func TestWatchResync(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	n := testnet.New(t, testnet.Config{Gateway: true})
	w := follow(t)
	if err := w.kernel.groups.SetReceiveBufferSize(1, false); err != nil { // the kernel has a minimum
		t.Fatal(err)
	}
	idx := linkIndex(t, n.Link)
	for i := range 4 * watchAhead { // and nobody reads
		r := netlink.Route{LinkIndex: idx, Gw: n.GatewayAddr.AsSlice(), Dst: ipNet(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 90, byte(i >> 8), byte(i)}), 32))}
		if err := netlink.RouteAdd(&r); err != nil {
			t.Fatal(err)
		}
	}
	await(t, w, nil, Resync)
	// More such may come until all is read that was there.
	if err := w.kernel.groups.SetReceiveBufferSize(1<<20, false); err != nil {
		t.Fatal(err)
	}
	for i := byte(0); ; i++ {
		last := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 91, 0, i}), 32)
		if err := netlink.RouteAdd(&netlink.Route{LinkIndex: idx, Gw: n.GatewayAddr.AsSlice(), Dst: ipNet(last)}); err != nil {
			t.Fatal(err)
		}
		if c := await(t, w, func(c Change) bool { return c.Kind == Resync || c.Prefix == last }, Resync, RouteChanged); c.Kind == RouteChanged {
			break
		}
	}
	if err := n.Do(func() error { return netlink.LinkSetDown(linkOfName(t, n.PeerLink)) }); err != nil {
		t.Fatal(err)
	}
	await(t, w, func(c Change) bool { return c.Name == n.Link }, CarrierLost)
}

func TestWatchEnds(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	testnet.New(t, testnet.Config{})
	path := pathTo(t, "10.77.0.1")
	before := descriptors(t)
	ctx, cancel := context.WithCancel(t.Context())
	w, err := Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if descriptors(t) <= before {
		t.Error("no file is open")
	}
	cancel()
	for range w.Changes() {
	}
	if w.Err() != nil {
		t.Error(w.Err())
	}
	if err := w.Check(&path, netip.Addr{}, Options{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

// descriptors counts the sockets of this process that are netlink's of this namespace.
func descriptors(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/thread-self/net/netlink")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(b), "\n")
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
