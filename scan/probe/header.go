package probe

// Offsets and constants of the headers that are written and read here. All
// multi-byte fields are in network byte order.

const (
	ethernetHeaderLen = 14 // IEEE 802.3 / DIX: destination, source, EtherType
	ipv4HeaderLen     = 20 // RFC 791, without options
	tcpHeaderLen      = 20 // RFC 9293, without options
	icmpHeaderLen     = 8  // RFC 792 error messages: type, code, checksum, 4 unused

	etherTypeIPv4 = 0x0800

	protocolICMP = 1
	protocolTCP  = 6
)

// IPv4 header, RFC 791 section 3.1.
const (
	ipVersionIHL = 0
	ipTotalLen   = 2
	ipID         = 4
	ipFragment   = 6 // flags (3 bits) and fragment offset (13 bits)
	ipTTL        = 8
	ipProtocol   = 9
	ipChecksum   = 10
	ipSrc        = 12
	ipDst        = 16

	ipDontFragment  = 0x4000
	ipFragmentBits  = 0x3fff // MF and offset: zero in a whole datagram
	ipVersion4IHL5  = 0x45
	ipBytesPerIHL   = 4
	ipVersion4      = 4
	ipVersionShift  = 4
	ipIHLMask       = 0x0f
	tcpBytesPerDoff = 4
)

// TCP header, RFC 9293 section 3.1.
const (
	tcpSrcPort    = 0
	tcpDstPort    = 2
	tcpSeq        = 4
	tcpAck        = 8
	tcpDataOffset = 12
	tcpFlags      = 13
	tcpWindow     = 14
	tcpChecksum   = 16

	tcpOptionEnd = 0
	tcpOptionNOP = 1
	tcpOptionMSS = 2
)

// TCP flags as they stand in Reply.Flags.
const (
	FlagFIN uint8 = 1 << iota
	FlagSYN
	FlagRST
	FlagPSH
	FlagACK
	FlagURG
	FlagECE
	FlagCWR
)

// ICMP types, RFC 792.
const (
	ICMPUnreachable  uint8 = 3
	ICMPTimeExceeded uint8 = 11
)
