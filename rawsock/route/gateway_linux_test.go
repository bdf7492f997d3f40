package route

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"synoptic/bench/lab/testnet"
)

func TestResolveGateway(t *testing.T) {
	n := testnet.New(t, testnet.Config{Gateway: true})
	path := pathTo(t, "10.77.0.1")
	mac, conflicts, err := ResolveGateway(t.Context(), &path, ResolveOptions{})
	if len(conflicts) != 0 || err != nil || mac.String() != n.PeerHardwareAddr.String() {
		t.Errorf("%v, %v", mac, err)
	}
	path.Gateway = netip.MustParseAddr("10.76.0.99")
	_, _, err = ResolveGateway(t.Context(), &path, ResolveOptions{})
	var none *NoNeighbourError
	if !errors.As(err, &none) || none.Hint() == "" || none.Addr != path.Gateway {
		t.Errorf("a gateway that does not exist: %v", err)
	}
	var fault *FaultError
	if errors.As(err, &fault) {
		t.Errorf("a fault of the host's where there is none: %v", err)
	}
	path.Gateway = n.GatewayAddr
	if err := n.Carrier(false); err != nil {
		t.Fatal(err)
	}
	_, _, err = ResolveGateway(t.Context(), &path, ResolveOptions{})
	if !errors.As(err, &none) || !errors.As(err, &fault) || fault.Cause != CauseNoCarrier {
		t.Errorf("a gateway behind a link without a carrier: %v", err)
	}
}

// An entry of the kernel's that is out of date, as of a router that was replaced: its living successor is found, and
// of a dead one nothing is believed. One that the kernel is sure of is not asked for, unless it is doubted.
func TestResolveGatewayStale(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	n := testnet.New(t, testnet.Config{Gateway: true})
	path := pathTo(t, "10.77.0.1")
	outdated := net.HardwareAddr{2, 0, 0, 0, 0, 0x99}
	for state, want := range map[int]string{
		netlink.NUD_STALE:     n.PeerHardwareAddr.String(),
		netlink.NUD_PROBE:     n.PeerHardwareAddr.String(),
		netlink.NUD_FAILED:    n.PeerHardwareAddr.String(),
		netlink.NUD_REACHABLE: outdated.String(),
		netlink.NUD_PERMANENT: outdated.String(),
	} {
		neighbour(t, path.Link, n.GatewayAddr.String(), state, outdated)
		mac, conflicts, err := ResolveGateway(t.Context(), &path, ResolveOptions{})
		if err != nil || mac.String() != want || len(conflicts) != 0 {
			t.Errorf("state %#x: %v, %v, %v; want %s", state, mac, conflicts, err, want)
		}
	}
	neighbour(t, path.Link, n.GatewayAddr.String(), netlink.NUD_PERMANENT, outdated)
	begin := time.Now()
	mac, conflicts, err := Confirm(t.Context(), &path, ResolveOptions{})
	if err != nil || mac.String() != n.PeerHardwareAddr.String() || len(conflicts) != 0 {
		t.Errorf("confirmed: %v, %v, %v", mac, conflicts, err)
	}
	if d := time.Since(begin); d < settle {
		t.Errorf("another answer was listened for in %v", d)
	}

	dead := path
	dead.Gateway = netip.MustParseAddr("10.76.0.99")
	neighbour(t, path.Link, dead.Gateway.String(), netlink.NUD_STALE, outdated)
	var none *NoNeighbourError
	if mac, _, err := ResolveGateway(t.Context(), &dead, ResolveOptions{Gap: 10 * time.Millisecond}); !errors.As(err, &none) {
		t.Errorf("an entry of a dead gateway: %v, %v", mac, err)
	}
}

// Which states of the kernel's table are relied on; it does not stay in some of them for a test to see.
func TestSure(t *testing.T) {
	for state, want := range map[int][2]bool{ // used, kept in mind
		netlink.NUD_NONE: {false, true}, netlink.NUD_INCOMPLETE: {}, netlink.NUD_REACHABLE: {true, false}, netlink.NUD_STALE: {false, true},
		netlink.NUD_DELAY: {false, true}, netlink.NUD_PROBE: {false, true}, netlink.NUD_FAILED: {}, netlink.NUD_NOARP: {true, false}, netlink.NUD_PERMANENT: {true, false},
	} {
		for _, doubted := range []bool{false, true} {
			h, err := newHosts(slices.Values([]netip.Addr{hopAddr}))
			if err != nil {
				t.Fatal(err)
			}
			h.take(&netlink.Neigh{State: state, IP: hopAddr.AsSlice(), HardwareAddr: oldMAC[:]}, doubted)
			used, kept := h.known[0], h.unconfirmed[0] == oldMAC
			if doubted {
				want = [2]bool{false, want[0] || want[1]}
			}
			if used != want[0] || kept != want[1] {
				t.Errorf("state %#x, doubted %v: used %v, kept in mind %v", state, doubted, used, kept)
			}
		}
	}
}

// The next hop answers after the interface went down and up again, long after the tries.
func TestResolveGatewayWaits(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	n := testnet.New(t, testnet.Config{Gateway: true})
	path := pathTo(t, "10.77.0.1")
	path.Gateway = netip.MustParseAddr("10.76.0.99")
	link, err := netlink.LinkByName(n.Link)
	if err != nil {
		t.Fatal(err)
	}
	rounds := 0
	mac, _, err := ResolveGateway(t.Context(), &path, ResolveOptions{
		Tries: 1, Gap: time.Millisecond, Patience: time.Hour,
		Progress: func(known, _ int) {
			var err error
			switch rounds++; rounds {
			case 4: // before the first request, after it, and after each round
				err = netlink.LinkSetDown(link)
			case 8:
				err = errors.Join(netlink.LinkSetUp(link), n.Do(func() error {
					peer, err := netlink.LinkByName(n.PeerLink)
					if err != nil {
						return err
					}
					return netlink.AddrAdd(peer, &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(path.Gateway, 24))})
				}))
			}
			if err != nil {
				t.Error(err)
			}
		},
	})
	if err != nil || mac.String() != n.PeerHardwareAddr.String() {
		t.Errorf("%v, %v", mac, err)
	}
	if rounds < 8 {
		t.Errorf("known after %d rounds", rounds)
	}

	path.Gateway = netip.MustParseAddr("10.76.0.98")
	begin := time.Now()
	var none *NoNeighbourError
	_, _, err = ResolveGateway(t.Context(), &path, ResolveOptions{Tries: 1, Gap: time.Millisecond, Patience: 300 * time.Millisecond})
	if d := time.Since(begin); !errors.As(err, &none) || d < 300*time.Millisecond {
		t.Errorf("given up after %v: %v", d, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	rounds = 0
	_, _, err = ResolveGateway(ctx, &path, ResolveOptions{Tries: 1, Gap: time.Millisecond, Patience: time.Hour, Progress: func(int, int) {
		if rounds++; rounds == 3 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// Two hosts answer for one address: told, and the one that the kernel's table agrees with is used.
func TestResolveConflicts(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	n, path := disputed(t)
	neighbour(t, path.Link, "10.77.0.3", netlink.NUD_STALE, disputants[1][:])
	tab, err := Resolve(t.Context(), path.Link, path.Src, slices.Values([]netip.Addr{
		netip.MustParseAddr("10.77.0.1"), netip.MustParseAddr("10.77.0.2"), netip.MustParseAddr("10.77.0.3"), netip.MustParseAddr("10.77.0.4")}),
		ResolveOptions{Tries: 100})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range tab.Conflicts() {
		got = append(got, c.String())
	}
	want := []string{
		"two hosts answer for 10.77.0.1 on " + n.Link + ": 02:06:06:06:06:01 (used) and 02:06:06:06:06:02",
		"two hosts answer for 10.77.0.3 on " + n.Link + ": 02:06:06:06:06:02 (used) and 02:06:06:06:06:01",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	for last, want := range map[byte][6]byte{1: disputants[0], 2: disputants[0], 3: disputants[1], 4: disputants[1]} {
		if mac, ok := tab.MAC(netip.AddrFrom4([4]byte{10, 77, 0, last})); !ok || mac != want {
			t.Errorf("10.77.0.%d: % x %v", last, mac, ok)
		}
	}
}

// A gateway is listened for after its answer. Long, lest the second one be late. Nobody has asked before: answers to that could still come.
func TestGatewayConflicts(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	n, path := disputed(t)
	path.Gateway = netip.MustParseAddr("10.77.0.1")
	mac, conflicts, err := ResolveGateway(t.Context(), &path, ResolveOptions{settle: time.Hour})
	want := "two hosts answer for 10.77.0.1 on " + n.Link + ": 02:06:06:06:06:01 (used) and 02:06:06:06:06:02"
	if err != nil || [6]byte(mac) != disputants[0] || len(conflicts) != 1 || conflicts[0].String() != want {
		t.Errorf("%v, %v, %v", mac, conflicts, err)
	}
}

// disputants are two hosts that answer for the same addresses.
var disputants = [2][6]byte{{2, 6, 6, 6, 6, 1}, {2, 6, 6, 6, 6, 2}}

// disputed is a network on which two hosts answer for 10.77.0.1 and 10.77.0.3, and the way there.
func disputed(t *testing.T) (*testnet.Network, Path) {
	t.Helper()
	n := testnet.New(t, testnet.Config{Prefix: netip.MustParsePrefix("10.77.0.0/24"), Alive: []netip.Prefix{netip.MustParsePrefix("10.99.0.0/24")}})
	path := pathTo(t, "10.77.0.0/24")
	first, second := disputants[0], disputants[1]
	reply := func(last byte, mac [6]byte) []byte {
		b := newRequest(mac, binary.BigEndian.Uint32([]byte{10, 77, 0, last}))
		copy(b, n.HardwareAddr)
		b[arpOperation+1] = 2
		copy(b[arpTargetMAC:], n.HardwareAddr)
		copy(b[arpTargetIP:], path.Src.AsSlice())
		return b
	}
	// All of them, in this order, for any request: when the last address is known, all answers were seen.
	respond(t, n, [][]byte{reply(1, first), reply(1, second), reply(2, first), reply(2, first), reply(3, first), reply(3, second), reply(3, first), reply(4, second)})
	return n, path
}

// peerSocket is a packet socket on the target's end of the link, for a protocol in network byte order; with 0 it only sends.
// A read gives up after 20 ms, to see whether it is to end.
func peerSocket(t *testing.T, n *testnet.Network, protocol uint16) (fd int) {
	t.Helper()
	err := n.Do(func() (err error) {
		iface, err := net.InterfaceByName(n.PeerLink)
		if err != nil {
			return err
		}
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(protocol)); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: iface.Index})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 20_000}); err != nil {
		t.Fatal(err)
	}
	return fd
}

// respond sends replies from the target's end whenever there is an ARP request there, until the test ends.
func respond(t *testing.T, n *testnet.Network, replies [][]byte) {
	t.Helper()
	fd := peerSocket(t, n, binary.NativeEndian.Uint16([]byte{0x08, 0x06}))
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer unix.Close(fd)
		for b := make([]byte, 128); !stop.Load(); {
			if n, err := unix.Read(fd, b); err != nil || n < arpLength || b[arpOperation+1] != 1 {
				continue
			}
			for _, r := range replies {
				if _, err := unix.Write(fd, r); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	t.Cleanup(func() { stop.Store(true); <-done })
}
