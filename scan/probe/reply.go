package probe

import (
	"fmt"
	"net/netip"
)

// Kind is what a reply says about the probed port.
type Kind uint8

// The kinds of reply, and the state of the port that each stands for.
const (
	KindSYNACK       Kind = iota // open
	KindRST                      // closed
	KindUnreachable              // ICMP type 3: filtered, or no such host
	KindTimeExceeded             // ICMP type 11: the probe did not arrive
)

// String returns the kind in the words of the records' reason field.
func (k Kind) String() string {
	switch k {
	case KindSYNACK:
		return "syn-ack"
	case KindRST:
		return "rst"
	case KindUnreachable:
		return "icmp-unreachable"
	case KindTimeExceeded:
		return "icmp-time-exceeded"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Reply is one packet that may answer a probe. All values are in host byte
// order. Believe nothing in it before Key.Genuine says so.
type Reply struct {
	// The four-tuple as we probed it, whoever sent the reply: of a TCP reply
	// the reverse of its own, of an ICMP error the one that it quotes.
	Local, Target   netip.Addr
	LocalPort, Port uint16

	// Router sent the ICMP error; it may be the target itself. Not valid
	// (the zero Addr) for a TCP reply.
	Router netip.Addr

	// Seq is the sequence number of the TCP reply; for an ICMP error, that of
	// the quoted probe.
	Seq uint32
	// Ack is valid for a TCP reply; 0 for an ICMP error.
	Ack uint32

	// Window is the TCP reply's, not scaled; 0 for an ICMP error.
	Window uint16
	// MSS is the first MSS option of a SYN-ACK, in bytes; 0 if there is none
	// that can be read, and for every other kind.
	MSS uint16

	Kind Kind
	// ICMPType and ICMPCode are valid for KindUnreachable and
	// KindTimeExceeded; 0 for a TCP reply.
	ICMPType, ICMPCode uint8
	// Flags are the TCP reply's (Flag constants); 0 for an ICMP error.
	Flags uint8
	// OptionLen counts the bytes of TCP options, padding included: 0 to 40;
	// 0 for an ICMP error.
	OptionLen uint8
	// TTL is what was left in the IP header that arrived, of either protocol.
	TTL uint8
}

// Genuine reports whether the reply answers a probe made with this key:
//
//   - SYN-ACK: it acknowledges cookie+1 (RFC 9293 section 3.10.7.2);
//   - RST: it carries ACK and acknowledges cookie+1 or, as some stacks do,
//     cookie itself;
//   - ICMP error: the quoted sequence number is the cookie.
//
// The addresses and ports of the reply are in the hash, so an answer from
// another address or port than the one probed is not genuine. Who has not seen
// the probe passes with probability 2^-32 for each try, with a RST 2^-31. That
// also holds for replies whose Local or LocalPort was never ours: the caller
// restricts those.
func (k Key) Genuine(r *Reply) bool {
	cookie := Cookie(k.Hash(r.Local, r.Target, r.LocalPort, r.Port))
	switch r.Kind {
	case KindSYNACK:
		return r.Ack == cookie+1 && r.Flags&(FlagSYN|FlagACK|FlagRST) == FlagSYN|FlagACK
	case KindRST:
		return (r.Ack == cookie+1 || r.Ack == cookie) && r.Flags&(FlagSYN|FlagACK|FlagRST) == FlagRST|FlagACK
	case KindUnreachable, KindTimeExceeded:
		return r.Seq == cookie
	}
	return false
}
