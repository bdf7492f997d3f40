package route

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"synoptic/bench/lab/testnet"
)

// announce sends gratuitous ARP from the target's end of the link until done.
func announce(t *testing.T, n *testnet.Network, addr netip.Addr, mac net.HardwareAddr, done func() bool) {
	t.Helper()
	fd := peerSocket(t, n, 0)
	defer unix.Close(fd)
	b := addr.As4()
	for begin := time.Now(); ; {
		if _, err := unix.Write(fd, announcement(t, 1, binary.BigEndian.Uint32(b[:]), [6]byte(mac))); err != nil {
			t.Fatal(err)
		}
		if done() {
			return
		}
		if time.Since(begin) > deadline {
			t.Fatal("announced in vain")
		}
	}
}

func setPeerMAC(t *testing.T, n *testnet.Network, mac net.HardwareAddr) {
	t.Helper()
	if err := n.Do(func() error { return netlink.LinkSetHardwareAddr(linkOfName(t, n.PeerLink), mac) }); err != nil {
		t.Fatal(err)
	}
}

// A gateway gets another MAC address, and says so: first a liar, who does not answer, then the gateway.
func TestListen(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	n := testnet.New(t, testnet.Config{Gateway: true})
	path := pathTo(t, "10.77.0.1")
	hops := []Hop{{n.GatewayAddr, n.PeerHardwareAddr}, {Addr: netip.MustParseAddr("10.76.0.99")}}
	ctx, cancel := context.WithCancel(t.Context())
	e, err := Listen(ctx, path.Link, path.Src, hops)
	if err != nil {
		t.Fatal(err)
	}
	mac, conflicts, err := e.Confirm(ctx, n.GatewayAddr)
	if err != nil || mac.String() != n.PeerHardwareAddr.String() || len(conflicts) != 0 {
		t.Fatalf("%v, %v, %v", mac, conflicts, err)
	}
	var none *NoNeighbourError
	if _, _, err := e.Confirm(ctx, hops[1].Addr); !errors.As(err, &none) {
		t.Errorf("nobody: %v", err)
	}

	liar := net.HardwareAddr{2, 6, 6, 6, 6, 6}
	announce(t, n, n.GatewayAddr, liar, func() bool { return true })
	moved := net.HardwareAddr{2, 0, 0, 0, 0, 0x42}
	setPeerMAC(t, n, moved)
	announce(t, n, n.GatewayAddr, moved, func() bool {
		select {
		case c := <-e.Claims():
			if c.Addr != n.GatewayAddr || c.MAC.String() != moved.String() || c.Was.String() != n.PeerHardwareAddr.String() || c.Link != n.Link || len(c.Conflicts) != 0 {
				t.Errorf("%+v", c)
			}
			return true
		case <-time.After(100 * time.Millisecond):
			return false
		}
	})

	// The link goes down and comes back: the ear is the same.
	link := linkOfName(t, n.Link)
	if err := errors.Join(netlink.LinkSetDown(link), netlink.LinkSetUp(link)); err != nil {
		t.Fatal(err)
	}
	setPeerMAC(t, n, n.PeerHardwareAddr)
	for begin := time.Now(); ; { // until there is carrier
		if mac, _, err := e.Confirm(ctx, n.GatewayAddr); err == nil {
			if mac.String() != n.PeerHardwareAddr.String() {
				t.Errorf("%v", mac)
			}
			break
		} else if time.Since(begin) > deadline {
			t.Fatal(err)
		}
	}

	cancel()
	for c := range e.Claims() {
		t.Errorf("%+v", c)
	}
	if _, _, err := e.Confirm(t.Context(), n.GatewayAddr); err == nil {
		t.Error("an ear that is closed was told something")
	}
}

// An administrator's entry holds against whoever announces and answers, and so does a link without ARP.
func TestListenFixed(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	n := testnet.New(t, testnet.Config{Gateway: true})
	path := pathTo(t, "10.77.0.1")
	fixed := net.HardwareAddr{2, 0, 0, 0, 0, 0x99}
	neighbour(t, path.Link, n.GatewayAddr.String(), netlink.NUD_PERMANENT, fixed)
	e, err := Listen(t.Context(), path.Link, path.Src, []Hop{{n.GatewayAddr, fixed}})
	if err != nil {
		t.Fatal(err)
	}
	announce(t, n, n.GatewayAddr, n.PeerHardwareAddr, func() bool { return true })
	if mac, conflicts, err := e.Confirm(t.Context(), n.GatewayAddr); err != nil || mac.String() != fixed.String() || len(conflicts) != 0 {
		t.Errorf("%v, %v, %v", mac, conflicts, err)
	}
	e.hear(announcement(t, 1, hopIP, [6]byte(n.PeerHardwareAddr)))
	e.mu.Lock()
	if e.hops[hopIP].due {
		t.Error("an announcement is looked into")
	}
	e.mu.Unlock()

	path.Link.NoARP = true
	e, err = Listen(t.Context(), path.Link, path.Src, []Hop{{Addr: netip.MustParseAddr("10.76.0.99")}})
	if err != nil {
		t.Fatal(err)
	}
	if mac, _, err := e.Confirm(t.Context(), netip.MustParseAddr("10.76.0.99")); err != nil || mac.String() != n.HardwareAddr.String() {
		t.Errorf("without ARP: %v, %v", mac, err)
	}
}

func TestListenRefuses(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	testnet.New(t, testnet.Config{Gateway: true})
	path := pathTo(t, "10.77.0.1")
	lo := pathTo(t, "127.0.0.1")
	good := []Hop{{Addr: path.Gateway}}
	for name, f := range map[string]func() (*Ear, error){
		"loopback": func() (*Ear, error) { return Listen(t.Context(), lo.Link, lo.Src, good) },
		"IPv6": func() (*Ear, error) {
			return Listen(t.Context(), path.Link, path.Src, []Hop{{Addr: netip.IPv6Loopback()}})
		},
		"a short MAC": func() (*Ear, error) {
			return Listen(t.Context(), path.Link, path.Src, []Hop{{path.Gateway, net.HardwareAddr{2}}})
		},
		"too many":       func() (*Ear, error) { return Listen(t.Context(), path.Link, path.Src, make([]Hop, maxEarHops+1)) },
		"no such source": func() (*Ear, error) { return Listen(t.Context(), path.Link, netip.Addr{}, good) },
	} {
		if _, err := f(); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
