package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"synoptic/bench/lab/need"
	"synoptic/bench/lab/stall"
	"synoptic/bench/lab/testnet"
)

// listeningPorts are the loopback ports that the kernel itself says are listened on (what `ss -ltn` shows).
func listeningPorts(t *testing.T) map[endpoint]bool {
	t.Helper()
	local := netip.MustParseAddr("127.0.0.1")
	set := map[endpoint]bool{}
	for _, file := range []string{"/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"} {
		f, err := os.Open(file)
		if err != nil {
			continue // no IPv6
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			fields := strings.Fields(lines.Text())
			if len(fields) < 4 || fields[3] != "0A" { // TCP_LISTEN, include/net/tcp_states.h
				continue
			}
			addr, port, _ := strings.Cut(fields[1], ":")
			n, err := strconv.ParseUint(port, 16, 16)
			if err != nil {
				t.Fatal(err)
			}
			b, err := hex.DecodeString(addr) // host byte order within each 32-bit word
			if err != nil {
				t.Fatal(err)
			}
			wildcard := strings.Trim(addr, "0") == ""
			if wildcard || len(b) == 4 && netip.AddrFrom4([4]byte{b[3], b[2], b[1], b[0]}) == local {
				set[netip.AddrPortFrom(local, uint16(n))] = true
			}
		}
	}
	return set
}

// This host's address on another interface is scanned like any: open, closed, and nothing silent.
func TestOwnAddress(t *testing.T) {
	n := beside(t, testnet.Config{})
	l, err := net.Listen("tcp", netip.AddrPortFrom(n.Source, 8080).String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, backend := range []string{"afpacket", "connect"} {
		s := parseStream(t, synoptic(t, "scan", n.Source.String(), "-p", "8000-8100", "--backend", backend).stdout)
		if s.end.Open != 1 || s.end.Closed != 100 {
			t.Errorf("%s: %d open, %d closed, want 1, 100", backend, s.end.Open, s.end.Closed)
		}
	}
}

// The ports of this host, scanned by either backend, are what the kernel says: all of them in the gate.
func TestLoopbackAgreesWithTheKernel(t *testing.T) {
	testnet.Apart(t)
	for _, addr := range []string{"127.0.0.1:60000", "127.0.0.1:1", "127.0.0.1:65535", "0.0.0.0:8080", "[::]:9090", "127.0.0.2:7777", "127.0.0.1:61000"} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	want := listeningPorts(t)
	if len(want) < 6 {
		t.Fatalf("the kernel names %d listeners, want at least 6", len(want))
	}
	ports, number := "1-10000,60000-65535", uint64(15536)
	if need.Gate(t) {
		ports, number = "-", 65535
	}
	for _, backend := range []string{"afpacket", "connect"} {
		testnet.Run(t, backend, func(t *testing.T) {
			stall.Judge(t, keepsUp, func() error {
				o := synoptic(t, "scan", "127.0.0.1", "-p"+ports, "--backend", backend)
				s := parseStream(t, o.stdout)
				sameSet(t, "open", s.found(t, "open"), want)
				if s.end.Sent-s.end.Retransmitted != number {
					t.Errorf("not every port was probed: %+v", s.end)
				}
				// What is read late is asked again, or has timed out; and the race detector makes the reader late.
				if s.end.Open+s.end.Closed != number || s.end.Retransmitted > 0 && !need.RaceEnabled {
					return fmt.Errorf("not every port answered at once: %+v", s.end)
				}
				return nil
			})
		})
	}
}
