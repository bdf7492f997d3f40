package testnet

import (
	"encoding/binary"
	"os"
	"slices"
	"syscall"

	"golang.org/x/net/bpf"
)

// linux/if_packet.h. The ring is TPACKET_V3, written without the scanner's own
// receive code so that the two cannot be wrong in the same way.
const (
	packetRxRing     = 5
	packetStatistics = 6
	packetVersion    = 10
	tpacketV3        = 2
	packetOutgoing   = 4
	statusUser       = 1
	statusVLANValid  = 1 << 4
	statusTPIDValid  = 1 << 6
	ethPAll          = 3

	frameSize = 2048 // only checked by the kernel for V3: frames are packed
)

// ring is a packet socket at the target's end of the link, with memory of the
// kernel's for what it receives: any user may have that in a namespace of its
// own, while a large socket buffer (SO_RCVBUFFORCE) is for root alone.
type ring struct {
	shape shape
	file  *os.File
	conn  syscall.RawConn
	mem   []byte
	next  int
	held  uint64 // frames taken
}

// shape is the ring's memory, and how many milliseconds pass until a block that
// is not full is handed over.
type shape struct{ block, count, retire int }

// open starts to receive what the filter, if given, passes, from the Ethernet header on.
func (r *ring) open(n *Network, filter []bpf.Instruction) (err error) {
	peer, err := n.target.LinkByName(n.PeerLink)
	if err != nil {
		return err
	}
	// Protocol 0 receives nothing until bind names one.
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer func() {
		if err != nil && r.file == nil {
			syscall.Close(fd)
		}
	}()
	if err := syscall.SetsockoptInt(fd, syscall.SOL_PACKET, packetVersion, tpacketV3); err != nil {
		return os.NewSyscallError("setsockopt PACKET_VERSION", err)
	}
	var req []byte // struct tpacket_req3
	s := r.shape
	for _, v := range []int{s.block, s.count, frameSize, s.block / frameSize * s.count, s.retire, 0, 0} {
		req = binary.NativeEndian.AppendUint32(req, uint32(v))
	}
	if err := syscall.SetsockoptString(fd, syscall.SOL_PACKET, packetRxRing, string(req)); err != nil {
		return os.NewSyscallError("setsockopt PACKET_RX_RING", err)
	}
	if len(filter) > 0 {
		if err := attach(fd, filter); err != nil {
			return err
		}
	}
	if r.mem, err = syscall.Mmap(fd, 0, s.block*s.count, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED); err != nil {
		return os.NewSyscallError("mmap", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrLinklayer{Protocol: hton16(ethPAll), Ifindex: peer.Attrs().Index}); err != nil {
		_ = syscall.Munmap(r.mem)
		return os.NewSyscallError("bind", err)
	}
	r.file = os.NewFile(uintptr(fd), n.PeerLink)
	r.conn, err = r.file.SyscallConn()
	return err
}

// take gives a copy of the next block, or nil where that still belongs to the kernel.
func (r *ring) take() []byte {
	block := r.mem[r.next*r.shape.block : (r.next+1)*r.shape.block]
	if loadStatus(block)&statusUser == 0 {
		return nil
	}
	// struct tpacket_hdr_v1: status, num_pkts, offset_to_first_pkt, blk_len.
	used := binary.NativeEndian.Uint32(block[20:])
	r.held += uint64(binary.NativeEndian.Uint32(block[12:]))
	taken := slices.Clone(block[:used])
	storeStatus(block, 0) // TP_STATUS_KERNEL
	r.next = (r.next + 1) % r.shape.count
	return taken
}

// each hands over copies of blocks as the kernel retires them, until the deadline that its owner sets.
func (r *ring) each(block func([]byte)) {
	_ = r.conn.Read(func(uintptr) bool {
		for b := r.take(); b != nil; b = r.take() {
			block(b)
		}
		return false
	})
}

// statistics reads and clears the socket's counts.
func (r *ring) statistics() (packets, drops uint32, err error) {
	e := r.conn.Control(func(fd uintptr) { packets, drops, err = statistics(int(fd)) })
	if e != nil {
		err = e
	}
	return packets, drops, err
}

func attach(fd int, filter []bpf.Instruction) error {
	raw, err := bpf.Assemble(filter)
	if err != nil {
		return err
	}
	prog := make([]syscall.SockFilter, len(raw))
	for i, r := range raw {
		prog[i] = syscall.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	//nolint:staticcheck // SA1019: x/net/bpf assembles but does not attach, and x/sys belongs to rawsock
	return os.NewSyscallError("attach filter", syscall.AttachLsf(fd, prog))
}

func hton16(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}

// statistics reads and clears struct tpacket_stats, two 32-bit counters: all
// packets, and those of them dropped for want of room. ip_mreq has its size.
func statistics(fd int) (packets, drops uint32, err error) {
	s, err := syscall.GetsockoptIPMreq(fd, syscall.SOL_PACKET, packetStatistics)
	if err != nil {
		return 0, 0, os.NewSyscallError("getsockopt PACKET_STATISTICS", err)
	}
	return binary.NativeEndian.Uint32(s.Multiaddr[:]), binary.NativeEndian.Uint32(s.Interface[:]), nil
}
