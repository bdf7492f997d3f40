package testnet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

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

	// Many small blocks: where no processor is left to empty them for some seconds, one retires every 10 ms.
	blockSize   = 1 << 17
	blockCount  = 384
	frameSize   = 2048 // only checked by the kernel for V3: frames are packed
	retireAfter = 10   // ms until a block that is not full is handed over
)

// Capture records what the target's end of the link receives and sends.
type Capture struct {
	t      testing.TB
	file   *os.File
	conn   syscall.RawConn
	ring   []byte
	blocks [][]byte // used parts of retired blocks, copied
	held   uint64   // frames in blocks
	next   int
	done   chan struct{}

	once   sync.Once
	frames []Frame
	lost   uint64
	err    error
}

// Capture starts recording; when it returns, the next frame is recorded.
// Filter, if given, is a classic BPF program that selects frames, from the
// Ethernet header on. The memory of the kernel's ring (48 MiB) holds some
// 300,000 minimum-size frames, and it is emptied all the time.
func (n *Network) Capture(t testing.TB, filter ...bpf.Instruction) *Capture {
	t.Helper()
	c, err := n.StartCapture(filter...)
	if err != nil {
		t.Fatal(err)
	}
	c.t = t
	t.Cleanup(func() { c.Stop() })
	return c
}

// StartCapture is Capture for programs.
func (n *Network) StartCapture(filter ...bpf.Instruction) (*Capture, error) {
	c := &Capture{done: make(chan struct{})}
	if err := n.Do(func() error { return c.open(n, filter) }); err != nil {
		return nil, fmt.Errorf("capture on %s: %w", n.PeerLink, err)
	}
	go c.collect()
	return c, nil
}

func (c *Capture) open(n *Network, filter []bpf.Instruction) (err error) {
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
		if err != nil && c.file == nil {
			syscall.Close(fd)
		}
	}()
	if err := syscall.SetsockoptInt(fd, syscall.SOL_PACKET, packetVersion, tpacketV3); err != nil {
		return os.NewSyscallError("setsockopt PACKET_VERSION", err)
	}
	var req []byte // struct tpacket_req3
	for _, v := range []uint32{blockSize, blockCount, frameSize, blockSize / frameSize * blockCount, retireAfter, 0, 0} {
		req = binary.NativeEndian.AppendUint32(req, v)
	}
	if err := syscall.SetsockoptString(fd, syscall.SOL_PACKET, packetRxRing, string(req)); err != nil {
		return os.NewSyscallError("setsockopt PACKET_RX_RING", err)
	}
	if len(filter) > 0 {
		if err := attach(fd, filter); err != nil {
			return err
		}
	}
	if c.ring, err = syscall.Mmap(fd, 0, blockSize*blockCount, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED); err != nil {
		return os.NewSyscallError("mmap", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrLinklayer{Protocol: hton16(ethPAll), Ifindex: peer.Attrs().Index}); err != nil {
		_ = syscall.Munmap(c.ring)
		return os.NewSyscallError("bind", err)
	}
	c.file = os.NewFile(uintptr(fd), "capture")
	c.conn, err = c.file.SyscallConn()
	return err
}

func attach(fd int, filter []bpf.Instruction) error {
	raw, err := bpf.Assemble(filter)
	if err != nil {
		return fmt.Errorf("assemble filter: %w", err)
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

// collect copies blocks out as the kernel retires them, until the deadline that
// Stop sets.
func (c *Capture) collect() {
	defer close(c.done)
	_ = c.conn.Read(func(uintptr) bool {
		for c.takeBlock() {
		}
		return false
	})
}

// takeBlock returns false if the next block still belongs to the kernel.
func (c *Capture) takeBlock() bool {
	block := c.ring[c.next*blockSize : (c.next+1)*blockSize]
	if loadStatus(block)&statusUser == 0 {
		return false
	}
	// struct tpacket_hdr_v1: status, num_pkts, offset_to_first_pkt, blk_len.
	used := binary.NativeEndian.Uint32(block[20:])
	c.held += uint64(binary.NativeEndian.Uint32(block[12:]))
	c.blocks = append(c.blocks, slices.Clone(block[:used]))
	storeStatus(block, 0) // TP_STATUS_KERNEL
	c.next = (c.next + 1) % blockCount
	return true
}

// Stop ends the recording and returns every frame the kernel saw until now, in
// order. If frames were lost the test fails; programs ask Err.
func (c *Capture) Stop() []Frame {
	c.once.Do(c.stop)
	if c.err != nil && c.t != nil {
		c.t.Helper()
		c.t.Error(c.err)
	}
	return c.frames
}

// Err tells after Stop whether the capture is incomplete, and Lost by how much.
func (c *Capture) Err() error { return c.err }

// Lost is the number of frames that did not fit into the ring.
func (c *Capture) Lost() uint64 { return c.lost }

func (c *Capture) stop() {
	var errs []error
	// Let nothing more in, so that the kernel's count stands still while its
	// last block retires.
	if err := c.conn.Control(func(fd uintptr) {
		errs = append(errs, attach(int(fd), []bpf.Instruction{bpf.RetConstant{Val: 0}}))
	}); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, c.file.SetReadDeadline(time.Now()))
	<-c.done
	errs = append(errs, c.drain(), syscall.Munmap(c.ring), c.file.Close())
	for _, b := range c.blocks {
		c.frames = appendFrames(c.frames, b)
	}
	c.blocks = nil
	if err := errors.Join(errs...); err != nil {
		c.err = fmt.Errorf("stop capture: %w", err)
	} else if c.lost > 0 {
		c.err = fmt.Errorf("capture lost %d of %d frames", c.lost, c.lost+c.held)
	}
}

// drain takes blocks until as many frames are held as the kernel put into the
// ring: the end is known, not waited for.
func (c *Capture) drain() error {
	var seen uint64
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		var got, dropped uint32
		var err error
		if e := c.conn.Control(func(fd uintptr) { got, dropped, err = statistics(int(fd)) }); e != nil || err != nil {
			return errors.Join(e, err)
		}
		seen += uint64(got)
		c.lost += uint64(dropped)
		for c.takeBlock() {
		}
		if c.held == seen-c.lost {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the kernel counted %d frames, %d were found", seen-c.lost, c.held)
		}
	}
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

// appendFrames decodes a block. The frames share its memory, except where a VLAN
// tag that the kernel had moved aside is put back.
func appendFrames(frames []Frame, block []byte) []Frame {
	u16, u32 := binary.NativeEndian.Uint16, binary.NativeEndian.Uint32
	at := u32(block[16:])
	for range u32(block[12:]) {
		h := block[at:] // struct tpacket3_hdr, then struct sockaddr_ll at 48
		status, mac, length := u32(h[20:]), u32(h[12:]), u32(h[16:])
		start := uint32(u16(h[24:]))
		data := h[start : start+mac : start+mac]
		if status&statusVLANValid != 0 && len(data) >= 12 {
			tpid := uint16(0x8100)
			if status&statusTPIDValid != 0 {
				tpid = u16(h[36:])
			}
			tag := binary.BigEndian.AppendUint16(nil, tpid)
			tag = binary.BigEndian.AppendUint16(tag, uint16(u32(h[32:])))
			data = slices.Concat(data[:12], tag, data[12:])
			length += 4
		}
		frames = append(frames, Frame{
			Time:     time.Unix(int64(u32(h[4:])), int64(u32(h[8:]))),
			Data:     data,
			Length:   int(length),
			Outgoing: h[48+10] == packetOutgoing, // sll_pkttype
		})
		at += u32(h[0:])
	}
	return frames
}
