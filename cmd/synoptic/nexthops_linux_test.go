package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"synoptic/bench/lab/stall"
	"synoptic/bench/lab/testnet"
	"synoptic/rawsock/route"
	"synoptic/results"
)

// outdated is a MAC address that nobody has: the one of a router or a host that has been replaced.
var outdated = net.HardwareAddr{2, 0, 0, 0, 0, 0x99}

// plant puts an entry into the kernel's neighbour table, as it is some minutes after it was last of use.
func plant(t *testing.T, n *testnet.Network, addrs ...netip.Addr) {
	t.Helper()
	plantAs(t, n, outdated, addrs...)
}

func plantAs(t *testing.T, n *testnet.Network, mac net.HardwareAddr, addrs ...netip.Addr) {
	t.Helper()
	link, err := netlink.LinkByName(n.Link)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		err := netlink.NeighSet(&netlink.Neigh{LinkIndex: link.Attrs().Index, IP: a.AsSlice(), State: netlink.NUD_STALE, HardwareAddr: mac})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// The kernel's neighbour table has an outdated address for the gateway: it is asked, and everything is found.
func TestStaleGateway(t *testing.T) { eachBackend(t, staleGateway, afpacket, xdp, ebpf) }

func staleGateway(t *testing.T, b backend) {
	n := b.beside(t, testnet.Config{Gateway: true})
	n.Listen(t, "0.0.0.0:80")
	plant(t, n, n.GatewayAddr)
	o := synoptic(t, b.scan(1000, "10.77.0.0/28", "-p", "80,81", "--show", "all")...)
	if o.code != 0 {
		t.Fatalf("exit %d: %s", o.code, o.stderr)
	}
	s := parseStream(t, o.stdout)
	b.used(t, s)
	if open, closed := len(s.found(t, "open")), len(s.found(t, "closed")); open != 16 || closed != 16 {
		t.Errorf("%d open, %d closed, want 16 of each; scan_end %+v", open, closed, s.end)
	}
}

// So it is with targets of the same network; of one that is gone nothing is believed, and nothing is sent to it.
func TestStaleTargets(t *testing.T) { eachBackend(t, staleTargets, afpacket, xdp) }

func staleTargets(t *testing.T, b backend) {
	alive := netip.MustParsePrefix("10.77.0.8/29")
	n := b.beside(t, testnet.Config{Prefix: netip.MustParsePrefix("10.77.0.0/28"), Alive: []netip.Prefix{alive}})
	n.Listen(t, "0.0.0.0:80")
	var all []netip.Addr
	for a := n.Prefix.Addr(); n.Prefix.Contains(a); a = a.Next() {
		all = append(all, a)
	}
	plant(t, n, all...)
	capture := n.Capture(t)
	s := parseStream(t, synoptic(t, b.scan(1000, "10.77.0.0/28", "-p", "80,81", "--show", "all")...).stdout)
	b.used(t, s)
	if open, closed := len(s.found(t, "open")), len(s.found(t, "closed")); open != 8 || closed != 8 || s.end.NoARP != 16 {
		t.Errorf("%d open, %d closed, want 8 of each; scan_end %+v", open, closed, s.end)
	}
	for _, f := range capture.Stop() {
		if e, ok := checkProbe(t, f); ok && !alive.Contains(e.Addr()) {
			t.Fatalf("probe to %s, which is gone", e)
		}
	}
}

// A gateway that is not there yet, as behind a switch port that has just come up, is waited for.
func TestLateGateway(t *testing.T) {
	n := beside(t, testnet.Config{Gateway: true})
	n.Listen(t, "0.0.0.0:80")
	silence := func(value string) error { // 8: no ARP request is answered
		return n.Do(func() error { return os.WriteFile("/proc/sys/net/ipv4/conf/all/arp_ignore", []byte(value), 0) })
	}
	if err := silence("8"); err != nil {
		t.Skipf("the target cannot be silenced: %v", err)
	}
	before := received(t, n)
	scan := exec.Command(program(t), "scan", "10.77.0.0/28", "-p", "80", "--patience", "10m")
	done := make(chan outcome, 1)
	place := testnet.Here(t)
	go func() {
		var o outcome
		if err := place.Do(func() error { o = finish(t, scan); return nil }); err != nil {
			t.Error(err)
		}
		done <- o
	}()
	// More than the three requests that every address gets.
	for received(t, n) < before+5 {
		select {
		case o := <-done:
			t.Fatalf("exit %d before the gateway was there: %s", o.code, o.stderr)
		case <-time.After(10 * time.Millisecond):
		}
	}
	if err := silence("0"); err != nil {
		t.Fatal(err)
	}
	o := <-done
	if s := parseStream(t, o.stdout); o.code != 0 || len(s.found(t, "open")) != 16 {
		t.Errorf("exit %d, %d open: %s", o.code, len(s.found(t, "open")), o.stderr)
	}
}

// Another host answers for the gateway's address, too: it is told, and what the kernel's table agrees with is used.
func TestTwoGateways(t *testing.T) {
	n := beside(t, testnet.Config{Gateway: true})
	n.Listen(t, "0.0.0.0:80")
	r := n.Respond(t, func(*testnet.Responder, []byte) {})
	lie := route.Request(outdated, n.GatewayAddr, n.Source) // made a reply
	lie[21] = 2
	copy(lie, n.HardwareAddr)
	copy(lie[32:], n.HardwareAddr)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				if err := r.Send(lie); err != nil {
					t.Error(err)
					return
				}
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	// The scan listens for a second answer for 40 ms.
	stall.Judge(t, stall.Bound{Gap: 20 * time.Millisecond}, func() error {
		plantAs(t, n, n.PeerHardwareAddr, n.GatewayAddr)
		o := synoptic(t, "scan", "10.77.0.0/28", "-p", "80")
		s := parseStream(t, o.stdout)
		if o.code != 0 || len(s.found(t, "open")) != 16 || !s.end.Complete {
			return fmt.Errorf("exit %d, %d open: %s", o.code, len(s.found(t, "open")), o.stderr)
		}
		for _, e := range s.events {
			if e.Event == "next-hop-changed" && e.Cause == results.CauseTwoNextHops && e.NextHop == n.GatewayAddr {
				if !strings.Contains(e.Message, outdated.String()) || !strings.Contains(e.Message, n.PeerHardwareAddr.String()+" (used)") {
					t.Errorf("%s", e.Message)
				}
				return nil
			}
		}
		return fmt.Errorf("nothing is told: %v", s.events)
	})
}

// received is how many frames have come to the target.
func received(t *testing.T, n *testnet.Network) (frames uint64) {
	t.Helper()
	err := n.Do(func() error {
		link, err := netlink.LinkByName(n.PeerLink)
		if err == nil {
			frames = link.Attrs().Statistics.RxPackets
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return frames
}
