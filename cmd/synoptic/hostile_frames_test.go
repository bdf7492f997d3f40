package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// The frames of a hostile peer: made by gopacket, then edited where gopacket refuses to be wrong.

const (
	etherLen = 14
	ipLen    = 20
	tcpLen   = 20
)

// synProbe is a probe as the peer sees it: all that a peer can know.
type synProbe struct {
	local, target netip.Addr
	sport, dport  uint16
	seq           uint32
	frame         []byte
	earlier       []synProbe // to the same port
}

// parseProbe reads a frame that the responder's filter passed: IPv4 without options, TCP.
func parseProbe(frame []byte) synProbe {
	frame = slices.Clone(frame)
	ip, tcp := frame[etherLen:], frame[etherLen+ipLen:]
	return synProbe{
		local: netip.AddrFrom4([4]byte(ip[12:])), target: netip.AddrFrom4([4]byte(ip[16:])),
		sport: binary.BigEndian.Uint16(tcp), dport: binary.BigEndian.Uint16(tcp[2:]), seq: binary.BigEndian.Uint32(tcp[4:]),
		frame: frame,
	}
}

func (p synProbe) endpoint() endpoint { return netip.AddrPortFrom(p.target, p.dport) }

// ethernet is the link header of an answer.
func (p synProbe) ethernet() *layers.Ethernet {
	return &layers.Ethernet{DstMAC: p.frame[6:12], SrcMAC: p.frame[0:6], EthernetType: layers.EthernetTypeIPv4}
}

// tcp is an answer with these flags (of S A R F P U E) and acknowledgement; more changes what else it says.
func (p synProbe) tcp(t testing.TB, flags string, ack uint32, more ...func(*layers.IPv4, *layers.TCP)) []byte {
	ip := &layers.IPv4{Version: 4, TTL: 61, Id: 7, Protocol: layers.IPProtocolTCP, SrcIP: p.target.AsSlice(), DstIP: p.local.AsSlice()}
	has := func(f string) bool { return strings.Contains(flags, f) }
	tcp := &layers.TCP{
		SrcPort: layers.TCPPort(p.dport), DstPort: layers.TCPPort(p.sport), Seq: 0x01020304, Ack: ack, Window: 29200,
		SYN: has("S"), ACK: has("A"), RST: has("R"), FIN: has("F"), PSH: has("P"), URG: has("U"), ECE: has("E"),
	}
	for _, change := range more {
		change(ip, tcp)
	}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return serialize(t, p.ethernet(), ip, tcp)
}

func (p synProbe) synAck(t testing.TB) []byte { return p.tcp(t, "SA", p.seq+1) }
func (p synProbe) rst(t testing.TB) []byte    { return p.tcp(t, "RA", p.seq+1) }

// icmp is an error message from a router about the packet that it quotes.
func (p synProbe) icmp(t testing.TB, router netip.Addr, typ, code uint8, quote []byte) []byte {
	ip := &layers.IPv4{Version: 4, TTL: 62, Id: 9, Protocol: layers.IPProtocolICMPv4, SrcIP: router.AsSlice(), DstIP: p.local.AsSlice()}
	return serialize(t, p.ethernet(), ip, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(typ, code)}, gopacket.Payload(quote))
}

// quote is the probe's IP header and the first n bytes behind it (RFC 792: 8).
func (p synProbe) quote(n int) []byte {
	return slices.Clone(p.frame[etherLen : etherLen+ipLen+n])
}

func serialize(t testing.TB, stack ...gopacket.SerializableLayer) []byte {
	t.Helper()
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, stack...); err != nil {
		t.Fatal(err)
	}
	frame := buf.Bytes() // padded to the shortest that Ethernet allows, which on this link nothing is
	return slices.Clone(frame[:etherLen+int(binary.BigEndian.Uint16(frame[etherLen+2:]))])
}

// tcpOptions gives an answer these bytes of options, whatever they are, padded with zeros. It is used
// with room for them made by nops.
func tcpOptions(frame []byte, options ...byte) []byte {
	return edit(frame, func(ip []byte) { copy(ip[ipLen+tcpLen:], options) })
}

// nops fills n bytes of TCP options with no-operations.
func nops(n int) func(*layers.IPv4, *layers.TCP) {
	return func(_ *layers.IPv4, tcp *layers.TCP) {
		for range n {
			tcp.Options = append(tcp.Options, layers.TCPOption{OptionType: layers.TCPOptionKindNop})
		}
	}
}

// mss is a well-formed maximum segment size option.
func mss(v uint16) func(*layers.IPv4, *layers.TCP) {
	return func(_ *layers.IPv4, tcp *layers.TCP) {
		tcp.Options = append(tcp.Options, layers.TCPOption{
			OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: binary.BigEndian.AppendUint16(nil, v),
		})
	}
}

// ipOptions fills n bytes, a multiple of 4, of IP options with no-operations.
func ipOptions(n int) func(*layers.IPv4, *layers.TCP) {
	return func(ip *layers.IPv4, _ *layers.TCP) {
		for range n {
			ip.Options = append(ip.Options, layers.IPv4Option{OptionType: 1})
		}
	}
}

// edit changes a copy of a frame behind its link header and makes the checksums right again, so that
// nothing but the change is wrong with it.
func edit(frame []byte, change func(ip []byte)) []byte {
	frame = slices.Clone(frame)
	change(frame[etherLen:])
	seal(frame)
	return frame
}

// cut is a frame with n bytes left behind the link header. Where honest, the IP header says so too.
func cut(frame []byte, n int, honest bool) []byte {
	frame = slices.Clone(frame[:etherLen+n])
	if honest && n >= ipLen {
		binary.BigEndian.PutUint16(frame[etherLen+2:], uint16(n))
	}
	seal(frame)
	return frame
}

// tagged puts 802.1Q tags (TPID and TCI) before the EtherType.
func tagged(frame []byte, tags ...uint32) []byte {
	out := slices.Clone(frame[:12])
	for _, tag := range tags {
		out = binary.BigEndian.AppendUint32(out, tag)
	}
	return append(out, frame[12:]...)
}

// seal computes the checksums of a frame, as far as its headers make sense.
func seal(frame []byte) {
	if len(frame) < etherLen+ipLen {
		return
	}
	ip := frame[etherLen:]
	ihl := int(ip[0]&15) * 4
	if ihl < ipLen || ihl > len(ip) {
		return
	}
	put := func(field []byte, sum uint32) { binary.BigEndian.PutUint16(field, onesComplement(sum)) }
	clear(ip[10:12])
	put(ip[10:], sumWords(ip[:ihl]))
	body := ip[ihl:]
	switch {
	case ip[9] == 6 && len(body) >= tcpLen:
		clear(body[16:18])
		put(body[16:], sumWords(body)+sumWords(ip[12:20])+6+uint32(len(body)))
	case ip[9] == 1 && len(body) >= 8:
		clear(body[2:4])
		put(body[2:], sumWords(body))
	}
}

func sumWords(b []byte) (sum uint32) {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

func onesComplement(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// The checksums here and gopacket's are the same.
func TestSeal(t *testing.T) {
	p := synProbe{local: netip.MustParseAddr("10.76.0.1"), target: netip.MustParseAddr("10.77.1.2"), sport: 61000, dport: 80, seq: 5, frame: make([]byte, 58)}
	for i, frame := range [][]byte{
		p.synAck(t), p.rst(t), p.tcp(t, "SA", 1, ipOptions(8), nops(12)),
		p.icmp(t, netip.MustParseAddr("10.1.2.3"), 3, 13, []byte("an odd number of bytes")),
		p.icmp(t, netip.MustParseAddr("10.1.2.3"), 3, 13, []byte("an even number of bytes")),
	} {
		broken := slices.Clone(frame)
		broken[etherLen+10]++
		if got := edit(broken, func([]byte) {}); fmt.Sprintf("%x", got) != fmt.Sprintf("%x", frame) {
			t.Errorf("frame %d:\n% x, gopacket made\n% x", i, got, frame)
		}
	}
}
