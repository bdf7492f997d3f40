package xdp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"synoptic/bench/lab/need"
	"synoptic/rawsock"
)

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
				for total := need.Sample(t, 2, 6, 6) * inFlight; len(want) < total; {
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
