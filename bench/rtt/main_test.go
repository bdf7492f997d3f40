package main

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// The round trip of an endpoint is the time from our SYN to its SYN-ACK or RST; our own RST that
// follows is no answer.
func TestRoundTrips(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.pcap")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	w := pcapgo.NewWriterNanos(f)
	if err := w.WriteFileHeader(96, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	us, them := net.IP{10, 76, 0, 1}, net.IP{10, 77, 0, 5}
	at := time.Unix(1_800_000_000, 0)
	packet := func(src, dst net.IP, sport, dport layers.TCPPort, after time.Duration, tcp layers.TCP) {
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: src, DstIP: dst}
		tcp.SrcPort, tcp.DstPort = sport, dport
		buf := gopacket.NewSerializeBuffer()
		eth := &layers.Ethernet{SrcMAC: make(net.HardwareAddr, 6), DstMAC: make(net.HardwareAddr, 6), EthernetType: layers.EthernetTypeIPv4}
		if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true}, eth, ip, &tcp); err != nil {
			t.Fatal(err)
		}
		info := gopacket.CaptureInfo{Timestamp: at.Add(after), CaptureLength: len(buf.Bytes()), Length: len(buf.Bytes())}
		if err := w.WritePacket(info, buf.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	packet(us, them, 61000, 80, 0, layers.TCP{SYN: true})
	packet(us, them, 61000, 81, 10*time.Microsecond, layers.TCP{SYN: true})
	packet(them, us, 80, 61000, 250*time.Microsecond, layers.TCP{SYN: true, ACK: true})
	packet(us, them, 61000, 80, 300*time.Microsecond, layers.TCP{RST: true})
	packet(them, us, 81, 61000, 510*time.Microsecond, layers.TCP{RST: true, ACK: true})
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := roundTrips(file)
	if err != nil {
		t.Fatal(err)
	}
	target := netip.MustParseAddr("10.77.0.5")
	if len(got) != 2 || got[netip.AddrPortFrom(target, 80)] != 250*time.Microsecond || got[netip.AddrPortFrom(target, 81)] != 500*time.Microsecond {
		t.Errorf("round trips %v, want 250µs and 500µs", got)
	}
}
