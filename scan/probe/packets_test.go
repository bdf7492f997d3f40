package probe

import (
	"encoding/binary"
	"slices"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// Packets for the parser's tests, serialised by gopacket. All answer the probe
// 10.77.0.1:61000 → 10.77.3.4:443 under paperKey.

const (
	localPort  = 61000
	targetPort = 443
)

var routerV4 = [4]byte{10, 77, 9, 9}

func probeCookie() uint32 {
	return Cookie(paperKey.Hash(localV4, targetV4, localPort, targetPort))
}

// rapidOrTesting is what serialize needs of either kind of test.
type rapidOrTesting interface{ Fatal(args ...any) }

func serialize(t rapidOrTesting, stack ...gopacket.SerializableLayer) []byte {
	for i, l := range stack {
		if tcp, ok := l.(*layers.TCP); ok {
			if err := tcp.SetNetworkLayerForChecksum(stack[i-1].(gopacket.NetworkLayer)); err != nil {
				t.Fatal(err)
			}
		}
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, stack...); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(buf.Bytes())
}

// fromTarget is the IP header of a TCP reply.
func fromTarget() *layers.IPv4 {
	return &layers.IPv4{Version: 4, TTL: 57, Protocol: layers.IPProtocolTCP,
		SrcIP: targetV4.AsSlice(), DstIP: localV4.AsSlice()}
}

func withIPOptions(ip *layers.IPv4) *layers.IPv4 {
	ip.Options = []layers.IPv4Option{
		{OptionType: 7, OptionLength: 7, OptionData: []byte{4, 0, 0, 0, 0}}, // record route, one slot
		{OptionType: 0, OptionLength: 1},
	}
	return ip
}

func synAck(opts ...layers.TCPOption) *layers.TCP {
	return &layers.TCP{SrcPort: targetPort, DstPort: localPort, Seq: 0xfeedf00d, Ack: probeCookie() + 1,
		SYN: true, ACK: true, Window: 65160, Options: opts}
}

func rst(ack uint32) *layers.TCP {
	return &layers.TCP{SrcPort: targetPort, DstPort: localPort, Ack: ack, RST: true, ACK: true}
}

func mssOption(mss uint16) layers.TCPOption {
	return layers.TCPOption{OptionType: layers.TCPOptionKindMSS, OptionLength: 4,
		OptionData: binary.BigEndian.AppendUint16(nil, mss)}
}

func option(kind layers.TCPOptionKind, data ...byte) layers.TCPOption {
	n := uint8(2 + len(data))
	if kind == layers.TCPOptionKindNop || kind == layers.TCPOptionKindEndList {
		n = 1
	}
	return layers.TCPOption{OptionType: kind, OptionLength: n, OptionData: data}
}

// quotedProbe is the probe as a router would quote it: the first n bytes of
// TCP, or all of it for n < 0, behind the IP header.
func quotedProbe(t rapidOrTesting, ipOptions bool, n int) []byte {
	ip := &layers.IPv4{Version: 4, TTL: 1, Protocol: layers.IPProtocolTCP, Flags: layers.IPv4DontFragment,
		SrcIP: localV4.AsSlice(), DstIP: targetV4.AsSlice()}
	if ipOptions {
		withIPOptions(ip)
	}
	tcp := &layers.TCP{SrcPort: localPort, DstPort: targetPort, Seq: probeCookie(), SYN: true,
		Window: 64240, Options: []layers.TCPOption{mssOption(1460)}}
	b := serialize(t, ip, tcp)
	if n < 0 {
		return b
	}
	return b[:int(b[0]&0x0f)*4+n]
}

// icmpError is an ICMP error from the router about quote.
func icmpError(t rapidOrTesting, typ, code uint8, quote []byte) []byte {
	return icmpErrorIn(t, fromRouter(), typ, code, quote)
}

func icmpErrorIn(t rapidOrTesting, ip *layers.IPv4, typ, code uint8, quote []byte) []byte {
	return serialize(t, ip,
		&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(typ, code)}, gopacket.Payload(quote))
}

func fromRouter() *layers.IPv4 {
	return &layers.IPv4{Version: 4, TTL: 249, Protocol: layers.IPProtocolICMPv4,
		SrcIP: routerV4[:], DstIP: localV4.AsSlice()}
}

// edit returns a copy of b changed by f.
func edit(b []byte, f func([]byte)) []byte {
	b = slices.Clone(b)
	f(b)
	return b
}
