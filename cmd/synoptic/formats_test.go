package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"synoptic/bench/lab/need"
	"synoptic/bench/lab/testnet"
	"synoptic/scan/target"
)

// formatsBound is when a peer is stopped: some ten times what it takes.
const formatsBound = 5 * time.Minute

// The formats of nmap and masscan say the same as these two do of the same network, in the same bytes
// but for times and order.
func TestFormatsAreThePeers(t *testing.T) {
	if need.RaceEnabled {
		t.Skip("what is waited for here are other programs")
	}
	prefix := netip.MustParsePrefix("10.77.16.0/28")
	// So many closed ports that nmap sums them up, and so few filtered ones that it does not, but on the dark host.
	const ports, few = "9,21-23,80,443,1000-1040,8080", "9,21-23,80,443,8080"
	n := beside(t, testnet.Config{Gateway: true})
	populate(t, n, prefix)
	for port, code := range map[uint16]uint8{21: 13, 22: 1, 23: 3} {
		if err := n.Reject(testnet.Match{Port: port}, code); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.DropPrefix(netip.MustParsePrefix("10.77.16.5/32")); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	trickle(t, n)
	// Nmap's table of services is not ours: it is given ours, in a folder where it looks before its own.
	services := ""
	for port := range 65536 {
		if s := target.Service(uint16(port)); s != "" {
			services += fmt.Sprintf("%s\t%d/tcp\t0.1\n", s, port)
		}
	}
	if err := os.WriteFile(file("nmap-services"), []byte(services), 0o600); err != nil {
		t.Fatal(err)
	}
	// Masscan misses every tenth answer here or so: it asks again, and may tell of a closed port each time.
	masscan := []string{"masscan", prefix.String(), "-p", few, "--rate", "300", "--retries", "2", "--wait", "3", "--show", "closed",
		"-e", n.Link, "--adapter-ip", n.Source.String(), "--router-mac", n.PeerHardwareAddr.String()}
	here := testnet.Here(t)
	var running sync.WaitGroup
	missing := make([]error, 3)
	for i, args := range [][]string{
		{"nmap", "-sS", "-n", "-Pn", "--max-retries", "2", "--datadir", dir, "-p", ports, "-oX", file("nmap.xml"), "-oG", file("nmap.grep"), prefix.String()},
		append(slices.Clone(masscan), "--adapter-port", "62001", "-oJ", file("masscan.json")),
		append(slices.Clone(masscan), "--adapter-port", "62002", "-oL", file("masscan.list")),
	} {
		running.Go(func() {
			missing[i] = here.Do(func() error {
				ctx, cancel := context.WithTimeout(context.Background(), formatsBound)
				defer cancel()
				out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
				if err != nil {
					return fmt.Errorf("%s: %w: %.500s", args[0], err, out)
				}
				return nil
			})
		})
	}
	for _, args := range [][]string{
		{"-p", ports, "-o", "nmap-xml:" + file("our.xml"), "-o", "grepable:" + file("our.grep")},
		{"-p", few, "-o", "masscan-json:" + file("our.json"), "-o", "masscan-list:" + file("our.list")},
	} {
		if o := synoptic(t, append([]string{"scan", prefix.String(), "--show", "all"}, args...)...); o.code != 0 {
			t.Errorf("exit %d: %s", o.code, o.stderr)
		}
	}
	running.Wait()
	read := func(name string) string {
		text, err := os.ReadFile(file(name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	peer := func(t *testing.T, i int) {
		if err := missing[i]; err != nil {
			needPeer(t, err)
		}
	}
	t.Run("ndiff", func(t *testing.T) {
		peer(t, 0)
		// With its default options, of two files as they are. It tells of a difference by its status, to which
		// the programs' versions and times count.
		out, err := exec.Command("ndiff", file("nmap.xml"), file("our.xml")).CombinedOutput()
		if len(out) == 0 {
			needPeer(t, err)
		}
		var rest []string
		for line := range strings.Lines(string(out)) {
			if !regexp.MustCompile(`^[-+]Nmap [\d.]+\S* scan initiated `).MatchString(line) {
				rest = append(rest, line)
			}
		}
		if len(rest) > 0 {
			t.Errorf("%q", rest)
		}
	})
	t.Run("grepable", func(t *testing.T) {
		peer(t, 0)
		hosts := func(text string) (lines []string) {
			for line := range strings.Lines(text) {
				if strings.HasPrefix(line, "Host: ") {
					lines = append(lines, line)
				}
			}
			return lines
		}
		sameLines(t, hosts(read("our.grep")), hosts(read("nmap.grep")), 32)
	})
	untimed := regexp.MustCompile(`\b1[0-9]{9}\b`)
	for i, name := range []string{"json", "list"} {
		t.Run("masscan "+name, func(t *testing.T) {
			peer(t, 1+i)
			ours := read("our." + name)
			lines := func(text string) []string {
				return slices.Sorted(strings.Lines(untimed.ReplaceAllString(text, "TIME")))
			}
			our := lines(strings.ReplaceAll(ours, "\n,\n", "\n")) // all separators but one, as Compact does it
			if name == "json" {
				our = slices.Sorted(slices.Values(append(our, ",\n")))
			}
			sameLines(t, our, slices.Compact(lines(read("masscan."+name))), 60)
			if name == "json" && !json.Valid([]byte(ours)) {
				t.Error("not JSON")
			}
		})
	}
}

// sameLines compares two lists of at least so many lines.
func sameLines(t *testing.T, ours, theirs []string, least int) {
	t.Helper()
	if len(theirs) < least {
		t.Errorf("%d lines only", len(theirs))
	}
	for i := range max(len(ours), len(theirs)) {
		if i >= len(ours) || i >= len(theirs) || ours[i] != theirs[i] {
			t.Fatalf("%d lines and %d, from line %d on they differ:\n%q\n%q", len(ours), len(theirs), i+1, ours[min(i, len(ours)):min(i+2, len(ours))], theirs[min(i, len(theirs)):min(i+2, len(theirs))])
		}
	}
}

// needPeer skips a test where a program is not installed, unless it must be, and fails it otherwise.
func needPeer(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, exec.ErrNotFound) {
		need.Peer(t, err)
	}
	t.Fatal(err)
}

// trickle lets the far end send a datagram every 50 ms while the test runs: masscan looks at its end only
// after a packet.
func trickle(t *testing.T, n *testnet.Network) {
	t.Helper()
	sink, err := net.ListenUDP("udp4", &net.UDPAddr{IP: n.Source.AsSlice()})
	if err != nil {
		t.Fatal(err)
	}
	var far net.Conn
	err = n.Do(func() (err error) {
		far, err = net.Dial("udp4", sink.LocalAddr().String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(50 * time.Millisecond):
				_, _ = far.Write([]byte("synoptic"))
			}
		}
	})
	t.Cleanup(func() { close(done); running.Wait(); far.Close(); sink.Close() })
}
