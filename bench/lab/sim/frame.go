package sim

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"synoptic/rawsock"
)

// This file is written from the RFCs and apart from scan/probe, so that it can be held against it: what a
// probe must look like on the wire, and what hosts and routers answer.

const (
	etherLen = 14
	ipLen    = 20
	tcpLen   = 20

	protoICMP = 1
	protoTCP  = 6

	flagSYN = 0x02
	flagRST = 0x04
	flagACK = 0x10
)

// segment is a probe as its target sees it.
type segment struct {
	mac          [6]byte // destination; zero without a link header
	src, dst     netip.Addr
	sport, dport uint16
	seq          uint32
	ip           []byte // from the IP header on
}

// parseProbe reads a frame and says what is wrong with it: a probe is a whole IPv4 packet with right checksums
// that holds a SYN and nothing else.
func parseProbe(frame []byte, framing rawsock.Framing) (s segment, err error) {
	s.ip = frame
	if framing == rawsock.Ethernet {
		if len(frame) < etherLen {
			return s, fmt.Errorf("a frame of %d bytes", len(frame))
		}
		if t := binary.BigEndian.Uint16(frame[12:]); t != 0x0800 {
			return s, fmt.Errorf("EtherType %#04x", t)
		}
		s.mac, s.ip = [6]byte(frame), frame[etherLen:]
	}
	ip := s.ip
	if len(ip) < ipLen+tcpLen {
		return s, fmt.Errorf("a packet of %d bytes", len(ip))
	}
	tcp := ip[ipLen:]
	switch {
	case ip[0] != 0x45:
		return s, fmt.Errorf("version and header length %#02x", ip[0])
	case int(binary.BigEndian.Uint16(ip[2:])) != len(ip):
		return s, fmt.Errorf("total length %d of %d bytes", binary.BigEndian.Uint16(ip[2:]), len(ip))
	case ip[9] != protoTCP, ip[8] == 0:
		return s, fmt.Errorf("protocol %d with a time to live of %d", ip[9], ip[8])
	case framing != rawsock.Loopback && sum(0, ip[:ipLen]) != 0xffff: // there the kernel fills it in
		return s, fmt.Errorf("IP checksum %#04x", binary.BigEndian.Uint16(ip[10:]))
	case sum(uint32(protoTCP+len(tcp)), ip[12:20], tcp) != 0xffff:
		return s, fmt.Errorf("TCP checksum %#04x", binary.BigEndian.Uint16(tcp[16:]))
	case int(tcp[12]>>4)*4 != len(tcp), tcp[13] != flagSYN:
		return s, fmt.Errorf("TCP header of %d bytes in %d, flags %#02x", tcp[12]>>4*4, len(tcp), tcp[13])
	}
	s.src, s.dst = netip.AddrFrom4([4]byte(ip[12:])), netip.AddrFrom4([4]byte(ip[16:]))
	s.sport, s.dport = binary.BigEndian.Uint16(tcp), binary.BigEndian.Uint16(tcp[2:])
	s.seq = binary.BigEndian.Uint32(tcp[4:])
	return s, nil
}

// sum is the Internet checksum's one's complement sum (RFC 1071) of parts of even length, but for the last,
// on top of an initial value; over a packet with its checksum it is 0xffff.
func sum(initial uint32, parts ...[]byte) uint16 {
	s := initial
	for _, b := range parts {
		for ; len(b) > 1; b = b[2:] {
			s += uint32(binary.BigEndian.Uint16(b))
		}
		if len(b) == 1 {
			s += uint32(b[0]) << 8
		}
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// appendIP appends an IPv4 header, with options where there are any, for a payload of so many bytes.
func appendIP(b []byte, src, dst netip.Addr, proto, ttl uint8, options []byte, payload int) []byte {
	begin, header := len(b), ipLen+len(options)
	s, d := src.As4(), dst.As4()
	b = append(b, 0x40|byte(header/4), 0)
	b = binary.BigEndian.AppendUint16(b, uint16(header+payload))
	b = append(b, 0, 0, 0x40, 0, ttl, proto, 0, 0)
	b = append(b, s[:]...)
	b = append(b, d[:]...)
	b = append(b, options...)
	binary.BigEndian.PutUint16(b[begin+10:], ^sum(0, b[begin:]))
	return b
}

// appendTCP appends the segment that answers s.
func appendTCP(b []byte, s *segment, seq, ack uint32, flags uint8, window uint16, options []byte) []byte {
	begin := len(b)
	b = binary.BigEndian.AppendUint16(b, s.dport)
	b = binary.BigEndian.AppendUint16(b, s.sport)
	b = binary.BigEndian.AppendUint32(b, seq)
	b = binary.BigEndian.AppendUint32(b, ack)
	b = append(b, byte((tcpLen+len(options))/4)<<4, flags)
	b = binary.BigEndian.AppendUint16(b, window)
	b = append(b, 0, 0, 0, 0)
	b = append(b, options...)
	src, dst := s.dst.As4(), s.src.As4()
	binary.BigEndian.PutUint16(b[begin+16:], ^sum(uint32(protoTCP+len(b)-begin), src[:], dst[:], b[begin:]))
	return b
}

// appendICMP appends the error message of a router, with the head of the packet that it is about.
func appendICMP(b []byte, kind, code uint8, quote []byte) []byte {
	begin := len(b)
	b = append(b, kind, code, 0, 0, 0, 0, 0, 0)
	b = append(b, quote...)
	binary.BigEndian.PutUint16(b[begin+2:], ^sum(0, b[begin:]))
	return b
}

// quote is an error message that quotes what it is about.
type quote struct{ kind, code uint8 }

// quotes are the error messages that tell why a SYN was not answered (RFC 792, RFC 1812 section 5.2.7.1).
var quotes = [...]quote{
	{3, 0}, {3, 1}, {3, 2}, {3, 3}, {3, 9}, {3, 10}, {3, 13}, {11, 0},
}

// synOptions are those of the SYN-ACKs that are seen most, and what MSS they tell.
var synOptions = [...]struct {
	bytes []byte
	mss   uint16
}{
	{[]byte{2, 4, 0x05, 0xb4}, 1460},
	{[]byte{2, 4, 0x05, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7}, 1460},
	{[]byte{1, 1, 2, 4, 0x05, 0x64, 0, 0}, 1380},
	{[]byte{4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 8}, 0},
	{nil, 0},
}
