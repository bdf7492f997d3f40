package probe

import "fmt"

// Verdict is what Parse made of a packet, and the index of a counter.
type Verdict uint8

const (
	// Accepted says that the Reply is filled in. Whether it is genuine is another matter.
	Accepted Verdict = iota
	// Truncated says that the capture ends before the headers that the packet has.
	Truncated
	// NotIPv4 says that the version nibble is not 4.
	NotIPv4
	// Fragment is a part of a datagram. Replies are far too small to need one.
	Fragment
	// NotTCP is neither TCP nor ICMP.
	NotTCP
	// NotReply is TCP, but neither a SYN-ACK nor a RST with ACK.
	NotReply
	// BadHeader is a length field that contradicts another, or is below the
	// smallest that its header can have.
	BadHeader
	// OtherICMPType is ICMP, but neither type 3 nor type 11.
	OtherICMPType
	// OtherICMPCode is type 3 or 11 with a code that says nothing about a TCP
	// probe, such as 3/4, fragmentation needed.
	OtherICMPCode
	// BadQuote says that the quotation of an ICMP error is no IPv4
	// header with 8 bytes behind it.
	BadQuote
	// QuoteNotTCP is an ICMP error about another protocol's packet.
	QuoteNotTCP

	// NumVerdicts is the length of an array that counts verdicts.
	NumVerdicts = iota
)

var verdictNames = [NumVerdicts]string{
	Accepted:      "accepted",
	Truncated:     "truncated",
	NotIPv4:       "not-ipv4",
	Fragment:      "fragment",
	NotTCP:        "not-tcp",
	NotReply:      "not-reply",
	BadHeader:     "bad-header",
	OtherICMPType: "other-icmp-type",
	OtherICMPCode: "other-icmp-code",
	BadQuote:      "bad-quote",
	QuoteNotTCP:   "quote-not-tcp",
}

// String returns the verdict in lower case with hyphens, fit for a counter's
// label.
func (v Verdict) String() string {
	if v >= NumVerdicts {
		return fmt.Sprintf("verdict(%d)", uint8(v))
	}
	return verdictNames[v]
}
