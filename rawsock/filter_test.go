package rawsock

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"golang.org/x/net/bpf"
)

const (
	testPortMin = 61000
	testPortMax = 61007
	testSnap    = 160
)

// reply is an IPv4 packet in the making, addressed to a scanner.
type reply struct {
	options  int // bytes of IP options, a multiple of 4
	fragment uint16
	more     bool // more fragments
	protocol layers.IPProtocol
	src, dst uint16 // TCP ports
	flags    string // of S A R F P
	tcpExtra int    // bytes of TCP options
	icmpType uint8
	quote    []byte // what ICMP quotes
	cut      int    // bytes to cut off the end
	pad      int    // bytes of payload
}

func (r reply) bytes(t testing.TB) []byte {
	t.Helper()
	ip := &layers.IPv4{
		Version: 4, TTL: 64, Id: 7, Protocol: r.protocol, FragOffset: r.fragment,
		SrcIP: net.IPv4(10, 77, 3, 4), DstIP: net.IPv4(10, 76, 0, 1),
	}
	if r.more {
		ip.Flags = layers.IPv4MoreFragments
	}
	for range r.options {
		ip.Options = append(ip.Options, layers.IPv4Option{OptionType: 1}) // no operation
	}
	stack := []gopacket.SerializableLayer{ip}
	switch r.protocol {
	case layers.IPProtocolTCP:
		tcp := &layers.TCP{SrcPort: layers.TCPPort(r.src), DstPort: layers.TCPPort(r.dst), Seq: 1, Ack: 2, Window: 64240}
		for _, f := range r.flags {
			switch f {
			case 'S':
				tcp.SYN = true
			case 'A':
				tcp.ACK = true
			case 'R':
				tcp.RST = true
			case 'F':
				tcp.FIN = true
			case 'P':
				tcp.PSH = true
			}
		}
		for range r.tcpExtra {
			tcp.Options = append(tcp.Options, layers.TCPOption{OptionType: layers.TCPOptionKindNop})
		}
		if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
			t.Fatal(err)
		}
		stack = append(stack, tcp)
	case layers.IPProtocolUDP:
		udp := &layers.UDP{SrcPort: layers.UDPPort(r.src), DstPort: layers.UDPPort(r.dst)}
		if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
			t.Fatal(err)
		}
		stack = append(stack, udp)
	case layers.IPProtocolICMPv4:
		stack = append(stack, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(r.icmpType, 1)}, gopacket.Payload(r.quote))
	}
	if r.pad > 0 {
		stack = append(stack, gopacket.Payload(make([]byte, r.pad)))
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, stack...); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()[:len(buf.Bytes())-r.cut]
}

func tcp(port uint16, flags string) reply {
	return reply{protocol: layers.IPProtocolTCP, src: 80, dst: port, flags: flags}
}

// unreachable is an ICMP error that quotes the first 8 bytes of a probe.
func unreachable(t testing.TB, probe reply) reply {
	quote := probe.bytes(t)
	if len(quote) > 20+probe.options+8 {
		quote = quote[:20+probe.options+8]
	}
	return reply{protocol: layers.IPProtocolICMPv4, icmpType: 3, quote: quote}
}

func probeFrom(port uint16) reply {
	return reply{protocol: layers.IPProtocolTCP, src: port, dst: 80, flags: "S"}
}

func (r reply) with(change func(*reply)) reply {
	change(&r)
	return r
}

func TestReplyFilter(t *testing.T) {
	vm, err := bpf.NewVM(replyFilter(testPortMin, testPortMax, testSnap))
	if err != nil {
		t.Fatal(err)
	}
	behindHeader, err := bpf.NewVM(behind(14, replyFilter(testPortMin, testPortMax, testSnap)))
	if err != nil {
		t.Fatal(err)
	}
	type testCase struct {
		name string
		in   []byte
		want bool
	}
	var cases []testCase
	add := func(want bool, name string, r reply) {
		cases = append(cases, testCase{name, r.bytes(t), want})
	}
	edit := func(want bool, name string, r reply, change func(b []byte)) {
		b := r.bytes(t)
		change(b)
		cases = append(cases, testCase{name, b, want})
	}

	add(true, "syn-ack to first port", tcp(testPortMin, "SA"))
	add(true, "syn-ack to last port", tcp(testPortMax, "SA"))
	add(false, "syn-ack below the ports", tcp(testPortMin-1, "SA"))
	add(false, "syn-ack above the ports", tcp(testPortMax+1, "SA"))
	add(false, "syn-ack from, not to, our port", tcp(80, "SA").with(func(r *reply) { r.src = testPortMin }))
	add(true, "rst-ack", tcp(testPortMin, "RA"))
	add(true, "rst alone", tcp(testPortMin, "R"))
	add(true, "syn-ack-psh", tcp(testPortMin, "SAP"))
	add(false, "syn alone", tcp(testPortMin, "S"))
	add(false, "ack alone", tcp(testPortMin, "A"))
	add(false, "fin-ack", tcp(testPortMin, "FA"))
	add(false, "no flags", tcp(testPortMin, ""))
	add(false, "udp", reply{protocol: layers.IPProtocolUDP, src: 80, dst: testPortMin})
	for options := 4; options <= 40; options += 4 {
		add(true, fmt.Sprintf("syn-ack with %d bytes of IP options", options),
			tcp(testPortMax, "SA").with(func(r *reply) { r.options = options }))
		add(false, fmt.Sprintf("ack with %d bytes of IP options", options),
			tcp(testPortMax, "A").with(func(r *reply) { r.options = options }))
	}
	add(true, "syn-ack with 40 bytes of TCP options", tcp(testPortMin, "SA").with(func(r *reply) { r.tcpExtra = 40 }))
	add(true, "first fragment", tcp(testPortMin, "SA").with(func(r *reply) { r.more = true }))
	add(false, "later fragment", tcp(testPortMin, "SA").with(func(r *reply) { r.fragment = 1 }))
	add(false, "last possible fragment", tcp(testPortMin, "SA").with(func(r *reply) { r.fragment = 0x1fff }))
	add(true, "flags within the packet's last byte", tcp(testPortMin, "SA").with(func(r *reply) { r.cut = 6 }))
	add(false, "cut before the flags", tcp(testPortMin, "SA").with(func(r *reply) { r.cut = 7 }))
	edit(false, "IP version 6", tcp(testPortMin, "SA"), func(b []byte) { b[0] = 0x65 })
	edit(false, "IP header length 4", tcp(testPortMin, "SA"), func(b []byte) { b[0] = 0x44 })
	edit(false, "IP header length 0", tcp(testPortMin, "SA"), func(b []byte) { b[0] = 0x40 })

	first, last := probeFrom(testPortMin), probeFrom(testPortMax)
	add(true, "unreachable, first port", unreachable(t, first))
	add(true, "unreachable, last port", unreachable(t, last))
	add(false, "unreachable, below the ports", unreachable(t, probeFrom(testPortMin-1)))
	add(false, "unreachable, above the ports", unreachable(t, probeFrom(testPortMax+1)))
	add(false, "unreachable, quotes our port as destination", unreachable(t, tcp(testPortMin, "S")))
	for icmpType := range uint8(20) {
		add(icmpType == 3 || icmpType == 11, fmt.Sprintf("icmp type %d", icmpType),
			unreachable(t, first).with(func(r *reply) { r.icmpType = icmpType }))
	}
	for inner := 4; inner <= 40; inner += 4 {
		for _, outer := range []int{0, 4, 40} {
			name := fmt.Sprintf("unreachable with %d+%d bytes of IP options", outer, inner)
			add(true, name, unreachable(t, last.with(func(r *reply) { r.options = inner })).with(func(r *reply) { r.options = outer }))
			add(false, name+", above the ports",
				unreachable(t, probeFrom(testPortMax+1).with(func(r *reply) { r.options = inner })).with(func(r *reply) { r.options = outer }))
		}
	}
	add(false, "unreachable quotes udp", unreachable(t, reply{protocol: layers.IPProtocolUDP, src: testPortMin, dst: 53}))
	add(true, "unreachable quotes swapped or other fragment bits", unreachable(t, first.with(func(r *reply) { r.fragment = 9 })))
	add(false, "unreachable is itself a later fragment", unreachable(t, first).with(func(r *reply) { r.fragment = 9 }))
	add(false, "unreachable without a quotation", reply{protocol: layers.IPProtocolICMPv4, icmpType: 3})
	add(true, "unreachable quotes up to the source port", unreachable(t, first).with(func(r *reply) { r.cut = 6 }))
	add(false, "unreachable cut within the source port", unreachable(t, first).with(func(r *reply) { r.cut = 7 }))
	edit(false, "unreachable quotes IP version 6", unreachable(t, first), func(b []byte) { b[28] = 0x65 })
	edit(false, "unreachable quotes IP header length 4", unreachable(t, first), func(b []byte) { b[28] = 0x44 })
	cases = append(cases, testCase{"empty", nil, false}, testCase{"one byte", []byte{0x45}, false})

	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			kept, err := vm.Run(tc.in)
			if err != nil {
				t.Fatal(err)
			}
			if (kept > 0) != tc.want {
				t.Fatalf("kept %d bytes, want passed: %v\n% x", kept, tc.want, tc.in)
			}
			if kept != 0 && kept != min(testSnap, len(tc.in)) && kept != testSnap {
				t.Errorf("kept %d bytes of %d, want %d", kept, len(tc.in), testSnap)
			}
			// Behind a link header it is the same, and the header is not looked at.
			kept, err = behindHeader.Run(append(bytes.Repeat([]byte{0xff}, 14), tc.in...))
			if err != nil || (kept > 0) != tc.want {
				t.Errorf("behind a link header: kept %d bytes, %v; want passed: %v", kept, err, tc.want)
			}
		})
	}
}

// TestReplyFilterPorts tries every port against every kind of range.
func TestReplyFilterPorts(t *testing.T) {
	syn, icmp := tcp(1, "SA").bytes(t), unreachable(t, probeFrom(1)).bytes(t)
	for _, r := range [][2]uint16{{1, 1}, {1, 65535}, {65535, 65535}, {61000, 61000}, {32767, 32768}, {255, 256}} {
		vm, err := bpf.NewVM(replyFilter(r[0], r[1], testSnap))
		if err != nil {
			t.Fatal(err)
		}
		for port := range 1 << 16 {
			want := int(r[0]) <= port && port <= int(r[1])
			binary.BigEndian.PutUint16(syn[22:], uint16(port))
			binary.BigEndian.PutUint16(icmp[48:], uint16(port))
			for name, b := range map[string][]byte{"tcp": syn, "icmp": icmp} {
				if kept, err := vm.Run(b); err != nil || (kept > 0) != want {
					t.Fatalf("%s, port %d, range %v: kept %d, %v", name, port, r, kept, err)
				}
			}
		}
	}
}

// FuzzReplyFilter compares the filter with the same rule written in Go.
func FuzzReplyFilter(f *testing.F) {
	f.Add(tcp(testPortMin, "SA").bytes(f))
	f.Add(unreachable(f, probeFrom(testPortMax).with(func(r *reply) { r.options = 8 })).bytes(f))
	f.Add(tcp(testPortMin, "R").with(func(r *reply) { r.options = 40 }).bytes(f))
	vm, err := bpf.NewVM(replyFilter(testPortMin, testPortMax, testSnap))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		kept, err := vm.Run(b)
		if err != nil {
			t.Fatal(err)
		}
		if want := wanted(b); (kept > 0) != want {
			t.Fatalf("kept %d, want passed: %v\n% x", kept, want, b)
		}
	})
}

func wanted(b []byte) bool {
	ours := func(b []byte) bool {
		return len(b) >= 2 && binary.BigEndian.Uint16(b) >= testPortMin && binary.BigEndian.Uint16(b) <= testPortMax
	}
	protocol, fragment, b, ok := transport(b)
	if !ok || fragment {
		return false
	}
	switch protocol {
	case 6:
		if len(b) < 14 || !ours(b[2:]) {
			return false
		}
		return b[13]&0x04 != 0 || b[13]&0x12 == 0x12
	case 1:
		if len(b) < 8 || b[0] != 3 && b[0] != 11 {
			return false
		}
		protocol, _, b, ok = transport(b[8:]) // some stacks swap the quoted fragment bits
		return ok && protocol == 6 && ours(b)
	}
	return false
}

// transport returns what follows an IPv4 header, and whether that is of a later fragment.
func transport(b []byte) (protocol byte, later bool, rest []byte, ok bool) {
	if len(b) < 10 || b[0]>>4 != 4 || b[0]&15 < 5 {
		return 0, false, nil, false
	}
	return b[9], binary.BigEndian.Uint16(b[6:])&0x1fff != 0, b[min(len(b), 4*int(b[0]&15)):], true
}
