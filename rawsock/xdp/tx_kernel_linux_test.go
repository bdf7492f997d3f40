package xdp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"synoptic/rawsock"
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

// TestTxAccount: whatever the driver does, the frames that Send says are accepted are those that were taken, once and in
// order; no frame is the caller's and the kernel's at a time; those not accepted keep their bytes.
func TestTxAccount(t *testing.T) {
	type variant struct {
		name                         string
		mode                         TxMode
		lateWord, skipsAll, reclaims bool
	}
	for _, v := range []variant{
		{"copy 5.18", TxCopy, true, true, false},
		{"copy 6.6", TxCopy, true, false, false},
		{"copy 6.17", TxCopy, false, false, false},
		{"copy 6.18.40", TxCopy, false, false, true},
		{"zero-copy", TxZeroCopy, false, false, false},
	} {
		for _, batch := range []int{1, 16, 64, 300} {
			t.Run(fmt.Sprintf("%s batch %d", v.name, batch), func(t *testing.T) {
				seed := rand.Uint64() // set to a printed one, this replays it, but for the time that waiting takes
				t.Logf("seed %d", seed)
				k, tx := newImitation(t, seed, batch, v.mode)
				k.lateWord, k.skipsAll, k.reclaims, k.trouble = v.lateWord, v.skipsAll, v.reclaims, 2
				var template [txTestSeq]byte
				for i := range template {
					template[i] = byte(200 + i)
				}
				tx.Prepare(func(f []byte) { copy(f, template[:]) })
				var want []uint32
				seq, gaveUp := uint32(0), 0
				for total := 6 * inFlight; len(want) < total; {
					if k.rng.IntN(total/batch+1) == 0 && gaveUp < 4 {
						k.outage = 100
					}
					for i := range batch {
						f := tx.Frames()[i]
						if !bytes.Equal(f[:txTestSeq], template[:]) {
							t.Fatalf("frame %d is not prepared: % x", i, f)
						}
						seq++
						txNumber(f, seq)
					}
					for from := 0; from < batch; {
						to := min(batch, from+1+k.rng.IntN(batch))
						accepted, err := tx.Send(from, to)
						for i := from; i < from+accepted; i++ {
							want = append(want, seq-uint32(batch)+uint32(i)+1)
						}
						for i := range batch {
							if k.onTheWay[tx.umem.batch[i]] != nil {
								t.Fatalf("frame %d is the kernel's", i)
							}
							if number := binary.BigEndian.Uint32(tx.Frames()[i][txTestSeq:]); i >= from+accepted && number != seq-uint32(batch)+uint32(i)+1 {
								t.Fatalf("frame %d, not sent, has become number %d", i, number)
							}
						}
						from += accepted
						switch {
						case errors.Is(err, rawsock.ErrBackpressure):
							gaveUp++
							k.progress()
							if k.rng.IntN(2) == 0 {
								from = batch // change of mind: the rest is written anew
							}
						case err != nil || from != to:
							t.Fatalf("accepted %d of [%d, %d): %v", accepted, from-accepted, to, err)
						}
						if k.rng.IntN(4) == 0 {
							k.progress()
						}
					}
				}
				free := len(tx.umem.free)
				s := tx.Stats()
				k.calm = true
				for len(k.delivered) < len(want) { // Close waits only for so long, and this machine may be busy
					before := len(k.delivered)
					for range 100 {
						k.progress()
						tx.reap()
					}
					if len(k.delivered) == before {
						break // it is the test's to tell
					}
				}
				if err := tx.Close(); err != nil || !k.closed {
					t.Fatal(err)
				}
				if !slices.Equal(k.delivered, want) {
					t.Errorf("%d frames taken, %d accepted", len(k.delivered), len(want))
				}
				if s.Sent != uint64(len(want)) || s.Errors != 0 || s.Backpressure == 0 && v.mode == TxCopy {
					t.Errorf("statistics %+v, %d accepted", s, len(want))
				}
				// Nothing leaks.
				k.progress()
				tx.reap()
				all := append(slices.Clone(tx.umem.free), tx.umem.batch...)
				slices.Sort(all)
				if len(slices.Compact(all)) != batch+inFlight {
					t.Errorf("%d frames of %d are left (%d were free)", len(all), batch+inFlight, free)
				}
				t.Logf("%d accepted, gave up %d times, %+v", len(want), gaveUp, s)
			})
		}
	}
}

// TestTxNoCompletions: when all the memory is on its way, Send takes no more, until some comes back.
func TestTxNoCompletions(t *testing.T) {
	for _, mode := range []TxMode{TxCopy, TxZeroCopy} {
		k, tx := newImitation(t, 1, 64, mode)
		hold := &holding{imitation: k}
		tx.kernel = hold
		sent := 0
		for {
			began := time.Now()
			n, err := tx.Send(0, 64)
			sent += n
			if errors.Is(err, rawsock.ErrBackpressure) {
				if took := time.Since(began); took < rawsock.MaxSendWait {
					t.Errorf("%s: gave up after %v", mode, took)
				}
				break
			}
			if err != nil || sent > inFlight {
				t.Fatalf("%s: sent %d: %v", mode, sent, err)
			}
		}
		if sent != inFlight {
			t.Errorf("%s: sent %d of %d", mode, sent, inFlight)
		}
		hold.release = true
		k.calm = true
		k.progress()
		k.progress()
		if n, err := tx.Send(0, 64); n != 64 || err != nil {
			t.Errorf("%s: with memory again sent %d: %v", mode, n, err)
		}
	}
}

// holding takes all descriptors and completes none until told.
type holding struct {
	*imitation
	release bool
}

func (h *holding) kick() unix.Errno {
	if h.release {
		return h.imitation.kick()
	}
	for {
		d, _, found := h.peek()
		if !found {
			return 0
		}
		h.take(d)
	}
}

// TestTxDies: an interface that goes away in the middle leaves a true count, and the sender unusable.
func TestTxDies(t *testing.T) {
	for _, mode := range []TxMode{TxCopy, TxZeroCopy} {
		for _, errno := range []unix.Errno{unix.ENETDOWN, unix.ENXIO} {
			k, tx := newImitation(t, 2, 64, mode)
			k.budget, k.fail, k.failAfter = 5, errno, 1
			if mode == TxZeroCopy {
				k.failAfter = 0
			}
			tx.burst = 20
			accepted, err := tx.Send(0, 64)
			if !errors.Is(err, rawsock.ErrInterface) || !errors.Is(err, errno) || accepted != len(k.delivered) {
				t.Errorf("%s %v: accepted %d of %d taken: %v", mode, errno, accepted, len(k.delivered), err)
			}
			if mode == TxCopy && accepted != 5 {
				t.Errorf("accepted %d", accepted)
			}
			// Also if it comes back: what is left in the ring is no longer known.
			for range 2 {
				if n, err := tx.Send(accepted, 64); n != 0 || !errors.Is(err, rawsock.ErrInterface) {
					t.Errorf("%s: then %d, %v", mode, n, err)
				}
				k.failAfter = -1
			}
		}
	}
}

// TestTxCulprit: an error that is about one frame names it, and does not count it.
func TestTxCulprit(t *testing.T) {
	k, tx := newImitation(t, 3, 64, TxCopy)
	k.budget, k.fail, k.failAfter = 5, unix.EPERM, 1
	tx.kernel = &recovering{k}
	accepted, err := tx.Send(10, 30)
	if accepted != 5 || !errors.Is(err, unix.EPERM) || len(k.delivered) != 5 {
		t.Fatalf("accepted %d, %d taken: %v", accepted, len(k.delivered), err)
	}
	if n, err := tx.Send(16, 30); n != 14 || err != nil {
		t.Errorf("the others: %d, %v", n, err)
	}
	if s := tx.Stats(); s.Sent != 19 || s.Errors != 1 {
		t.Errorf("statistics %+v", s)
	}
}

// recovering fails once.
type recovering struct{ *imitation }

func (r *recovering) kick() unix.Errno {
	errno := r.imitation.kick()
	if r.failAfter == 0 && errno == r.fail {
		r.failAfter, r.budget = -1, copyBudget
	}
	return errno
}
