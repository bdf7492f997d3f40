package packet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
)

func ip[T comparable](name string, want T, get func(*IP) T) Check {
	return func(p *Packet) error {
		if p.IP == nil {
			return &LayerError{LayerIPv4, p.layer, p.beside()}
		}
		if got := get(p.IP); got != want {
			return &Mismatch{p.IP.layer(), name, got, want}
		}
		return nil
	}
}

// Src checks the source address, and with it the family.
func Src(want netip.Addr) Check {
	return ip("source", want, func(h *IP) netip.Addr { return h.Src })
}

// Dst checks the destination address, and with it the family.
func Dst(want netip.Addr) Check {
	return ip("destination", want, func(h *IP) netip.Addr { return h.Dst })
}

// TTL checks the time to live, or the hop limit.
func TTL(want uint8) Check {
	return ip("TTL", want, func(h *IP) uint8 { return h.TTL })
}

// Class checks the type of service, or the traffic class.
func Class(want uint8) Check {
	return ip("class", want, func(h *IP) uint8 { return h.Class })
}

// FlowLabel checks the flow label of IPv6.
func FlowLabel(want uint32) Check {
	return ip("flow label", want, func(h *IP) uint32 { return h.FlowLabel })
}

// Protocol checks what the packet carries, behind the extension headers of IPv6.
func Protocol(want uint8) Check {
	return ip("protocol", want, func(h *IP) uint8 { return h.Protocol })
}

// Length checks the bytes of the packet from its IP header on, as this says.
func Length(want int) Check {
	return ip("length", want, func(h *IP) int { return h.Length })
}

// Padding checks the bytes behind the packet, which Ethernet adds to short ones.
func Padding(want int) Check {
	return ip("padding", want, func(h *IP) int { return len(h.Padding) })
}

// ID checks the identification, of IPv6 that of the fragment header.
func ID(want uint32) Check {
	return ip("identification", want, func(h *IP) uint32 { return h.ID })
}

// DontFragment checks that routers must not split the packet. Of IPv6 they never do.
func DontFragment(want bool) Check {
	return ip("don't fragment", want, func(h *IP) bool { return h.DF })
}

// Fragment checks where in the original packet this one begins, in bytes, and whether more follow.
func Fragment(offset int, more bool) Check {
	return All(
		ip("fragment offset", offset, func(h *IP) int { return h.FragmentOffset }),
		ip("more fragments", more, func(h *IP) bool { return h.MF }),
	)
}

// IPOptions checks the options of IPv4, or the extension headers of IPv6; without arguments, that there
// are none.
func IPOptions(want ...byte) Check {
	return func(p *Packet) error {
		if p.IP == nil {
			return &LayerError{LayerIPv4, p.layer, p.beside()}
		}
		if !bytes.Equal(p.IP.Options, want) {
			return &Mismatch{p.IP.layer(), "options", p.IP.Options, want}
		}
		return nil
	}
}

// Checksum checks the checksum of the layer that it stands in: of the IPv4 header, or of the segment or
// message with its pseudo header. UDP over IPv4 may go without one.
func Checksum() Check {
	return func(p *Packet) error {
		var offset int
		switch p.layer {
		case LayerIPv4:
			offset = 10
		case LayerTCP:
			offset = 16
		case LayerUDP:
			offset = 6
		case LayerICMPv4, LayerICMPv6:
			offset = 2
		default:
			return fmt.Errorf("%v has no checksum", p.layer)
		}
		got, err := p.uint16(offset)
		if err != nil {
			return fmt.Errorf("checksum: %w", err)
		}
		if p.layer == LayerUDP && got == 0 && p.IP.Version == 4 {
			return nil
		}
		if want := p.checksum(offset); got != want {
			return &Mismatch{p.layer, "checksum", fmt.Sprintf("%#04x", got), fmt.Sprintf("%#04x", want)}
		}
		return nil
	}
}

// checksum computes that of the layer, in which it stands at the offset.
func (p *Packet) checksum(offset int) uint16 {
	var sum uint32
	data := p.data
	switch p.layer {
	case LayerIPv4:
		data = p.IP.Header
	case LayerTCP, LayerUDP, LayerICMPv6:
		sum = words(sum, p.IP.Src.AsSlice())
		sum = words(sum, p.IP.Dst.AsSlice())
		sum += uint32(len(data)>>16) + uint32(len(data)&0xffff) + uint32(p.IP.Protocol)
	}
	sum = words(sum, data[:offset])
	sum = words(sum, data[offset+2:])
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	if c := ^uint16(sum); c != 0 || p.layer != LayerUDP {
		return c
	}
	return 0xffff // RFC 768: zero means that there is none
}

// words adds up 16-bit words (RFC 1071).
func words(sum uint32, b []byte) uint32 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

// Payload checks what follows the header of the layer that it stands in.
func Payload(want ...byte) Check {
	return func(p *Packet) error {
		got, err := p.payload()
		if err != nil {
			return fmt.Errorf("payload: %w", err)
		}
		if !bytes.Equal(got, want) {
			return &Mismatch{p.layer, "payload", got, want}
		}
		return nil
	}
}

func (p *Packet) payload() ([]byte, error) {
	header := 8 // UDP and ICMP
	switch p.layer {
	case LayerEthernet:
		return p.Link.Payload, nil
	case LayerIPv4, LayerIPv6:
		return p.IP.Payload, nil
	case LayerARP:
		header = 28
	case LayerTCP:
		h, err := p.tcpHeader()
		if err != nil {
			return nil, err
		}
		header = h
	}
	if len(p.data) < header {
		return nil, &ShortError{p.layer, header, len(p.data)}
	}
	return p.data[header:], nil
}
