package main

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"synoptic/bench/lab/testnet"
	"synoptic/results"
)

// Faults of one interface, next hop or route of several, and interfaces that are made anew.

// split is a scan of two networks, half of the targets in each.
type split struct {
	*faulty
	second *testnet.Network
	config testnet.Config // of the second
}

func newSplit(t *testing.T) *split {
	t.Parallel()
	testnet.Apart(t)
	f := &faulty{backend: afpacket, t: t, ports: []string{"80"}}
	f.size()
	bits := f.prefix.Bits() + 1
	s := &split{faulty: f, config: testnet.Config{
		Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, 1 << (24 - bits)}), bits), Subnet: netip.MustParsePrefix("10.76.1.0/24"), Gateway: true,
	}}
	f.n = testnet.New(t, testnet.Config{
		Prefix: netip.PrefixFrom(f.prefix.Addr(), bits), Subnet: netip.MustParsePrefix("10.76.0.0/24"), Gateway: true,
	})
	s.second = testnet.New(t, s.config)
	for _, n := range []*testnet.Network{f.n, s.second} {
		n.Listen(t, "0.0.0.0:80")
	}
	var err error
	f.wire, err = s.second.CountSYN(testnet.Match{})
	f.must(err)
	return s
}

// run is faulty.run, with the fault when a quarter of the second network's probes is out.
func (s *split) run(fault func(), more ...string) (outcome, stream) {
	all := s.expected
	s.expected /= 2
	defer func() { s.expected = all }()
	return s.faulty.run(fault, more...)
}

// half checks that what lies behind the first network was found, and that nothing is said of what was not asked behind the
// second one.
func (s *split) half(o outcome, out stream, scope, cause string) {
	s.t.Helper()
	found := map[bool]uint64{}
	for a := range out.found(s.t, "open") {
		found[s.n.Prefix.Contains(a.Addr())]++
	}
	if found[true] != s.expected/2 || found[false] == s.expected/2 {
		s.t.Errorf("%d found behind the first interface, want %d; %d behind the second", found[true], s.expected/2, found[false])
	}
	if o.code != 4 || out.end.Complete || out.end.Coverage >= 1 || out.end.Coverage < 0.6 || out.end.Filtered != 0 {
		s.t.Errorf("exit %d, complete %v, coverage %v, %d filtered", o.code, out.end.Complete, out.end.Coverage, out.end.Filtered)
	}
	if e := out.end.Evidence; e.State != results.EvidenceStateLost || e.Unknown != s.expected-found[true]-found[false] {
		s.t.Errorf("evidence %+v, %v found", e, found)
	}
	for _, e := range out.events {
		if e.Event == "lost" && e.Cause == cause && e.Extent == scope && e.Iface == s.second.Link {
			return
		}
	}
	s.t.Errorf("no event lost with the extent %q and the cause %q: %+v", scope, cause, out.events)
}

func linkNamed(t *testing.T, name string) netlink.Link {
	t.Helper()
	link, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return link
}

// downAndUp takes an interface down for a second, with its routes.
func (f *faulty) downAndUp(name string) {
	up := f.down(name)
	time.Sleep(time.Second)
	up()
}

// down takes an interface down, with its routes.
func (f *faulty) down(name string) (up func()) {
	link := linkNamed(f.t, name)
	routes, err := netlink.RouteList(link, netlink.FAMILY_V4)
	if err != nil {
		f.t.Fatal(err)
	}
	f.must(netlink.LinkSetDown(link))
	return func() {
		f.must(netlink.LinkSetUp(link))
		for i := range routes {
			if err := netlink.RouteAdd(&routes[i]); err != nil && !errors.Is(err, os.ErrExist) {
				f.t.Fatal(err)
			}
		}
	}
}

func TestOneOfTwoInterfacesDownForAWhile(t *testing.T) {
	s := newSplit(t)
	o, out := s.run(func() { s.downAndUp(s.second.Link) })
	s.exact(o, out, results.CauseInterfaceDown)
}

func TestOneOfTwoCarriersLostForAWhile(t *testing.T) {
	s := newSplit(t)
	o, out := s.run(func() {
		s.must(s.second.Carrier(false))
		time.Sleep(2 * time.Second)
		s.must(s.second.Carrier(true))
	})
	s.exact(o, out, results.CauseNoCarrier)
}

func TestOneOfTwoGatewaysSilentForAWhile(t *testing.T) {
	s := newSplit(t)
	o, out := s.run(func() {
		mend := s.mute(s.second)
		time.Sleep(6 * time.Second)
		mend()
	})
	s.exact(o, out, results.CauseNextHopSilent)
}

// mute has a gateway take nothing on and answer nothing, as one that is switched off behind a switch.
func (s *split) mute(n *testnet.Network) (mend func()) {
	s.t.Helper()
	set := func(mac net.HardwareAddr, arp bool) {
		s.must(n.Do(func() error {
			link, err := netlink.LinkByName(n.PeerLink)
			if err != nil {
				return err
			}
			arpOf := netlink.LinkSetARPOff
			if arp {
				arpOf = netlink.LinkSetARPOn
			}
			return errors.Join(netlink.LinkSetHardwareAddr(link, mac), arpOf(link))
		}))
	}
	set(net.HardwareAddr{2, 0, 0, 0, 0, 0x66}, false)
	return func() { set(n.PeerHardwareAddr, true) }
}

func TestOneOfTwoInterfacesLost(t *testing.T) {
	for _, c := range []struct {
		name, scope, cause string
		fault              func(s *split)
	}{
		{"down", "interface", results.CauseInterfaceDown, func(s *split) { s.undo = s.down(s.second.Link) }},
		{"no carrier", "interface", results.CauseNoCarrier, func(s *split) {
			s.must(s.second.Carrier(false))
			s.undo = func() { s.must(s.second.Carrier(true)) }
		}},
		{"gone", "interface", results.CauseInterfaceGone, func(s *split) { s.must(netlink.LinkDel(linkNamed(s.t, s.second.Link))) }},
		{"gateway", "next-hop", results.CauseNextHopSilent, func(s *split) { s.undo = s.mute(s.second) }},
		{"route", "interface", results.CauseRouteChanged, func(s *split) {
			s.must(s.elsewhere(netlink.RouteAdd))
			s.undo = func() { s.must(s.elsewhere(netlink.RouteDel)) }
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSplit(t)
			begun := time.Now()
			o, out := s.run(func() { c.fault(s) }, "--patience", "3s")
			s.half(o, out, c.scope, c.cause)
			if d := time.Since(begun); d > 25*time.Second {
				t.Errorf("it took %v", d)
			}
		})
	}
}

// elsewhere changes a route to a part of the second network that leads over the first.
func (s *split) elsewhere(change func(*netlink.Route) error) error {
	part := netip.PrefixFrom(s.config.Prefix.Addr(), s.config.Prefix.Bits()+2)
	return change(&netlink.Route{
		LinkIndex: linkNamed(s.t, s.n.Link).Attrs().Index, Gw: s.n.GatewayAddr.AsSlice(), Dst: netIPNet(part.String()),
	})
}

func netIPNet(s string) *net.IPNet {
	p := netip.MustParsePrefix(s)
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
}

// A route that the kernel has otherwise in mid-scan, or not at all: nothing is sent until it is as it was.
func TestRouteChangedForAWhile(t *testing.T) {
	eachBackendInGate(t, func(t *testing.T, b backend) {
		f := newFaulty(t, b)
		r := netlink.Route{Dst: netIPNet("10.77.16.0/20"), Type: rtnBlackhole}
		o, s := f.run(func() {
			f.must(netlink.RouteAdd(&r))
			time.Sleep(time.Second)
			f.must(netlink.RouteDel(&r))
		})
		f.exact(o, s, results.CauseRouteChanged)
	}, afpacket, xdp)
}

func TestRouteChangedForGood(t *testing.T) {
	f := newFaulty(t, afpacket)
	o, s := f.run(func() {
		r := &netlink.Route{Dst: netIPNet("10.77.16.0/20"), Type: rtnBlackhole}
		f.must(netlink.RouteAdd(r))
		f.undo = func() { f.must(netlink.RouteDel(r)) }
	}, "--patience", "2s")
	if o.code != 4 || s.end.Complete || s.end.Coverage >= 1 || s.end.Filtered != 0 {
		t.Errorf("exit %d, complete %v, coverage %v, %d filtered", o.code, s.end.Complete, s.end.Coverage, s.end.Filtered)
	}
	f.happened(s, "lost", results.CauseRouteChanged)
}

func TestAddressRemovedForAWhile(t *testing.T) {
	eachBackendInGate(t, func(t *testing.T, b backend) {
		f := newFaulty(t, b)
		link := linkNamed(t, f.n.Link)
		routes, err := netlink.RouteList(link, netlink.FAMILY_V4)
		f.must(err)
		addr := &netlink.Addr{IPNet: &net.IPNet{IP: f.n.Source.AsSlice(), Mask: net.CIDRMask(24, 32)}}
		o, s := f.run(func() {
			f.must(netlink.AddrDel(link, addr))
			time.Sleep(time.Second)
			f.must(netlink.AddrAdd(link, addr))
			for i := range routes {
				if err := netlink.RouteAdd(&routes[i]); err != nil && !errors.Is(err, os.ErrExist) {
					t.Fatal(err)
				}
			}
		})
		f.exact(o, s, results.CauseAddressRemoved)
	}, xdp, afpacket)
}

// Another interface under the same name, with another index and another MAC address.
func TestInterfaceMadeAnew(t *testing.T) {
	f := newFaulty(t, afpacket)
	o, s := f.run(func() {
		f.must(f.n.Remake(testnet.Config{Gateway: true}, net.HardwareAddr{2, 0x76, 0, 9, 9, 1}, time.Second))
	})
	f.exact(o, s, results.CauseInterfaceGone)
}

func TestOneOfTwoInterfacesMadeAnew(t *testing.T) {
	s := newSplit(t)
	o, out := s.run(func() {
		s.must(s.second.Remake(s.config, net.HardwareAddr{2, 0x76, 0, 9, 9, 2}, time.Second))
	})
	s.exact(o, out, results.CauseInterfaceGone)
}

// Programs in the kernel stay with the interface that they were attached to: the scan ends, and says so.
func TestInterfaceOfProgramsGone(t *testing.T) {
	eachBackendInGate(t, func(t *testing.T, b backend) {
		f := newFaulty(t, b)
		o, s := f.run(func() {
			f.must(f.n.Remake(testnet.Config{Gateway: true}, net.HardwareAddr{2, 0x76, 0, 9, 9, 1}, 100*time.Millisecond))
		})
		if o.code != 4 || s.end.Complete || s.end.Coverage >= 1 || s.end.Filtered != 0 {
			t.Errorf("exit %d, complete %v, coverage %v, %d filtered", o.code, s.end.Complete, s.end.Coverage, s.end.Filtered)
		}
		f.happened(s, "lost", results.CauseInterfaceGone)
	}, ebpf, xdp)
}

// rtnBlackhole is a kind of route that throws away (linux/rtnetlink.h).
const rtnBlackhole = 6
