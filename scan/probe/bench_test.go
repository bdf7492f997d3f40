package probe

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/dchest/siphash"
)

// TestNoAllocation covers what runs per packet.
func TestNoAllocation(t *testing.T) {
	tmpl := template(t, true, ProfileLinux)
	frame := make([]byte, tmpl.Len())
	tmpl.Fill(frame)
	host := [6]byte{2, 0, 0, 0, 0, 9}
	var hash uint64
	var port uint16
	var r Reply
	check := func(name string, f func()) {
		t.Helper()
		if n := testing.AllocsPerRun(1000, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	check("Hash IPv4", func() { port++; hash = paperKey.Hash(localV4, targetV4, localPort, port) })
	check("Hash IPv6", func() { port++; hash = paperKey.Hash(localV6, targetV6, localPort, port) })
	check("Fill", func() { tmpl.Fill(frame) })
	check("Patch", func() { port++; tmpl.Patch(frame, targetV4, localPort, port, hash) })
	check("PatchMAC", func() { tmpl.PatchMAC(frame, host) })
	for _, c := range acceptedCases(t) {
		check("Parse "+c.name, func() { Parse(c.pkt, &r) })
		check("Genuine "+c.name, func() { paperKey.Genuine(&r) })
	}
	for _, c := range rejectedCases(t) {
		check("Parse "+c.name, func() { Parse(c.pkt, &r) })
	}
}

// sink keeps results alive.
var sink uint64

func benchmarkHash(b *testing.B, hash func(src, dst netip.Addr, sport, dport uint16) uint64, src, dst netip.Addr) {
	b.ReportAllocs()
	var h uint64
	for i := 0; b.Loop(); i++ {
		h ^= hash(src, dst, localPort, uint16(i))
	}
	sink = h
}

func BenchmarkHashIPv4(b *testing.B) { benchmarkHash(b, paperKey.Hash, localV4, targetV4) }
func BenchmarkHashIPv6(b *testing.B) { benchmarkHash(b, paperKey.Hash, localV6, targetV6) }

// BenchmarkHashIPv4Library is the general-purpose function on the same message,
// built on the stack: what sipTwoWords saves.
func BenchmarkHashIPv4Library(b *testing.B) {
	benchmarkHash(b, func(src, dst netip.Addr, sport, dport uint16) uint64 {
		var m [12]byte
		s, d := src.As4(), dst.As4()
		copy(m[0:4], s[:])
		copy(m[4:8], d[:])
		binary.BigEndian.PutUint16(m[8:], sport)
		binary.BigEndian.PutUint16(m[10:], dport)
		return siphash.Hash(paperKey.K0, paperKey.K1, m[:])
	}, localV4, targetV4)
}

func BenchmarkHashPatch(b *testing.B) {
	tmpl := template(b, true, ProfileMSS)
	frame := make([]byte, tmpl.Len())
	tmpl.Fill(frame)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		h := paperKey.Hash(localV4, targetV4, localPort, uint16(i))
		tmpl.Patch(frame, targetV4, localPort, uint16(i), h)
	}
}

func BenchmarkPatch(b *testing.B) {
	tmpl := template(b, true, ProfileMSS)
	frame := make([]byte, tmpl.Len())
	tmpl.Fill(frame)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		tmpl.Patch(frame, targetV4, localPort, uint16(i), uint64(i)*0x9e3779b97f4a7c15)
	}
}

// BenchmarkParseGenuine reads each kind of reply over and over: branches are
// predicted, so a mixture of kinds costs more.
func BenchmarkParseGenuine(b *testing.B) {
	for _, name := range []string{"accepted-synack-mss", "accepted-synack-linux", "accepted-rst-ack-seq-plus-1", "accepted-unreachable-code-03"} {
		for _, c := range acceptedCases(b) {
			if c.name != name {
				continue
			}
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				var r Reply
				for b.Loop() {
					if Parse(c.pkt, &r) != Accepted || !paperKey.Genuine(&r) {
						b.Fatal("refused")
					}
				}
			})
		}
	}
}
