package packet_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"synoptic/bench/lab/packet"
)

// recorder is a test that only notes what it is told.
type recorder struct {
	testing.TB
	said string
}

func (r *recorder) Helper()                           {}
func (r *recorder) Errorf(format string, args ...any) { r.said += fmt.Sprintf(format, args...) }

// A failure names every field that differs, what was found, what was wanted, and shows the packet.
func TestFailure(t *testing.T) {
	b := newStack().make(t, overIPv4, nil)
	r := &recorder{}
	if packet.IPv4(r, b, packet.TTL(63), packet.Src(src4), packet.TCP(packet.DstPort(80), packet.Flags(packet.SYN), packet.MSS(1400), packet.Ack(0x10))) {
		t.Error("returned true")
	}
	for _, want := range []string{
		"IPv4 TTL: got 64, want 63\n",
		"TCP destination port: got 443, want 80\n",
		"TCP flags: got SYN|ACK, want SYN\n",
		"TCP MSS: got 1460, want 1400\n",
		"TCP acknowledgment: got 2000 (0x7d0), want 16 (0x10)\n",
		"\n00000000  45 04 00 40 00 07 40 00  40 06 ",
	} {
		if !strings.Contains(r.said, want) {
			t.Errorf("no %q in\n%s", want, r.said)
		}
	}
	if strings.Contains(r.said, "source") {
		t.Errorf("what is right is reported:\n%s", r.said)
	}
	r.said = ""
	if !packet.IPv4(r, b, packet.TTL(64)) || r.said != "" {
		t.Errorf("a good packet: %s", r.said)
	}
	quoting := quoting4(t, nil, b[:28])
	packet.IPv4(r, quoting, packet.ICMPv4(packet.Quotes(packet.TCP(packet.DstPort(80), packet.Ack(1)))))
	if !strings.Contains(r.said, "quotation: TCP destination port: got 443, want 80\nacknowledgment: TCP: 8 bytes, 12 are needed") {
		t.Errorf("said\n%s", r.said)
	}
}

// The error can be asked what it is about.
func TestErrors(t *testing.T) {
	b := newStack().make(t, overIPv4, nil)
	var m *packet.Mismatch
	if err := packet.CheckIPv4(b, packet.TCP(packet.DstPort(80))); !errors.As(err, &m) || m.Layer != packet.LayerTCP || m.Got != uint16(443) || m.Want != uint16(80) {
		t.Errorf("%v", err)
	}
	var l *packet.LayerError
	if err := packet.CheckIPv4(b, packet.UDP()); !errors.As(err, &l) || l.Want != packet.LayerUDP {
		t.Errorf("%v", err)
	}
	var short *packet.ShortError
	if _, err := packet.ParseIPv4(b[:19]); !errors.As(err, &short) || *short != (packet.ShortError{Layer: packet.LayerIPv4, Need: 20, Have: 19}) {
		t.Errorf("%v", err)
	}
	header := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5} // and nothing behind it
	if err := packet.CheckEthernet(header, packet.EtherType(0x88b5), packet.Payload()); err != nil {
		t.Error(err)
	}
	if _, err := packet.ParseEthernet(header[:13]); !errors.As(err, &short) || *short != (packet.ShortError{Layer: packet.LayerEthernet, Need: 14, Have: 13}) {
		t.Errorf("%v", err)
	}
}

// Cut at any length, or with headers that contradict themselves, a packet is refused, and nothing panics.
func TestMalformed(t *testing.T) {
	four, six := newStack().make(t, overIPv4, nil), newStack().make(t, overIPv6, nil)
	frame := append([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x81, 0, 0, 5, 8, 0}, four...)
	for n := range four {
		if packet.CheckIPv4(slices.Clip(four[:n]), packet.TCP()) == nil {
			t.Errorf("IPv4: %d bytes pass", n)
		}
	}
	for n := range six {
		if packet.CheckIPv6(slices.Clip(six[:n]), packet.TCP()) == nil {
			t.Errorf("IPv6: %d bytes pass", n)
		}
	}
	for n := range frame {
		if packet.CheckEthernet(slices.Clip(frame[:n]), packet.TCP()) == nil {
			t.Errorf("Ethernet: %d bytes pass", n)
		}
	}
	for name, b := range map[string][]byte{
		"version 6": edit(four, 0, 0x65), "header of 16 bytes": edit(four, 0, 0x44), "length below the header": edit(four, 2, 0, 19),
		"length beyond the bytes": edit(four, 3, byte(len(four)+1)), "TCP header of 16 bytes": edit(four, 32, 0x40),
		"TCP header beyond the packet": edit(four, 32, 0xf0), "later fragment": edit(four, 6, 0, 1),
	} {
		if packet.CheckIPv4(b, packet.TCP()) == nil {
			t.Errorf("%s passes", name)
		}
	}
	for name, at := range map[string]int{"option of length 0": 41, "option longer than the header": 45} {
		if packet.CheckIPv4(edit(four, at, byte(at-41)<<5), packet.TCP()) != nil || packet.CheckIPv4(edit(four, at, byte(at-41)<<5), packet.TCP(packet.Options(2))) == nil {
			t.Errorf("%s is read", name)
		}
	}
}

// A check in the wrong place fails instead of looking at something else.
func TestMisplaced(t *testing.T) {
	b := newStack().make(t, overIPv4, nil)
	for name, c := range map[string]packet.Check{
		"a port of IP":       packet.DstPort(443),
		"a type of TCP":      packet.TCP(packet.Type(239)),
		"a MAC address":      packet.SrcMAC(here),
		"an ARP message":     packet.ARP(),
		"options of IP":      packet.Options(),
		"MSS of IP":          packet.MSS(1460),
		"a quotation of TCP": packet.TCP(packet.Quotes()),
	} {
		if packet.CheckIPv4(b, c) == nil {
			t.Errorf("%s passes", name)
		}
	}
	if packet.CheckIPv6(newStack().make(t, overIPv6, nil), packet.Checksum()) == nil {
		t.Error("IPv6 has a checksum")
	}
}
