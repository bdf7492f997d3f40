package route

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"golang.org/x/net/bpf"
	"pgregory.net/rapid"
)

var (
	ourMAC = [6]byte{2, 0, 0, 0, 0, 1}
	ourIP  = uint32(0x0a4c0001)
)

// frame is what gopacket makes of an ARP packet: the oracle for our bytes.
func frame(t testing.TB, eth layers.Ethernet, arp layers.ARP) []byte {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{}, &eth, &arp); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()[:arpLength] // without the padding to a minimum frame
}

func reply(sender uint32, mac [6]byte) layers.ARP {
	return layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4,
		HwAddressSize: 6, ProtAddressSize: 4, Operation: layers.ARPReply,
		SourceHwAddress: mac[:], SourceProtAddress: binary.BigEndian.AppendUint32(nil, sender),
		DstHwAddress: ourMAC[:], DstProtAddress: binary.BigEndian.AppendUint32(nil, ourIP),
	}
}

func TestRequestBytes(t *testing.T) {
	got := newRequest(ourMAC, ourIP)
	setTarget(got, 0x0a4d0102)
	want := frame(t, layers.Ethernet{
		SrcMAC: ourMAC[:], DstMAC: net.HardwareAddr{255, 255, 255, 255, 255, 255}, EthernetType: layers.EthernetTypeARP,
	}, layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4,
		HwAddressSize: 6, ProtAddressSize: 4, Operation: layers.ARPRequest,
		SourceHwAddress: ourMAC[:], SourceProtAddress: []byte{10, 76, 0, 1},
		DstHwAddress: make([]byte, 6), DstProtAddress: []byte{10, 77, 1, 2},
	})
	if !bytes.Equal(got, want) {
		t.Errorf("got  % x\nwant % x", got, want)
	}
}

// Whatever is wrong with a reply, neither the kernel's filter nor the parser
// may take it.
func TestForgedReplies(t *testing.T) {
	vm, err := bpf.NewVM(replyFilter(ourMAC, ourIP))
	if err != nil {
		t.Fatal(err)
	}
	host := [6]byte{2, 1, 1, 1, 1, 1}
	for _, c := range []struct {
		name           string
		change         func(a *layers.ARP)
		filter, parser bool // taken
	}{
		{"good", func(*layers.ARP) {}, true, true},
		{"request", func(a *layers.ARP) { a.Operation = layers.ARPRequest }, false, false},
		{"RARP reply", func(a *layers.ARP) { a.Operation = 4 }, false, false},
		{"to another address", func(a *layers.ARP) { a.DstProtAddress = []byte{10, 76, 0, 9} }, false, false},
		{"to another MAC address", func(a *layers.ARP) { a.DstHwAddress = []byte{2, 0, 0, 0, 0, 2} }, false, false},
		{"to another MAC address, first half", func(a *layers.ARP) { a.DstHwAddress = []byte{4, 0, 0, 0, 0, 1} }, false, false},
		{"another hardware", func(a *layers.ARP) { a.AddrType = 6 }, false, false},
		{"another protocol", func(a *layers.ARP) { a.Protocol = layers.EthernetTypeIPv6 }, false, false},
		{"group address", func(a *layers.ARP) { a.SourceHwAddress = []byte{3, 1, 1, 1, 1, 1} }, true, false},
		{"broadcast address", func(a *layers.ARP) { a.SourceHwAddress = bytes.Repeat([]byte{255}, 6) }, true, false},
		{"no address", func(a *layers.ARP) { a.SourceHwAddress = make([]byte, 6) }, true, false},
	} {
		a := reply(0x0a4d0102, host)
		c.change(&a)
		b := frame(t, layers.Ethernet{SrcMAC: host[:], DstMAC: ourMAC[:], EthernetType: layers.EthernetTypeARP}, a)
		n, err := vm.Run(b)
		if err != nil || (n >= len(b)) != c.filter {
			t.Errorf("%s: filter passes %d of %d bytes, %v", c.name, n, len(b), err)
		}
		sender, mac, ok := parseReply(b, ourMAC, ourIP)
		if ok != c.parser || ok && (sender != 0x0a4d0102 || mac != host) {
			t.Errorf("%s: parsed %x % x %v", c.name, sender, mac, ok)
		}
		for i := range len(b) { // truncated
			if _, _, ok := parseReply(b[:i], ourMAC, ourIP); ok {
				t.Errorf("%s: %d bytes were taken", c.name, i)
			}
		}
	}
	// Ethernet type and the lengths are the parser's alone.
	for i, v := range map[int]byte{12: 0x86, 18: 8, 19: 16} {
		b := frame(t, layers.Ethernet{SrcMAC: host[:], DstMAC: ourMAC[:], EthernetType: layers.EthernetTypeARP}, reply(0x0a4d0102, host))
		b[i] = v
		if _, _, ok := parseReply(b, ourMAC, ourIP); ok {
			t.Errorf("byte %d = %#x was taken", i, v)
		}
	}
}

// Only who was asked may answer, and the first answer counts.
func TestAccept(t *testing.T) {
	h, err := newHosts(slices.Values([]netip.Addr{
		netip.MustParseAddr("10.77.0.9"), netip.MustParseAddr("10.77.0.1"), netip.MustParseAddr("10.77.0.9"),
	}))
	if err != nil {
		t.Fatal(err)
	}
	if h.missing != 2 {
		t.Errorf("%d are missing of two different hosts", h.missing)
	}
	for i, sender := range []uint32{0x0a4d0005, 0x0a4d0009, 0x0a4d0009} {
		mac := [6]byte{2, 1, 1, 1, 1, byte(i)}
		h.accept(frame(t, layers.Ethernet{SrcMAC: mac[:], DstMAC: ourMAC[:], EthernetType: layers.EthernetTypeARP}, reply(sender, mac)), ourMAC, ourIP)
	}
	tab := h.table("tn")
	if mac, ok := tab.MAC(netip.MustParseAddr("10.77.0.9")); !ok || mac != [6]byte{2, 1, 1, 1, 1, 1} || tab.Len() != 1 || h.missing != 1 {
		t.Errorf("% x %v, %d known, %d missing", mac, ok, tab.Len(), h.missing)
	}
	if _, err := newHosts(slices.Values([]netip.Addr{netip.MustParseAddr("2001:db8::1")})); err == nil {
		t.Error("an IPv6 address was taken")
	}
}

func TestTableProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var asked []netip.Addr
		base := rapid.Uint32().Draw(t, "base")
		want := map[netip.Addr][6]byte{}
		n := rapid.IntRange(0, 300).Draw(t, "n")
		for range n {
			u := base + rapid.Uint32Range(0, 600).Draw(t, "addr")
			asked = append(asked, netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, u))))
		}
		h, err := newHosts(slices.Values(asked))
		if err != nil {
			t.Fatal(err)
		}
		for i, u := range h.addrs {
			if rapid.Bool().Draw(t, "answers") {
				mac := [6]byte(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint32(nil, u), 0x5555))
				h.set(i, mac)
				want[netip.AddrFrom4([4]byte(mac[:4]))] = mac
			}
		}
		tab := h.table("tn")
		if tab.Len() != len(want) {
			t.Fatalf("%d entries, want %d", tab.Len(), len(want))
		}
		for i := range uint32(602) {
			a := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, base+i)))
			mac, ok := tab.MAC(a)
			if w, known := want[a]; ok != known || mac != w {
				t.Fatalf("%v: % x %v, want % x %v", a, mac, ok, w, known)
			}
		}
	})
}

// slash16 is a table of a full /16.
func slash16(t testing.TB) *Table {
	h, err := newHosts(func(yield func(netip.Addr) bool) {
		for i := range 65536 {
			if !yield(netip.AddrFrom4([4]byte{10, 77, byte(i >> 8), byte(i)})) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range h.addrs {
		h.set(i, [6]byte{2, 0, 0, 0, byte(i >> 8), byte(i)})
	}
	return h.table("tn")
}

func TestTableDoesNotAllocate(t *testing.T) {
	tab := slash16(t)
	if tab.Len() != 65536 || len(tab.now.Load().slots) > 4*65536 {
		t.Errorf("%d entries in %d slots", tab.Len(), len(tab.now.Load().slots))
	}
	a := netip.MustParseAddr("10.77.0.0")
	if n := testing.AllocsPerRun(1000, func() {
		if _, ok := tab.MAC(a); !ok {
			t.Fatal(a)
		}
		a = a.Next()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkTableMAC(b *testing.B) {
	tab := slash16(b)
	b.ReportAllocs()
	i := uint32(0)
	for b.Loop() {
		i = i*1664525 + 1013904223
		if _, ok := tab.MAC(netip.AddrFrom4([4]byte{10, 77, byte(i >> 24), byte(i >> 16)})); !ok {
			b.Fatal(i)
		}
	}
}
