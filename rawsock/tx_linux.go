package rawsock

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Tx sends batches of equal-length frames out of one interface.
//
// All the memory that the kernel reads during sendmmsg(2) is allocated by NewTx and
// reachable from the Tx: msgs points to iovs, iovs into memory. The pointers sit in
// typed fields (unix.Msghdr, unix.Iovec), so the garbage collector follows them, and Go
// moves no heap object; only stacks move, and these slices escape to the heap because
// the Tx keeps them.
type Tx struct {
	fd      int
	index   int
	framing Framing
	carrier carrierWatch

	memory []byte   // batch slots, the first on a cache line
	frames [][]byte // where they lie in memory
	slot   int      // bytes from one frame to the next, a multiple of the cache line
	length int      // bytes of one frame
	iovs   []unix.Iovec
	msgs   []mmsghdr
	link   unix.RawSockaddrLinklayer // destination of every frame: Ethernet, None
	hosts  []unix.RawSockaddrInet4   // destination per frame: Loopback
	sent   atomic.Uint64             // the counters are written once per batch, by the lane
	calls  atomic.Uint64             // that owns the Tx, and read by whoever reports
	full   atomic.Uint64
	failed atomic.Uint64
}

// NewTx opens a socket for the frames that c describes. The error Is ErrPermission
// without CAP_NET_RAW, and ErrInterface if the interface is missing or down.
func NewTx(c TxConfig) (*Tx, error) {
	const op = "open packet sender"
	c, err := c.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	ifi, err := net.InterfaceByIndex(c.Interface)
	if err != nil {
		return nil, interfaceError(op, c.Interface, err)
	}
	if ifi.Flags&net.FlagUp == 0 {
		return nil, interfaceError(op, c.Interface, unix.ENETDOWN)
	}

	var fd int
	switch c.Framing {
	case Ethernet:
		// Protocol 0: the socket is hooked to no protocol and so receives nothing.
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	case None:
		// Cooked: where the device has no header to build the kernel adds none, and it
		// sets the packet's network header right also for drivers with a non-zero
		// hard_header_len (ppp), which SOCK_RAW would count as present (packet_snd).
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	case Loopback:
		// IPPROTO_RAW implies IP_HDRINCL, and no received packet has protocol 255.
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_RAW)
	}
	if err != nil {
		return nil, socketError(op, err)
	}
	carrier, err := configureTx(fd, c, ifi.Name)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("%s: interface %s: %w", op, ifi.Name, err)
	}

	t := &Tx{
		carrier: carrier,
		fd:      fd,
		index:   c.Interface,
		framing: c.Framing,
		slot:    (c.FrameLen + cacheLine - 1) &^ (cacheLine - 1),
		length:  c.FrameLen,
		iovs:    make([]unix.Iovec, c.Batch),
		msgs:    make([]mmsghdr, c.Batch),
		// sll_protocol becomes the packet's protocol, by which wireguard and ppp
		// decide whether to carry it (wg_xmit, ppp_start_xmit).
		link: unix.RawSockaddrLinklayer{
			Family:   unix.AF_PACKET,
			Protocol: networkOrder(unix.ETH_P_IP),
			Ifindex:  int32(c.Interface),
		},
	}
	t.memory = alignedBytes(c.Batch*t.slot, cacheLine)
	for at := 0; at < len(t.memory); at += t.slot {
		t.frames = append(t.frames, t.memory[at:at+t.length:at+t.length])
	}
	if c.Framing == Loopback {
		t.hosts = make([]unix.RawSockaddrInet4, c.Batch)
	}
	t.buildMessages()
	return t, nil
}

// configureTx sets a socket's options, and says how its carrier is looked at.
func configureTx(fd int, c TxConfig, name string) (w carrierWatch, err error) {
	// FORCE passes wmem_max but needs CAP_NET_ADMIN; a smaller buffer is no failure.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, c.SendBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, c.SendBuffer)
	}
	if c.Framing == Loopback {
		// Not bound to lo: an own address of another interface has its local route there, so a look-up
		// restricted to lo would take it for a neighbour on lo, and the kernel answers a SYN with a
		// RST only where the packet's route is local (tcp_v4_send_reset, net/ipv4/tcp_ipv4.c, Linux 6.12).
		// Without IP_RECVERR raw_send_hdrinc (net/ipv4/raw.c, Linux 6.12) turns ENOBUFS into
		// success and the packet is lost unseen. ICMP errors do not reach the
		// socket: they are matched by protocol, and no packet has protocol 255.
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVERR, 1); err != nil {
			return w, fmt.Errorf("report queue overflow (IP_RECVERR): %w", err)
		}
		return w, nil // it has a carrier as long as it is up
	}
	if c.BypassQdisc || c.BypassPlain && bypassable(c.Interface) {
		switch err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); {
		case err == nil:
			return w, nil // the kernel looks itself, for each frame (__dev_direct_xmit, net/core/dev.c, Linux 6.12)
		case c.BypassQdisc:
			return w, fmt.Errorf("bypass qdisc: %v: %w", QdiscBypass, err)
		}
	}
	return newCarrierWatch(c.Interface, name)
}

// Batch returns the number of frames.
func (t *Tx) Batch() int { return len(t.msgs) }

// Frames returns the frames of the next batch, Batch of them, zeroed at first. Call it once
// per batch. It is always the same memory: the caller writes a template once (Prepare) and
// then patches it between calls of Send.
func (t *Tx) Frames() [][]byte { return t.frames }

// Prepare calls f with every frame.
func (t *Tx) Prepare(f func(frame []byte)) {
	for _, frame := range t.frames {
		f(frame)
	}
}

// Send hands the frames [from, to) to the kernel, in order, and returns how many it
// accepted. If that is fewer than to-from there is an error, the frame from+accepted is
// the first that was not sent, and Send may be called again from there:
//
//   - ErrBackpressure: the kernel had no room for MaxSendWait in total, or there is no carrier. The frame is fine.
//   - ErrInterface: the interface went down or away.
//   - any other error is the kernel's opinion of that one frame (EMSGSIZE: longer than
//     the MTU; EPERM: a local firewall rule forbids it).
func (t *Tx) Send(from, to int) (accepted int, err error) {
	if from < 0 || from > to || to > len(t.msgs) {
		return 0, fmt.Errorf("send frames [%d, %d): a batch has %d", from, to, len(t.msgs))
	}
	if t.fd < 0 {
		return 0, fmt.Errorf("send: %w", os.ErrClosed)
	}
	if t.framing == Loopback {
		for i := from; i < to; i++ {
			// Destination address: IPv4 header bytes 16 to 19 (RFC 791 section 3.1).
			t.hosts[i].Addr = [4]byte(t.frames[i][16:])
		}
	}
	var wait backoff
	next := from
	for next < to {
		if !t.carrier.ready(t.fd) {
			t.full.Add(1)
			return next - from, ErrBackpressure
		}
		n, errno := sendmmsg(t.fd, t.msgs[next:to])
		t.calls.Add(1)
		// An error after the first frame is held back until the next call, which
		// then starts at the culprit (sendmmsg(2)).
		if n > 0 {
			t.sent.Add(uint64(n))
			next += n
			continue
		}
		switch errno {
		case unix.EINTR:
		case unix.EAGAIN, unix.ENOBUFS:
			// EAGAIN: send buffer full. ENOBUFS: the qdisc or the driver dropped the
			// frame, or there was no memory. Either way it was not sent.
			t.full.Add(1)
			if !wait.pause(t.fd, errno) {
				return next - from, ErrBackpressure
			}
		default:
			t.failed.Add(1)
			return next - from, t.sendError(next, errno)
		}
	}
	return next - from, nil
}

func (t *Tx) sendError(frame int, errno unix.Errno) error {
	switch errno {
	case unix.ENETDOWN, unix.ENXIO, unix.ENODEV:
		return interfaceError("send", t.index, errno)
	case unix.EPERM:
		return &hintError{
			err:  fmt.Errorf("send frame %d: %w", frame, errno),
			hint: "a rule of the host's own firewall refuses the probe: see `nft list ruleset`",
		}
	}
	return fmt.Errorf("send frame %d of %d bytes: %w", frame, t.length, errno)
}

// Stats may be called from any goroutine.
func (t *Tx) Stats() TxStats {
	return TxStats{
		Sent:         t.sent.Load(),
		Calls:        t.calls.Load(),
		Backpressure: t.full.Load(),
		Errors:       t.failed.Load(),
	}
}

// Close closes the socket. Frames that the kernel accepted still go out. It must not
// run at the same time as Send.
func (t *Tx) Close() error {
	if t.fd < 0 {
		return nil
	}
	fd := t.fd
	t.fd = -1
	if err := unix.Close(fd); err != nil {
		return fmt.Errorf("close packet sender: %w", err)
	}
	return nil
}

// backoff spreads the waiting of one Send over at most MaxSendWait.
type backoff struct {
	end  time.Time
	step time.Duration
}

// A full queue of 1000 minimal frames drains in 70 µs at 10 Gbit/s and in 7 ms at
// 100 Mbit/s; the first step is near the timer's resolution, the last keeps such a queue
// from running empty.
const (
	firstPause = 50 * time.Microsecond
	lastPause  = time.Millisecond
)

// pause waits for room after errno and reports whether there is time to try again.
func (b *backoff) pause(fd int, errno unix.Errno) bool {
	now := time.Now()
	if b.end.IsZero() {
		b.end, b.step = now.Add(MaxSendWait), firstPause
	}
	left := b.end.Sub(now)
	if left <= 0 {
		return false
	}
	if errno == unix.EAGAIN {
		// The kernel wakes us when half of the send buffer is free. For ENOBUFS,
		// there is no such event: the socket counts as writable all along.
		poll := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		timeout := unix.NsecToTimespec(int64(left))
		if n, err := unix.Ppoll(poll[:], &timeout, nil); err != nil || n == 0 || poll[0].Revents == unix.POLLOUT {
			return true
		}
		// An error state would make poll return at once, over and over: sleep instead.
	}
	time.Sleep(min(b.step, left))
	b.step = min(2*b.step, lastPause)
	return true
}

// networkOrder returns v such that its bytes in memory are in network byte order.
func networkOrder(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}
