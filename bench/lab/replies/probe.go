package replies

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// Lengths of headers without options, in bytes.
const (
	EtherLen = 14
	IPLen    = 20
	TCPLen   = 20
)

// Probe is a probe as its peer sees it: all that a peer can know.
type Probe struct {
	Local, Target   netip.Addr
	LocalPort, Port uint16
	Seq             uint32
	Frame           []byte // from the Ethernet header on
}

// Read reads a probe's frame: Ethernet, IPv4 without options, TCP. It keeps a copy.
func Read(frame []byte) Probe {
	frame = slices.Clone(frame)
	ip, tcp := frame[EtherLen:], frame[EtherLen+IPLen:]
	return Probe{
		Local: netip.AddrFrom4([4]byte(ip[12:])), Target: netip.AddrFrom4([4]byte(ip[16:])),
		LocalPort: binary.BigEndian.Uint16(tcp), Port: binary.BigEndian.Uint16(tcp[2:]), Seq: binary.BigEndian.Uint32(tcp[4:]),
		Frame: frame,
	}
}

// Change changes what a TCP answer says.
type Change = func(*layers.IPv4, *layers.TCP)

// ethernet is the link header of an answer.
func (p Probe) ethernet() *layers.Ethernet {
	return &layers.Ethernet{DstMAC: p.Frame[6:12], SrcMAC: p.Frame[0:6], EthernetType: layers.EthernetTypeIPv4}
}

// TCP is an answer with these flags (of S A R F P U E) and acknowledgement; more changes what else it says.
func (p Probe) TCP(flags string, ack uint32, more ...Change) []byte {
	ip := &layers.IPv4{Version: 4, TTL: 61, Id: 7, Protocol: layers.IPProtocolTCP, SrcIP: p.Target.AsSlice(), DstIP: p.Local.AsSlice()}
	has := func(f string) bool { return strings.Contains(flags, f) }
	tcp := &layers.TCP{
		SrcPort: layers.TCPPort(p.Port), DstPort: layers.TCPPort(p.LocalPort), Seq: 0x01020304, Ack: ack, Window: 29200,
		SYN: has("S"), ACK: has("A"), RST: has("R"), FIN: has("F"), PSH: has("P"), URG: has("U"), ECE: has("E"),
	}
	for _, change := range more {
		change(ip, tcp)
	}
	must(tcp.SetNetworkLayerForChecksum(ip))
	return serialize(p.ethernet(), ip, tcp)
}

// SYNACK is the answer of an open port.
func (p Probe) SYNACK(more ...Change) []byte { return p.TCP("SA", p.Seq+1, more...) }

// RST is the answer of a closed port.
func (p Probe) RST(more ...Change) []byte { return p.TCP("RA", p.Seq+1, more...) }

// ICMP is an error message from a router about the packet that it quotes.
func (p Probe) ICMP(router netip.Addr, typ, code uint8, quote []byte) []byte {
	ip := &layers.IPv4{Version: 4, TTL: 62, Id: 9, Protocol: layers.IPProtocolICMPv4, SrcIP: router.AsSlice(), DstIP: p.Local.AsSlice()}
	return serialize(p.ethernet(), ip, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(typ, code)}, gopacket.Payload(quote))
}

// Quote is the probe's IP header and the first n bytes behind it (RFC 792: 8).
func (p Probe) Quote(n int) []byte {
	return slices.Clone(p.Frame[EtherLen : EtherLen+IPLen+n])
}

func serialize(stack ...gopacket.SerializableLayer) []byte {
	buf := gopacket.NewSerializeBuffer()
	must(gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, stack...))
	frame := buf.Bytes() // padded to the shortest that Ethernet allows, which on the tests' links nothing is
	return slices.Clone(frame[:EtherLen+int(binary.BigEndian.Uint16(frame[EtherLen+2:]))])
}

// must is for what fails only where this package asks for nonsense.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// TCPOptions gives an answer these bytes of options, whatever they are. It is used with room for them made by NOPs.
func TCPOptions(frame []byte, options ...byte) []byte {
	return Edit(frame, func(ip []byte) { copy(ip[IPLen+TCPLen:], options) })
}

// NOPs fills n bytes of TCP options with no-operations.
func NOPs(n int) Change {
	return func(_ *layers.IPv4, tcp *layers.TCP) {
		for range n {
			tcp.Options = append(tcp.Options, layers.TCPOption{OptionType: layers.TCPOptionKindNop})
		}
	}
}

// MSS is a well-formed maximum segment size option.
func MSS(v uint16) Change {
	return func(_ *layers.IPv4, tcp *layers.TCP) {
		tcp.Options = append(tcp.Options, layers.TCPOption{
			OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: binary.BigEndian.AppendUint16(nil, v),
		})
	}
}

// IPOptions fills n bytes, a multiple of 4, of IP options with no-operations.
func IPOptions(n int) Change {
	return func(ip *layers.IPv4, _ *layers.TCP) {
		for range n {
			ip.Options = append(ip.Options, layers.IPv4Option{OptionType: 1})
		}
	}
}

// Edit changes a copy of a frame behind its link header and makes the checksums right again, so that nothing but the
// change is wrong with it.
func Edit(frame []byte, change func(ip []byte)) []byte {
	frame = slices.Clone(frame)
	change(frame[EtherLen:])
	Seal(frame)
	return frame
}

// Cut is a frame with n bytes left behind the link header. Where honest, the IP header says so too.
func Cut(frame []byte, n int, honest bool) []byte {
	frame = slices.Clone(frame[:EtherLen+n])
	if honest && n >= IPLen {
		binary.BigEndian.PutUint16(frame[EtherLen+2:], uint16(n))
	}
	Seal(frame)
	return frame
}

// Longer is a frame with n bytes more that belong to its packet.
func Longer(frame []byte, n int) []byte {
	return Edit(append(slices.Clone(frame), make([]byte, n)...), func(ip []byte) { binary.BigEndian.PutUint16(ip[2:], uint16(len(ip))) })
}

// Tagged puts 802.1Q tags (TPID and TCI) before the EtherType.
func Tagged(frame []byte, tags ...uint32) []byte {
	out := slices.Clone(frame[:12])
	for _, tag := range tags {
		out = binary.BigEndian.AppendUint32(out, tag)
	}
	return append(out, frame[12:]...)
}

// Seal computes the checksums of a frame, as far as its headers make sense.
func Seal(frame []byte) {
	if len(frame) < EtherLen+IPLen {
		return
	}
	ip := frame[EtherLen:]
	ihl := int(ip[0]&15) * 4
	if ihl < IPLen || ihl > len(ip) {
		return
	}
	put := func(field []byte, sum uint32) { binary.BigEndian.PutUint16(field, onesComplement(sum)) }
	clear(ip[10:12])
	put(ip[10:], sumWords(ip[:ihl]))
	body := ip[ihl:]
	switch {
	case ip[9] == 6 && len(body) >= TCPLen:
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
