package sim

import (
	"bytes"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"synoptic/bench/lab/bubble"
	"synoptic/rawsock"
	"synoptic/results"
	"synoptic/scan/probe"
)

// mixed is a network with everything in it.
func mixed(seed uint64) Config {
	return Config{Seed: seed, Targets: Targets{Dead: 0.3, Unreachable: 0.5, Open: 0.3, Closed: 0.3, Filtered: 0.3}}
}

// Targets answer as State says, by a hash of the seed, in the shares asked for.
func TestTargets(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		const n = 20000
		p := newProber(t, mixed(4))
		p.sendAt(1e5, n, addr("10.0.0.0"))
		said := map[netip.Addr]results.State{}
		for _, h := range p.receive(time.Second) {
			if !h.genuine || said[h.Target] != 0 {
				t.Fatalf("%v answers %v, genuine %v, after %v", h.Target, h.Kind, h.genuine, said[h.Target])
			}
			said[h.Target] = map[probe.Kind]results.State{
				probe.KindSYNACK: results.Open, probe.KindRST: results.Closed, probe.KindUnreachable: results.Filtered, probe.KindTimeExceeded: results.Filtered,
			}[h.Kind]
		}
		counts := map[results.State]int{}
		a := addr("10.0.0.0")
		again, other := New(mixed(4)), New(Config{Seed: 5, Routes: gatewayOnly(), Targets: mixed(5).Targets})
		again.config.Routes = gatewayOnly()
		var same int
		for range n {
			state := p.net.State(a, 80)
			counts[state]++
			if said[a] != state || again.State(a, 80) != state {
				t.Fatalf("%v says %v, is %v, and %v in the same network", a, said[a], state, again.State(a, 80))
			}
			if other.State(a, 80) == state {
				same++
			}
			a = a.Next()
		}
		for state, share := range map[results.State]float64{results.Open: 0.21, results.Closed: 0.21, results.Filtered: 0.21 + 0.15, 0: 0.22} {
			if math.Abs(float64(counts[state])-n*share) > 4*math.Sqrt(n*share) {
				t.Errorf("%d are %v, want some %.0f", counts[state], state, n*share)
			}
		}
		if same > n/2 {
			t.Errorf("another seed has %d of %d answers in common", same, n)
		}
	})
}

// Every answer is a packet as gopacket makes it, checksums and all, which scan/probe reads as what it was meant
// to be.
func TestAnswersAreRealPackets(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		c := mixed(11)
		c.Targets.Both = 0.5
		p := newProber(t, c)
		p.sendAt(1e5, 3000, addr("10.0.0.0"))
		time.Sleep(time.Second)
		l := p.net.Log()
		var packets [64]rawsock.Packet
		kinds := map[probe.Kind]int{}
		for n := p.rx[0].Read(packets[:]); n > 0; n = p.rx[0].Read(packets[:]) {
			for _, pkt := range packets[:n] {
				var r probe.Reply
				if v := probe.Parse(pkt.Data, &r); v != probe.Accepted || !p.key.Genuine(&r) {
					t.Fatalf("% x: %v", pkt.Data, v)
				}
				kinds[r.Kind]++
				checkBytes(t, pkt.Data)
			}
		}
		if len(kinds) != 4 {
			t.Errorf("kinds %v", kinds)
		}
		for i := range l.Answers {
			if a := &l.Answers[i]; a.Turn < 0 || a.Fate != Handed {
				t.Fatalf("%+v", a)
			}
		}
	})
}

// checkBytes takes a packet apart and puts it together again.
func checkBytes(t *testing.T, data []byte) {
	t.Helper()
	pkt := gopacket.NewPacket(data, layers.LayerTypeIPv4, gopacket.DecodeOptions{})
	if e := pkt.ErrorLayer(); e != nil {
		t.Fatalf("% x: %v", data, e.Error())
	}
	ip := pkt.NetworkLayer().(*layers.IPv4)
	var all []gopacket.SerializableLayer
	for _, l := range pkt.Layers() {
		if tcp, ok := l.(*layers.TCP); ok {
			if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
				t.Fatal(err)
			}
		}
		if s, ok := l.(gopacket.SerializableLayer); ok {
			all = append(all, s)
		}
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{ComputeChecksums: true}, all...); err != nil {
		t.Fatal(err)
	}
	if got := data[:ip.Length]; !bytes.Equal(b.Bytes()[:min(len(got), len(b.Bytes()))], got) {
		t.Fatalf("got  % x\nwant % x", got, b.Bytes())
	}
}

// What no probe may be is named.
func TestMalformedProbes(t *testing.T) {
	for _, c := range []struct {
		what string
		at   int
		to   byte
	}{
		{"link address", 3, 0x77}, {"IPv6", 14, 0x65}, {"EtherType", 12, 0x86}, {"total length", 17, 45}, {"checksum of IP", 24, 1}, {"time to live", 22, 0}, {"UDP", 23, 17},
		{"checksum of TCP", 50, 1}, {"flags", 47, 0x12}, {"TCP header", 46, 0x50}, {"target", 33, 77}, {"port", 37, 1},
	} {
		bubble.Test(t, func(t *testing.T) {
			p := newProber(t, allOpen(Config{}))
			p.craft(0, addr("10.0.0.1"), 80, 0)
			p.tx.Frames()[0][c.at] = c.to
			if n, err := p.tx.Send(0, 1); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			if l := p.net.Log(); len(l.Malformed) != 1 || len(p.receive(time.Second)) != 0 {
				t.Errorf("%s: %v", c.what, l.Malformed)
			}
		})
	}
}

// Hosts that say more than once: a firewall before an open port, and a SYN-ACK that nobody has acknowledged.
func TestBothAndRepeat(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		c := allOpen(Config{})
		c.Targets.Both, c.Targets.Repeat = 1, 1
		p := newProber(t, c)
		var first [2]int
		a := addr("10.0.0.0")
		for range 200 {
			p.send(a, 443, 0)
			sent := p.net.Now()
			got := p.receive(2 * time.Second)
			if len(got) != 3 || got[2].Kind != probe.KindSYNACK || got[2].at-sent < time.Second {
				t.Fatalf("%d answers", len(got))
			}
			if got[0].Kind == got[1].Kind {
				t.Fatal("no RST, or no SYN-ACK")
			}
			first[got[0].Kind]++
			a = a.Next()
		}
		if first[probe.KindSYNACK] < 50 || first[probe.KindRST] < 50 {
			t.Errorf("the SYN-ACK came first %d times, the RST %d times", first[probe.KindSYNACK], first[probe.KindRST])
		}
	})
}
