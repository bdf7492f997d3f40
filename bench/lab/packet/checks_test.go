package packet_test

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"synoptic/bench/lab/packet"
)

var (
	here, there  = net.HardwareAddr{2, 0, 0, 0, 0, 1}, net.HardwareAddr{2, 0, 0, 0, 0, 2}
	src4, dst4   = netip.MustParseAddr("10.77.0.1"), netip.MustParseAddr("10.77.3.4")
	src6, dst6   = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	router       = netip.MustParseAddr("10.77.9.9")
	router6      = netip.MustParseAddr("2001:db8::99")
	other4       = netip.MustParseAddr("10.77.0.9")
	other6       = netip.MustParseAddr("2001:db8::9")
	linuxOptions = []uint8{packet.OptionMSS, packet.OptionSACKPermitted, packet.OptionTimestamps, packet.OptionNOP, packet.OptionWindowScale}
	fixed        = gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
)

// named are checks that all hold for a packet, by name.
type named map[string]packet.Check

// changed is a packet that differs from the good one in one thing, and the check that must see it, or
// those.
type changed struct {
	checks string // with commas
	b      []byte
}

// hold wants every check to pass the good packet, and of each changed one all but its own. Each check
// must see something.
func hold(t *testing.T, parse func([]byte, ...packet.Check) error, good []byte, checks named, cases []changed) {
	t.Helper()
	untried := map[string]bool{}
	for name, c := range checks {
		untried[name] = true
		if err := parse(good, c); err != nil {
			t.Errorf("%s fails on the good packet: %v", name, err)
		}
	}
	for _, c := range cases {
		if slices.Equal(c.b, good) {
			t.Fatalf("%s: nothing is changed", c.checks)
		}
		see := strings.Split(c.checks, ",")
		for name, check := range checks {
			if err := parse(c.b, check); (err != nil) != slices.Contains(see, name) {
				t.Errorf("changed for %s: %s says %v", c.checks, name, err)
			}
		}
		for _, name := range see {
			delete(untried, name)
		}
	}
	for name := range untried {
		t.Errorf("no packet on which %s fails", name)
	}
}

// edit changes bytes of a copy: for what gopacket does not write wrongly.
func edit(b []byte, at int, v ...byte) []byte {
	b = slices.Clone(b)
	copy(b[at:], v)
	return b
}

func serialize(t *testing.T, options gopacket.SerializeOptions, stack ...gopacket.SerializableLayer) []byte {
	t.Helper()
	for i, l := range stack {
		var err error
		switch l := l.(type) {
		case *layers.TCP:
			err = l.SetNetworkLayerForChecksum(stack[i-1].(gopacket.NetworkLayer))
		case *layers.UDP:
			err = l.SetNetworkLayerForChecksum(stack[i-1].(gopacket.NetworkLayer))
		case *layers.ICMPv6:
			err = l.SetNetworkLayerForChecksum(stack[i-1].(gopacket.NetworkLayer))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, options, stack...); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(b.Bytes())
}

// stack are the layers of a packet before they are changed.
type stack struct {
	eth  layers.Ethernet
	ip   layers.IPv4
	ip6  layers.IPv6
	tcp  layers.TCP
	udp  layers.UDP
	icmp layers.ICMPv4
	icm6 layers.ICMPv6
	arp  layers.ARP
	data gopacket.Payload
}

func newStack() *stack {
	option := func(kind layers.TCPOptionKind, data ...byte) layers.TCPOption {
		n := uint8(2 + len(data))
		if kind == layers.TCPOptionKindNop {
			n = 1
		}
		return layers.TCPOption{OptionType: kind, OptionLength: n, OptionData: data}
	}
	return &stack{
		eth: layers.Ethernet{SrcMAC: here, DstMAC: there, EthernetType: layers.EthernetTypeIPv4},
		ip: layers.IPv4{Version: 4, TTL: 64, TOS: 4, Id: 7, Flags: layers.IPv4DontFragment, Protocol: layers.IPProtocolTCP,
			SrcIP: src4.AsSlice(), DstIP: dst4.AsSlice()},
		ip6: layers.IPv6{Version: 6, HopLimit: 64, TrafficClass: 4, FlowLabel: 0xabcde, NextHeader: layers.IPProtocolTCP,
			SrcIP: src6.AsSlice(), DstIP: dst6.AsSlice()},
		tcp: layers.TCP{SrcPort: 61000, DstPort: 443, Seq: 1000, Ack: 2000, SYN: true, ACK: true, Window: 64240, Urgent: 3,
			Options: []layers.TCPOption{option(layers.TCPOptionKindMSS, 5, 0xb4), option(layers.TCPOptionKindSACKPermitted),
				option(layers.TCPOptionKindTimestamps, 0, 0, 0, 10, 0, 0, 0, 20), option(layers.TCPOptionKindNop),
				option(layers.TCPOptionKindWindowScale, 7)}},
		udp:  layers.UDP{SrcPort: 5353, DstPort: 53},
		icmp: layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 13)},
		icm6: layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(1, 4)},
		arp: layers.ARP{AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
			Operation: layers.ARPReply, SourceHwAddress: here, SourceProtAddress: src4.AsSlice(),
			DstHwAddress: there, DstProtAddress: dst4.AsSlice()},
		data: gopacket.Payload("data"),
	}
}

// make serialises the layers that pick selects, after a change.
func (s *stack) make(t *testing.T, pick func(*stack) []gopacket.SerializableLayer, change func(*stack)) []byte {
	t.Helper()
	if change != nil {
		change(s)
	}
	return serialize(t, fixed, pick(s)...)
}

func overIPv4(s *stack) []gopacket.SerializableLayer {
	return []gopacket.SerializableLayer{&s.ip, &s.tcp, s.data}
}

func overIPv6(s *stack) []gopacket.SerializableLayer {
	return []gopacket.SerializableLayer{&s.ip6, &s.tcp, s.data}
}

func tcpChecks() named {
	return named{
		"source port":      packet.TCP(packet.SrcPort(61000)),
		"destination port": packet.TCP(packet.DstPort(443)),
		"seq":              packet.TCP(packet.Seq(1000)),
		"ack":              packet.TCP(packet.Ack(2000)),
		"flags":            packet.TCP(packet.Flags(packet.SYN | packet.ACK)),
		"window":           packet.TCP(packet.Window(64240)),
		"urgent":           packet.TCP(packet.Urgent(3)),
		"options":          packet.TCP(packet.Options(linuxOptions...)),
		"MSS":              packet.TCP(packet.MSS(1460)),
		"SACK":             packet.TCP(packet.SACKPermitted()),
		"timestamps":       packet.TCP(packet.Timestamps(10, 20)),
		"window scale":     packet.TCP(packet.WindowScale(7)),
		"payload":          packet.TCP(packet.Payload([]byte("data")...)),
		"checksum":         packet.TCP(packet.Checksum()),
	}
}

// tcpChanged are segments with the checksum right but where that is the change.
func tcpChanged(t *testing.T, pick func(*stack) []gopacket.SerializableLayer, sumAt int) (all []changed) {
	add := func(check string, f func(*stack)) {
		all = append(all, changed{check, newStack().make(t, pick, f)})
	}
	add("source port", func(s *stack) { s.tcp.SrcPort++ })
	add("destination port", func(s *stack) { s.tcp.DstPort-- })
	add("seq", func(s *stack) { s.tcp.Seq += 1 << 24 })
	add("ack", func(s *stack) { s.tcp.Ack++ })
	for _, flag := range []func(*layers.TCP){
		func(l *layers.TCP) { l.SYN = false }, func(l *layers.TCP) { l.ACK = false }, func(l *layers.TCP) { l.RST = true },
		func(l *layers.TCP) { l.FIN = true }, func(l *layers.TCP) { l.PSH = true }, func(l *layers.TCP) { l.URG = true },
		func(l *layers.TCP) { l.ECE = true }, func(l *layers.TCP) { l.CWR = true },
	} {
		add("flags", func(s *stack) { flag(&s.tcp) })
	}
	add("window", func(s *stack) { s.tcp.Window = 0 })
	add("urgent", func(s *stack) { s.tcp.Urgent = 0 })
	add("MSS", func(s *stack) { s.tcp.Options[0].OptionData = []byte{5, 0xb5} })
	add("timestamps", func(s *stack) { s.tcp.Options[2].OptionData = []byte{0, 0, 0, 11, 0, 0, 0, 20} })
	add("timestamps", func(s *stack) { s.tcp.Options[2].OptionData = []byte{0, 0, 0, 10, 0, 0, 0, 21} })
	add("window scale", func(s *stack) { s.tcp.Options[4].OptionData = []byte{8} })
	add("options", func(s *stack) { slices.Reverse(s.tcp.Options) })
	add("options,SACK", func(s *stack) { s.tcp.Options[1].OptionType = 30 })
	add("options,MSS", func(s *stack) { s.tcp.Options = append(s.tcp.Options, s.tcp.Options[0]) })
	add("payload", func(s *stack) { s.data = gopacket.Payload("date") })
	good := newStack().make(t, pick, nil)
	return append(all, changed{"checksum", edit(good, sumAt, good[sumAt]+1)})
}

func TestTCPOverIPv4(t *testing.T) {
	checks, good := tcpChecks(), newStack().make(t, overIPv4, nil)
	all := []packet.Check{packet.Src(src4), packet.TTL(64)}
	for _, c := range checks {
		all = append(all, c)
	}
	packet.IPv4(t, good, all...)
	hold(t, packet.CheckIPv4, good, checks, tcpChanged(t, overIPv4, 20+16))
}

func TestTCPOverIPv6(t *testing.T) {
	checks, good := tcpChecks(), newStack().make(t, overIPv6, nil)
	packet.IPv6(t, good, packet.Src(src6), packet.TTL(64), checks["checksum"], checks["MSS"])
	hold(t, packet.CheckIPv6, good, checks, tcpChanged(t, overIPv6, 40+16))
}

func TestIPv4(t *testing.T) {
	good := newStack().make(t, overIPv4, nil)
	checks := named{
		"source":         packet.Src(src4),
		"destination":    packet.Dst(dst4),
		"TTL":            packet.TTL(64),
		"class":          packet.Class(4),
		"protocol":       packet.Protocol(packet.ProtocolTCP),
		"ID":             packet.ID(7),
		"don't fragment": packet.DontFragment(true),
		"fragment":       packet.Fragment(0, false),
		"padding":        packet.Padding(0),
		"checksum":       packet.Checksum(),
		"payload":        packet.Payload(good[20:]...),
	}
	var cases []changed
	add := func(check string, f func(*stack)) {
		b := newStack().make(t, overIPv4, f)
		if check != "payload" {
			copy(b[20:], good[20:]) // TCP's checksum follows the addresses
		}
		cases = append(cases, changed{check, b})
	}
	add("source", func(s *stack) { s.ip.SrcIP = other4.AsSlice() })
	add("destination", func(s *stack) { s.ip.DstIP = other4.AsSlice() })
	add("TTL", func(s *stack) { s.ip.TTL-- })
	add("class", func(s *stack) { s.ip.TOS = 0 })
	add("protocol", func(s *stack) { s.ip.Protocol = layers.IPProtocolUDP })
	add("ID", func(s *stack) { s.ip.Id = 7 << 8 })
	add("don't fragment", func(s *stack) { s.ip.Flags = 0 })
	add("fragment", func(s *stack) { s.ip.FragOffset = 1 })
	add("fragment", func(s *stack) { s.ip.Flags |= layers.IPv4MoreFragments })
	add("payload", func(s *stack) { s.tcp.Seq++ })
	cases = append(cases, changed{"padding", append(slices.Clone(good), 0)}, changed{"checksum", edit(good, 10, good[10]^1)})
	hold(t, packet.CheckIPv4, good, checks, cases)

	lengths := named{"length": packet.Length(len(good)), "options": packet.IPOptions()}
	options := newStack().make(t, overIPv4, func(s *stack) {
		s.ip.Options, s.data = []layers.IPv4Option{{OptionType: 1}, {OptionType: 1}, {OptionType: 1}, {OptionType: 1}}, nil
	})
	hold(t, packet.CheckIPv4, good, lengths, []changed{
		{"length", newStack().make(t, overIPv4, func(s *stack) { s.data = gopacket.Payload("longer") })},
		{"options", options}, // as much less payload
	})
	packet.IPv4(t, options, packet.IPOptions(1, 1, 1, 1), packet.Checksum(), packet.TCP(packet.DstPort(443), packet.Checksum(), packet.Payload()))
}

func TestIPv6(t *testing.T) {
	good := newStack().make(t, overIPv6, nil)
	checks := named{
		"source":      packet.Src(src6),
		"destination": packet.Dst(dst6),
		"TTL":         packet.TTL(64),
		"class":       packet.Class(4),
		"flow label":  packet.FlowLabel(0xabcde),
		"protocol":    packet.Protocol(packet.ProtocolTCP),
		"padding":     packet.Padding(0),
	}
	var cases []changed
	for check, f := range map[string]func(*stack){
		"source":      func(s *stack) { s.ip6.SrcIP = other6.AsSlice() },
		"destination": func(s *stack) { s.ip6.DstIP = other6.AsSlice() },
		"TTL":         func(s *stack) { s.ip6.HopLimit-- },
		"class":       func(s *stack) { s.ip6.TrafficClass = 0 },
		"flow label":  func(s *stack) { s.ip6.FlowLabel = 0xbcde },
		"protocol":    func(s *stack) { s.ip6.NextHeader = layers.IPProtocolUDP },
	} {
		cases = append(cases, changed{check, newStack().make(t, overIPv6, f)})
	}
	hold(t, packet.CheckIPv6, good, checks, append(cases, changed{"padding", append(slices.Clone(good), 0)}))

	// Extension headers stand before the segment: hop-by-hop options, then a fragment header.
	headers := []byte{44, 0, 1, 4, 0, 0, 0, 0, 6, 0, 0, 1, 0, 0, 0, 9}
	long := slices.Insert(slices.Clone(good), 40, headers...)
	long[6], long[5] = 0, byte(len(long)-40)
	packet.IPv6(t, long, packet.IPOptions(headers...), packet.Length(len(long)), packet.Protocol(packet.ProtocolTCP),
		packet.Fragment(0, true), packet.ID(9), packet.TCP(packet.DstPort(443), packet.Checksum()))
	hold(t, packet.CheckIPv6, long, named{"ID": packet.ID(9), "fragment": packet.Fragment(0, true), "options": packet.IPOptions(headers...)}, []changed{
		{"ID,options", edit(long, 40+8+7, 8)},
		{"fragment,options", edit(long, 40+8+3, 0)},
		{"fragment,options", edit(long, 40+8+2, 1)},
		{"options", edit(long, 40+3, 0)},
	})
}
