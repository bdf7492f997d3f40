package replies

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
)

// about is the verdict on an error from Router.
func about(verdict string) string { return verdict + " router=" + Router.String() }

const (
	noHost     = "unreachable icmp-host-unreachable"
	prohibited = "filtered icmp-admin-prohibited"
)

func errorCodes() (rows []Row) {
	for _, c := range []struct {
		typ, code     uint8
		want, connect string
	}{
		{3, 0, "unreachable icmp-net-unreachable", kernelNoNet},
		{3, 1, noHost, kernelNoHost},
		{3, 2, "filtered icmp-protocol-unreachable", "filtered icmp-protocol-unreachable"},
		{3, 3, "filtered icmp-port-unreachable", kernelClosed},
		{3, 9, "filtered icmp-net-prohibited", kernelNoNet},
		{3, 10, "filtered icmp-host-prohibited", kernelNoHost},
		{3, 13, prohibited, kernelNoHost},
		{11, 0, "unreachable icmp-ttl-exceeded", kernelNoHost},
	} {
		for _, n := range []int{8, 24} {
			rows = append(rows, Row{fmt.Sprintf("icmp %d/%d with %d bytes of TCP", c.typ, c.code, n), one(func(p Probe) []byte {
				return p.ICMP(Router, c.typ, c.code, p.Quote(min(n, len(p.Frame)-EtherLen-IPLen)))
			}), about(c.want), c.connect})
		}
	}
	// Codes that RFC 1812 has no router send, or that say nothing about a TCP probe. The kernel ends a connection for
	// most of them all the same (icmp_err_convert, net/ipv4/icmp.c, Linux 6.12).
	for _, c := range []struct {
		typ, code uint8
		connect   string
	}{
		{3, 4, kernelIgnores}, {3, 5, kernelNoHost}, {3, 6, kernelNoNet}, {3, 7, kernelNoHost}, {3, 8, kernelNoHost}, {3, 11, kernelNoNet},
		{3, 12, kernelNoHost}, {3, 14, kernelNoHost}, {3, 15, kernelNoHost}, {3, 16, kernelIgnores}, {3, 255, kernelIgnores},
		{11, 1, kernelIgnores}, {11, 2, kernelNoHost}, {0, 0, kernelIgnores}, {4, 0, kernelIgnores}, {5, 1, kernelIgnores}, {8, 0, kernelIgnores},
		{12, 0, kernelNoHost}, {13, 0, kernelIgnores}, {30, 0, kernelIgnores},
	} {
		rows = append(rows, Row{fmt.Sprintf("icmp %d/%d", c.typ, c.code), one(func(p Probe) []byte {
			return p.ICMP(Router, c.typ, c.code, p.Quote(8))
		}), Ignored, c.connect})
	}
	return rows
}

// quotations are as routers make them, and as they do not. A quotation proves itself by addresses, ports and sequence
// number; nothing else in it is believed or minded.
func quotations() (rows []Row) {
	for _, c := range []struct {
		name string
		edit func(quote []byte)
	}{
		{"its total length swapped", func(q []byte) { q[2], q[3] = q[3], q[2] }},
		{"total length 0", ip(2, 0, 0)},
		{"its total length less the header", func(q []byte) { binary.BigEndian.PutUint16(q[2:], uint16(len(q)-IPLen)) }},
		{"its fragment bits swapped", ip(6, 0x00, 0x40)},
		{"its total length and fragment bits swapped", func(q []byte) { q[2], q[3], q[6], q[7] = q[3], q[2], 0x00, 0x40 }},
		{"no fragment bits", ip(6, 0, 0)},
		{"all fragment bits", ip(6, 0xff, 0xff)},
		{"more fragments", ip(6, 0x60, 0)},
		{"TTL 0", ip(8, 0)},
		{"TTL 255", ip(8, 255)},
		{"another TOS", ip(1, 0xb8)},
		{"checksum 0", ip(10, 0, 0)},
		{"a wrong checksum", ip(10, 0xde, 0xad)},
		{"another identification", ip(4, 1, 2)},
		{"its identification swapped", func(q []byte) { q[4], q[5] = q[5], q[4] }},
	} {
		rows = append(rows, Row{"icmp quotes " + c.name, one(func(p Probe) []byte {
			quote := p.Quote(8)
			c.edit(quote)
			return p.ICMP(Router, 3, 1, quote)
		}), about(noHost), kernelNoHost})
	}
	for _, n := range []int{4, 8, 40} {
		rows = append(rows, Row{fmt.Sprintf("icmp quotes %d bytes of IP options", n), one(func(p Probe) []byte {
			quote := slices.Insert(p.Quote(8), IPLen, slices.Repeat([]byte{1}, n)...)
			quote[0] = 0x45 + byte(n/4)
			return p.ICMP(Router, 3, 1, quote)
		}), about(noHost), kernelNoHost})
	}
	rows = append(rows, Row{"icmp quotes the number after", one(func(p Probe) []byte { // in the kernel's window
		quote := p.Quote(8)
		binary.BigEndian.PutUint32(quote[IPLen+4:], p.Seq+1)
		return p.ICMP(Router, 3, 13, quote)
	}), Ignored, kernelNoHost}, Row{"icmp quotes IP version 6", one(func(p Probe) []byte {
		quote := p.Quote(8)
		quote[0] = 0x65
		return p.ICMP(Router, 3, 13, quote)
	}), Ignored, kernelNoHost})
	for _, c := range []struct {
		name string
		edit func(p Probe, quote []byte)
	}{
		{"another number", func(_ Probe, q []byte) { q[IPLen+4] ^= 0x55 }},
		{"number 0", func(_ Probe, q []byte) { copy(q[IPLen+4:], []byte{0, 0, 0, 0}) }},
		{"another source port of ours", func(p Probe, q []byte) { binary.BigEndian.PutUint16(q[IPLen:], p.LocalPort+1) }},
		{"a source port not ours", func(_ Probe, q []byte) { binary.BigEndian.PutUint16(q[IPLen:], 80) }},
		{"another port", func(p Probe, q []byte) { binary.BigEndian.PutUint16(q[IPLen+2:], p.Port+1) }},
		{"another target", func(_ Probe, q []byte) { copy(q[16:], []byte{10, 88, 0, 1}) }},
		{"another source", func(_ Probe, q []byte) { copy(q[12:], []byte{10, 76, 0, 9}) }},
		{"UDP", func(_ Probe, q []byte) { q[9] = 17 }},
		{"ICMP", func(_ Probe, q []byte) { q[9] = 1 }},
		{"IP header length 4", func(_ Probe, q []byte) { q[0] = 0x44 }},
		{"an IP header beyond the packet", func(_ Probe, q []byte) { q[0] = 0x4f }},
	} {
		rows = append(rows, Row{"icmp quotes " + c.name, one(func(p Probe) []byte {
			quote := p.Quote(8)
			c.edit(p, quote)
			return p.ICMP(Router, 3, 13, quote)
		}), Ignored, kernelIgnores})
	}
	for _, n := range []int{0, 4, 7} {
		rows = append(rows, Row{fmt.Sprintf("icmp quotes %d bytes of TCP", n), one(func(p Probe) []byte {
			return p.ICMP(Router, 3, 13, p.Quote(n))
		}), Ignored, kernelIgnores})
	}
	return append(rows, Row{"icmp quotes nothing", one(func(p Probe) []byte { return p.ICMP(Router, 3, 13, nil) }), Ignored, kernelIgnores},
		Row{"icmp quotes 7 bytes of TCP and padding", one(func(p Probe) []byte {
			return append(p.ICMP(Router, 3, 13, p.Quote(7)), 0, 0, 0)
		}), Ignored, kernelIgnores})
}

// errorPackets are about the packet that an error comes in.
func errorPackets() (rows []Row) {
	plain := func(p Probe) []byte { return p.ICMP(Router, 3, 13, p.Quote(8)) }
	for _, n := range []int{4, 40} {
		rows = append(rows, Row{fmt.Sprintf("icmp with %d bytes of IP options", n), one(func(p Probe) []byte {
			frame := slices.Insert(plain(p), EtherLen+IPLen, slices.Repeat([]byte{1}, n)...)
			return Edit(frame, func(b []byte) {
				b[0] = 0x45 + byte(n/4)
				binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
			})
		}), about(prohibited), kernelNoHost})
	}
	return append(rows,
		Row{"icmp with IP options inside and outside", one(func(p Probe) []byte {
			quote := slices.Insert(p.Quote(8), IPLen, slices.Repeat([]byte{1}, 40)...)
			quote[0] = 0x4f
			frame := slices.Insert(p.ICMP(Router, 3, 13, quote), EtherLen+IPLen, slices.Repeat([]byte{1}, 40)...)
			return Edit(frame, func(b []byte) {
				b[0] = 0x4f
				binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
			})
		}), about(prohibited), kernelNoHost},
		Row{"icmp from the target itself", one(func(p Probe) []byte { return p.ICMP(p.Target, 3, 13, p.Quote(8)) }), prohibited + " router=target", kernelNoHost},
		Row{"icmp with 1,200 bytes of quotation", one(func(p Probe) []byte {
			return p.ICMP(Router, 3, 13, append(p.Quote(8), make([]byte, 1200)...))
		}), about(prohibited), kernelNoHost},
		Row{"icmp with an extension", one(func(p Probe) []byte { // RFC 4884
			quote := append(p.Quote(8), make([]byte, 128-IPLen-8)...)
			frame := p.ICMP(Router, 3, 13, append(quote, 0x20, 0, 0, 0, 0, 8, 1, 1, 0, 1, 2, 3))
			return Edit(frame, func(b []byte) { b[IPLen+5] = 128 / 4 })
		}), about(prohibited), kernelNoHost},
		Row{"icmp with padding", one(func(p Probe) []byte { return append(plain(p), 1, 2, 3, 4) }), about(prohibited), kernelNoHost},
		Row{"icmp behind a priority tag", one(func(p Probe) []byte { return Tagged(plain(p), 0x8100_0000) }), about(prohibited), kernelNoHost},
		Row{"icmp behind a tag", one(func(p Probe) []byte { return Tagged(plain(p), 0x8100_0005) }), about(prohibited), kernelIgnores},
		Row{"icmp with a wrong checksum", one(func(p Probe) []byte {
			frame := plain(p)
			frame[EtherLen+IPLen+2] ^= 0xff
			return frame
		}), about(prohibited), kernelIgnores},
		Row{"icmp to another MAC address", one(func(p Probe) []byte {
			frame := plain(p)
			frame[5] ^= 0x40
			return frame
		}), about(prohibited), kernelIgnores},
		// The quotation proves it, wherever it is sent.
		Row{"icmp to another address", one(func(p Probe) []byte {
			q := p
			q.Local = netip.MustParseAddr("10.76.0.9")
			return q.ICMP(Router, 3, 13, p.Quote(8))
		}), about(prohibited), kernelIgnores},
		Row{"icmp in a first fragment", one(func(p Probe) []byte { return Edit(plain(p), ip(6, 0x20)) }), Ignored, kernelIgnores},
		Row{"icmp in a later fragment", one(func(p Probe) []byte { return Edit(plain(p), ip(6, 0, 1)) }), Ignored, kernelIgnores},
		Row{"icmp cut within its quotation", one(func(p Probe) []byte { return Cut(plain(p), IPLen+8+IPLen+7, false) }), Ignored, kernelIgnores},
		Row{"icmp whose IP total length cuts its quotation", one(func(p Probe) []byte {
			return Edit(plain(p), func(b []byte) { binary.BigEndian.PutUint16(b[2:], IPLen+8+IPLen+7) })
		}), Ignored, kernelIgnores},
	)
}
