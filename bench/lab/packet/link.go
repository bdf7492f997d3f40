package packet

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// field is a check of a value that read gives. Of the layers, the packet must have come to one.
func field[T comparable](name string, want T, read func(*Packet) (T, error), layers ...Layer) Check {
	return func(p *Packet) error {
		if !slices.Contains(layers, p.layer) {
			return fmt.Errorf("%s stands among the checks of %v, it is one of %v", name, p.layer, layers)
		}
		got, err := read(p)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if got != want {
			return &Mismatch{p.layer, name, got, want}
		}
		return nil
	}
}

// number is a check of an integer at an offset of the layer.
func number[T comparable](name string, want T, read func(*Packet, int) (T, error), offset int, layers ...Layer) Check {
	return field(name, want, func(p *Packet) (T, error) { return read(p, offset) }, layers...)
}

func link[T any](name string, want T, get func(*Link) T, equal func(a, b T) bool) Check {
	return func(p *Packet) error {
		if p.Link == nil {
			return &LayerError{LayerEthernet, p.layer, "the bytes begin with the IP header"}
		}
		if got := get(p.Link); !equal(got, want) {
			return &Mismatch{LayerEthernet, name, got, want}
		}
		return nil
	}
}

func sameMAC(a, b net.HardwareAddr) bool { return bytes.Equal(a, b) }

// SrcMAC checks who sent the frame.
func SrcMAC(want net.HardwareAddr) Check {
	return link("source", want, func(l *Link) net.HardwareAddr { return l.Src }, sameMAC)
}

// DstMAC checks to whom the frame goes.
func DstMAC(want net.HardwareAddr) Check {
	return link("destination", want, func(l *Link) net.HardwareAddr { return l.Dst }, sameMAC)
}

// EtherType checks what the frame carries, behind its VLAN tags.
func EtherType(want uint16) Check {
	return link("EtherType", want, func(l *Link) uint16 { return l.Type }, func(a, b uint16) bool { return a == b })
}

// VLAN checks the identifiers of the frame's tags, outermost first; without arguments, that it has none.
func VLAN(want ...uint16) Check {
	return link("VLANs", want, func(l *Link) []uint16 { return l.VLANs }, slices.Equal[[]uint16])
}

// Operations of ARP (RFC 826).
const (
	ARPRequest = 1
	ARPReply   = 2
)

// ARP checks that the frame is an ARP message for IPv4 over Ethernet, which passes the checks.
func ARP(checks ...Check) Check {
	return func(p *Packet) error {
		if p.Link == nil || p.Link.Type != TypeARP {
			return &LayerError{LayerARP, p.layer, p.beside()}
		}
		in := *p
		in.layer, in.data = LayerARP, p.Link.Payload
		head, err := in.at(0, 28)
		if err != nil {
			return err
		}
		if want := []byte{0, 1, 8, 0, 6, 4}; !bytes.Equal(head[:6], want) {
			return &Mismatch{LayerARP, "hardware, protocol and lengths", head[:6], want}
		}
		return All(checks...)(&in)
	}
}

// Operation checks whether an ARP message asks or answers.
func Operation(want uint16) Check {
	return number("operation", want, (*Packet).uint16, 6, LayerARP)
}

// Sender checks whom an ARP message is from.
func Sender(mac net.HardwareAddr, addr netip.Addr) Check {
	return All(arpMAC("sender's MAC", mac, 8), arpAddr("sender's address", addr, 14))
}

// Target checks whom an ARP message is for. A request does not know the MAC address, which is zero.
func Target(mac net.HardwareAddr, addr netip.Addr) Check {
	return All(arpMAC("target's MAC", mac, 18), arpAddr("target's address", addr, 24))
}

func arpMAC(name string, want net.HardwareAddr, offset int) Check {
	return field(name, want.String(), func(p *Packet) (string, error) {
		b, err := p.at(offset, 6)
		return net.HardwareAddr(b).String(), err
	}, LayerARP)
}

func arpAddr(name string, want netip.Addr, offset int) Check {
	return field(name, want, func(p *Packet) (netip.Addr, error) {
		b, err := p.at(offset, 4)
		if err != nil {
			return netip.Addr{}, err
		}
		return netip.AddrFrom4([4]byte(b)), nil
	}, LayerARP)
}
