package rawsock

import (
	"fmt"
	"time"
)

// Framing says what a frame holds before its IPv4 header, and so by which kind of
// socket it leaves.
type Framing uint8

const (
	// Ethernet: 14 bytes of Ethernet header (18 with an 802.1Q tag).
	Ethernet Framing = iota
	// None: the frame starts at the IP header, for interfaces without a link header
	// (ARPHRD_NONE, ARPHRD_PPP, ARPHRD_TUNNEL: tun, wireguard, ppp, ipip).
	None
	// Loopback: the frame starts at the IP header and takes the IP output path. A
	// frame for 127/8 injected by a packet socket on lo carries no route, so the
	// receiving side drops it as a martian; a raw IP socket gives it one. The kernel
	// fills in total length and header checksum itself (raw(7)).
	Loopback
)

func (f Framing) String() string {
	switch f {
	case Ethernet:
		return "ethernet"
	case None:
		return "none"
	case Loopback:
		return "loopback"
	}
	return fmt.Sprintf("framing(%d)", uint8(f))
}

// MaxSendWait bounds the time that one Send spends waiting for a full send queue, so
// that its caller sees a stop flag soon enough.
const MaxSendWait = 50 * time.Millisecond

const (
	// Over a veth pair a minimal SYN costs about 1 µs alone and 0.5 to 0.75 µs in a
	// batch, 16, 64, 256 and 1024 being equal within noise (BenchmarkSend): at 64 the
	// system call's fixed cost, some 0.2 µs, is spread to half a percent. More only makes
	// the burst on the wire longer.
	defaultBatch = 64
	maxBatch     = 1024 // UIO_MAXIOV: sendmmsg takes no more messages than this (net/socket.c, Linux 6.12)

	// A sent frame is charged to the socket (about 0.8 KiB, struct sk_buff included)
	// until the driver frees it. 4 MiB holds 5000, a NIC's deepest ring; the kernel's default
	// of 208 KiB holds 250.
	defaultSendBuffer = 4 << 20

	cacheLine   = 64
	etherHeader = 14
	ipv4Header  = 20
	maxFrame    = 1 << 16
)

// TxConfig describes a Tx. Interface and FrameLen are required.
type TxConfig struct {
	Interface int     // interface index, 1 or more
	Framing   Framing // what precedes the IP header

	// FrameLen is the length in bytes of every frame, link header included. At least
	// the link header and 20 bytes of IP header; a frame longer than the interface's
	// MTU is refused by the kernel at Send.
	FrameLen int

	// Batch is the number of frames, 1 to 1024. 0 means 64.
	Batch int

	// SendBuffer is the socket's send buffer in bytes. 0 means 4 MiB. Without
	// CAP_NET_ADMIN the kernel limits it to net.core.wmem_max; less only means that
	// Send waits more often.
	SendBuffer int

	// BypassQdisc sends past the interface's queueing discipline (Feature
	// QdiscBypass). It saves little and bypasses the host's own shaping; a busy driver
	// then shows as back-pressure, and so does a link without carrier. Not for Loopback.
	BypassQdisc bool

	// BypassPlain is BypassQdisc where nobody misses the queueing discipline: it neither shapes nor filters,
	// nobody captures on the interface when the Tx is opened, and the kernel can do it. Elsewhere, Send looks for the
	// carrier before it sends: it is right but for what was in a queue, or just being sent, when the carrier was lost.
	BypassPlain bool
}

// withDefaults fills in zero values and refuses what cannot work.
func (c TxConfig) withDefaults() (TxConfig, error) {
	if c.Batch == 0 {
		c.Batch = defaultBatch
	}
	if c.SendBuffer == 0 {
		c.SendBuffer = defaultSendBuffer
	}
	header := ipv4Header
	if c.Framing == Ethernet {
		header += etherHeader
	}
	switch {
	case c.Interface < 1:
		return c, fmt.Errorf("interface index %d: must be 1 or more", c.Interface)
	case c.Framing > Loopback:
		return c, fmt.Errorf("unknown %s", c.Framing)
	case c.FrameLen < header || c.FrameLen > maxFrame:
		return c, fmt.Errorf("frame length %d with framing %s: must be %d to %d bytes", c.FrameLen, c.Framing, header, maxFrame)
	case c.Batch < 1 || c.Batch > maxBatch:
		return c, fmt.Errorf("batch of %d frames: must be 1 to %d", c.Batch, maxBatch)
	case c.SendBuffer < 0:
		return c, fmt.Errorf("send buffer of %d bytes: must not be negative", c.SendBuffer)
	case (c.BypassQdisc || c.BypassPlain) && c.Framing == Loopback:
		return c, fmt.Errorf("qdisc bypass with framing %s: only packet sockets have it", c.Framing)
	}
	return c, nil
}

// TxStats are counts since NewTx.
type TxStats struct {
	Sent         uint64 // frames that the kernel accepted
	Calls        uint64 // sendmmsg system calls
	Backpressure uint64 // times that the kernel had no room (EAGAIN, ENOBUFS) and Send waited
	Errors       uint64 // frames that the kernel refused for another reason
}
