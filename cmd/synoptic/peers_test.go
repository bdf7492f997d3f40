package main

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"synoptic/bench/testnet"
)

// peer finds another scanner, or skips; in the gate (SYNOPTIC_TEST_REQUIRE holds "peers") a missing
// one is a failure.
func peer(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if testnet.Required("peers") {
			t.Fatal(err)
		}
		t.Skipf("%s is not installed", name)
	}
	return path
}

// The same network gives the same open ports by nmap, by masscan and by us.
func TestPeersFindTheSame(t *testing.T) {
	prefix := netip.MustParsePrefix("10.77.16.0/20")
	const ports = "80,443,8080,9"
	n := testnet.New(t, testnet.Config{Gateway: true})
	want := populate(t, n, prefix)
	ours := parseStream(t, synoptic(t, "scan", prefix.String(), "-p", ports, "--rate", "20k").stdout).found(t, "open")
	sameSet(t, "synoptic against the truth", ours, want.open)
	t.Run("nmap", func(t *testing.T) { sameSet(t, "synoptic against nmap", ours, nmapOpen(t, prefix, ports)) })
	t.Run("masscan", func(t *testing.T) { sameSet(t, "synoptic against masscan", ours, masscanOpen(t, n, prefix, ports)) })
}

// runPeer runs another scanner for a bounded time.
func runPeer(t *testing.T, bound time.Duration, path string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = t.TempDir()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %.2000s", path, strings.Join(args, " "), err, out)
	}
}

// trickle keeps a few packets moving on the link until the test ends: masscan's receiver looks at its
// end only after a packet, and would wait for ever on a quiet link.
func trickle(t *testing.T, remote endpoint) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if conn, err := net.DialTimeout("tcp", remote.String(), time.Second); err == nil {
				conn.Close()
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
}

func nmapOpen(t *testing.T, prefix netip.Prefix, ports string) map[endpoint]bool {
	path := peer(t, "nmap")
	file := filepath.Join(t.TempDir(), "nmap.xml")
	runPeer(t, 3*time.Minute, path, "-sS", "-n", "-Pn", "-T5", "--min-rate", "5000", "--max-retries", "2", "-p", ports, "-oX", file, prefix.String())
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var run struct {
		Hosts []struct {
			Address struct {
				Addr netip.Addr `xml:"addr,attr"`
			} `xml:"address"`
			Ports []struct {
				ID    uint16 `xml:"portid,attr"`
				State struct {
					State string `xml:"state,attr"`
				} `xml:"state"`
			} `xml:"ports>port"`
		} `xml:"host"`
	}
	if err := xml.Unmarshal(data, &run); err != nil {
		t.Fatal(err)
	}
	open := map[endpoint]bool{}
	for _, h := range run.Hosts {
		for _, p := range h.Ports {
			if p.State.State == "open" {
				open[netip.AddrPortFrom(h.Address.Addr, p.ID)] = true
			}
		}
	}
	return open
}

func masscanOpen(t *testing.T, n *testnet.Network, prefix netip.Prefix, ports string) map[endpoint]bool {
	path := peer(t, "masscan")
	file := filepath.Join(t.TempDir(), "masscan.json")
	trickle(t, netip.AddrPortFrom(prefix.Addr(), 80))
	// While the interface merges packets, masscan's capture slots are sized for the merged ones, and
	// its ring holds too few.
	runPeer(t, time.Minute, peer(t, "ethtool"), "-K", n.Link, "gro", "off", "gso", "off", "tso", "off")
	// It resolves no next hop here, hence the router's address.
	runPeer(t, time.Minute, path, prefix.String(), "-p", ports, "--rate", "5000", "--retries", "1", "--wait", "2",
		"-e", n.Link, "--adapter-ip", n.Source.String(), "--router-mac", n.PeerHardwareAddr.String(), "-oJ", file)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var hosts []struct {
		IP    netip.Addr
		Ports []struct {
			Port   uint16
			Status string
		}
	}
	if err := json.Unmarshal(data, &hosts); err != nil {
		t.Fatal(fmt.Errorf("%w: %.200s", err, data))
	}
	open := map[endpoint]bool{}
	for _, h := range hosts {
		for _, p := range h.Ports {
			if p.Status == "open" {
				open[netip.AddrPortFrom(h.IP, p.Port)] = true
			}
		}
	}
	return open
}
