package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"synoptic/bench/lab/need"
	"synoptic/bench/lab/packet"
	"synoptic/bench/lab/stall"
	"synoptic/bench/lab/testnet"
)

// truth is what a test network answers.
type truth struct{ open, closed, silent map[endpoint]bool }

// populate makes the network of the acceptance criterion: port 80 open on every address, 443 and
// 8080 on a few, 9 dropped, the rest closed. It returns the truth for the addresses of prefix.
func populate(t testing.TB, n *testnet.Network, prefix netip.Prefix) truth {
	tr := truth{map[endpoint]bool{}, map[endpoint]bool{}, map[endpoint]bool{}}
	rng := rand.New(rand.NewPCG(1, 2))
	few := map[endpoint]bool{}
	for range 60 {
		a := prefix.Addr().As4()
		size := 1 << (32 - prefix.Bits())
		k := rng.IntN(size)
		a[2], a[3] = a[2]|byte(k>>8), a[3]|byte(k)
		few[netip.AddrPortFrom(netip.AddrFrom4(a), []uint16{443, 8080}[rng.IntN(2)])] = true
	}
	n.Listen(t, "0.0.0.0:80")
	for e := range few {
		n.Listen(t, e.String())
	}
	if err := n.DropPort(9); err != nil {
		t.Fatal(err)
	}
	for a := prefix.Addr(); prefix.Contains(a); a = a.Next() {
		for _, port := range []uint16{9, 80, 443, 8080} {
			e := netip.AddrPortFrom(a, port)
			switch {
			case port == 9:
				tr.silent[e] = true
			case port == 80, few[e]:
				tr.open[e] = true
			default:
				tr.closed[e] = true
			}
		}
	}
	return tr
}

// The main job: on a /16 in the gate, or a part of it, answered by a kernel's own stack, every seed finds exactly the
// truth, by every backend, with one lane or with several.
func TestScanFindsTheTruth(t *testing.T) {
	eachBackend(t, scanFindsTheTruth, afpacket, xdp, ebpf)
}

func scanFindsTheTruth(t *testing.T, b backend) {
	prefix, rate := netip.MustParsePrefix("10.77.0.0/16"), 50_000
	if b.kernel {
		rate = 100_000
	}
	switch {
	case !need.Gate(t):
		prefix = netip.MustParsePrefix("10.77.96.0/20")
	case b.kernel, need.RaceEnabled:
		prefix = netip.MustParsePrefix("10.77.64.0/18")
	}
	size := uint64(1) << (32 - prefix.Bits())
	n := b.network(t, testnet.Config{Gateway: true})
	want := populate(t, n, prefix)
	for seed := range b.seeds(t) {
		testnet.Run(t, fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			// What the kernel drops, or answers after the scan's end, is not found.
			stall.Judge(t, keepsUp, func() error {
				o := synoptic(t, b.scan(rate, prefix.String(), "-p", "80,443,8080,9", "--retries", "0", "--show", "all",
					"--seed", fmt.Sprint(seed), "--lanes", b.lanes([]int{1, 4, 2, 3}[seed%4]))...)
				if o.code != 0 {
					t.Fatalf("exit %d: %s", o.code, o.stderr)
				}
				s := parseStream(t, o.stdout)
				b.used(t, s)
				if err := s.misses(t, want); err != nil {
					return err
				}
				e := s.end
				if !e.Complete || e.Coverage != 1 || e.Sent != 4*size || e.Open != uint64(len(want.open)) ||
					e.Closed != uint64(len(want.closed)) || e.Filtered != size || e.Silent != size || e.RxDrops != 0 || e.TxErrors != 0 || e.Invalid != 0 {
					t.Errorf("scan_end does not add up: %+v", e)
				}
				if s.start.Seed != uint64(seed) || s.start.Probes != 4*size {
					t.Errorf("scan_start: %+v", s.start)
				}
				t.Logf("%.0f pps, %.2f s, user %v, system %v", e.PPS, e.Duration, o.cmd.ProcessState.UserTime(), o.cmd.ProcessState.SystemTime())
				return nil
			})
		})
	}
}

// By default only open ports are records.
func TestScanShowsOpenByDefault(t *testing.T) {
	prefix := netip.MustParsePrefix("10.77.0.0/24")
	n := beside(t, testnet.Config{Prefix: prefix})
	want := populate(t, n, prefix)
	s := parseStream(t, synoptic(t, "scan", prefix.String(), "-p", "80,443,8080,9", "--batch", "1").stdout)
	sameSet(t, "open", s.found(t, "open"), want.open)
	if len(s.ports) != len(want.open) {
		t.Errorf("%d port records, want the %d open ones only", len(s.ports), len(want.open))
	}
	timed := 0
	for _, r := range s.ports {
		if r.Reason != "syn-ack" || r.TTL == 0 || r.MSS == 0 || r.EventID == "" || (r.Port == 80) != (r.Service == "http") {
			t.Fatalf("record lacks what the reply said: %+v", r)
		}
		if r.RTT != nil {
			timed++
		}
	}
	// The probes of a send call that was interrupted have no round trip, rather than a wrong one. Short calls,
	// of one probe, are not all interrupted.
	if timed == 0 {
		t.Error("no record has a round-trip time")
	}
}

// The unprivileged backend gives the same sets with its own reasons.
func TestConnectFindsTheTruth(t *testing.T) {
	prefix := netip.MustParsePrefix("10.77.0.0/23")
	n := beside(t, testnet.Config{Prefix: prefix, Gateway: true})
	want := populate(t, n, prefix)
	stall.Judge(t, keepsUp, func() error { // a connection that takes longer than a second has timed out
		o := synoptic(t, "scan", prefix.String(), "-p", "80,443,8080,9", "--show", "all", "--backend", "connect")
		s := parseStream(t, o.stdout)
		for _, r := range s.ports {
			if want := map[string]string{"open": "connect", "closed": "refused", "filtered": "timeout"}[r.State]; r.Reason != want {
				t.Fatalf("%s has reason %s, want %s", r.State, r.Reason, want)
			}
		}
		if o.code != 0 || !s.end.Complete || s.end.Backend != "connect" {
			t.Errorf("exit %d, scan_end %+v", o.code, s.end)
		}
		return s.misses(t, want)
	})
}

// An independent capture on the far side of the wire: one good SYN per (target, port), nothing else.
func TestWire(t *testing.T) { eachBackendBeside(t, wire, afpacket, xdp, ebpf) }

func wire(t *testing.T, b backend) {
	prefix, excluded := netip.MustParsePrefix("10.77.0.0/23"), netip.MustParsePrefix("10.77.1.64/26")
	if need.Gate(t) {
		prefix, excluded = netip.MustParsePrefix("10.77.0.0/21"), netip.MustParsePrefix("10.77.3.0/24")
	}
	positions := 4 * (1<<(32-prefix.Bits()) - 1<<(32-excluded.Bits()))
	n := b.beside(t, testnet.Config{Gateway: true})
	populate(t, n, prefix)
	ports := map[uint16]bool{80: true, 443: true, 8080: true, 9: true}
	for i, profile := range []string{"mss", "linux", "windows", "none"} {
		if b == xdp && profile != "linux" || b == ebpf && profile == "windows" {
			continue // xdp's frames are made by afpacket's code, and windows' are as long as linux'
		}
		lanes := b.lanes(4 - i)
		testnet.Run(t, profile+", lanes "+lanes, func(t *testing.T) {
			stall.Judge(t, keepsUp, func() error {
				capture := n.Capture(t)
				o := synoptic(t, b.scan(20_000, prefix.String(), "-p", "80,443,8080,9", "--retries", "0", "--exclude", excluded.String(), "--syn-profile", profile, "--lanes", lanes)...)
				frames := capture.Stop()
				if o.code != 0 || capture.Err() != nil {
					t.Fatalf("exit %d, capture error %v; %s", o.code, capture.Err(), o.stderr)
				}
				seen := map[endpoint]int{}
				for _, f := range frames {
					e, ok := checkProbe(t, f)
					if !ok {
						continue
					}
					seen[e]++
					if !prefix.Contains(e.Addr()) || excluded.Contains(e.Addr()) || !ports[e.Port()] {
						t.Fatalf("probe to %s, which is not in the set", e)
					}
					if seen[e] > 1 {
						t.Fatalf("%s was probed %d times", e, seen[e])
					}
				}
				// What the link drops was not seen.
				if len(seen) != positions || capture.Lost() != 0 {
					return fmt.Errorf("%d of %d positions were probed, %d frames lost by the capture", len(seen), positions, capture.Lost())
				}
				return nil
			})
		})
	}
}

// checkProbe checks a captured frame, if it is a probe. ok is false for what is none: ARP, and the resets
// of the scanner's kernel.
func checkProbe(t *testing.T, f testnet.Frame) (e endpoint, ok bool) {
	t.Helper()
	p, err := packet.ParseEthernet(f.Data)
	if f.Outgoing || err != nil || p.TCP() == nil || p.TCP().Flags&packet.SYN == 0 || p.TCP().SrcPort == beaconPort {
		return e, false
	}
	if !packet.Ethernet(t, f.Data, packet.Checksum(), packet.TCP(packet.Flags(packet.SYN), packet.Checksum())) {
		t.FailNow()
	}
	return p.To(), true
}

const beaconPort = testnet.BeaconPort

// On-link targets are addressed each by its own MAC address, and one that has none costs no probe.
func TestOnLink(t *testing.T) { eachBackendBeside(t, onLink, afpacket, xdp) }

func onLink(t *testing.T, b backend) {
	alive := netip.MustParsePrefix("10.77.0.64/26")
	n := b.beside(t, testnet.Config{Prefix: netip.MustParsePrefix("10.77.0.0/24"), Alive: []netip.Prefix{alive}})
	n.Listen(t, "0.0.0.0:80")
	capture := n.Capture(t)
	s := parseStream(t, synoptic(t, b.scan(10_000, "10.77.0.0/24", "-p", "80,81", "--show", "all", "--lanes", b.lanes(2))...).stdout)
	b.used(t, s)
	frames := capture.Stop()
	if got := len(s.found(t, "open")); got != 64 {
		t.Errorf("%d open, want 64", got)
	}
	if got := len(s.found(t, "closed")); got != 64 {
		t.Errorf("%d closed, want 64", got)
	}
	var noARP int
	for _, r := range s.ports {
		if (r.Reason == "no-arp") == alive.Contains(r.IP) {
			t.Fatalf("%s: reason %s", r.IP, r.Reason)
		}
		if r.Reason == "no-arp" {
			noARP++
		}
	}
	if noARP != 192*2 || s.end.NoARP != 192*2 || s.end.Sent-s.end.Retransmitted != 128 {
		t.Errorf("%d no-arp records, scan_end %+v", noARP, s.end)
	}
	probes, probed := uint64(0), map[endpoint]bool{}
	for _, f := range frames {
		if e, ok := checkProbe(t, f); ok {
			probes++
			probed[e] = true
			if !alive.Contains(e.Addr()) {
				t.Fatalf("probe to %s, which has no MAC address", e)
			}
		}
	}
	if probes != s.end.Sent || len(probed) != 128 {
		t.Errorf("%d probes to %d ports on the wire, want %d to 128", probes, len(probed), s.end.Sent)
	}
}

// A gateway that does not exist is an error before the first probe, after it has been waited for.
func TestSilentGateway(t *testing.T) {
	n := beside(t, testnet.Config{Gateway: true})
	if out, err := exec.Command("ip", "route", "add", "10.88.0.0/16", "via", strings.Replace(n.GatewayAddr.String(), ".0.2", ".0.77", 1)).CombinedOutput(); err != nil {
		t.Skipf("no iproute2 to add a route with: %v %s", err, out)
	}
	capture := n.Capture(t)
	o := synoptic(t, "scan", "10.88.0.0/24", "-p", "80", "--patience", "3s")
	if o.code != 1 || !strings.Contains(o.stderr, "10.76.0.77") || !strings.Contains(o.stderr, "hint: ") || !strings.Contains(o.stderr, "--gateway-mac") {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
	if o.stdout != "" {
		t.Errorf("records of a scan that did not start: %s", o.stdout)
	}
	for _, f := range capture.Stop() {
		if _, ok := checkProbe(t, f); ok {
			t.Fatal("a probe was sent")
		}
	}
}

// ICMP errors that quote our cookie give a position its state, with the router and the code's reason.
func TestICMPReasons(t *testing.T) { eachBackendBeside(t, icmpReasons, afpacket, ebpf) }

func icmpReasons(t *testing.T, b backend) {
	n := b.beside(t, testnet.Config{Prefix: netip.MustParsePrefix("10.77.0.0/28"), Gateway: true})
	for i, code := range []uint8{0, 1, 3, 9, 10, 13} {
		prefix := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, 0, byte(i + 1)}), 32)
		if err := n.Reject(testnet.Match{Prefix: prefix}, code); err != nil {
			t.Fatal(err)
		}
	}
	s := parseStream(t, synoptic(t, b.scan(10_000, "10.77.0.1-10.77.0.6", "-p", "80", "--show", "all")...).stdout)
	b.used(t, s)
	want := map[string]string{
		"10.77.0.1": "unreachable icmp-net-unreachable", "10.77.0.2": "unreachable icmp-host-unreachable",
		"10.77.0.3": "filtered icmp-port-unreachable", "10.77.0.4": "filtered icmp-net-prohibited",
		"10.77.0.5": "filtered icmp-host-prohibited", "10.77.0.6": "filtered icmp-admin-prohibited",
	}
	for _, r := range s.ports {
		if got := r.State + " " + r.Reason; got != want[r.IP.String()] {
			t.Errorf("%s: %s, want %s", r.IP, got, want[r.IP.String()])
		}
		delete(want, r.IP.String())
	}
	if len(want) != 0 {
		t.Errorf("no record of %v", want)
	}
}

// Shards of one seed partition the probes.
func TestShards(t *testing.T) { eachBackendBeside(t, shards, afpacket, ebpf) }

func shards(t *testing.T, b backend) {
	prefix := netip.MustParsePrefix("10.77.0.0/24")
	n := b.beside(t, testnet.Config{Prefix: prefix, Gateway: true})
	want := populate(t, n, prefix)
	stall.Judge(t, keepsUp, func() error {
		got := map[endpoint]bool{}
		var probes uint64
		for i := range 3 {
			s := parseStream(t, synoptic(t, b.scan(10_000, prefix.String(), "-p", "80,443,8080,9", "--retries", "0", "--seed", "5", "--shard", fmt.Sprintf("%d/3", i+1))...).stdout)
			b.used(t, s)
			probes += s.end.Sent
			for e := range s.found(t, "open") {
				if got[e] {
					t.Errorf("%s is in two shards", e)
				}
				got[e] = true
			}
		}
		if probes != 1024 {
			t.Errorf("%d probes over all shards, want 1024", probes)
		}
		return difference("open over all shards", got, want.open) // but for what the link drops
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
