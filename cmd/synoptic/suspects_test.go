package main

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"synoptic/bench/lab/stall"
	"synoptic/bench/lab/testnet"
)

// suspected are the hosts of open records with this suspicion, and those without.
func suspected(s stream, suspicion string) (with, without map[netip.Addr]int) {
	with, without = map[netip.Addr]int{}, map[netip.Addr]int{}
	for _, r := range s.ports {
		if slices.Contains(r.Suspect, suspicion) {
			with[r.IP]++
		} else {
			without[r.IP]++
		}
	}
	return with, without
}

// A host that says every port is open is found out: half-way by its answers, and with canaries before
// its first record. A host with a few open ports is not.
func TestSynackAll(t *testing.T) { eachBackendBeside(t, synackAll, afpacket, ebpf) }

func synackAll(t *testing.T, b backend) {
	t.Parallel()
	n := quietNetwork(t)
	b.prepare(t, n)
	honest, liar := netip.MustParseAddr("10.77.1.1"), netip.MustParseAddr("10.77.1.2")
	n.Respond(t, func(r *testnet.Responder, frame []byte) {
		p := parseProbe(frame)
		if p.target == liar || p.target == honest && p.dport <= 4 {
			r.Send(p.synAck(t))
		} else {
			r.Send(p.rst(t))
		}
	})
	args := b.scan(10_000, honest.String(), liar.String(), "-p", "1-200")
	stall.Judge(t, playsHere, func() error { // the answers come from this process
		with, without := suspected(parseStream(t, synoptic(t, args...).stdout), "synack-all")
		// How early depends on how far the probes are ahead of the records; in the end it is found out.
		if with[honest] != 0 || without[honest] != 4 || with[liar] == 0 || with[liar]+without[liar] != 200 {
			return fmt.Errorf("without canaries: suspect %v, not %v", with, without)
		}
		s := parseStream(t, synoptic(t, append(args, "--canaries")...).stdout)
		with, without = suspected(s, "synack-all")
		if with[honest] != 0 || without[honest] != 4 || with[liar] != 200 || without[liar] != 0 {
			return fmt.Errorf("with canaries: suspect %v, not %v", with, without)
		}
		// An answer that is late is asked for again.
		if first := s.end.Sent - s.end.Retransmitted; s.end.Canaries < 4 || s.end.Canaries > 12 || first != 400 {
			return fmt.Errorf("%d canary probes besides %d, want 4 besides 400", s.end.Canaries, first)
		}
		return nil
	})
}

// SYN-ACKs without options are nothing special, and neither is a window of 0; both together are.
func TestWin0NoOpts(t *testing.T) {
	t.Parallel()
	n := quietNetwork(t)
	n.Respond(t, func(r *testnet.Responder, frame []byte) {
		p := parseProbe(frame)
		window := func(w uint16) func(*layers.IPv4, *layers.TCP) {
			return func(_ *layers.IPv4, tcp *layers.TCP) { tcp.Window = w }
		}
		switch p.dport {
		case 1:
			r.Send(p.tcp(t, "SA", p.seq+1, window(0)))
		case 2:
			r.Send(p.tcp(t, "SA", p.seq+1, window(0), mss(1460)))
		case 3:
			r.Send(p.tcp(t, "SA", p.seq+1, window(1)))
		}
	})
	stall.Judge(t, playsHere, func() error {
		ports := parseStream(t, synoptic(t, "scan", "10.77.1.1", "-p", "1-3").stdout).ports
		for _, r := range ports {
			if got := slices.Contains(r.Suspect, "win0-noopts"); got != (r.Port == 1) {
				t.Errorf("port %d: suspect %v", r.Port, r.Suspect)
			}
		}
		if len(ports) != 3 {
			return fmt.Errorf("%d records, want 3", len(ports))
		}
		return nil
	})
}

// Verification tells a port that only says SYN-ACK from one that takes connections, and keeps what a
// server says first, byte by byte.
func TestVerify(t *testing.T) { eachBackendBeside(t, verifies, afpacket, xdp) }

func verifies(t *testing.T, b backend) {
	n := b.beside(t, testnet.Config{Prefix: netip.MustParsePrefix("10.77.0.0/24"), Gateway: true, Alive: []netip.Prefix{netip.MustParsePrefix("10.77.0.1/32")}})
	const banner = "SSH-2.0-\x00\xff\"test\"\\\r\n"
	var talker net.Listener
	if err := n.Do(func() (err error) {
		talker, err = net.Listen("tcp", "10.77.0.1:22")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer talker.Close()
	said := make(chan string, 16)
	go func() {
		for {
			conn, err := talker.Accept()
			if err != nil {
				return
			}
			at := time.Now()
			n, err := conn.Write([]byte(banner))
			said <- fmt.Sprintf("%d bytes (%v) at %v to %v, closed (%v) at %v", n, err, at.UTC(), conn.RemoteAddr(), conn.Close(), time.Now().UTC())
		}
	}()
	n.Listen(t, "10.77.0.1:80") // takes connections and closes them without a word
	n.Respond(t, func(r *testnet.Responder, frame []byte) {
		if p := parseProbe(frame); p.target == netip.MustParseAddr("10.77.0.2") && p.sport > 60999 {
			r.Send(p.synAck(t)) // only to the probe, never to a connection
		}
	})
	// The talker and the one that answers probes only are this process, and late where the machine stands still.
	stall.Judge(t, playsHere, func() error {
		s := parseStream(t, synoptic(t, b.scan(10_000, "10.77.0.1", "10.77.0.2", "-p", "22,80", "--verify", "--show", "all")...).stdout)
		b.used(t, s)
		seen := map[string]bool{}
		for _, r := range s.ports {
			verified := "none"
			if r.Verified != nil {
				verified = fmt.Sprint(*r.Verified)
			}
			seen[fmt.Sprintf("%s:%d %s %s %q", r.IP, r.Port, r.State, verified, r.Banner)] = true
		}
		for _, want := range []string{
			`10.77.0.1:80 open true ""`, `10.77.0.2:22 open false ""`, `10.77.0.2:80 open false ""`,
			fmt.Sprintf("10.77.0.1:22 open true %q", "SSH-2.0-\x00\u00ff\"test\"\\\r\n"),
		} {
			if !seen[want] {
				err := fmt.Errorf("no record says %s; there are %v", want, seen)
				for len(said) > 0 {
					err = fmt.Errorf("%w; the server has said %s", err, <-said)
				}
				return err
			}
		}
		if !s.end.Complete || len(s.ports) != 4 {
			return fmt.Errorf("%d records, scan_end %+v", len(s.ports), s.end)
		}
		return nil
	})
}

// Host summaries come after the ports, in order, one per address that answered.
func TestShowHosts(t *testing.T) { eachBackendBeside(t, showsHosts, afpacket, ebpf) }

func showsHosts(t *testing.T, b backend) {
	prefix := netip.MustParsePrefix("10.77.0.0/28")
	n := b.beside(t, testnet.Config{Prefix: prefix, Gateway: true})
	n.Listen(t, "0.0.0.0:80")
	n.Listen(t, "10.77.0.3:443")
	o := synoptic(t, b.scan(10_000, prefix.String(), "-p", "80,443,444", "--show-hosts", "--batch", "1")...)
	s := parseStream(t, o.stdout)
	if len(s.hosts) != 16 || len(s.ports) != 17 {
		t.Fatalf("%d hosts, %d ports, want 16, 17", len(s.hosts), len(s.ports))
	}
	timed := 0
	for i, h := range s.hosts {
		if h.RTT != nil {
			timed++
		}
		want := []uint16{80}
		if h.IP == netip.MustParseAddr("10.77.0.3") {
			want = []uint16{80, 443}
		}
		if i > 0 && !s.hosts[i-1].IP.Less(h.IP) || !slices.Equal(h.OpenPorts, want) || int(h.Open) != len(want) || int(h.Open+h.Closed) != 3 {
			t.Errorf("host %+v", h)
		}
		first, err1 := time.Parse(time.RFC3339Nano, h.First)
		last, err2 := time.Parse(time.RFC3339Nano, h.Last)
		if err1 != nil || err2 != nil || last.Before(first) {
			t.Errorf("host %s: first %s, last %s", h.IP, h.First, h.Last)
		}
	}
	if timed == 0 {
		t.Error("no host has a round-trip time")
	}
}
