package rawsock

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"golang.org/x/net/bpf"

	"synoptic/bench/lab/testnet"
)

// deadline is for what must happen: no test waits for it when it passes.
const deadline = time.Minute

func interfaceIndex(t testing.TB, name string) int {
	t.Helper()
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return ifi.Index
}

func openTx(t testing.TB, c TxConfig) *Tx {
	t.Helper()
	tx, err := NewTx(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tx.Close() })
	return tx
}

func openRx(t testing.TB, c RxConfig) *Rx {
	t.Helper()
	if c.PortMin == 0 {
		c.PortMin, c.PortMax = testPortMin, testPortMax
	}
	rx, err := NewRx(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rx.Close() })
	return rx
}

// targetTx opens a sender on the target's side of the link.
func targetTx(t testing.TB, n *testnet.Network, c TxConfig) (tx *Tx) {
	t.Helper()
	err := n.Do(func() error {
		ifi, err := net.InterfaceByName(n.PeerLink)
		if err != nil {
			return err
		}
		c.Interface = ifi.Index
		tx, err = NewTx(c)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tx.Close() })
	return tx
}

// captureIPv4 records only IPv4 frames: ARP comes when it pleases.
func captureIPv4(t testing.TB, n *testnet.Network) *testnet.Capture {
	return n.Capture(t,
		bpf.LoadAbsolute{Off: 12, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(layers.EthernetTypeIPv4), SkipFalse: 1},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: 0})
}

// send sends frames [from, to) and nothing less.
func send(t testing.TB, tx *Tx, from, to int) {
	t.Helper()
	if n, err := tx.Send(from, to); err != nil || n != to-from {
		t.Fatalf("sent %d of %d frames: %v", n, to-from, err)
	}
}

// next returns the next packet that is there, if any.
func next(rx *Rx) (Packet, bool) {
	var one [1]Packet
	n := rx.Read(one[:])
	return one[0], n == 1
}

// receive returns copies of packets: count, or as many more as are there with the last.
func receive(t testing.TB, rx *Rx, count int) (packets []Packet) {
	t.Helper()
	end := time.Now().Add(deadline)
	for {
		for p, ok := next(rx); ok; p, ok = next(rx) {
			if len(packets) > count+10000 {
				t.Fatalf("received %d packets and more, want %d", len(packets), count)
			}
			p.Data = append([]byte(nil), p.Data...)
			packets = append(packets, p)
		}
		if len(packets) >= count {
			return packets
		}
		if left := time.Until(end); left <= 0 {
			t.Fatalf("received %d packets of %d", len(packets), count)
		} else if _, err := rx.Wait(left); err != nil {
			t.Fatal(err)
		}
	}
}

// ethernet puts a link header before an IP packet.
func ethernet(to, from net.HardwareAddr, ip []byte) []byte {
	b := append([]byte(nil), to...)
	b = append(b, from...)
	b = append(b, 8, 0)
	return append(b, ip...)
}

// syn is an IP packet with a SYN.
func syn(t testing.TB, from, to netip.AddrPort, seq uint32) []byte {
	t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 64, Id: uint16(seq) | 1, Protocol: layers.IPProtocolTCP, SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice()}
	tcp := &layers.TCP{SrcPort: layers.TCPPort(from.Port()), DstPort: layers.TCPPort(to.Port()), Seq: seq, SYN: true, Window: 1024}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, tcp); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// stray is a SYN-ACK to our port but to nobody's address: the receiver sees it, and the
// kernel of the receiving side drops it without an answer.
func stray(t testing.TB, n *testnet.Network, pad int) []byte {
	t.Helper()
	ip := tcp(testPortMin, "SA").with(func(r *reply) { r.pad = pad }).bytes(t)
	copy(ip[16:], []byte{10, 99, 0, 1})
	binary.BigEndian.PutUint16(ip[10:], 0)
	binary.BigEndian.PutUint16(ip[10:], headerChecksum(ip[:20]))
	return ethernet(n.HardwareAddr, n.PeerHardwareAddr, ip)
}

func headerChecksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
