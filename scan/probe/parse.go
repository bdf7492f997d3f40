package probe

import (
	"encoding/binary"
	"net/netip"
)

// Parse reads one packet that starts at its IPv4 header, as packet sockets of
// type SOCK_DGRAM deliver it. It fills r only when it returns Accepted, and
// then wholly; pkt is not retained.
//
// No length field is believed beyond the bytes at hand, and bytes behind the
// IP total length (Ethernet padding) are not looked at. A capture may be cut
// off by a snap length anywhere behind the headers.
//
// Checksums are not verified. Between the interfaces of one machine (veth,
// loopback) a reply's is still unfinished, left for hardware that never comes,
// and from a wire the kernel or the card has often checked it already. A reply
// is proven by its cookie: damage to the four-tuple or to the acknowledged or
// quoted number shows there, and of a damaged window or option only the
// record's details would be wrong.
func Parse(pkt []byte, r *Reply) Verdict {
	if len(pkt) == 0 {
		return Truncated
	}
	if pkt[ipVersionIHL]>>ipVersionShift != ipVersion4 {
		return NotIPv4
	}
	if len(pkt) < ipv4HeaderLen {
		return Truncated
	}
	ihl := int(pkt[ipVersionIHL]&ipIHLMask) * ipBytesPerIHL
	total := int(binary.BigEndian.Uint16(pkt[ipTotalLen:]))
	if ihl < ipv4HeaderLen || total < ihl {
		return BadHeader
	}
	if binary.BigEndian.Uint16(pkt[ipFragment:])&ipFragmentBits != 0 {
		return Fragment
	}
	if len(pkt) < ihl {
		return Truncated
	}
	payload := pkt[ihl:min(len(pkt), total)]
	switch pkt[ipProtocol] {
	case protocolTCP:
		return parseTCP(pkt, payload, total-ihl, r)
	case protocolICMP:
		return parseICMP(pkt, payload, total-ihl, r)
	}
	return NotTCP
}

// short is the verdict on a header that needs more bytes than are at hand:
// either the sender had no more, or the capture cut them off. full counts the
// bytes behind the IP header that the sender claims.
func short(need, full int, contradiction Verdict) Verdict {
	if full < need {
		return contradiction
	}
	return Truncated
}

// parseTCP reads a segment; ip is the packet it came in, seg what was captured
// of the segment, full its length by the IP header.
func parseTCP(ip, seg []byte, full int, r *Reply) Verdict {
	if len(seg) < tcpHeaderLen {
		return short(tcpHeaderLen, full, BadHeader)
	}
	doff := int(seg[tcpDataOffset]>>4) * tcpBytesPerDoff
	if doff < tcpHeaderLen {
		return BadHeader
	}
	if len(seg) < doff {
		return short(doff, full, BadHeader)
	}
	// Other flags are no business of ours: ECE on a SYN-ACK is ordinary (RFC
	// 3168), FIN and PSH are odd but change nothing about the port.
	var kind Kind
	var mss uint16
	flags := seg[tcpFlags]
	switch flags & (FlagSYN | FlagACK | FlagRST) {
	case FlagSYN | FlagACK:
		kind = KindSYNACK
		mss = findMSS(seg[tcpHeaderLen:doff])
	case FlagRST | FlagACK:
		kind = KindRST
	default:
		return NotReply
	}
	// Field by field: a composite literal is built aside and then copied in
	// wider words than it was written in, which defeats store forwarding (31 ns
	// for Parse and Genuine instead of 22).
	r.Local = netip.AddrFrom4([4]byte(ip[ipDst:]))
	r.Target = netip.AddrFrom4([4]byte(ip[ipSrc:]))
	r.LocalPort = binary.BigEndian.Uint16(seg[tcpDstPort:])
	r.Port = binary.BigEndian.Uint16(seg[tcpSrcPort:])
	r.Router = netip.Addr{}
	r.Seq = binary.BigEndian.Uint32(seg[tcpSeq:])
	r.Ack = binary.BigEndian.Uint32(seg[tcpAck:])
	r.Window = binary.BigEndian.Uint16(seg[tcpWindow:])
	r.MSS = mss
	r.Kind = kind
	r.ICMPType, r.ICMPCode = 0, 0
	r.Flags = flags
	r.OptionLen = uint8(doff - tcpHeaderLen)
	r.TTL = ip[ipTTL]
	return Accepted
}

// findMSS returns the first MSS option, or 0. Options that cannot be read end
// the search and not the reply: the port is as open as the cookie says.
func findMSS(opts []byte) uint16 {
	for len(opts) > 0 {
		switch opts[0] {
		case tcpOptionEnd:
			return 0
		case tcpOptionNOP:
			opts = opts[1:]
			continue
		}
		if len(opts) < 2 {
			return 0
		}
		n := int(opts[1]) // counts kind and length too
		if n < 2 || n > len(opts) {
			return 0
		}
		if opts[0] == tcpOptionMSS {
			if n != 4 {
				return 0
			}
			return binary.BigEndian.Uint16(opts[2:])
		}
		opts = opts[n:]
	}
	return 0
}

// parseICMP reads an error message (RFC 792): 8 bytes of its own, then the IP
// header of the packet it is about and at least 8 bytes of what followed, here
// the ports and the sequence number of a probe.
//
// Of the quotation only what the cookie proves is used. Its total length is
// ignored, for some routers subtract the header or swap the bytes; so are the
// fragment bits, which the same stacks swap: a probe is never fragmented, and
// what is quoted of another packet's middle does not pass for a cookie. RFC
// 4884 extensions stand behind the quotation and are not read.
func parseICMP(ip, msg []byte, full int, r *Reply) Verdict {
	if len(msg) < icmpHeaderLen {
		return short(icmpHeaderLen, full, BadHeader)
	}
	var kind Kind
	typ, code := msg[0], msg[1]
	switch typ {
	case ICMPUnreachable:
		kind = KindUnreachable
	case ICMPTimeExceeded:
		kind = KindTimeExceeded
	default:
		return OtherICMPType
	}
	if !meaningful(typ, code) {
		return OtherICMPCode
	}

	quote, full := msg[icmpHeaderLen:], full-icmpHeaderLen
	if len(quote) < ipv4HeaderLen {
		return short(ipv4HeaderLen, full, BadQuote)
	}
	ihl := int(quote[ipVersionIHL]&ipIHLMask) * ipBytesPerIHL
	if quote[ipVersionIHL]>>ipVersionShift != ipVersion4 || ihl < ipv4HeaderLen {
		return BadQuote
	}
	if quote[ipProtocol] != protocolTCP {
		return QuoteNotTCP
	}
	const need = tcpSeq + 4
	if len(quote) < ihl+need {
		return short(ihl+need, full, BadQuote)
	}
	tcp := quote[ihl : ihl+need]
	r.Local = netip.AddrFrom4([4]byte(quote[ipSrc:]))
	r.Target = netip.AddrFrom4([4]byte(quote[ipDst:]))
	r.LocalPort = binary.BigEndian.Uint16(tcp[tcpSrcPort:])
	r.Port = binary.BigEndian.Uint16(tcp[tcpDstPort:])
	r.Router = netip.AddrFrom4([4]byte(ip[ipSrc:]))
	r.Seq = binary.BigEndian.Uint32(tcp[tcpSeq:])
	r.Ack, r.Window, r.MSS = 0, 0, 0
	r.Kind = kind
	r.ICMPType, r.ICMPCode = typ, code
	r.Flags, r.OptionLen = 0, 0
	r.TTL = ip[ipTTL]
	return Accepted
}

// meaningful tells the ICMP codes that say why a TCP probe was not answered.
// Type 3 (RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1): net,
// host, protocol or port unreachable; net, host or communication prohibited.
// Type 11: time to live exceeded; a SYN has no fragments to wait for (code 1).
func meaningful(typ, code uint8) bool {
	if typ == ICMPTimeExceeded {
		return code == 0
	}
	const codes uint16 = 1<<0 | 1<<1 | 1<<2 | 1<<3 | 1<<9 | 1<<10 | 1<<13
	return codes>>code&1 != 0 // a shift of 16 or more leaves nothing
}
