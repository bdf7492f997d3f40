package xdp

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"synoptic/rawsock"
)

const (
	// fillRing is the smallest fill ring that all drivers take. The kernel demands one of every UMEM, also
	// of one that receives nothing.
	fillRing = 64
	// zeroCopyFill is how many chunks a zero-copy socket lends the driver: with the queue pair the driver
	// takes over also its receiving half, and has no other memory for what the host receives there. Packets that
	// no XDP program redirects are copied on to the host, and their chunks used again.
	zeroCopyFill = 1024

	// A frame being sent is charged to the socket: some 0.8 KiB, or a chunk and 0.5 KiB with drivers that take
	// fragments only. The kernel's default, 208 KiB, would hold less than inFlight.
	sendBuffer = 4 << 20

	// Closing a socket frees its queue only later, by a work queue (xp_put_pool in net/xdp/xsk_buff_pool.c, Linux 6.12), so that
	// one that was just in use answers EBUSY for some milliseconds, on a busy machine for seconds: that work waits for the lock of
	// all interfaces. Whose it was is not told; where it was ours, it will be free.
	busyFor    = 2 * time.Second
	busyOurFor = 15 * time.Second
	busyRetry  = 5 * time.Millisecond

	// Until a driver has reconfigured its queue for zero-copy it refuses to be woken.
	resetFor = time.Second
)

// txSocket is an AF_XDP socket that sends, bound to its queue.
type txSocket struct {
	fd         int
	mappings   [][]byte
	tx         ring[unix.XDPDesc]
	completion ring[uint64]
	umem       *umem
	budget     int // descriptors that the kernel takes per call
	mode       TxMode
	bound      txQueue // zero: it is not
}

// txQueue is a queue of an interface.
type txQueue struct{ index, queue int }

// released are the queues that this process has used, with the time at which each was last closed.
var released sync.Map

// openTxSocket opens the socket in the mode asked for, or in the best of those that work.
func openTxSocket(c TxConfig, ifi *net.Interface) (*txSocket, error) {
	if c.Mode != TxCopy {
		s, err := newTxSocket(c, ifi, TxZeroCopy)
		if err == nil || c.Mode == TxZeroCopy || errors.Is(err, unix.EBUSY) || errors.Is(err, rawsock.ErrPermission) {
			return s, err
		}
	}
	return newTxSocket(c, ifi, TxCopy)
}

func newTxSocket(c TxConfig, ifi *net.Interface, mode TxMode) (s *txSocket, err error) {
	s = &txSocket{fd: -1, mode: mode, budget: inFlight}
	defer func() {
		if err != nil {
			_ = s.close() // the first error tells
			s = nil
		}
	}()
	if s.fd, err = unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		s.fd = -1
		return s, socketError(err)
	}
	fill, fillSize := 0, fillRing
	if mode == TxZeroCopy {
		fill, fillSize = zeroCopyFill, zeroCopyFill
	}
	if s.umem, err = newUmem(c.FrameLen, c.Batch, fill); err != nil {
		return s, fmt.Errorf("allocate frames: %w", err)
	}
	if err = s.umem.register(s.fd); err != nil {
		return s, umemError(err, len(s.umem.memory))
	}
	if err = s.makeRings(fill, fillSize); err != nil {
		return s, err
	}
	// FORCE passes wmem_max but needs CAP_NET_ADMIN; a smaller buffer is no failure.
	if unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, sendBuffer) != nil {
		_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
	}
	if mode == TxCopy {
		s.budget = copyBudget
		// rawsock.TxBudget; between 32 and the size of the ring.
		if want := max(copyBudget, c.Batch); unix.SetsockoptInt(s.fd, unix.SOL_XDP, unix.XDP_MAX_TX_SKB_BUDGET, want) == nil {
			s.budget = want
		}
	}
	if err = s.bind(c, ifi); err != nil {
		return s, err
	}
	if mode == TxZeroCopy {
		err = s.awaitDriver()
	}
	return s, err
}

// makeRings sizes and maps the rings, and lends the kernel the first chunks of the memory.
func (s *txSocket) makeRings(fill, fillSize int) error {
	for _, r := range []struct {
		name         string
		option, size int
	}{
		{"fill", unix.XDP_UMEM_FILL_RING, fillSize},
		{"completion", unix.XDP_UMEM_COMPLETION_RING, inFlight},
		{"TX", unix.XDP_TX_RING, inFlight},
	} {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_XDP, r.option, r.size); err != nil {
			return fmt.Errorf("make %s ring of %d: %w", r.name, r.size, err)
		}
	}
	o, err := ringOffsets(s.fd)
	if err != nil {
		return fmt.Errorf("read ring offsets: %w", err)
	}
	fills, m1, err1 := mapRing[uint64](s.fd, unix.XDP_UMEM_PGOFF_FILL_RING, o.Fr, fillSize)
	var m2, m3 []byte
	var err2, err3 error
	s.completion, m2, err2 = mapRing[uint64](s.fd, unix.XDP_UMEM_PGOFF_COMPLETION_RING, o.Cr, inFlight)
	s.tx, m3, err3 = mapRing[unix.XDPDesc](s.fd, unix.XDP_PGOFF_TX_RING, o.Tx, inFlight)
	s.mappings = [][]byte{m1, m2, m3}
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	for i := range fill {
		*fills.at(uint32(i)) = uint64(i) * chunkSize
	}
	fills.publish(fill)
	return nil
}

func (s *txSocket) bind(c TxConfig, ifi *net.Interface) error {
	flags := uint16(unix.XDP_USE_NEED_WAKEUP | unix.XDP_COPY)
	if s.mode == TxZeroCopy {
		flags = unix.XDP_USE_NEED_WAKEUP | unix.XDP_ZEROCOPY
	}
	address := &unix.SockaddrXDP{Flags: flags, Ifindex: uint32(c.Interface), QueueID: uint32(c.Queue)}
	queue, wait := txQueue{c.Interface, c.Queue}, busyFor
	if at, ours := released.Load(queue); ours && time.Since(at.(time.Time)) < busyOurFor {
		wait = busyOurFor
	}
	for end := time.Now().Add(wait); ; time.Sleep(busyRetry) {
		switch err := unix.Bind(s.fd, address); {
		case err == nil:
			s.bound = queue
			released.Delete(queue) // or another of ours that wants it would wait for us
			return nil
		case errors.Is(err, unix.EBUSY) && time.Now().Before(end):
		default:
			return bindError(c, s.mode, ifi, err)
		}
	}
}

// awaitDriver finds out whether the driver serves the queue.
func (s *txSocket) awaitDriver() error {
	for end := time.Now().Add(resetFor); ; time.Sleep(busyRetry) {
		switch errno := s.kick(); errno {
		case 0:
			return nil
		case unix.EAGAIN, unix.EBUSY, unix.ENETDOWN, unix.EINTR:
			if time.Now().Before(end) {
				continue
			}
			fallthrough
		default:
			return rawsock.WithHint(fmt.Errorf("the driver does not send zero-copy: %w", errno), "",
				"some drivers need an attached XDP program for it; use copy mode")
		}
	}
}

// kick makes the kernel look at the TX ring: by sendto(2) without data, and without blocking, which AF_XDP
// does not know.
//
// Syscall6, not RawSyscall6: a batch takes tens of µs, in which the runtime must be free to collect
// garbage and to run other goroutines.
func (s *txSocket) kick() unix.Errno {
	_, _, errno := unix.Syscall6(unix.SYS_SENDTO, uintptr(s.fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
	return errno
}

// refused is how many descriptors the kernel has found invalid and skipped so far.
func (s *txSocket) refused() (uint64, error) {
	statistics, err := ringStatistics(s.fd)
	return statistics.Tx_invalid_descs, err
}

func (s *txSocket) close() error {
	var errs []error
	for _, m := range s.mappings {
		if m != nil {
			errs = append(errs, unix.Munmap(m))
		}
	}
	s.mappings = nil
	if s.fd >= 0 {
		errs = append(errs, unix.Close(s.fd))
		s.fd = -1
	}
	if s.bound != (txQueue{}) {
		released.Store(s.bound, time.Now())
		s.bound = txQueue{}
	}
	return errors.Join(append(errs, s.umem.close())...)
}

func socketError(err error) error {
	const op = "socket"
	switch {
	case errors.Is(err, unix.EPERM):
		return rawsock.WithHint(fmt.Errorf("%s: %w: %w", op, rawsock.ErrPermission, err), "Backend",
			"run `sudo setcap cap_net_raw+ep` on the binary once, or run it as root")
	case errors.Is(err, unix.EAFNOSUPPORT):
		return rawsock.WithHint(fmt.Errorf("%s: this kernel has no %v, or not CONFIG_XDP_SOCKETS: %w", op, rawsock.AFXDP, err),
			"Backend", "use Backend afpacket")
	}
	return fmt.Errorf("%s: %w", op, err)
}

func umemError(err error, size int) error {
	if errors.Is(err, unix.ENOBUFS) { // xdp_umem_account_pages, net/xdp/xdp_umem.c, Linux 6.12
		return rawsock.WithHint(fmt.Errorf("register %d bytes of frames: over the limit of locked memory: %w", size, err), "Backend",
			"raise it with `ulimit -l unlimited`, or give the binary cap_ipc_lock")
	}
	return fmt.Errorf("register %d bytes of frames: %w", size, err)
}

func bindError(c TxConfig, mode TxMode, ifi *net.Interface, err error) error {
	switch {
	case errors.Is(err, unix.EBUSY):
		return rawsock.WithHint(fmt.Errorf("bind to queue %d: another AF_XDP socket has it: %w", c.Queue, err), "Backend",
			fmt.Sprintf("stop the other user of queue %d of %s, or use Backend afpacket", c.Queue, ifi.Name))
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENETDOWN), errors.Is(err, unix.ENXIO):
		return txInterfaceError("bind", c.Interface, err)
	case errors.Is(err, unix.EINVAL):
		return rawsock.WithHint(fmt.Errorf("bind to queue %d, %s: %w", c.Queue, mode, err), "Lanes",
			fmt.Sprintf("see with `ethtool -l %s` whether the interface has that many queues", ifi.Name))
	case errors.Is(err, unix.EOPNOTSUPP):
		return rawsock.WithHint(fmt.Errorf("bind to queue %d: the driver has no zero-copy: %w", c.Queue, err), "", "use copy mode")
	}
	return fmt.Errorf("bind to queue %d, %s: %w", c.Queue, mode, err)
}

func txInterfaceError(op string, index int, cause error) error {
	return rawsock.WithHint(fmt.Errorf("%s: interface %d: %w: %w", op, index, rawsock.ErrInterface, cause), "Interface",
		"check with `ip link` that the interface exists and is up")
}
