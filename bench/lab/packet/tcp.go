package packet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// TCP checks that the packet is a TCP segment with a whole header, which passes the checks. Quoted by an
// ICMP error it may end anywhere.
func TCP(checks ...Check) Check {
	return func(p *Packet) error {
		in, err := p.inner(LayerTCP, ProtocolTCP, 20)
		if err != nil {
			return err
		}
		if !in.quoted {
			if _, err := in.tcpHeader(); err != nil {
				return err
			}
		}
		return All(checks...)(in)
	}
}

// UDP checks that the packet is a UDP datagram, which passes the checks.
func UDP(checks ...Check) Check {
	return func(p *Packet) error {
		in, err := p.inner(LayerUDP, ProtocolUDP, 8)
		if err != nil {
			return err
		}
		if n, err := in.uint16(4); err == nil && int(n) != len(in.data) && !in.quoted {
			return &Mismatch{LayerUDP, "length", n, len(in.data)}
		}
		return All(checks...)(in)
	}
}

// tcpHeader is the length of the header, with its options.
func (p *Packet) tcpHeader() (int, error) {
	b, err := p.uint8(12)
	if err != nil {
		return 0, err
	}
	n := int(b>>4) * 4
	if n < 20 {
		return 0, fmt.Errorf("TCP header length: %d", n)
	}
	_, err = p.at(0, n)
	return n, err
}

// SrcPort checks the source port of TCP or UDP.
func SrcPort(want uint16) Check {
	return number("source port", want, (*Packet).uint16, 0, LayerTCP, LayerUDP)
}

// DstPort checks the destination port of TCP or UDP.
func DstPort(want uint16) Check {
	return number("destination port", want, (*Packet).uint16, 2, LayerTCP, LayerUDP)
}

// Seq checks the sequence number.
func Seq(want uint32) Check {
	return number("sequence number", want, (*Packet).uint32, 4, LayerTCP)
}

// Ack checks the acknowledgment number, whether or not the flag is set.
func Ack(want uint32) Check {
	return number("acknowledgment", want, (*Packet).uint32, 8, LayerTCP)
}

// Window checks the window as it stands in the header, not scaled.
func Window(want uint16) Check {
	return number("window", want, (*Packet).uint16, 14, LayerTCP)
}

// Urgent checks the urgent pointer.
func Urgent(want uint16) Check {
	return number("urgent pointer", want, (*Packet).uint16, 18, LayerTCP)
}

// Flag is a set of TCP's flags.
type Flag uint8

// The flags (RFC 9293).
const (
	FIN Flag = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

func (f Flag) String() string {
	var set []string
	for i, name := range []string{"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"} {
		if f&(1<<i) != 0 {
			set = append(set, name)
		}
	}
	if set == nil {
		return "none"
	}
	return strings.Join(set, "|")
}

// Flags checks that these flags are set and no others.
func Flags(want Flag) Check {
	return number("flags", want, func(p *Packet, at int) (Flag, error) {
		f, err := p.uint8(at)
		return Flag(f), err
	}, 13, LayerTCP)
}

// Kinds of TCP options.
const (
	OptionEnd           = 0
	OptionNOP           = 1
	OptionMSS           = 2
	OptionWindowScale   = 3
	OptionSACKPermitted = 4
	OptionTimestamps    = 8
)

// tcpOption is one TCP option.
type tcpOption struct {
	kind uint8
	data []byte
}

// options reads those of a segment, up to an end of the list.
func (p *Packet) options() (all []tcpOption, err error) {
	header, err := p.tcpHeader()
	if err != nil {
		return nil, err
	}
	for b := p.data[20:header]; len(b) > 0; {
		size := 1
		if b[0] > OptionNOP {
			if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
				return nil, fmt.Errorf("malformed from % x on", b)
			}
			size = int(b[1])
		}
		all = append(all, tcpOption{b[0], b[min(2, size):size]})
		if b[0] == OptionEnd {
			break
		}
		b = b[size:]
	}
	return all, nil
}

// Options checks the kinds of the TCP options in their order, NOP and end of list too; without
// arguments, that there are none.
func Options(kinds ...uint8) Check {
	return func(p *Packet) error {
		all, err := p.tcpOptions("options")
		if err != nil {
			return err
		}
		got := make([]uint8, len(all))
		for i, o := range all {
			got[i] = o.kind
		}
		if !slices.Equal(got, kinds) {
			return &Mismatch{LayerTCP, "options", got, kinds}
		}
		return nil
	}
}

func (p *Packet) tcpOptions(name string) ([]tcpOption, error) {
	if p.layer != LayerTCP {
		return nil, fmt.Errorf("%s stands among the checks of %v", name, p.layer)
	}
	all, err := p.options()
	if err != nil {
		return nil, fmt.Errorf("TCP options: %w", err)
	}
	return all, nil
}

// option checks that there is one option of the kind, with this content.
func option(name string, kind uint8, want ...byte) Check {
	return func(p *Packet) error {
		all, err := p.tcpOptions(name)
		if err != nil {
			return err
		}
		var found [][]byte
		for _, o := range all {
			if o.kind == kind {
				found = append(found, o.data)
			}
		}
		if len(found) != 1 {
			return &Mismatch{LayerTCP, name + " options", len(found), 1}
		}
		if !bytes.Equal(found[0], want) {
			return &Mismatch{LayerTCP, name, value(found[0]), value(want)}
		}
		return nil
	}
}

// value shows short contents as the numbers that they are.
func value(b []byte) any {
	switch len(b) {
	case 1:
		return b[0]
	case 2:
		return binary.BigEndian.Uint16(b)
	}
	return b
}

// MSS checks the maximum segment size that the segment offers.
func MSS(want uint16) Check {
	return option("MSS", OptionMSS, binary.BigEndian.AppendUint16(nil, want)...)
}

// WindowScale checks by how many bits windows are to be shifted.
func WindowScale(want uint8) Check { return option("window scale", OptionWindowScale, want) }

// SACKPermitted checks that selective acknowledgment is offered.
func SACKPermitted() Check { return option("SACK permitted", OptionSACKPermitted) }

// Timestamps checks the sender's time and the one that it echoes.
func Timestamps(value, echo uint32) Check {
	return option("timestamps", OptionTimestamps, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, value), echo)...)
}
