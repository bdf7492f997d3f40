package xdp

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// ring is one end of a single-producer, single-consumer ring shared with the kernel
// (include/uapi/linux/if_xdp.h, net/xdp/xsk_queue.h, Linux 6.12). Producer and consumer count entries without end;
// an entry's place is its count modulo the size, a power of two.
//
// Of the two words each side writes one. The kernel orders its accesses with
// smp_store_release and smp_load_acquire (the table at the head of xsk_queue.h); sync/atomic is sequentially consistent and so at
// least as strong. It must be atomic on this side, too:
//
//   - storing our word: what was written to the entries, and to the frames that they name, is visible
//     before the entry is, and what was read from an entry is read before it is given back;
//   - loading the kernel's word: no entry is read before the kernel has finished it.
//
// Our own word needs no such care to be read, nobody else writes it: own keeps it.
type ring[E uint64 | unix.XDPDesc] struct {
	producer, consumer *uint32
	flags              *uint32 // XDP_RING_NEED_WAKEUP, written by the kernel
	entries            []E
	mask               uint32
	own                uint32
}

// at is the place of the entry with that count.
func (r *ring[E]) at(count uint32) *E { return &r.entries[count&r.mask] }

// publish gives the kernel the n entries that were written from own on.
func (r *ring[E]) publish(n int) {
	r.own += uint32(n)
	atomic.StoreUint32(r.producer, r.own)
}

// pending is how many of the published entries the kernel has not taken, as far as it has said.
func (r *ring[E]) pending() int { return int(r.own - atomic.LoadUint32(r.consumer)) }

// ready is how many entries the kernel has published and we have not given back.
func (r *ring[E]) ready() int { return int(atomic.LoadUint32(r.producer) - r.own) }

// giveBack lets the kernel write to the n entries from own on again.
func (r *ring[E]) giveBack(n int) {
	r.own += uint32(n)
	atomic.StoreUint32(r.consumer, r.own)
}

// needWakeup reports whether the driver sleeps until a system call wakes it.
func (r *ring[E]) needWakeup() bool {
	return atomic.LoadUint32(r.flags)&unix.XDP_RING_NEED_WAKEUP != 0
}
