package rawsock

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Rx receives the replies to our probes through a TPACKET_V3 ring: blocks of packets that
// the kernel fills and hands over whole.
//
// A block has one owner at a time, named by its status word. The kernel writes the
// packets, a write barrier, then TP_STATUS_USER (prb_flush_block); the reader
// sees USER, reads the packets, then stores TP_STATUS_KERNEL and with it gives the block
// back (prb_dispatch_next_block takes it again after a read barrier). Blocks are filled
// and so read in order, round and round. The rule is in the comment above
// TP_STATUS_KERNEL, include/uapi/linux/if_packet.h, Linux 6.12; sync/atomic's loads and stores are
// at least as strong as the barriers that it asks for.
type Rx struct {
	ring       []byte
	blockBytes int
	blocks     int

	block int    // the block being read, or else the next to become ready
	held  bool   // block is ours and not yet given back
	left  uint32 // packets of it not yet returned
	at    int    // offset in ring of the first of these

	fd    int
	wake  int // eventfd
	index int
	poll  [2]unix.PollFd // fd, wake

	mu     sync.Mutex // Stats, Wake and Close against each other
	closed bool
	stats  RxStats
}

// NewRx opens a receiver. When it returns, every reply that reaches the interface from
// then on is seen. Packet sockets stand before the host's firewall and its reverse-path filter. The error Is ErrPermission without CAP_NET_RAW, and ErrInterface if
// the interface is missing or down.
func NewRx(c RxConfig) (*Rx, error) {
	const op = "open packet receiver"
	g, err := c.geometry(os.Getpagesize())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	// Cooked: data starts at the network header on every link type. Protocol 0: the
	// socket gets no packet until bind names a protocol, so none comes in before the
	// filter is there, or from another interface, or past the ring.
	kind := unix.SOCK_DGRAM
	if c.LinkHeader > 0 {
		kind = unix.SOCK_RAW
	}
	fd, err := unix.Socket(unix.AF_PACKET, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, socketError(op, err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("%s: eventfd: %w", op, err)
	}
	r := &Rx{
		fd:         fd,
		wake:       wake,
		index:      c.Interface,
		blockBytes: g.blockBytes,
		blocks:     g.blocks,
		poll: [2]unix.PollFd{
			{Fd: int32(fd), Events: unix.POLLIN},
			{Fd: int32(wake), Events: unix.POLLIN},
		},
	}
	if err := r.open(c, g); err != nil {
		r.Close()
		switch {
		case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENETDOWN):
			return nil, interfaceError(op, c.Interface, err)
		}
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	return r, nil
}

func (r *Rx) open(c RxConfig, g geometry) error {
	if err := attachFilter(r.fd, c.filter(g.snap)); err != nil {
		return fmt.Errorf("attach filter: %w", err)
	}
	// Spares the filter a run per packet sent. The filter drops outgoing packets too, so a kernel
	// without IgnoreOutgoing loses nothing but that.
	_ = unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)
	if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return fmt.Errorf("%v: %w", TPacketV3, err)
	}
	req := unix.TpacketReq3{
		Block_size:     uint32(g.blockBytes),
		Block_nr:       uint32(g.blocks),
		Frame_size:     uint32(g.slotBytes),
		Frame_nr:       uint32(g.slots),
		Retire_blk_tov: uint32(g.retireMs),
	}
	if err := unix.SetsockoptTpacketReq3(r.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return fmt.Errorf("ring of %d blocks of %d bytes: %w", g.blocks, g.blockBytes, err)
	}
	ring, err := unix.Mmap(r.fd, 0, g.blocks*g.blockBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map ring of %d bytes: %w", g.blocks*g.blockBytes, err)
	}
	r.ring = ring
	// One protocol per socket: IPv6 will be a second Rx with its own filter.
	addr := unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_IP), Ifindex: c.Interface}
	if err := unix.Bind(r.fd, &addr); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	// Bind to an interface that is down succeeds and leaves the error on the socket.
	if errno, err := unix.GetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil {
		return fmt.Errorf("bind: %w", err)
	} else if errno != 0 {
		return fmt.Errorf("bind: %w", unix.Errno(errno))
	}
	return nil
}

func attachFilter(fd int, ins []bpf.Instruction) error {
	raw, err := bpf.Assemble(ins)
	if err != nil {
		return err
	}
	code := make([]unix.SockFilter, len(raw))
	for i, in := range raw {
		code[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]})
}

// Read fills dst with packets that are already there, without waiting, and returns how many.
// They are of one block, so that all of them are valid together; more may be there when dst
// is full or the block at its end. 0 says that there is none: then every block read has been
// given back to the kernel.
func (r *Rx) Read(dst []Packet) int {
	for r.left == 0 {
		if !r.take() {
			return 0
		}
	}
	n := min(len(dst), int(r.left))
	for i := range dst[:n] {
		h := r.packetHeader(r.at)
		data := r.at + int(h.Net)
		end := r.at + int(h.Mac) + int(h.Snaplen) // cooked, Mac is Net (tpacket_rcv)
		dst[i] = Packet{
			Data: r.ring[data:end:end],
			Time: int64(h.Sec)*int64(time.Second) + int64(h.Nsec),
			Len:  int(h.Len) - int(h.Net-h.Mac),
			at:   r.at,

			Interface: int(r.cameBy(r.at).Ifindex),
		}
		r.at += int(h.Next_offset)
	}
	r.left -= uint32(n)
	return n
}

// AppendFrame appends a packet that Read returned as it came over the link: from its link header
// on where RxConfig.LinkHeader asks for it, cut to the snap length. length is that of the whole frame in
// bytes. Call it while the packet's Data is valid. A VLAN tag is in neither: the kernel takes it off
// before the sockets of a protocol are served (__netif_receive_skb_core, net/core/dev.c, Linux 6.12).
func (r *Rx) AppendFrame(b []byte, p Packet) (frame []byte, length int) {
	h := r.packetHeader(p.at)
	begin := p.at + int(h.Mac)
	return append(b, r.ring[begin:begin+int(h.Snaplen)]...), int(h.Len)
}

// InterfaceName is the name of an interface that a packet came in by; "" where it is gone.
func (r *Rx) InterfaceName(index int) string {
	ifr, err := unix.NewIfreq("")
	if err != nil {
		return ""
	}
	ifr.SetUint32(uint32(index))
	if unix.IoctlIfreq(r.fd, unix.SIOCGIFNAME, ifr) != nil { // asks in the socket's namespace
		return ""
	}
	return ifr.Name()
}

// take gives back the block that was read and takes the next if it is ready.
func (r *Rx) take() bool {
	if !r.ready() {
		return false
	}
	h := r.blockHeader(r.block)
	r.held = true
	r.left = h.Num_pkts
	r.at = r.block*r.blockBytes + int(h.Offset_to_first_pkt)
	return true
}

// ready gives back the block that was read, if any, and reports whether the kernel has
// handed over the next.
func (r *Rx) ready() bool {
	if r.held {
		r.giveBack(r.block)
		r.held = false
		r.block++
		if r.block == r.blocks {
			r.block = 0
		}
	}
	return r.handedOver(r.block)
}

// Wait blocks until Read has a packet (true), or until the timeout has passed or Wake
// was called (false). A negative timeout means none. It invalidates the Data of packets
// whose block has been read to its end. An error that Is ErrInterface says that the
// interface went down or away; it is told once. The packets received before are still to be had
// from Read, and those that come after the interface is up again, if it was not removed.
func (r *Rx) Wait(timeout time.Duration) (bool, error) {
	if r.ring == nil {
		return false, fmt.Errorf("wait for packets: %w", os.ErrClosed)
	}
	if r.left > 0 || r.ready() {
		return true, nil
	}
	var end time.Time
	if timeout > 0 {
		end = time.Now().Add(timeout)
	}
	for {
		var failed error
		var limit *unix.Timespec
		if timeout >= 0 {
			ts := unix.NsecToTimespec(int64(max(timeout, 0)))
			limit = &ts
		}
		n, err := unix.Ppoll(r.poll[:], limit, nil)
		switch {
		case err == unix.EINTR:
			n = 0
		case err != nil:
			return false, fmt.Errorf("wait for packets: %w", err)
		}
		var woken bool
		if n > 0 {
			woken = r.drainWake()
			if r.poll[0].Revents&^unix.POLLIN != 0 {
				failed = r.socketFailure()
			}
		}
		switch {
		case r.ready():
			return true, nil
		case failed != nil:
			return false, failed
		case woken || n == 0 && err == nil:
			return false, nil
		}
		if timeout > 0 {
			if timeout = time.Until(end); timeout <= 0 {
				return false, nil
			}
		}
	}
}

// drainWake takes back the wake-ups so far and reports whether there were any.
func (r *Rx) drainWake() bool {
	if r.poll[1].Revents == 0 {
		return false
	}
	var count [8]byte
	_, _ = unix.Read(r.wake, count[:]) // resets the counter; it cannot fail when readable
	return true
}

// socketFailure names the reason of POLLERR. When an interface goes down or is removed
// the kernel unhooks the socket and leaves ENETDOWN on it (packet_notifier), to be read
// once.
func (r *Rx) socketFailure() error {
	errno, err := unix.GetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && errno == 0 {
		err = errors.New("poll reports an error without a cause")
	} else if err == nil {
		err = unix.Errno(errno)
	}
	switch {
	case errors.Is(err, unix.ENETDOWN), errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV):
		return interfaceError("receive", r.index, err)
	}
	return fmt.Errorf("receive: %w", err)
}

// Wake makes the Wait that runs, or else the next one that would block, return false. It
// may be called from any goroutine.
func (r *Rx) Wake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	one := [8]byte{1, 1, 1, 1, 1, 1, 1} // any non-zero count in either byte order
	_, _ = unix.Write(r.wake, one[:])   // EAGAIN: the counter is full, so a wake-up is due anyway
}

// Stats may be called from any goroutine, also after Close, when it returns the last
// counts.
func (r *Rx) Stats() (RxStats, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return r.stats, nil
	}
	return r.stats, r.readStats()
}

// readStats adds the kernel's counts, which reading resets, to ours.
func (r *Rx) readStats() error {
	st, err := unix.GetsockoptTpacketStatsV3(r.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return fmt.Errorf("read packet statistics: %w", err)
	}
	// The kernel's tp_packets includes the drops (packet_getsockopt).
	r.stats.Packets += uint64(st.Packets - st.Drops)
	r.stats.Drops += uint64(st.Drops)
	r.stats.Freezes += uint64(st.Freeze_q_cnt)
	return nil
}

// Close unmaps the ring and closes the socket. It must not run at the same time as Wait
// or Read (Wake the reader first), and the Data of every packet is gone with it.
func (r *Rx) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	r.held, r.left = false, 0
	var errs []error
	if r.ring != nil {
		errs = append(errs, r.readStats(), unix.Munmap(r.ring))
		r.ring = nil
	}
	errs = append(errs, unix.Close(r.fd), unix.Close(r.wake))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close packet receiver: %w", err)
	}
	return nil
}
