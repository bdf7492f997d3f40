package xdp

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"synoptic/rawsock"
)

// What the kernel does with the TX ring, from net/xdp/xsk.c, Linux 5.18 to 6.18.
//
// Copying (__xsk_generic_xmit): only within our system call. It takes descriptors in order, until
//
//   - the ring is empty: 0;
//   - the budget is spent, the socket's send buffer full, or the driver's queue stopped
//     (NETDEV_TX_BUSY): EAGAIN, and no memory for a packet: ENOBUFS. The descriptor stays in the ring;
//   - the driver drops the packet (NET_XMIT_DROP: veth and tap with a full ring, a link without carrier): EBUSY. The
//     descriptor is gone, its address completed, but nothing was sent;
//   - a descriptor is invalid: it is gone and counted in XDP_STATISTICS. Since Linux 6.6 the call ends there, with 0;
//     since July 2026 (and in stable kernels of that time) its address is completed as well;
//   - the interface is down: ENETDOWN, or gone: ENXIO. Nothing is taken;
//   - the driver has fewer transmit queues than ours: 0, with nothing taken.
//
// Before Linux 6.17 the kernel publishes its consumer word only when it finds the ring empty, and even now not if
// it sent nothing: after an error it does not tell how far it came. recall finds out.
//
// Zero-copy: the driver takes descriptors by itself; the system call only wakes it (ndo_xsk_wakeup).

// skipped is a descriptor that every kernel finds invalid: its address is beyond any UMEM.
var skipped = unix.XDPDesc{Addr: 1<<48 - chunkSize, Len: 1}

// push drives the n descriptors just published, of the frames from next on, into the driver and returns how many
// of them went there. None is left in the ring.
func (t *Tx) push(next, n int, w *wait) (sent int, err error) {
	for {
		errno := t.kick()
		switch errno {
		case 0:
			if t.tx.pending() == 0 {
				t.swap(next, n)
				return n, nil
			}
			// Nothing was taken, because the queue is gone. It may come back.
			if w.pause() {
				continue
			}
		case unix.EINTR:
			continue
		case unix.EAGAIN, unix.ENOBUFS, unix.ENOMEM:
			t.full.Add(1)
			if w.pause() {
				continue
			}
		case unix.EBUSY:
			t.full.Add(1)
		}
		taken, err := t.recall(n, errno)
		t.keep(next, taken, errno == unix.EBUSY)
		switch {
		case err != nil:
			t.failed.Add(1)
			t.broken = err
			return taken, err
		case errno == unix.EBUSY:
			if taken > 0 {
				taken-- // the last one was dropped
			}
			if !w.pause() {
				return taken, rawsock.ErrBackpressure
			}
			return taken, nil // Send goes on with the dropped frame
		case taken == n:
			return n, nil
		case errno == 0, errno == unix.EAGAIN, errno == unix.ENOBUFS, errno == unix.ENOMEM:
			return taken, rawsock.ErrBackpressure
		}
		t.failed.Add(1)
		return taken, fmt.Errorf("send frame %d of %d bytes: %w", next+taken, t.umem.length, errno)
	}
}

// keep replaces the taken frames. If the last one was dropped, its bytes stay the caller's, in other memory.
func (t *Tx) keep(next, taken int, dropped bool) {
	if taken == 0 {
		return
	}
	last := next + taken - 1
	was := t.umem.batch[last]
	t.swap(next, taken)
	if dropped {
		copy(t.umem.views[last], t.umem.at(was)) // nobody has written there since: it is free at most
	}
}

// recall empties the TX ring, the last n descriptors of which the kernel has not taken in full, and returns how many it
// did take. cause is the error that it stopped with.
//
// A descriptor cannot be taken back, because the kernel may have a copy of the producer word, but it can be made
// invalid: the kernel skips and counts it. How many it counts is how many it had not taken.
func (t *Tx) recall(n int, cause unix.Errno) (taken int, err error) {
	switch cause {
	case unix.ENETDOWN, unix.ENXIO, unix.ENODEV:
		return n - min(n, t.tx.pending()), txInterfaceError("send", t.index, cause)
	}
	for i := range n {
		*t.tx.at(t.tx.own - uint32(n-i)) = skipped
	}
	// One call for each, one to find the ring empty and say so, and one to spare.
	for calls := 0; t.tx.pending() > 0; calls++ {
		errno := t.kick()
		switch errno {
		case 0, unix.EINTR:
		case unix.ENETDOWN, unix.ENXIO, unix.ENODEV:
			return n - min(n, t.tx.pending()), txInterfaceError("send", t.index, errno)
		}
		if calls > n+1 {
			return n - min(n, t.tx.pending()), rawsock.WithHint(
				fmt.Errorf("send: interface %d: %w: its transmit queue %d is not served", t.index, rawsock.ErrInterface, t.queue), "Lanes",
				"take a lower queue: see with `ethtool -l` how many transmit queues there are")
		}
	}
	refused, err := t.kernel.refused()
	if err != nil {
		return 0, fmt.Errorf("send: read AF_XDP statistics: %w", err)
	}
	taken = n - int(refused-t.invalid)
	t.invalid = refused
	if taken < 0 {
		return 0, errors.New("send: the kernel refused more descriptors than it was given")
	}
	return taken, nil
}

// wake tells the driver of the n descriptors just published, of the frames from next on. Nothing in the ring can be taken
// back from a driver, so they are all accepted, unless the interface is gone. If the driver does not wake up within
// the time, the next Send wakes it again.
func (t *Tx) wake(next, n int, w *wait) (sent int, err error) {
	t.swap(next, n)
	for t.tx.needWakeup() {
		switch errno := t.kick(); errno {
		case 0:
			return n, nil
		case unix.EINTR:
		case unix.EAGAIN, unix.EBUSY, unix.ENOBUFS:
			t.full.Add(1)
			if !w.pause() {
				return n, nil
			}
		case unix.ENETDOWN, unix.ENXIO, unix.ENODEV:
			t.failed.Add(1)
			t.broken = txInterfaceError("send", t.index, errno)
			return n - min(n, t.tx.pending()), t.broken
		default:
			t.failed.Add(1)
			t.broken = fmt.Errorf("send: wake the driver: %w", errno)
			return n - min(n, t.tx.pending()), t.broken
		}
	}
	return n, nil
}
