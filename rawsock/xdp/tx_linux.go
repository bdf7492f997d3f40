package xdp

import (
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"synoptic/rawsock"
)

// Tx sends batches of equal-length Ethernet frames out of one queue of an interface, through an
// AF_XDP socket. It belongs to one goroutine; only Stats may be called by others.
//
// The way of a frame:
//
//  1. Frames() are the caller's frames: places in the UMEM, the memory shared with the kernel.
//  2. Send writes a descriptor of each to the TX ring. The memory is the kernel's from here on, and
//     another, free place takes its place in Frames().
//  3. The kernel copies the frame into a packet buffer and gives that to the driver, within the
//     system call (copy); or the driver reads the descriptor and the NIC the frame (zero-copy).
//  4. When the packet has left, its address comes back on the completion ring, in any order, and is free.
type Tx struct {
	kernel     txKernel
	tx         *ring[unix.XDPDesc]
	completion *ring[uint64]
	umem       *umem
	index      int
	queue      int
	mode       TxMode
	burst      int    // most descriptors per call
	invalid    uint64 // descriptors that we had the kernel skip
	broken     error  // why the socket is of no further use

	sent   atomic.Uint64 // the counters are written by the owner, and read by whoever reports
	calls  atomic.Uint64
	full   atomic.Uint64
	failed atomic.Uint64
}

// txKernel is the other side of the rings: a txSocket, or a test's imitation.
type txKernel interface {
	kick() unix.Errno
	refused() (uint64, error)
	close() error
}

// NewTx opens a socket for the frames that c describes. The error Is rawsock.ErrPermission without CAP_NET_RAW, and
// rawsock.ErrInterface if the interface is missing or down; EBUSY means that another AF_XDP socket has the queue.
func NewTx(c TxConfig) (*Tx, error) {
	const op = "open AF_XDP sender"
	c, err := c.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	ifi, err := net.InterfaceByIndex(c.Interface)
	if err != nil {
		return nil, txInterfaceError(op, c.Interface, err)
	}
	if ifi.Flags&net.FlagUp == 0 {
		return nil, txInterfaceError(op, c.Interface, unix.ENETDOWN)
	}
	if c.FrameLen > ifi.MTU+linkHeaders {
		return nil, fmt.Errorf("%s: interface %s: frame length %d with an MTU of %d: %w", op, ifi.Name, c.FrameLen, ifi.MTU, unix.EMSGSIZE)
	}
	s, err := openTxSocket(c, ifi)
	if err != nil {
		return nil, fmt.Errorf("%s: interface %s: %w", op, ifi.Name, err)
	}
	return &Tx{
		kernel: s, tx: &s.tx, completion: &s.completion, umem: s.umem,
		index: c.Interface, queue: c.Queue, mode: s.mode, burst: s.budget,
	}, nil
}

// Batch returns the number of frames.
func (t *Tx) Batch() int { return len(t.umem.batch) }

// Frames returns the frames of the next batch, Batch of them. A frame that Send has accepted belongs to the kernel,
// and the next batch has other memory there, which holds what Prepare or an earlier use left: call it once per
// batch, after the last Send of the one before.
func (t *Tx) Frames() [][]byte { return t.umem.views }

// Prepare calls f once for every frame there is, Batch and 2048 more, to write the bytes that stay. It comes
// before the first Send: afterwards some of the frames are the kernel's.
func (t *Tx) Prepare(f func(frame []byte)) {
	for k := range t.umem.frames {
		f(t.umem.at(t.umem.address(k)))
	}
}

// Mode returns "zero-copy" or "copy": which of the two TxAuto has become.
func (t *Tx) Mode() string { return t.mode.String() }

// Send hands the frames [from, to) to the kernel, in order, and returns how many it
// accepted: those that the driver has taken (copy), or that lie in the ring which the driver reads
// (zero-copy). If that is fewer than to-from there is an error, the frame from+accepted is
// the first that was not sent, it and those behind it are still the caller's, and Send may be called again from there:
//
//   - rawsock.ErrBackpressure: the driver or the completion ring had no room for rawsock.MaxSendWait in total, also
//     because the link has lost its carrier. The frame is fine.
//   - rawsock.ErrInterface: the interface or its queue went down or away. The socket is of no further use.
//   - any other error is the kernel's opinion of that one frame.
func (t *Tx) Send(from, to int) (accepted int, err error) {
	if from < 0 || from > to || to > len(t.umem.batch) {
		return 0, fmt.Errorf("send frames [%d, %d): a batch has %d", from, to, len(t.umem.batch))
	}
	if t.broken != nil {
		return 0, t.broken
	}
	var w wait
	limit := t.burst
	for next := from; next < to; next = from + accepted {
		n := t.reserve(min(to-next, limit), &w)
		if n == 0 {
			err = rawsock.ErrBackpressure
			break
		}
		for i, address := range t.umem.batch[next : next+n] {
			*t.tx.at(t.tx.own + uint32(i)) = unix.XDPDesc{Addr: address, Len: uint32(t.umem.length)}
		}
		t.tx.publish(n)
		var sent int
		if t.mode == TxZeroCopy {
			sent, err = t.wake(next, n, &w)
		} else {
			sent, err = t.push(next, n, &w)
		}
		accepted += sent
		if err != nil {
			break
		}
		if sent == n {
			limit = min(2*limit, t.burst)
		} else {
			limit = 1 // the driver's queue is full: try carefully whether there is room again
		}
	}
	t.sent.Add(uint64(accepted))
	return accepted, err
}

// reserve finds up to want free frames to put in the place of frames that are sent: before they are, so that
// Frames is always whole. It waits if there is none, and returns 0 if that takes too long.
func (t *Tx) reserve(want int, w *wait) int {
	if len(t.umem.free) < want {
		t.reap()
	}
	for len(t.umem.free) == 0 {
		t.full.Add(1)
		if t.mode == TxZeroCopy && t.tx.needWakeup() {
			_ = t.kick() // the next Send tells what is wrong
		}
		if !w.pause() {
			return 0
		}
		t.reap()
	}
	return min(want, len(t.umem.free))
}

// reap takes back the frames that have left.
func (t *Tx) reap() {
	n := t.completion.ready()
	for i := range n {
		address := *t.completion.at(t.completion.own + uint32(i))
		if address != skipped.Addr {
			t.umem.free = append(t.umem.free, address)
		}
	}
	if n > 0 {
		t.completion.giveBack(n)
	}
}

// swap replaces n frames that the kernel has, rather by one that has just come back than by a cold one.
func (t *Tx) swap(from, n int) {
	t.reap()
	t.umem.swap(from, n)
}

func (t *Tx) kick() unix.Errno {
	t.calls.Add(1)
	return t.kernel.kick()
}

// Stats may be called from any goroutine. Errors counts also what ended the socket's use.
func (t *Tx) Stats() rawsock.TxStats {
	return rawsock.TxStats{
		Sent:         t.sent.Load(),
		Calls:        t.calls.Load(),
		Backpressure: t.full.Load(),
		Errors:       t.failed.Load(),
	}
}

// drainWait bounds how long Close waits for the NIC: a ring of 2048 minimal frames takes 14 ms at 100 Mbit/s.
const drainWait = 4 * rawsock.MaxSendWait

// Close closes the socket and frees its memory; no frame may be used afterwards. Frames that the
// kernel accepted still go out: copies by themselves, and Close waits for those that the NIC reads from here.
// It must not run at the same time as Send.
func (t *Tx) Close() error {
	if t.kernel == nil {
		return nil
	}
	if t.mode == TxZeroCopy && t.broken == nil {
		for end := time.Now().Add(drainWait); len(t.umem.free) < inFlight && time.Now().Before(end); time.Sleep(firstPause) {
			if t.tx.needWakeup() {
				_ = t.kick()
			}
			t.reap()
		}
	}
	k := t.kernel
	t.kernel, t.broken = nil, fmt.Errorf("send: %w", os.ErrClosed)
	if err := k.close(); err != nil {
		return fmt.Errorf("close AF_XDP sender: %w", err)
	}
	return nil
}

// wait spreads the waiting of one Send over at most rawsock.MaxSendWait.
type wait struct {
	end  time.Time
	step time.Duration
}

// The first pause is near the timer's resolution; a queue of 1000 minimal frames drains in 70 µs at 10 Gbit/s
// and in 7 ms at 100 Mbit/s.
const (
	firstPause = 50 * time.Microsecond
	lastPause  = time.Millisecond
)

// pause sleeps and reports whether there was time left for it.
func (w *wait) pause() bool {
	now := time.Now()
	if w.end.IsZero() {
		w.end, w.step = now.Add(rawsock.MaxSendWait), firstPause
	}
	left := w.end.Sub(now)
	if left <= 0 {
		return false
	}
	time.Sleep(min(w.step, left))
	w.step = min(2*w.step, lastPause)
	return true
}
