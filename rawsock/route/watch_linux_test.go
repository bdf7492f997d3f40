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
