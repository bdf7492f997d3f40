package route

import (
	"encoding/binary"
	"net"
	"net/netip"

	"golang.org/x/net/bpf"
)

// ARP over Ethernet (RFC 826). Offsets count from the Ethernet header.
const (
	arpHardware     = 14 // 2 bytes: 1, Ethernet
	arpProtocol     = 16 // 2 bytes: 0x0800, IPv4
	arpLengths      = 18 // 6 and 4
	arpOperation    = 20 // 1 request, 2 reply
	arpSenderMAC    = 22
	arpSenderIP     = 28
	arpTargetMAC    = 32
	arpTargetIP     = 38
	arpLength       = 42 // the driver pads to the minimum frame
	etherTypeARP    = 0x0806
	arpEthernetIPv4 = 1<<16 | 0x0800 // hardware and protocol
	arpReplyLengths = 6<<24 | 4<<16 | 2
)

// Request is the ARP request (RFC 826) of a host with this Ethernet and IPv4 address for the MAC address
// of another, as an Ethernet frame.
func Request(from net.HardwareAddr, src, target netip.Addr) []byte {
	s, t := src.As4(), target.As4()
	b := newRequest([6]byte(from), binary.BigEndian.Uint32(s[:]))
	setTarget(b, binary.BigEndian.Uint32(t[:]))
	return b
}

// newRequest is a broadcast ARP request without the address asked for, which
// setTarget puts in.
func newRequest(mac [6]byte, src uint32) []byte {
	b := make([]byte, 0, arpLength)
	b = append(b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	b = append(b, mac[:]...)
	b = binary.BigEndian.AppendUint16(b, etherTypeARP)
	b = binary.BigEndian.AppendUint32(b, arpEthernetIPv4)
	b = binary.BigEndian.AppendUint32(b, arpReplyLengths-1) // operation 1
	b = append(b, mac[:]...)
	b = binary.BigEndian.AppendUint32(b, src)
	return append(b, make([]byte, arpLength-len(b))...)
}

func setTarget(request []byte, addr uint32) {
	binary.BigEndian.PutUint32(request[arpTargetIP:], addr)
}

// parseReply returns who answers. It rejects what is not a well-formed reply to
// a request from (mac, src), and a MAC address that no host can have; whether
// the sender was asked, the caller knows.
func parseReply(b []byte, mac [6]byte, src uint32) (sender uint32, senderMAC [6]byte, ok bool) {
	if len(b) < arpLength ||
		binary.BigEndian.Uint16(b[12:]) != etherTypeARP ||
		binary.BigEndian.Uint32(b[arpHardware:]) != arpEthernetIPv4 ||
		binary.BigEndian.Uint32(b[arpLengths:]) != arpReplyLengths ||
		[6]byte(b[arpTargetMAC:]) != mac ||
		binary.BigEndian.Uint32(b[arpTargetIP:]) != src {
		return 0, senderMAC, false
	}
	return senderOf(b)
}

// senderOf rejects a MAC address of a group or of nobody.
func senderOf(b []byte) (sender uint32, mac [6]byte, ok bool) {
	mac = [6]byte(b[arpSenderMAC:])
	return binary.BigEndian.Uint32(b[arpSenderIP:]), mac, mac[0]&1 == 0 && mac != [6]byte{}
}

// parseSender returns who says what of itself in a request, a reply or an announcement (RFC 5227 §3). A probe
// has no sender address (RFC 5227 §2.1.1), and is of nobody that is asked for.
func parseSender(b []byte) (sender uint32, mac [6]byte, ok bool) {
	if len(b) < arpLength ||
		binary.BigEndian.Uint16(b[12:]) != etherTypeARP ||
		binary.BigEndian.Uint32(b[arpHardware:]) != arpEthernetIPv4 {
		return 0, mac, false
	}
	switch binary.BigEndian.Uint32(b[arpLengths:]) {
	case arpReplyLengths, arpReplyLengths - 1:
		return senderOf(b)
	}
	return 0, mac, false
}

// replyFilter keeps other hosts' ARP traffic, which a large broadcast domain has
// plenty of, out of the socket's buffer. A reply may be broadcast (RFC 3927
// §2.5), so the packet type does not decide.
func replyFilter(mac [6]byte, src uint32) []bpf.Instruction {
	target := binary.BigEndian.Uint32(mac[2:])
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: arpHardware, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: arpEthernetIPv4, SkipTrue: 9},
		bpf.LoadAbsolute{Off: arpLengths, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: arpReplyLengths, SkipTrue: 7},
		bpf.LoadAbsolute{Off: arpTargetIP, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: src, SkipTrue: 5},
		bpf.LoadAbsolute{Off: arpTargetMAC, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(binary.BigEndian.Uint16(mac[:])), SkipTrue: 3},
		bpf.LoadAbsolute{Off: arpTargetMAC + 2, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: target, SkipTrue: 1},
		bpf.RetConstant{Val: 128},
		bpf.RetConstant{Val: 0},
	}
}

// maxEarHops is bounded by the length of a filter (BPF_MAXINSNS, linux/bpf_common.h: 4096).
const maxEarHops = 2000

// senderFilter passes ARP whose sender has one of the addresses.
func senderFilter(senders []uint32) []bpf.Instruction {
	f := []bpf.Instruction{bpf.LoadAbsolute{Off: arpSenderIP, Size: 4}}
	for _, u := range senders {
		f = append(f, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: u, SkipTrue: 1}, bpf.RetConstant{Val: 128})
	}
	return append(f, bpf.RetConstant{Val: 0})
}
