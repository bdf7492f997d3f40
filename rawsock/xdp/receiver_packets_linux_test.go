//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package xdp

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"

	"synoptic/scan/probe"
)

// segment is a packet to be, with every field that a forger may want to set.
type segment struct {
	etherType    uint16
	version      uint8
	ipOptions    int // words
	fragment     uint16
	total        int // -1: true
	protocol     uint8
	src, dst     netip.Addr
	sport, dport uint16
	seq, ack     uint32
	offset       int // words; -1: true
	flags        uint8
	tcpOptions   int // words
	payload      int
	cut          int // bytes that the frame is cut to, 0: none
	padding      int
}

// forger makes packets that may answer probes of a scan.
type forger struct {
	*subject
	rng *rand.Rand
	// reached counts the packets of each kind that were made.
	reached map[string]int
}

// answer is a genuine reply to the probe of a position and an attempt.
func (f *forger) answer(position uint64, attempt uint16, open bool) segment {
	addr, port := f.space.At(f.permutation.Index(position))
	s := segment{
		etherType: 0x0800, version: 4, total: -1, protocol: 6, offset: -1, fragment: 0x4000 * uint16(f.rng.IntN(2)),
		src: addr, dst: f.source, sport: port, dport: f.config.PortMin + attempt, seq: f.rng.Uint32(),
	}
	s.ack = probe.Cookie(f.key.Hash(f.source, addr, s.dport, port)) + 1
	if open {
		s.flags, s.tcpOptions = probe.FlagSYN|probe.FlagACK, f.rng.IntN(11)
	} else {
		s.flags = probe.FlagRST | probe.FlagACK
		s.ack -= uint32(f.rng.IntN(2)) // either is seen in the field
	}
	s.flags |= []uint8{0, 0, 0, 0x40, 0x01, 0x08}[f.rng.IntN(6)] // ECE, FIN, PSH
	s.padding = []int{0, 0, 2, 6}[f.rng.IntN(4)]
	return s
}

func (s *segment) bytes() []byte {
	ihl, doff := 20+4*s.ipOptions, 20+4*s.tcpOptions
	b := make([]byte, 14+ihl+doff+s.payload+s.padding)
	for i := 14 + 20; i < len(b); i++ {
		b[i] = byte(i * 7) // options that mean nothing
	}
	copy(b, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2})
	binary.BigEndian.PutUint16(b[12:], s.etherType)
	ip := b[14:]
	ip[0] = s.version<<4 | byte(ihl/4)
	ip[1] = 0x10
	total := s.total
	if total < 0 {
		total = ihl + doff + s.payload
	}
	binary.BigEndian.PutUint16(ip[2:], uint16(total))
	binary.BigEndian.PutUint16(ip[4:], uint16(s.seq))
	binary.BigEndian.PutUint16(ip[6:], s.fragment)
	ip[8], ip[9] = 57, s.protocol
	copy(ip[12:], s.src.AsSlice())
	copy(ip[16:], s.dst.AsSlice())
	tcp := ip[ihl:]
	binary.BigEndian.PutUint16(tcp, s.sport)
	binary.BigEndian.PutUint16(tcp[2:], s.dport)
	binary.BigEndian.PutUint32(tcp[4:], s.seq)
	binary.BigEndian.PutUint32(tcp[8:], s.ack)
	offset := s.offset
	if offset < 0 {
		offset = doff / 4
	}
	tcp[12], tcp[13] = byte(offset)<<4, s.flags
	if s.cut > 0 && s.cut < len(b) {
		b = b[:s.cut]
	}
	return b
}

// flaws are the ways in which a packet differs from a genuine reply. Some leave it genuine.
var flaws = []struct {
	name string
	make func(*forger, *segment)
}{
	{"forged cookie", func(f *forger, s *segment) { s.ack = f.rng.Uint32() }},
	{"cookie of the other evidence", func(f *forger, s *segment) { s.ack += uint32(f.rng.IntN(5)) - 2 }},
	{"cookie of another attempt", func(f *forger, s *segment) { s.dport = f.config.PortMin + uint16(f.rng.IntN(16)) }},
	{"port beside ours", func(f *forger, s *segment) {
		s.dport = []uint16{f.config.PortMin - 1, f.config.PortMax + 1, uint16(f.rng.Uint32()), 0}[f.rng.IntN(4)]
	}},
	{"port beside ours, genuine", func(f *forger, s *segment) {
		s.dport = []uint16{f.config.PortMin - 1, f.config.PortMax + 1}[f.rng.IntN(2)]
		s.ack = probe.Cookie(f.key.Hash(s.dst, s.src, s.dport, s.sport)) + 1
	}},
	{"not for us", func(f *forger, s *segment) { s.dst = netip.AddrFrom4([4]byte{10, 76, 0, byte(f.rng.Uint32())}) }},
	{"not for us, genuine", func(f *forger, s *segment) {
		s.dst = netip.AddrFrom4([4]byte{10, 76, 0, 2})
		s.ack = probe.Cookie(f.key.Hash(s.dst, s.src, s.dport, s.sport)) + 1
	}},
	{"genuine cookie, no probe of the scan", func(f *forger, s *segment) {
		a := s.src.As4()
		if f.rng.IntN(2) == 0 {
			a[f.rng.IntN(4)] = byte(f.rng.Uint32())
		} else {
			s.sport = uint16(f.rng.Uint32())
		}
		s.src = netip.AddrFrom4(a)
		s.ack = probe.Cookie(f.key.Hash(s.dst, s.src, s.dport, s.sport)) + 1
	}},
	{"IP options", func(f *forger, s *segment) { s.ipOptions = 1 + f.rng.IntN(10) }},
	{"fragment", func(f *forger, s *segment) { s.fragment = uint16(f.rng.Uint32()) }},
	{"first fragment", func(f *forger, s *segment) { s.fragment = 0x2000 }},
	{"reserved bit", func(f *forger, s *segment) { s.fragment |= 0x8000 }},
	{"cut", func(f *forger, s *segment) { s.cut = 14 + f.rng.IntN(14+60+60) }},
	{"cut in the headers", func(f *forger, s *segment) { s.cut = 14 + f.rng.IntN(42) }},
	{"data offset", func(f *forger, s *segment) { s.offset = f.rng.IntN(16) }},
	{"data offset, a little", func(f *forger, s *segment) { s.offset = 5 + s.tcpOptions + f.rng.IntN(3) - 1 }},
	{"total length", func(f *forger, s *segment) { s.total = f.rng.IntN(1 << 16) }},
	{"total length, small", func(f *forger, s *segment) { s.total = f.rng.IntN(64) }},
	{"total length, a little", func(f *forger, s *segment) {
		s.total = 40 + 4*(s.ipOptions+s.tcpOptions) + s.payload + f.rng.IntN(5) - 2
	}},
	{"flags", func(f *forger, s *segment) { s.flags = uint8(f.rng.Uint32()) }},
	{"RST without ACK", func(f *forger, s *segment) { s.flags = probe.FlagRST }},
	{"SYN, ACK and RST", func(f *forger, s *segment) { s.flags = probe.FlagSYN | probe.FlagACK | probe.FlagRST }},
	{"SYN", func(f *forger, s *segment) { s.flags = probe.FlagSYN }},
	{"ACK", func(f *forger, s *segment) { s.flags = probe.FlagACK }},
	{"protocol", func(f *forger, s *segment) { s.protocol = []uint8{17, 132, 0, 255, 41, 2}[f.rng.IntN(6)] }},
	{"TCP as ICMP", func(f *forger, s *segment) { s.protocol = 1 }},
	{"version", func(f *forger, s *segment) { s.version = []uint8{0, 5, 6, 15}[f.rng.IntN(4)] }},
	{"ethertype", func(f *forger, s *segment) {
		s.etherType = []uint16{0x0806, 0x86dd, 0x88cc, 0x0008, 0x8100}[f.rng.IntN(5)]
	}},
	{"payload", func(f *forger, s *segment) { s.payload = f.rng.IntN(1400) }},
	{"full options", func(f *forger, s *segment) { s.tcpOptions = 10 }},
}

// packet makes any packet, about the given position.
func (f *forger) packet(position uint64) []byte {
	s := f.answer(position, f.attempt(), f.rng.IntN(3) == 0)
	switch f.rng.IntN(16) {
	case 0, 1:
		return f.icmp(&s)
	case 2:
		b := s.bytes()
		if f.rng.IntN(4) == 0 {
			b = f.icmp(&s)
		}
		return f.tagged(b)
	case 3:
		b := s.bytes()
		f.reached["noise"]++
		for range 1 + f.rng.IntN(3) {
			b[12+f.rng.IntN(len(b)-12)] = byte(f.rng.Uint32())
		}
		return b
	case 4:
		b := s.bytes()
		f.reached["header length"]++
		b[14] = 0x40 | byte(f.rng.Uint32())&15
		return b
	case 5, 6, 7, 8, 9:
		for range 1 + f.rng.IntN(2) {
			flaw := flaws[f.rng.IntN(len(flaws))]
			f.reached[flaw.name]++
			flaw.make(f, &s)
		}
	default:
		f.reached["genuine"]++
	}
	return s.bytes()
}

// tagged puts a tag before a frame's type, most often one that is a priority only.
func (f *forger) tagged(b []byte) []byte {
	f.reached["VLAN"]++
	tag := [][]byte{{0x81, 0}, {0x81, 0}, {0x88, 0xa8}, {0x91, 0}}[f.rng.IntN(4)]
	tag = append(slices.Clone(tag), byte(f.rng.Uint32())&0xf0, 0)
	if f.rng.IntN(4) == 0 {
		tag[2+f.rng.IntN(2)] |= 1
	}
	return slices.Insert(b, 12, tag...)
}

// attempt is most often the first.
func (f *forger) attempt() uint16 {
	return uint16(f.rng.IntN(16) * f.rng.IntN(2) * f.rng.IntN(2))
}

// icmp is an error message about the probe that the reply answers, or nearly so.
func (f *forger) icmp(s *segment) []byte {
	f.reached["ICMP"]++
	addr, port := s.src, s.sport
	quote := segment{etherType: 0x0800, version: 4, total: -1, protocol: 6, offset: -1, src: s.dst, dst: addr, sport: s.dport, dport: port, flags: probe.FlagSYN}
	quote.seq = probe.Cookie(f.key.Hash(s.dst, addr, s.dport, port))
	router := segment{etherType: 0x0800, version: 4, total: -1, protocol: 1, offset: -1, src: netip.AddrFrom4([4]byte{10, 76, 0, 254}), dst: s.dst}
	if f.rng.IntN(8) == 0 {
		router.dst = netip.AddrFrom4([4]byte{10, 76, 0, byte(f.rng.Uint32())})
	}
	if f.rng.IntN(4) == 0 {
		quote.ipOptions = f.rng.IntN(11)
	}
	if f.rng.IntN(4) == 0 {
		router.ipOptions = f.rng.IntN(11)
	}
	if f.rng.IntN(3) == 0 {
		f.reached["ICMP forged"]++
		switch f.rng.IntN(7) {
		case 0:
			quote.seq++
		case 1:
			quote.protocol = 17
		case 2:
			quote.sport = uint16(f.rng.Uint32())
		case 3:
			quote.dport++
		case 4:
			quote.src = netip.AddrFrom4([4]byte{10, 76, 0, byte(f.rng.Uint32())})
		case 5:
			quote.version = uint8(f.rng.IntN(16))
		case 6:
			quote.seq = f.rng.Uint32()
		}
	}
	inner := quote.bytes()[14:]
	if f.rng.IntN(16) == 0 {
		inner[0] = 0x40 | byte(f.rng.Uint32())&15
	}
	if f.rng.IntN(32) == 0 { // a header too short, behind which all would be right
		inner[0] = 0x44
		binary.BigEndian.PutUint16(inner[16:], f.config.PortMin)
		hash := f.key.Hash(s.dst, netip.AddrFrom4([4]byte(inner[16:])), f.config.PortMin, binary.BigEndian.Uint16(inner[18:]))
		binary.BigEndian.PutUint32(inner[20:], probe.Cookie(hash))
	}
	inner = inner[:min(len(inner), 20+4*quote.ipOptions+[]int{0, 4, 7, 8, 8, 8, 12, 20, 20}[f.rng.IntN(9)])]
	if f.rng.IntN(8) == 0 { // RFC 4884
		inner = append(inner, make([]byte, 128)...)
	}
	outer := router.bytes()[:14+20+4*router.ipOptions]
	message := []byte{[]byte{3, 3, 3, 11, 11, 0, 8, 5, byte(f.rng.Uint32())}[f.rng.IntN(9)], byte(f.rng.IntN(16)), 0, 0, 0, 0, 0, 0}
	b := slices.Concat(outer, message, inner)
	binary.BigEndian.PutUint16(b[16:], uint16(len(b)-14))
	if f.rng.IntN(16) == 0 {
		binary.BigEndian.PutUint16(b[16:], uint16(f.rng.Uint32()))
	}
	if f.rng.IntN(8) == 0 {
		f.reached["ICMP cut"]++
		b = b[:14+f.rng.IntN(len(b)-14+1)]
	}
	return b
}
