package replies

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/gopacket/layers"
)

const (
	open   = "open syn-ack"
	closed = "closed rst"
)

// ip sets bytes of the IP header, or behind it.
func ip(at int, b ...byte) func([]byte) { return func(p []byte) { copy(p[at:], b) } }

func synAcks() []Row {
	rows := []Row{
		{"syn-ack", one(func(p Probe) []byte { return p.SYNACK() }), open, kernelOpen},
		{"syn-ack with an MSS", one(func(p Probe) []byte { return p.SYNACK(MSS(1460)) }), open + " mss=1460", kernelOpen},
		{"syn-ack with 40 bytes of options", one(func(p Probe) []byte { return p.SYNACK(NOPs(36), MSS(536)) }), open + " mss=536", kernelOpen},
		{"syn-ack with the MSS behind the end of options", one(func(p Probe) []byte {
			return TCPOptions(p.SYNACK(NOPs(8)), 0, 2, 4, 5, 180)
		}), open, kernelOpen},
		{"syn-ack with options that make no sense", one(func(p Probe) []byte {
			return TCPOptions(p.SYNACK(NOPs(12)), 8, 255, 2, 0, 255, 1)
		}), open, kernelOpen},
		{"syn-ack with data", one(func(p Probe) []byte { return Longer(p.SYNACK(), 1000) }), open, kernelOpen},
		{"syn-ack with data that looks like an MSS", one(func(p Probe) []byte {
			return Edit(Longer(p.SYNACK(), 4), ip(IPLen+TCPLen, 2, 4, 5, 180))
		}), open, kernelOpen},
		{"syn-ack with window 0", one(func(p Probe) []byte {
			return p.SYNACK(func(_ *layers.IPv4, tcp *layers.TCP) { tcp.Window = 0 })
		}), open, kernelOpen},
		{"syn-ack to another MAC address", one(func(p Probe) []byte {
			frame := p.SYNACK()
			frame[5] ^= 0x40
			return frame
		}), open, kernelIgnores},
		{"syn-ack to all MAC addresses", one(func(p Probe) []byte {
			frame := p.SYNACK()
			copy(frame, []byte{255, 255, 255, 255, 255, 255})
			return frame
		}), open, kernelIgnores},
		{"syn-ack with a wrong IP checksum", one(func(p Probe) []byte {
			frame := p.SYNACK()
			frame[EtherLen+10] ^= 0xff
			return frame
		}), open, kernelIgnores},
		{"syn-ack with a wrong TCP checksum", one(func(p Probe) []byte {
			frame := p.SYNACK()
			frame[EtherLen+IPLen+16] ^= 0xff
			return frame
		}), open, kernelIgnores},
		{"syn-ack with IP options that make no sense", one(func(p Probe) []byte {
			return Edit(p.SYNACK(IPOptions(8)), ip(IPLen, 131, 255, 4, 7, 1, 255, 255))
		}), open, kernelIgnores},
	}
	for _, flag := range []string{"E", "P", "F", "U"} {
		rows = append(rows, Row{"syn-ack with flag " + flag, one(func(p Probe) []byte { return p.TCP("SA"+flag, p.Seq+1) }), open, kernelOpen})
	}
	for _, n := range []int{4, 8, 40} {
		rows = append(rows, Row{fmt.Sprintf("syn-ack with %d bytes of IP options", n), one(func(p Probe) []byte {
			return p.SYNACK(IPOptions(n), MSS(1400))
		}), open + " mss=1400", kernelOpen})
	}
	for _, c := range []struct {
		name string
		edit func([]byte)
	}{
		{"DF", ip(6, 0x40)}, {"the reserved bit", ip(6, 0x80)}, {"TTL 1", ip(8, 1)}, {"TTL 255", ip(8, 255)}, {"a TOS", ip(1, 0xff)}, {"IP identification 0", ip(4, 0, 0)},
	} {
		rows = append(rows, Row{"syn-ack with " + c.name, one(func(p Probe) []byte { return Edit(p.SYNACK(), c.edit) }), open, kernelOpen})
	}
	// What acknowledges another number proves nothing. The kernel answers it with a reset.
	for _, c := range []struct {
		name string
		ack  func(p Probe) uint32
	}{
		{"nothing", func(Probe) uint32 { return 0 }},
		{"seq", func(p Probe) uint32 { return p.Seq }},
		{"seq+2", func(p Probe) uint32 { return p.Seq + 2 }},
		{"seq-1", func(p Probe) uint32 { return p.Seq - 1 }},
		{"the complement", func(p Probe) uint32 { return ^p.Seq }},
	} {
		rows = append(rows, Row{"syn-ack of " + c.name, one(func(p Probe) []byte { return p.TCP("SA", c.ack(p)) }), Ignored, kernelIgnores})
	}
	rows = append(rows, Row{`flags "SRA" with the right number`, one(func(p Probe) []byte { return p.TCP("SRA", p.Seq+1) }), Ignored, kernelClosed})
	for _, flags := range []string{"", "S", "A", "FA", "PA", "SR"} {
		rows = append(rows, Row{fmt.Sprintf("flags %q with the right number", flags), one(func(p Probe) []byte { return p.TCP(flags, p.Seq+1) }), Ignored, kernelIgnores})
	}
	return rows
}

func resets() []Row {
	return []Row{
		{"rst", one(func(p Probe) []byte { return p.RST() }), closed, kernelClosed},
		// Some stacks acknowledge the SYN's own number; the kernel wants it acknowledged (RFC 9293 section 3.10.7.3).
		{"rst of seq", one(func(p Probe) []byte { return p.TCP("RA", p.Seq) }), closed, kernelIgnores},
		{"rst with data", one(func(p Probe) []byte { return Longer(p.RST(), 60) }), closed, kernelClosed},
		{"rst with FIN and PSH", one(func(p Probe) []byte { return p.TCP("RAFP", p.Seq+1) }), closed, kernelClosed},
		{"rst with TCP options", one(func(p Probe) []byte { return p.RST(NOPs(12)) }), closed, kernelClosed},
		{"rst with IP options", one(func(p Probe) []byte { return p.RST(IPOptions(12)) }), closed, kernelClosed},
		{"rst without ACK", one(func(p Probe) []byte { return p.TCP("R", p.Seq+1) }), Ignored, kernelIgnores},
		{"rst of seq+2", one(func(p Probe) []byte { return p.TCP("RA", p.Seq+2) }), Ignored, kernelIgnores},
		{"rst of nothing", one(func(p Probe) []byte { return p.TCP("RA", 0) }), Ignored, kernelIgnores},
		{"rst with a priority tag", one(func(p Probe) []byte { return Tagged(p.RST(), 0x8100_e000) }), closed, kernelClosed},
	}
}

// lengths are replies whose lengths lie, or that are in parts, or wrapped.
func lengths() []Row {
	total := func(n uint16) func(p Probe) []byte {
		return func(p Probe) []byte {
			return Edit(p.SYNACK(), func(b []byte) { binary.BigEndian.PutUint16(b[2:], n) })
		}
	}
	return []Row{
		{"padded to the shortest Ethernet frame", one(func(p Probe) []byte { return append(p.SYNACK(), 255, 255, 255, 255, 255, 255) }), open, kernelOpen},
		{"IP total length beyond the frame", one(total(1500)), open, kernelIgnores},
		{"IP total length 0", one(total(0)), Ignored, kernelIgnores},
		{"IP total length below the TCP header", one(total(39)), Ignored, kernelIgnores},
		{"IP header length 4", one(func(p Probe) []byte { return Edit(p.SYNACK(), ip(0, 0x44)) }), Ignored, kernelIgnores},
		{"IP header length 15", one(func(p Probe) []byte { return Edit(p.SYNACK(), ip(0, 0x4f)) }), Ignored, kernelIgnores},
		{"IP version 6", one(func(p Probe) []byte { return Edit(p.SYNACK(), ip(0, 0x65)) }), Ignored, kernelIgnores},
		{"TCP data offset 4", one(func(p Probe) []byte { return Edit(p.SYNACK(), ip(IPLen+12, 0x40)) }), Ignored, kernelIgnores},
		{"TCP data offset beyond the packet", one(func(p Probe) []byte { return Edit(p.SYNACK(), ip(IPLen+12, 0x60)) }), Ignored, kernelIgnores},
		{"TCP data offset into the padding", one(func(p Probe) []byte {
			return append(Edit(p.SYNACK(), ip(IPLen+12, 0x60)), 1, 1, 1, 1)
		}), Ignored, kernelIgnores},
		{"cut before the end of the TCP header", one(func(p Probe) []byte { return Cut(p.SYNACK(), 39, false) }), Ignored, kernelIgnores},
		{"cut within the TCP options", one(func(p Probe) []byte { return Cut(p.SYNACK(NOPs(8)), 44, false) }), Ignored, kernelIgnores},
		{"of 39 bytes, and says so", one(func(p Probe) []byte { return Cut(p.SYNACK(), 39, true) }), Ignored, kernelIgnores},
		{"first fragment", one(func(p Probe) []byte { return Edit(p.SYNACK(), ip(6, 0x20)) }), Ignored, kernelIgnores},
		{"later fragment", one(func(p Probe) []byte { return Edit(p.SYNACK(), ip(6, 0, 1)) }), Ignored, kernelIgnores},
		// The kernel puts it together; a reply of 40 bytes needs no fragments, and none is waited for.
		{"two fragments", func(p Probe) [][]byte {
			whole := p.SYNACK(NOPs(12))
			first := Cut(Edit(whole, ip(6, 0x20)), IPLen+16, true)
			second := Edit(slices.Delete(slices.Clone(whole), EtherLen+IPLen, EtherLen+IPLen+16), func(b []byte) {
				b[6], b[7] = 0, 2
				binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
			})
			// Checksums of the whole: Seal has made them of the parts.
			copy(first[EtherLen+IPLen:], whole[EtherLen+IPLen:][:16])
			copy(second[EtherLen+IPLen:], whole[EtherLen+IPLen+16:])
			return [][]byte{first, second}
		}, Ignored, kernelOpen},
		{"behind a priority tag", one(func(p Probe) []byte { return Tagged(p.SYNACK(MSS(1380)), 0x8100_6000) }), open + " mss=1380", kernelOpen},
		{"behind a priority tag with IP options", one(func(p Probe) []byte {
			return Tagged(p.SYNACK(IPOptions(8), MSS(1380)), 0x8100_0000)
		}), open + " mss=1380", kernelOpen},
		// No device of the host takes this network. Who asked there would see the reply.
		{"behind a tag", one(func(p Probe) []byte { return Tagged(p.SYNACK(MSS(1380)), 0x8100_0005) }), open + " mss=1380", kernelIgnores},
		{"behind a provider's tag", one(func(p Probe) []byte { return Tagged(p.RST(), 0x88a8_0005) }), closed, kernelIgnores},
		{"behind a priority tag and a tag", one(func(p Probe) []byte { return Tagged(p.SYNACK(), 0x8100_2000, 0x8100_0005) }), open, kernelIgnores},
		{"behind two tags", one(func(p Probe) []byte { return Tagged(p.SYNACK(), 0x88a8_0005, 0x8100_0006) }), Ignored, kernelIgnores},
		{"a tag and nothing", one(func(p Probe) []byte { return Tagged(p.SYNACK(), 0x8100_0000)[:18] }), Ignored, kernelIgnores},
		{"behind a priority tag and cut", one(func(p Probe) []byte { return Tagged(Cut(p.SYNACK(), 36, false), 0x8100_0000) }), Ignored, kernelIgnores},
	}
}

// notForUs are replies of the right form to or from somebody else.
func notForUs() (rows []Row) {
	changed := func(change func(p *Probe)) func(Probe) [][]byte {
		return func(p Probe) [][]byte {
			change(&p)
			return [][]byte{p.SYNACK(), p.RST()}
		}
	}
	for _, c := range []struct {
		name   string
		change func(p *Probe)
	}{
		{"from another port", func(p *Probe) { p.Port++ }},
		{"from another host", func(p *Probe) { p.Target = netip.MustParseAddr("10.77.200.1") }},
		{"from a host outside of the targets", func(p *Probe) { p.Target = netip.MustParseAddr("192.0.2.1") }},
		{"to another port of ours", func(p *Probe) { p.LocalPort++ }},
		{"to a port that is not ours", func(p *Probe) { p.LocalPort -= 100 }},
		{"to another address", func(p *Probe) { p.Local = netip.MustParseAddr("10.76.0.9") }},
	} {
		rows = append(rows, Row{c.name, changed(c.change), Ignored, kernelIgnores})
	}
	for _, protocol := range []byte{0, 4, 17, 41, 47, 132, 255} {
		rows = append(rows, Row{fmt.Sprintf("of protocol %d", protocol), one(func(p Probe) []byte { return Edit(p.SYNACK(), ip(9, protocol)) }), Ignored, kernelIgnores})
	}
	for _, c := range []struct {
		name string
		typ  uint16
	}{{"ARP", 0x0806}, {"IPv6", 0x86dd}, {"MPLS", 0x8847}, {"loopback", 0x9000}} {
		rows = append(rows, Row{"of EtherType " + c.name, one(func(p Probe) []byte {
			frame := p.SYNACK()
			binary.BigEndian.PutUint16(frame[12:], c.typ)
			return frame
		}), Ignored, kernelIgnores})
	}
	return append(rows,
		Row{"the probe sent back", one(func(p Probe) []byte {
			frame := slices.Clone(p.Frame)
			copy(frame, p.Frame[6:12])
			copy(frame[6:], p.Frame[:6])
			return frame
		}), Ignored, kernelIgnores},
		Row{"IP in IP", one(func(p Probe) []byte {
			inner := p.SYNACK()
			outer := Longer(Edit(inner[:EtherLen+IPLen], ip(9, 4)), len(inner)-EtherLen)
			copy(outer[EtherLen+IPLen:], inner[EtherLen:])
			return outer
		}), Ignored, kernelIgnores})
}

// several replies come for one probe. The best wins, whatever the order.
func several() []Row {
	prohibited := func(p Probe) []byte { return p.ICMP(Router, 3, 13, p.Quote(8)) }
	return []Row{
		{"syn-ack five times", func(p Probe) [][]byte {
			return [][]byte{p.SYNACK(), p.SYNACK(), p.SYNACK(), p.SYNACK(), p.SYNACK()}
		}, open, kernelOpen},
		{"rst, then syn-ack", func(p Probe) [][]byte { return [][]byte{p.RST(), p.SYNACK()} }, open, kernelClosed},
		{"syn-ack, then rst", func(p Probe) [][]byte { return [][]byte{p.SYNACK(), p.RST()} }, open, kernelOpen},
		{"icmp, then rst", func(p Probe) [][]byte { return [][]byte{prohibited(p), p.RST()} }, closed, kernelNoHost},
		{"rst, then icmp", func(p Probe) [][]byte { return [][]byte{p.RST(), prohibited(p)} }, closed, kernelClosed},
		{"icmp, then syn-ack", func(p Probe) [][]byte { return [][]byte{prohibited(p), p.SYNACK()} }, open, kernelNoHost},
		{"a wrong syn-ack, then a right one", func(p Probe) [][]byte { return [][]byte{p.TCP("SA", p.Seq+2), p.SYNACK()} }, open, kernelOpen},
		{"a wrong rst, then a right syn-ack", func(p Probe) [][]byte { return [][]byte{p.TCP("RA", p.Seq+2), p.SYNACK()} }, open, kernelOpen},
	}
}
