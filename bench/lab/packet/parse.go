package packet

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
)

// Layer is a kind of header.
type Layer uint8

// The layers that this package reads.
const (
	LayerEthernet Layer = iota + 1
	LayerARP
	LayerIPv4
	LayerIPv6
	LayerTCP
	LayerUDP
	LayerICMPv4
	LayerICMPv6
)

func (l Layer) String() string {
	names := [...]string{LayerEthernet: "Ethernet", LayerARP: "ARP", LayerIPv4: "IPv4", LayerIPv6: "IPv6",
		LayerTCP: "TCP", LayerUDP: "UDP", LayerICMPv4: "ICMPv4", LayerICMPv6: "ICMPv6"}
	if int(l) < len(names) && names[l] != "" {
		return names[l]
	}
	return fmt.Sprintf("layer(%d)", uint8(l))
}

// EtherTypes and IP protocols.
const (
	TypeIPv4 = 0x0800
	TypeARP  = 0x0806
	TypeVLAN = 0x8100
	TypeQinQ = 0x88a8
	TypeIPv6 = 0x86dd

	ProtocolICMPv4 = 1
	ProtocolTCP    = 6
	ProtocolUDP    = 17
	ProtocolICMPv6 = 58
)

// Packet is a parsed packet. Its slices share the memory of what was parsed.
type Packet struct {
	Link *Link // nil if the bytes began with the IP header
	IP   *IP   // nil for what is not IP, as ARP

	// layer is the innermost that the checks have come to, data its header and what follows. A layer that
	// is quoted may end anywhere.
	layer  Layer
	data   []byte
	quoted bool
}

// Link is an Ethernet header.
type Link struct {
	Dst, Src net.HardwareAddr
	VLANs    []uint16 // identifiers of the tags, outermost first
	Type     uint16   // of what is behind the tags
	Payload  []byte
}

// IP is an IPv4 or IPv6 header.
type IP struct {
	Version  uint8
	Src, Dst netip.Addr
	TTL      uint8 // or hop limit
	Class    uint8 // type of service or traffic class
	Protocol uint8 // of the payload: behind the extension headers
	Length   int   // of the packet, header and payload
	Header   []byte
	Payload  []byte // without what Ethernet padded
	Padding  []byte

	ID             uint32 // IPv6: of the fragment header
	DF, MF         bool
	FragmentOffset int    // bytes
	FlowLabel      uint32 // IPv6
	Options        []byte // IPv4 options or IPv6 extension headers
}

func (ip *IP) layer() Layer {
	if ip.Version == 6 {
		return LayerIPv6
	}
	return LayerIPv4
}

// ParseEthernet reads a frame. What is neither IPv4 nor IPv6 has a link header only.
func ParseEthernet(frame []byte) (*Packet, error) {
	if len(frame) < 14 {
		return nil, &ShortError{LayerEthernet, 14, len(frame)}
	}
	l := &Link{Dst: net.HardwareAddr(frame[:6]), Src: net.HardwareAddr(frame[6:12])}
	at := 12
	for l.Type = binary.BigEndian.Uint16(frame[at:]); l.Type == TypeVLAN || l.Type == TypeQinQ; l.Type = binary.BigEndian.Uint16(frame[at:]) {
		if len(frame) < at+6 {
			return nil, &ShortError{LayerEthernet, at + 6, len(frame)}
		}
		l.VLANs = append(l.VLANs, binary.BigEndian.Uint16(frame[at+2:])&0xfff)
		at += 4
	}
	l.Payload = frame[at+2:]
	p := &Packet{}
	var err error
	switch l.Type {
	case TypeIPv4:
		p, err = ParseIPv4(l.Payload)
	case TypeIPv6:
		p, err = ParseIPv6(l.Payload)
	}
	if err != nil {
		return nil, err
	}
	if p.Link = l; p.IP == nil {
		p.layer, p.data = LayerEthernet, frame
	}
	return p, nil
}

// ParseIPv4 reads a packet that begins with an IPv4 header.
func ParseIPv4(b []byte) (*Packet, error) { return parseIPv4(b, false) }

// ParseIPv6 reads a packet that begins with an IPv6 header.
func ParseIPv6(b []byte) (*Packet, error) { return parseIPv6(b, false) }

// parseIPv4 takes the length of a quoted packet from the bytes that are there.
func parseIPv4(b []byte, quoted bool) (*Packet, error) {
	if len(b) < 20 {
		return nil, &ShortError{LayerIPv4, 20, len(b)}
	}
	header, length := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if b[0]>>4 != 4 || header < 20 {
		return nil, fmt.Errorf("no IPv4 header: it begins with %#02x", b[0])
	}
	if len(b) < header {
		return nil, &ShortError{LayerIPv4, header, len(b)}
	}
	end := length
	if quoted {
		end = min(len(b), max(length, header))
	}
	if length < header && !quoted || end > len(b) {
		return nil, fmt.Errorf("IPv4 length: %d, of %d bytes with a header of %d", length, len(b), header)
	}
	fragment := binary.BigEndian.Uint16(b[6:])
	ip := &IP{
		Version: 4, Src: netip.AddrFrom4([4]byte(b[12:])), Dst: netip.AddrFrom4([4]byte(b[16:])),
		Class: b[1], TTL: b[8], Protocol: b[9], Length: length, ID: uint32(binary.BigEndian.Uint16(b[4:])),
		DF: fragment&0x4000 != 0, MF: fragment&0x2000 != 0, FragmentOffset: int(fragment&0x1fff) * 8,
		Header: b[:header], Options: b[20:header], Payload: b[header:end], Padding: b[end:],
	}
	return &Packet{IP: ip, layer: LayerIPv4, data: b[:end], quoted: quoted}, nil
}

func parseIPv6(b []byte, quoted bool) (*Packet, error) {
	const header = 40
	if len(b) < header {
		return nil, &ShortError{LayerIPv6, header, len(b)}
	}
	if b[0]>>4 != 6 {
		return nil, fmt.Errorf("no IPv6 header: it begins with %#02x", b[0])
	}
	length := header + int(binary.BigEndian.Uint16(b[4:]))
	end := length
	if quoted {
		end = min(len(b), length)
	}
	if end > len(b) {
		return nil, fmt.Errorf("IPv6 length: %d, of %d bytes", length, len(b))
	}
	word := binary.BigEndian.Uint32(b)
	ip := &IP{
		Version: 6, Src: netip.AddrFrom16([16]byte(b[8:])), Dst: netip.AddrFrom16([16]byte(b[24:])),
		Class: uint8(word >> 20), FlowLabel: word & 0xfffff, TTL: b[7], Protocol: b[6], Length: length, DF: true, Padding: b[end:],
	}
	at, err := ip.extensions(b[:end])
	if err != nil {
		return nil, err
	}
	ip.Header, ip.Options, ip.Payload = b[:at], b[header:at], b[at:end]
	return &Packet{IP: ip, layer: LayerIPv6, data: b[:end], quoted: quoted}, nil
}

// extensions reads the extension headers and returns where they end.
func (ip *IP) extensions(b []byte) (at int, err error) {
	for at = 40; ; {
		size := 8
		switch ip.Protocol {
		case 0, 43, 60: // hop-by-hop options, routing, destination options
			if len(b) >= at+2 {
				size = int(b[at+1])*8 + 8
			}
		case 44: // fragment
		default:
			return at, nil
		}
		if len(b) < at+size {
			return 0, &ShortError{LayerIPv6, at + size, len(b)}
		}
		if ip.Protocol == 44 {
			offset := binary.BigEndian.Uint16(b[at+2:])
			ip.FragmentOffset, ip.MF, ip.ID = int(offset&^7), offset&1 != 0, binary.BigEndian.Uint32(b[at+4:])
		}
		ip.Protocol = b[at]
		at += size
	}
}

// inner is the layer behind the IP header.
func (p *Packet) inner(want Layer, protocol uint8, header int) (*Packet, error) {
	switch {
	case p.IP == nil:
		return nil, &LayerError{want, p.layer, p.beside()}
	case p.IP.Protocol != protocol:
		return nil, &LayerError{want, p.layer, fmt.Sprintf("protocol %d", p.IP.Protocol)}
	case p.IP.FragmentOffset != 0:
		return nil, &LayerError{want, p.layer, fmt.Sprintf("a fragment from byte %d", p.IP.FragmentOffset)}
	}
	in := *p
	in.layer, in.data = want, p.IP.Payload
	return &in, in.need(header)
}

func (p *Packet) beside() string {
	if p.Link == nil {
		return "neither a link nor an IP header"
	}
	return fmt.Sprintf("EtherType %#04x", p.Link.Type)
}

// need is an error if the layer is shorter; the header of a quoted one may be.
func (p *Packet) need(header int) error {
	if len(p.data) < header && !p.quoted {
		return &ShortError{p.layer, header, len(p.data)}
	}
	return nil
}

// at returns the bytes of a field.
func (p *Packet) at(offset, n int) ([]byte, error) {
	if len(p.data) < offset+n {
		return nil, &ShortError{p.layer, offset + n, len(p.data)}
	}
	return p.data[offset : offset+n], nil
}

func (p *Packet) uint8(offset int) (uint8, error) {
	b, err := p.at(offset, 1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

func (p *Packet) uint16(offset int) (uint16, error) {
	b, err := p.at(offset, 2)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint16(b), nil
}

func (p *Packet) uint32(offset int) (uint32, error) {
	b, err := p.at(offset, 4)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint32(b), nil
}
