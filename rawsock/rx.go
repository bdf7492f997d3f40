package rawsock

import (
	"fmt"
	"math"
	"time"
)

// MinSnap is the least snap length, in bytes: the longest headers an answer can have
// (IP 60, ICMP 8, quoted IP 60, and 8 quoted bytes of TCP).
const MinSnap = 60 + 8 + 60 + 8

const (
	// 16 MiB is the minimum useful: some 100,000 replies, 0.1 s of a million a second,
	// which is the pause that a busy host may impose on the reader.
	defaultRing = 16 << 20
	// A block that is retired before it is full takes a whole place in the ring: 256 of them outlast a
	// reader's pause of more than a second however slowly packets come.
	defaultBlock = 64 << 10
	defaultSnap  = 160
	// A block that is not full is handed over after this time, so it bounds how late
	// a lone reply is seen. Packet times are the kernel's and do not suffer from it.
	defaultRetire = 5 * time.Millisecond

	// What TPACKET_V3 puts before the data of a cooked socket's packet: header and
	// sockaddr_ll aligned to 16, and 16 more (tpacket_rcv: macoff = netoff =
	// TPACKET_ALIGN(tp_hdrlen) + 16, with tp_hdrlen = TPACKET3_HDRLEN = 68).
	slotHeader = 96
	// What a slot has room for before the IP header in any case: tpacket_rcv leaves max(maclen, 16).
	maxLinkHeader = 16

	// Block descriptor, BLK_HDR_LEN in net/packet/af_packet.c, Linux 6.12.
	blockHeader = 48
)

// RxConfig describes an Rx. The ports are required.
type RxConfig struct {
	// Interface is the index of the interface to receive on. 0: on every interface, those too that come up
	// later; the socket then outlives an interface that goes down or away. Each packet is seen once, on the
	// uppermost device that it comes up by: the bond and not its member, the VLAN and not its trunk
	// (__netif_receive_skb_core, net/core/dev.c, Linux 6.12).
	Interface int

	// Except are interfaces that are left to somebody else who receives there, such as an XDP program; with
	// Interface 0 only. What is to another host there is received all the same: so the kernel marks frames
	// with a VLAN tag that no device takes.
	Except []int

	// PortMin to PortMax, both included, are the source ports of our probes. The
	// kernel passes only TCP SYN-ACK and RST to them, and ICMP type 3 and 11 that
	// quotes a TCP segment from them.
	PortMin, PortMax uint16

	// RingBytes is the size of the ring: a multiple of BlockBytes, at least two
	// blocks. 0 means 16 MiB, the minimum useful for a fast scan.
	RingBytes int

	// BlockBytes is the unit in which the kernel hands packets over: a multiple of
	// the page size. 0 means 64 KiB (some 400 replies).
	BlockBytes int

	// Snap is the number of bytes kept of a packet, at least MinSnap. 0 means 160.
	// The kernel's filter returns it, and TPACKET_V3 packs packets one behind the
	// other, so a packet takes what it is long, at most 96+Snap bytes, and the ring
	// holds as many whatever offloads (GRO, TSO, jumbo frames) the interface has. A
	// capture library that must fit the largest packet into each slot gets 64 KiB
	// slots when offloads are on, and a ring of a few dozen of them loses replies.
	Snap int

	// LinkHeader is the length of the interface's link header where Rx.AppendFrame is to give frames with
	// it, in bytes: 14 on Ethernet and loopback, and so on Interface 0, where other links have what they have.
	// Snap then counts from it, and is that much more at least. 0: packets begin at their IP header, which is
	// all there is on links without a header of their own.
	LinkHeader int

	// Retire is the time after which a block that is not full is handed over, in
	// whole milliseconds, 1 ms or more. 0 means 5 ms.
	Retire time.Duration
}

// geometry is a TPACKET_V3 ring as struct tpacket_req3 wants it.
type geometry struct {
	blockBytes, blocks int
	slotBytes, slots   int // formal: V3 ignores slots on receive but checks their product
	snap, retireMs     int
}

// geometry fills in zero values and refuses what the kernel would (packet_set_ring), but
// with the numbers.
func (c RxConfig) geometry(pageSize int) (geometry, error) {
	if c.BlockBytes == 0 {
		c.BlockBytes = defaultBlock
	}
	if c.RingBytes == 0 {
		c.RingBytes = (defaultRing + c.BlockBytes - 1) / c.BlockBytes * c.BlockBytes
	}
	if c.Snap == 0 {
		c.Snap = defaultSnap
	}
	if c.Retire == 0 {
		c.Retire = defaultRetire
	}
	g := geometry{
		blockBytes: c.BlockBytes,
		blocks:     c.RingBytes / max(c.BlockBytes, 1),
		slotBytes:  (slotHeader + c.Snap + 15) &^ 15, // TPACKET_ALIGNMENT
		snap:       c.Snap,
		retireMs:   int(c.Retire / time.Millisecond),
	}
	switch {
	case c.Interface < 0:
		return g, fmt.Errorf("interface index %d: must be 1 or more, or 0 for every interface", c.Interface)
	case len(c.Except) > 0 && c.Interface != 0:
		return g, fmt.Errorf("interface index %d with %d exceptions: must be 0, every interface", c.Interface, len(c.Except))
	case c.Interface == 0 && c.LinkHeader != 0 && c.LinkHeader != etherHeader:
		return g, fmt.Errorf("link header of %d bytes on every interface: must be %d", c.LinkHeader, etherHeader)
	case c.PortMin == 0 || c.PortMin > c.PortMax:
		return g, fmt.Errorf("source ports %d to %d: must be an ascending range from 1", c.PortMin, c.PortMax)
	case c.LinkHeader < 0 || c.LinkHeader > maxLinkHeader:
		return g, fmt.Errorf("link header of %d bytes: must be 0 to %d", c.LinkHeader, maxLinkHeader)
	case c.Snap < MinSnap+c.LinkHeader || c.Snap > 1<<16:
		return g, fmt.Errorf("snap length of %d bytes: must be %d to %d", c.Snap, MinSnap+c.LinkHeader, 1<<16)
	case c.BlockBytes < 0 || c.BlockBytes%pageSize != 0:
		return g, fmt.Errorf("ring block of %d bytes: must be a multiple of the page size, %d bytes", c.BlockBytes, pageSize)
	case c.BlockBytes < blockHeader+g.slotBytes:
		return g, fmt.Errorf("ring block of %d bytes: must hold its header and one packet, %d bytes", c.BlockBytes, blockHeader+g.slotBytes)
	case c.RingBytes%c.BlockBytes != 0:
		return g, fmt.Errorf("ring of %d bytes: must be a multiple of the block, %d bytes", c.RingBytes, c.BlockBytes)
	case g.blocks < 2:
		return g, fmt.Errorf("ring of %d bytes: must hold two blocks of %d bytes, one to fill and one to read", c.RingBytes, c.BlockBytes)
	case int64(c.RingBytes) > math.MaxInt32:
		return g, fmt.Errorf("ring of %d bytes: must be at most %d", c.RingBytes, math.MaxInt32)
	case g.retireMs < 1 || c.Retire%time.Millisecond != 0:
		return g, fmt.Errorf("retire time %v: must be whole milliseconds, 1ms or more", c.Retire)
	}
	g.slots = g.blocks * (g.blockBytes / g.slotBytes)
	return g, nil
}

// Packet is one received packet. Data lies in the ring: it is valid until the next Wait,
// the Read that crosses into another block (or finds none), or Close. Who needs it longer
// copies it.
type Packet struct {
	Data []byte // from the IP header on, at most RxConfig.Snap bytes
	Time int64  // kernel's receive time, nanoseconds since the Unix epoch (CLOCK_REALTIME)
	Len  int    // length before it was cut to the snap length, IP header included

	Interface int // index of the interface that it came in by

	at int // where its header lies in the ring
}

// RxStats are counts since NewRx, of packets that passed the filter.
type RxStats struct {
	Packets uint64 // put into the ring
	Drops   uint64 // lost because the ring was full
	Freezes uint64 // times that the ring became full
}
