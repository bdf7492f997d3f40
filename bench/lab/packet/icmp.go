package packet

import "fmt"

// Types of ICMPv4 (RFC 792) and ICMPv6 (RFC 4443) messages.
const (
	EchoReply    = 0
	Unreachable  = 3
	EchoRequest  = 8
	TimeExceeded = 11

	Unreachable6  = 1
	TimeExceeded6 = 3
	EchoRequest6  = 128
	EchoReply6    = 129
)

// ICMPv4 checks that the packet is an ICMP message, which passes the checks.
func ICMPv4(checks ...Check) Check { return icmp(LayerICMPv4, ProtocolICMPv4, checks) }

// ICMPv6 checks that the packet is an ICMPv6 message, which passes the checks.
func ICMPv6(checks ...Check) Check { return icmp(LayerICMPv6, ProtocolICMPv6, checks) }

func icmp(layer Layer, protocol uint8, checks []Check) Check {
	return func(p *Packet) error {
		in, err := p.inner(layer, protocol, 8)
		if err != nil {
			return err
		}
		return All(checks...)(in)
	}
}

// Type checks the type of an ICMP message.
func Type(want uint8) Check {
	return number("type", want, (*Packet).uint8, 0, LayerICMPv4, LayerICMPv6)
}

// Code checks the code of an ICMP message.
func Code(want uint8) Check {
	return number("code", want, (*Packet).uint8, 1, LayerICMPv4, LayerICMPv6)
}

// Echo checks identifier and sequence number of an echo request or reply.
func Echo(id, seq uint16) Check {
	return All(
		number("identifier", id, (*Packet).uint16, 4, LayerICMPv4, LayerICMPv6),
		number("sequence number", seq, (*Packet).uint16, 6, LayerICMPv4, LayerICMPv6),
	)
}

// Quotes checks the packet that an ICMP error is about. It may be cut off behind its IP header, and its
// length need not be true (RFC 792 asks for 8 bytes more, RFC 4443 for as much as fits).
func Quotes(checks ...Check) Check {
	return func(p *Packet) error {
		quote, err := p.quote()
		if err != nil {
			return fmt.Errorf("quotation: %w", err)
		}
		if err := All(checks...)(quote); err != nil {
			return fmt.Errorf("quotation: %w", err)
		}
		return nil
	}
}

func (p *Packet) quote() (*Packet, error) {
	switch p.layer {
	case LayerICMPv4, LayerICMPv6:
	default:
		return nil, fmt.Errorf("it stands among the checks of %v", p.layer)
	}
	typ, err := p.uint8(0)
	if err != nil {
		return nil, err
	}
	b, err := p.payload()
	if err != nil {
		return nil, err
	}
	switch {
	case p.layer == LayerICMPv6 && typ < 128: // errors have the upper half of the types clear
		return parseIPv6(b, true)
	case p.layer == LayerICMPv4 && (typ >= 3 && typ <= 5 || typ == 11 || typ == 12):
		return parseIPv4(b, true)
	}
	return nil, fmt.Errorf("type %d has none", typ)
}
