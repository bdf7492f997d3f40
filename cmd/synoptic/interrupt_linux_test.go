package main

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"synoptic/bench/lab/testnet"
)

// An interrupt before the first probe is a stop too.
func TestInterruptWhileResolving(t *testing.T) {
	t.Parallel()
	check := func(t *testing.T, cmd *exec.Cmd, stderr *strings.Builder) {
		t.Helper()
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 3 || stderr.Len() > 0 {
			t.Errorf("%v, want exit code 3; stderr %q", cmd.ProcessState, stderr)
		}
	}
	t.Run("names", func(t *testing.T) {
		t.Parallel()
		testnet.Apart(t)
		asked := silentNameServer(t)
		cmd := exec.Command(program(t), "scan", "www.example.net", "-p", "80", "-q")
		var stderr strings.Builder
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		<-asked
		check(t, cmd, &stderr)
	})
	t.Run("link addresses", func(t *testing.T) {
		n := beside(t, testnet.Config{Alive: []netip.Prefix{netip.MustParsePrefix("10.77.0.0/24")}})
		sent := func() uint64 {
			link, err := netlink.LinkByName(n.Link)
			if err != nil {
				t.Fatal(err)
			}
			return link.Attrs().Statistics.TxPackets
		}
		before := sent()
		cmd := exec.Command(program(t), "scan", "10.77.0.0/16", "-p", "80", "--rate", "1k", "-q")
		var stderr strings.Builder
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for sent() < before+100 { // requests for link addresses, of 65,280 that nobody has
			time.Sleep(time.Millisecond)
		}
		check(t, cmd, &stderr)
	})
}

// silentNameServer stands for the name servers of this host in the test's own network, and answers
// nothing. It tells when it is asked.
func silentNameServer(t *testing.T) (asked <-chan struct{}) {
	t.Helper()
	var servers []netip.Addr
	config, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		t.Skipf("no name server: %v", err)
	}
	for line := range strings.Lines(string(config)) {
		if words := strings.Fields(line); len(words) == 2 && words[0] == "nameserver" {
			if a, err := netip.ParseAddr(words[1]); err == nil && a.Zone() == "" {
				servers = append(servers, a.Unmap())
			}
		}
	}
	if len(servers) == 0 {
		t.Skip("resolv.conf names no server")
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	once := make(chan struct{}, 1)
	for _, a := range servers {
		if !a.IsLoopback() {
			addr := &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}}
			if err := netlink.AddrAdd(lo, addr); err != nil {
				t.Skipf("the name server's address cannot be had: %v", err)
			}
			t.Cleanup(func() { netlink.AddrDel(lo, addr) })
		}
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 53)))
		if err != nil {
			t.Skipf("the name server's port cannot be had: %v", err)
		}
		t.Cleanup(func() { c.Close() })
		go func() {
			for {
				if _, _, err := c.ReadFrom(make([]byte, 512)); err != nil {
					return
				}
				select {
				case once <- struct{}{}:
				default:
				}
			}
		}()
	}
	return once
}
