package packet_test

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"synoptic/bench/lab/packet"
)

func TestEthernet(t *testing.T) {
	pick := func(s *stack) []gopacket.SerializableLayer {
		return append([]gopacket.SerializableLayer{&s.eth}, overIPv4(s)...)
	}
	good := newStack().make(t, pick, nil)
	tagged := slices.Insert(slices.Clone(good), 12, 0x81, 0, 0x60, 5)
	hold(t, packet.CheckEthernet, good, named{
		"source": packet.SrcMAC(here), "destination": packet.DstMAC(there), "VLAN": packet.VLAN(),
		"TTL": packet.TTL(64), "ports": packet.TCP(packet.DstPort(443)), "EtherType": packet.EtherType(packet.TypeIPv4),
	}, []changed{
		{"source", newStack().make(t, pick, func(s *stack) { s.eth.SrcMAC = net.HardwareAddr{2, 0, 0, 0, 0, 9} })},
		{"destination", newStack().make(t, pick, func(s *stack) { s.eth.DstMAC = net.HardwareAddr{3, 0, 0, 0, 0, 2} })},
		{"TTL", newStack().make(t, pick, func(s *stack) { s.ip.TTL = 1 })},
		{"ports", newStack().make(t, pick, func(s *stack) { s.tcp.DstPort = 80 })},
		{"VLAN", tagged},
		{"EtherType,TTL,ports", edit(good, 12, 0x88, 0xb5)},
	})
	packet.Ethernet(t, tagged, packet.VLAN(5), packet.EtherType(packet.TypeIPv4), packet.Src(src4))
	packet.Ethernet(t, slices.Insert(slices.Clone(tagged), 12, 0x88, 0xa8, 0, 7), packet.VLAN(7, 5), packet.Src(src4))
	packet.Ethernet(t, good6(t), packet.EtherType(packet.TypeIPv6), packet.Dst(dst6), packet.TCP(packet.Checksum()))
	for name, c := range map[string]packet.Check{"VLAN": packet.VLAN(6), "no VLAN": packet.VLAN(), "two": packet.VLAN(5, 5)} {
		if packet.CheckEthernet(tagged, c) == nil {
			t.Errorf("%s passes", name)
		}
	}
	padded := newStack().make(t, pick, func(s *stack) { s.tcp.Options, s.data = nil, nil }) // to 60 bytes
	packet.Ethernet(t, padded, packet.Padding(6), packet.Length(40), packet.TCP(packet.Checksum(), packet.Options(), packet.Payload()))
}

func good6(t *testing.T) []byte {
	return newStack().make(t, func(s *stack) []gopacket.SerializableLayer {
		s.eth.EthernetType = layers.EthernetTypeIPv6
		return append([]gopacket.SerializableLayer{&s.eth}, overIPv6(s)...)
	}, nil)
}

func TestARP(t *testing.T) {
	pick := func(s *stack) []gopacket.SerializableLayer {
		s.eth.EthernetType = layers.EthernetTypeARP
		return []gopacket.SerializableLayer{&s.eth, &s.arp}
	}
	good := newStack().make(t, pick, nil)
	checks := named{
		"operation": packet.ARP(packet.Operation(packet.ARPReply)),
		"sender":    packet.ARP(packet.Sender(here, src4)),
		"target":    packet.ARP(packet.Target(there, dst4)),
	}
	var cases []changed
	add := func(check string, f func(*stack)) {
		cases = append(cases, changed{check, newStack().make(t, pick, f)})
	}
	add("operation", func(s *stack) { s.arp.Operation = layers.ARPRequest })
	add("sender", func(s *stack) { s.arp.SourceHwAddress = there })
	add("sender", func(s *stack) { s.arp.SourceProtAddress = other4.AsSlice() })
	add("target", func(s *stack) { s.arp.DstHwAddress = here })
	add("target", func(s *stack) { s.arp.DstProtAddress = other4.AsSlice() })
	hold(t, packet.CheckEthernet, good, checks, cases)
	p, err := packet.ParseEthernet(good)
	if err != nil {
		t.Fatal(err)
	}
	if m := p.ARP(); m.Operation != packet.ARPReply || m.SenderMAC.String() != here.String() || m.SenderAddr != src4 ||
		m.TargetMAC.String() != there.String() || m.TargetAddr != dst4 || p.TCP() != nil {
		t.Errorf("%+v", m)
	}
	for at := 14; at < 20; at++ { // hardware, protocol and the lengths of both
		if packet.CheckEthernet(edit(good, at, good[at]^1), packet.ARP()) == nil {
			t.Errorf("byte %d may be anything", at)
		}
	}
	if packet.CheckEthernet(good[:14+27], packet.ARP()) == nil {
		t.Error("a message that is cut off passes")
	}
}

func TestUDP(t *testing.T) {
	pick := func(s *stack) []gopacket.SerializableLayer {
		s.ip.Protocol = layers.IPProtocolUDP
		return []gopacket.SerializableLayer{&s.ip, &s.udp, s.data}
	}
	good := newStack().make(t, pick, nil)
	checks := named{
		"source port": packet.UDP(packet.SrcPort(5353)), "destination port": packet.UDP(packet.DstPort(53)),
		"payload": packet.UDP(packet.Payload([]byte("data")...)), "checksum": packet.UDP(packet.Checksum()),
	}
	hold(t, packet.CheckIPv4, good, checks, []changed{
		{"source port", newStack().make(t, pick, func(s *stack) { s.udp.SrcPort++ })},
		{"destination port", newStack().make(t, pick, func(s *stack) { s.udp.DstPort++ })},
		{"payload", newStack().make(t, pick, func(s *stack) { s.data = gopacket.Payload("d@ta") })},
		{"checksum", edit(good, 26, good[26]^1)},
	})
	packet.IPv4(t, edit(good, 26, 0, 0), packet.UDP(packet.Checksum())) // none (RFC 768)
	if packet.CheckIPv4(edit(good, 25, good[25]+1), packet.UDP()) == nil {
		t.Error("a wrong length passes")
	}
}

func quoting4(t *testing.T, change func(*stack), quote []byte) []byte {
	return newStack().make(t, func(s *stack) []gopacket.SerializableLayer {
		s.ip.SrcIP, s.ip.DstIP, s.ip.Protocol = router.AsSlice(), src4.AsSlice(), layers.IPProtocolICMPv4
		return []gopacket.SerializableLayer{&s.ip, &s.icmp, gopacket.Payload(quote)}
	}, change)
}

func quoting6(t *testing.T, change func(*stack), quote []byte) []byte {
	return newStack().make(t, func(s *stack) []gopacket.SerializableLayer {
		s.ip6.SrcIP, s.ip6.DstIP, s.ip6.NextHeader = router6.AsSlice(), src6.AsSlice(), layers.IPProtocolICMPv6
		return []gopacket.SerializableLayer{&s.ip6, &s.icm6, gopacket.Payload(append(make([]byte, 4), quote...))}
	}, change)
}

// Behind 8 bytes the quoted segment is cut off, as routers do (RFC 792).
func TestICMPv4(t *testing.T) {
	probe := newStack().make(t, overIPv4, nil)[:20+8]
	good := quoting4(t, nil, probe)
	checks := named{
		"type": packet.ICMPv4(packet.Type(packet.Unreachable)), "code": packet.ICMPv4(packet.Code(13)), "checksum": packet.ICMPv4(packet.Checksum()),
		"source":      packet.ICMPv4(packet.Quotes(packet.Src(src4))),
		"destination": packet.ICMPv4(packet.Quotes(packet.Dst(dst4))),
		"source port": packet.ICMPv4(packet.Quotes(packet.TCP(packet.SrcPort(61000)))),
		"seq":         packet.ICMPv4(packet.Quotes(packet.TCP(packet.Seq(1000)))),
		"payload":     packet.ICMPv4(packet.Quotes(packet.Payload(probe[20:]...))),
	}
	hold(t, packet.CheckIPv4, good, checks, []changed{
		{"type", quoting4(t, func(s *stack) { s.icmp.TypeCode = layers.CreateICMPv4TypeCode(11, 13) }, probe)},
		{"code", quoting4(t, func(s *stack) { s.icmp.TypeCode = layers.CreateICMPv4TypeCode(3, 1) }, probe)},
		{"checksum", edit(good, 22, good[22]^1)},
		{"source", quoting4(t, nil, edit(probe, 12, other4.AsSlice()...))},
		{"destination", quoting4(t, nil, edit(probe, 16, other4.AsSlice()...))},
		{"source port,payload", quoting4(t, nil, edit(probe, 20, 1))},
		{"seq,payload", quoting4(t, nil, edit(probe, 24, 1))},
		{"payload", quoting4(t, nil, edit(probe, 22, 2))},
	})
	for name, c := range map[string]packet.Check{
		"acknowledgment, cut off": packet.ICMPv4(packet.Quotes(packet.TCP(packet.Ack(0)))),
		"flags, cut off":          packet.ICMPv4(packet.Quotes(packet.TCP(packet.Flags(0)))),
		"quoted payload":          packet.ICMPv4(packet.Quotes(packet.Payload())),
		"quoted UDP":              packet.ICMPv4(packet.Quotes(packet.UDP())),
		"another family":          packet.ICMPv6(),
	} {
		if packet.CheckIPv4(good, c) == nil {
			t.Errorf("%s passes", name)
		}
	}
	// Nothing but the IP header is quoted.
	packet.IPv4(t, quoting4(t, nil, probe[:20]), packet.ICMPv4(packet.Quotes(packet.Dst(dst4), packet.Payload())))
	// An echo quotes nothing.
	echo := quoting4(t, func(s *stack) { s.icmp = layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: 5, Seq: 6} }, probe)
	hold(t, packet.CheckIPv4, echo, named{"echo": packet.ICMPv4(packet.Echo(5, 6)), "type": packet.ICMPv4(packet.Type(packet.EchoRequest))}, []changed{
		{"echo", edit(echo, 25, 6)}, {"echo", edit(echo, 27, 5)}, {"type", edit(echo, 20, packet.EchoReply)},
	})
	if packet.CheckIPv4(echo, packet.ICMPv4(packet.Quotes())) == nil {
		t.Error("an echo quotes")
	}
}

func TestICMPv6(t *testing.T) {
	probe := newStack().make(t, overIPv6, nil)
	good := quoting6(t, nil, probe)
	hold(t, packet.CheckIPv6, good, named{
		"type": packet.ICMPv6(packet.Type(packet.Unreachable6)), "code": packet.ICMPv6(packet.Code(4)), "checksum": packet.ICMPv6(packet.Checksum()),
		"destination": packet.ICMPv6(packet.Quotes(packet.Dst(dst6))),
		"port":        packet.ICMPv6(packet.Quotes(packet.TCP(packet.DstPort(443)))),
		"MSS":         packet.ICMPv6(packet.Quotes(packet.TCP(packet.MSS(1460)))),
	}, []changed{
		{"type", quoting6(t, func(s *stack) { s.icm6.TypeCode = layers.CreateICMPv6TypeCode(3, 4) }, probe)},
		{"code", quoting6(t, func(s *stack) { s.icm6.TypeCode = layers.CreateICMPv6TypeCode(1, 1) }, probe)},
		{"checksum", edit(good, 42, good[42]^1)},
		{"destination", quoting6(t, nil, edit(probe, 24, other6.AsSlice()...))},
		{"port", quoting6(t, nil, edit(probe, 40+2, 9))},
		{"MSS", quoting6(t, nil, edit(probe, 40+20+2, 9))},
	})
}

func TestFields(t *testing.T) {
	p, err := packet.ParseIPv4(newStack().make(t, overIPv4, nil))
	if err != nil {
		t.Fatal(err)
	}
	s := p.TCP()
	if p.From() != netip.AddrPortFrom(src4, 61000) || p.To() != netip.AddrPortFrom(dst4, 443) ||
		s.Seq != 1000 || s.Ack != 2000 || s.Flags != packet.SYN|packet.ACK || s.Window != 64240 || string(s.Payload) != "data" {
		t.Errorf("%v → %v, %+v", p.From(), p.To(), s)
	}
	if p.Quote() != nil {
		t.Error("a segment quotes")
	}
	for _, parse := range []func() (*packet.Packet, error){
		func() (*packet.Packet, error) {
			return packet.ParseIPv4(quoting4(t, nil, newStack().make(t, overIPv4, nil)[:28]))
		},
		func() (*packet.Packet, error) {
			return packet.ParseIPv6(quoting6(t, nil, newStack().make(t, overIPv6, nil)[:48]))
		},
	} {
		p, err := parse()
		if err != nil {
			t.Fatal(err)
		}
		q := p.Quote()
		if q == nil || q.From().Port() != 61000 || q.To().Port() != 443 || q.TCP().Seq != 1000 || q.TCP().Ack != 0 || p.TCP() != nil || p.From().Port() != 0 {
			t.Errorf("%+v quotes %+v", p, q)
		}
	}
}
