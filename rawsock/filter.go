package rawsock

import (
	"fmt"
	"slices"

	"golang.org/x/net/bpf"
)

// Packet types of skb->pkt_type (include/uapi/linux/if_packet.h, Linux 6.12).
const (
	packetOtherHost = 3
	packetOutgoing  = 4
)

// Link layer types of dev->type (include/uapi/linux/if_arp.h) whose header is Ethernet's, or as long.
const (
	arphrdEther    = 1
	arphrdLoopback = 772
)

// networkOffset is SKF_NET_OFF (include/uapi/linux/filter.h): loads from there on count from the network header.
const networkOffset = 0xfff0_0000

// incomingOnly is the filter's prologue: a packet that this host sends is dropped, so
// that on lo, where every packet is sent and received, no reply shows twice. It is apart
// because x/net/bpf's virtual machine knows no packet type.
var incomingOnly = []bpf.Instruction{
	bpf.LoadExtension{Num: bpf.ExtType},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: packetOutgoing, SkipTrue: 1},
	bpf.RetConstant{Val: 0},
}

// filter is all that the socket of c keeps: an incoming packet, of an interface that is not left to others, that may be
// a reply.
func (c *RxConfig) filter(snap int) []bpf.Instruction {
	replies := func() []bpf.Instruction { return replyFilter(c.PortMin, c.PortMax, snap) }
	ins := slices.Concat(incomingOnly, c.exceptOthers())
	switch {
	case c.LinkHeader == 0:
		return append(ins, replies()...)
	case c.Interface != 0:
		return append(ins, behind(uint32(c.LinkHeader), replies())...)
	}
	// Headers are of one length on Ethernet and loopback, and of any on other links.
	ethernet, other := behind(etherHeader, replies()), behind(networkOffset, replies())
	ins = append(ins,
		bpf.LoadExtension{Num: bpf.ExtLinkLayerType},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: arphrdEther, SkipTrue: uint8(1 + len(other))},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: arphrdLoopback, SkipTrue: uint8(len(other))})
	return slices.Concat(ins, other, ethernet)
}

// exceptOthers drops what comes in on the interfaces of Except, but for packets that are to another host there.
func (c *RxConfig) exceptOthers() (ins []bpf.Instruction) {
	for _, index := range c.Except {
		ins = append(ins,
			bpf.LoadExtension{Num: bpf.ExtInterfaceIndex},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(index), SkipTrue: 3},
			bpf.LoadExtension{Num: bpf.ExtType},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: packetOtherHost, SkipTrue: 1},
			bpf.RetConstant{Val: 0})
	}
	return ins
}

// replyFilter passes snap bytes of an IPv4 packet that can be an answer to a probe sent
// from a source port in [portMin, portMax], and drops every other:
//
//   - TCP to such a port with SYN and ACK, or with RST;
//   - ICMP destination unreachable (type 3) and time exceeded (type 11) that quote a TCP
//     segment from such a port (RFC 792: the quotation is the IP header and 8 bytes).
//
// Offsets count from the IP header: on a cooked (SOCK_DGRAM) packet socket the kernel
// runs the filter there, whatever the link type (tpacket_rcv, net/packet/af_packet.c, Linux 6.12).
// A load beyond the packet's end drops the packet, so no length is checked. Whether a
// packet is an answer, and to which probe, its cookie must show; the filter only keeps
// the host's other traffic out of the ring.
func replyFilter(portMin, portMax uint16, snap int) []bpf.Instruction {
	const (
		next = "" // fall through
		drop = "drop"
		pass = "pass"
	)
	p := program{}

	// IPv4 with a header of 20 to 60 bytes: first byte 0x45 to 0x4f.
	p.add(bpf.LoadAbsolute{Off: 0, Size: 1})
	p.jump(bpf.JumpGreaterOrEqual, 0x45, next, drop)
	p.jump(bpf.JumpGreaterThan, 0x4f, drop, next)
	// Only a first or only fragment has a transport header (offset in 13 bits).
	p.add(bpf.LoadAbsolute{Off: 6, Size: 2})
	p.jump(bpf.JumpBitsSet, 0x1fff, drop, next)
	// X = header length, options included (ldx 4*([0]&0xf), "msh").
	p.add(bpf.LoadMemShift{Off: 0})
	p.add(bpf.LoadAbsolute{Off: 9, Size: 1})
	p.jump(bpf.JumpEqual, 1, "icmp", next)
	p.jump(bpf.JumpEqual, 6, next, drop)

	// TCP: destination port (bytes 2-3) is one of ours.
	p.add(bpf.LoadIndirect{Off: 2, Size: 2})
	p.jump(bpf.JumpGreaterOrEqual, uint32(portMin), next, drop)
	p.jump(bpf.JumpGreaterThan, uint32(portMax), drop, next)
	// TCP flags (byte 13): RST, or SYN and ACK both.
	p.add(bpf.LoadIndirect{Off: 13, Size: 1})
	p.jump(bpf.JumpBitsSet, 0x04, pass, next)
	p.add(bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0x12})
	p.jump(bpf.JumpEqual, 0x12, pass, drop)

	// ICMP type 3 or 11; the quoted packet starts 8 bytes on.
	p.label("icmp")
	p.add(bpf.LoadIndirect{Off: 0, Size: 1})
	p.jump(bpf.JumpEqual, 3, "quote", next)
	p.jump(bpf.JumpEqual, 11, "quote", drop)
	// The quotation: an IPv4 header of sane length, TCP. Its fragment bits are not looked at: some stacks
	// swap their bytes, so that DF reads as an offset.
	p.label("quote")
	p.add(bpf.LoadIndirect{Off: 8, Size: 1})
	p.jump(bpf.JumpGreaterOrEqual, 0x45, next, drop)
	p.jump(bpf.JumpGreaterThan, 0x4f, drop, next)
	p.add(bpf.LoadIndirect{Off: 8 + 9, Size: 1})
	p.jump(bpf.JumpEqual, 6, next, drop)
	// X += quoted header length; msh takes only a fixed offset, so by arithmetic.
	p.add(bpf.LoadIndirect{Off: 8, Size: 1})
	p.add(bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0x0f})
	p.add(bpf.ALUOpConstant{Op: bpf.ALUOpShiftLeft, Val: 2})
	p.add(bpf.ALUOpX{Op: bpf.ALUOpAdd})
	p.add(bpf.TAX{})
	// Quoted source port is one of ours.
	p.add(bpf.LoadIndirect{Off: 8, Size: 2})
	p.jump(bpf.JumpGreaterOrEqual, uint32(portMin), next, drop)
	p.jump(bpf.JumpGreaterThan, uint32(portMax), drop, pass)

	// The value returned is the number of bytes kept: it, and no slot size, bounds what
	// a packet takes of the ring.
	p.label(pass)
	p.add(bpf.RetConstant{Val: uint32(snap)})
	p.label(drop)
	p.add(bpf.RetConstant{Val: 0})
	return p.link()
}

// behind moves a filter's loads by n bytes: behind the link header, where the kernel runs it on a socket that gets
// the header too (SOCK_RAW), or to networkOffset, which suits every header but reaches only the linear part of a
// packet: what lies in a driver's page fragments behind it would be dropped.
func behind(n uint32, filter []bpf.Instruction) []bpf.Instruction {
	for i, in := range filter {
		switch in := in.(type) {
		case bpf.LoadAbsolute:
			in.Off += n
			filter[i] = in
		case bpf.LoadIndirect:
			in.Off += n
			filter[i] = in
		case bpf.LoadMemShift:
			in.Off += n
			filter[i] = in
		}
	}
	return filter
}

// program is a BPF program whose jumps still name their targets.
type program struct {
	ins    []bpf.Instruction
	jumps  []labelledJump
	labels map[string]int
}

type labelledJump struct {
	at             int
	yes, otherwise string
}

func (p *program) add(in bpf.Instruction) { p.ins = append(p.ins, in) }

func (p *program) label(name string) {
	if p.labels == nil {
		p.labels = make(map[string]int)
	}
	p.labels[name] = len(p.ins)
}

// jump goes to yes if A cond val, else to otherwise; "" is the next instruction.
func (p *program) jump(cond bpf.JumpTest, val uint32, yes, otherwise string) {
	p.jumps = append(p.jumps, labelledJump{len(p.ins), yes, otherwise})
	p.add(bpf.JumpIf{Cond: cond, Val: val})
}

// link turns labels into forward distances. It panics on a label that is missing or out
// of reach: the programs are constants of this package, which its tests run.
func (p *program) link() []bpf.Instruction {
	distance := func(at int, label string) uint8 {
		if label == "" {
			return 0
		}
		target, ok := p.labels[label]
		d := target - at - 1
		if !ok || d < 0 || d > 255 {
			panic(fmt.Sprintf("rawsock: bpf jump at %d to %q: distance %d", at, label, d))
		}
		return uint8(d)
	}
	for _, j := range p.jumps {
		in := p.ins[j.at].(bpf.JumpIf)
		in.SkipTrue, in.SkipFalse = distance(j.at, j.yes), distance(j.at, j.otherwise)
		p.ins[j.at] = in
	}
	return p.ins
}
