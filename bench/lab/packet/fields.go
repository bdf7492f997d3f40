package packet

import (
	"encoding/binary"
	"net"
	"net/netip"
)

// From is the source address and port; the port is 0 for what has none.
func (p *Packet) From() netip.AddrPort { return p.endpoint(0) }

// To is the destination address and port.
func (p *Packet) To() netip.AddrPort { return p.endpoint(2) }

func (p *Packet) endpoint(offset int) netip.AddrPort {
	if p.IP == nil {
		return netip.AddrPort{}
	}
	addr := p.IP.Src
	if offset > 0 {
		addr = p.IP.Dst
	}
	var port uint16
	if ports := p.IP.Protocol == ProtocolTCP || p.IP.Protocol == ProtocolUDP; ports && p.IP.FragmentOffset == 0 && len(p.IP.Payload) >= 4 {
		port = binary.BigEndian.Uint16(p.IP.Payload[offset:])
	}
	return netip.AddrPortFrom(addr, port)
}

// Segment holds the fields of a TCP header.
type Segment struct {
	SrcPort, DstPort uint16
	Seq, Ack         uint32
	Flags            Flag
	Window           uint16
	Payload          []byte
}

// TCP is the segment that the packet carries, or nil. Of a quoted one that is cut off, the fields that
// are not there are zero.
func (p *Packet) TCP() *Segment {
	in, err := p.inner(LayerTCP, ProtocolTCP, 20)
	if err != nil {
		return nil
	}
	s := &Segment{}
	if header, err := in.tcpHeader(); err == nil {
		s.Payload = in.data[header:]
	} else if !in.quoted {
		return nil
	}
	var b [20]byte
	copy(b[:], in.data)
	s.SrcPort, s.DstPort = binary.BigEndian.Uint16(b[:]), binary.BigEndian.Uint16(b[2:])
	s.Seq, s.Ack = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	s.Flags, s.Window = Flag(b[13]), binary.BigEndian.Uint16(b[14:])
	return s
}

// Quote is the packet that an ICMP error is about, or nil.
func (p *Packet) Quote() *Packet {
	layer, protocol := LayerICMPv4, uint8(ProtocolICMPv4)
	if p.IP != nil && p.IP.Version == 6 {
		layer, protocol = LayerICMPv6, ProtocolICMPv6
	}
	in, err := p.inner(layer, protocol, 8)
	if err != nil {
		return nil
	}
	q, err := in.quote()
	if err != nil {
		return nil
	}
	return q
}

// Message holds the fields of an ARP message.
type Message struct {
	Operation              uint16
	SenderMAC, TargetMAC   net.HardwareAddr
	SenderAddr, TargetAddr netip.Addr
}

// ARP is the ARP message that the frame carries, or nil.
func (p *Packet) ARP() *Message {
	if ARP()(p) != nil {
		return nil
	}
	b := p.Link.Payload
	return &Message{
		Operation: binary.BigEndian.Uint16(b[6:]),
		SenderMAC: net.HardwareAddr(b[8:14]), SenderAddr: netip.AddrFrom4([4]byte(b[14:])),
		TargetMAC: net.HardwareAddr(b[18:24]), TargetAddr: netip.AddrFrom4([4]byte(b[24:])),
	}
}
