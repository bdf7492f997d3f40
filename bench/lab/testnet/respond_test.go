//go:build linux

package testnet

import (
	"errors"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// A responder's answer reaches the kernel that asked, and nobody else answers for its addresses.
func TestResponder(t *testing.T) {
	n := New(t, Config{Gateway: true, Alive: []netip.Prefix{netip.MustParsePrefix("10.77.255.254/32")}})
	var seen atomic.Int32
	r := n.Respond(t, func(r *Responder, probe []byte) {
		seen.Add(1)
		if err := r.Send(refusal(t, probe)); err != nil {
			t.Error(err)
		}
	})
	if err := dial("10.77.1.2:80"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("refused by the responder: %v", err)
	}
	if seen.Load() != 1 {
		t.Errorf("%d probes seen, want 1", seen.Load())
	}
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Error(err)
	}
	if err := dialSilent("10.77.1.3:80"); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after Close: %v", err)
	}
	if err := r.Send(make([]byte, 60)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("sending after Close: %v", err)
	}
}

// refusal is the RST of a closed port.
func refusal(t *testing.T, probe []byte) []byte {
	pkt := gopacket.NewPacket(probe, layers.LayerTypeEthernet, gopacket.Default)
	eth := pkt.LinkLayer().(*layers.Ethernet)
	ip := pkt.NetworkLayer().(*layers.IPv4)
	tcp := pkt.TransportLayer().(*layers.TCP)
	reset := &layers.TCP{SrcPort: tcp.DstPort, DstPort: tcp.SrcPort, Ack: tcp.Seq + 1, ACK: true, RST: true}
	back := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: ip.DstIP, DstIP: ip.SrcIP}
	if err := reset.SetNetworkLayerForChecksum(back); err != nil {
		t.Error(err)
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{SrcMAC: eth.DstMAC, DstMAC: eth.SrcMAC, EthernetType: layers.EthernetTypeIPv4}, back, reset); err != nil {
		t.Error(err)
	}
	return buf.Bytes()
}
