package xdp

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// imitation is the kernel's side of the rings as net/xdp/xsk.c has it, with a driver that is at times full, drops, and
// completes late and in any order. It reads each frame when it takes it and again when it completes it, as a NIC might.
type imitation struct {
	t    testing.TB
	rng  *rand.Rand
	umem *umem
	tx   *ring[unix.XDPDesc]
	cq   *ring[uint64]

	zeroCopy  bool
	lateWord  bool // before Linux 6.17: the consumer word is published only when the ring is found empty
	skipsAll  bool // before Linux 6.6: a call skips any number of invalid descriptors
	reclaims  bool // since July 2026: an invalid descriptor's address is completed
	budget    int
	trouble   int // how many of 1000 descriptors meet one
	outage    int // calls that find the driver's queue stopped
	calm      bool
	fail      unix.Errno
	failAfter int // calls until fail; -1: never

	cons, prod, complete uint32 // the kernel's own counts
	invalid              uint64
	onTheWay             map[uint64][]byte // address to bytes as taken
	order                []uint64          // the addresses on the way
	delivered            []uint32          // sequence numbers
	closed               bool
}

func newImitation(t testing.TB, seed uint64, batch int, mode TxMode) (*imitation, *Tx) {
	u, err := newUmem(64, batch, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.close() })
	k := &imitation{
		t: t, rng: rand.New(rand.NewPCG(seed, 4)), umem: u,
		tx: newTestRing[unix.XDPDesc](), cq: newTestRing[uint64](),
		zeroCopy: mode == TxZeroCopy, budget: copyBudget, failAfter: -1, onTheWay: map[uint64][]byte{},
	}
	*k.tx.flags = unix.XDP_RING_NEED_WAKEUP
	// Counters that are about to wrap.
	for _, w := range []*uint32{k.tx.producer, k.tx.consumer, k.cq.producer, k.cq.consumer, &k.tx.own, &k.cq.own, &k.cons, &k.prod, &k.complete} {
		*w = 1<<32 - 3000
	}
	return k, &Tx{kernel: k, tx: k.tx, completion: k.cq, umem: u, index: 7, mode: mode, burst: copyBudget}
}

func newTestRing[E uint64 | unix.XDPDesc]() *ring[E] {
	return &ring[E]{producer: new(uint32), consumer: new(uint32), flags: new(uint32), entries: make([]E, inFlight), mask: inFlight - 1}
}

// kick is xsk_sendmsg.
func (k *imitation) kick() unix.Errno {
	switch {
	case k.failAfter == 0:
		return k.fail
	case k.failAfter > 0:
		k.failAfter--
	}
	k.progress()
	if k.zeroCopy {
		if k.chance(k.trouble) {
			return unix.EAGAIN
		}
		return 0
	}
	sent := false
	errno := k.transmit(&sent)
	if sent && !k.lateWord {
		atomic.StoreUint32(k.tx.consumer, k.cons)
	}
	return errno
}

// transmit is the loop of __xsk_generic_xmit.
func (k *imitation) transmit(sent *bool) unix.Errno {
	for budget := k.budget; ; budget-- {
		d, valid, found := k.peek()
		if !found {
			return 0
		}
		if !valid {
			k.cons++
			return 0
		}
		switch {
		case budget == 0:
			return unix.EAGAIN
		case k.outage > 0:
			k.outage--
			return unix.EAGAIN // NETDEV_TX_BUSY
		case k.chance(k.trouble):
			return []unix.Errno{unix.EAGAIN, unix.ENOBUFS, unix.ENOMEM}[k.rng.IntN(3)]
		case k.chance(k.trouble): // NET_XMIT_DROP
			k.cons++
			k.finish(d.Addr)
			return unix.EBUSY
		}
		k.take(d)
		*sent = true
	}
}

// peek is xskq_cons_peek_desc; an invalid descriptor is counted, and skipped here or by the caller.
func (k *imitation) peek() (d unix.XDPDesc, valid, found bool) {
	for {
		if k.cons == k.prod {
			atomic.StoreUint32(k.tx.consumer, k.cons)
			k.prod = atomic.LoadUint32(k.tx.producer)
			if k.prod-k.cons > inFlight {
				k.t.Fatalf("%d descriptors in the TX ring", k.prod-k.cons)
			}
			if k.cons == k.prod {
				return d, false, false
			}
		}
		d = *k.tx.at(k.cons)
		if d.Addr < uint64(len(k.umem.memory)) && d.Len > 0 && d.Addr%chunkSize+uint64(d.Len) <= chunkSize && d.Options == 0 {
			return d, true, true
		}
		k.invalid++
		if k.reclaims {
			k.finish(d.Addr)
		}
		if !k.skipsAll {
			return d, false, true
		}
		k.cons++
	}
}

func (k *imitation) take(d unix.XDPDesc) {
	k.cons++
	if k.onTheWay[d.Addr] != nil {
		k.t.Fatalf("address %#x sent while on its way", d.Addr)
	}
	frame := bytes.Clone(k.umem.at(d.Addr)[:d.Len])
	k.onTheWay[d.Addr] = frame
	k.order = append(k.order, d.Addr)
	k.delivered = append(k.delivered, binary.BigEndian.Uint32(frame[txTestSeq:]))
}

// progress lets time pass: a zero-copy driver takes some descriptors, and some frames leave, in any order.
func (k *imitation) progress() {
	if k.zeroCopy {
		for n := k.rng.IntN(48); n > 0; n-- {
			d, valid, found := k.peek()
			if !found {
				break
			}
			if !valid {
				k.t.Fatalf("invalid descriptor %+v", d)
			}
			k.take(d)
		}
		atomic.StoreUint32(k.tx.consumer, k.cons)
	}
	for len(k.order) > 0 && !k.chance(15) {
		i, last := k.rng.IntN(len(k.order)), len(k.order)-1
		address := k.order[i]
		k.order[i], k.order = k.order[last], k.order[:last]
		if was, now := k.onTheWay[address], k.umem.at(address); !bytes.Equal(was, now) {
			k.t.Fatalf("frame at %#x was overwritten on its way:\n% x\n% x", address, was, now)
		}
		delete(k.onTheWay, address)
		k.finish(address)
	}
}

func (k *imitation) finish(address uint64) {
	if k.complete-atomic.LoadUint32(k.cq.consumer) == inFlight {
		k.t.Fatal("the completion ring is full")
	}
	*k.cq.at(k.complete) = address
	k.complete++
	atomic.StoreUint32(k.cq.producer, k.complete)
}

func (k *imitation) chance(of1000 int) bool { return !k.calm && k.rng.IntN(1000) < of1000 }

func (k *imitation) refused() (uint64, error) { return k.invalid, nil }

func (k *imitation) close() error {
	k.closed = true
	return nil
}
