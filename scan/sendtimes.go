package scan

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// sendTimes is the coarse table position → send time of one attempt, so that a round-trip time needs
// no state per probe and no bits of the sequence number. It remembers the last `horizon` of sending.
//
// One sender lane stores, receiver lanes load; an entry is one atomic word, so a reader sees the old
// or the new time, never half of one. A reader that comes between the provisional and the final
// store of a batch is off by the length of one send call.
type sendTimes struct {
	micros []atomic.Uint32 // Unix time in µs modulo 2^32 (71 minutes), per granule of positions
	shift  uint            // log2 of the positions that share an entry
	mask   uint64
	cursor atomic.Uint64 // one past the last position stored
}

const (
	// sendTimeHorizon is the oldest probe whose round trip is still measured.
	sendTimeHorizon = 8 * time.Second
	// sendTimeEntries bounds the table to 8 MiB; above 262,144 pps positions share entries, at
	// 3 M pps sixteen of them, which are sent within 6 µs.
	sendTimeEntries = 1 << 21
)

func newSendTimes(rate float64, positions uint64) *sendTimes {
	want := min(uint64(rate*sendTimeHorizon.Seconds()), positions)
	n := ceilPow2(max(want, 1))
	shift := uint(0)
	for n>>shift > sendTimeEntries {
		shift++
	}
	entries := n >> shift
	return &sendTimes{micros: make([]atomic.Uint32, entries), shift: shift, mask: entries - 1}
}

func ceilPow2(v uint64) uint64 { return 1 << bits.Len64(v-1) }

// granule is the number of positions that share an entry, a power of two. A batch that begins at a
// multiple of it shares none with the batch before.
func (s *sendTimes) granule() uint64 { return 1 << s.shift }

func (s *sendTimes) set(position uint64, unixNano int64) {
	s.micros[position>>s.shift&s.mask].Store(max(uint32(unixNano/1000), 1))
}

// forget says that the time is not known well enough. Entry 0 means so, and a time that is 0 is 1.
func (s *sendTimes) forget(position uint64) { s.micros[position>>s.shift&s.mask].Store(0) }

// sent says that positions before cursor have been stored: entries one span behind are reused.
func (s *sendTimes) sent(cursor uint64) { s.cursor.Store(cursor) }

// rtt is the time from the position's probe to received, a Unix time in nanoseconds. ok is false
// where the entry has been reused since, or the time was never known well.
func (s *sendTimes) rtt(position uint64, received int64) (d time.Duration, ok bool) {
	first := position &^ (s.granule() - 1) // of the entry
	// Less than zero within the batch being sent: cursor is stored behind it.
	if behind := int64(s.cursor.Load() - first); behind > int64(len(s.micros))<<s.shift {
		return 0, false
	}
	sent := s.micros[position>>s.shift&s.mask].Load()
	if sent == 0 {
		return 0, false
	}
	micros := int32(uint32(received/1000) - sent)
	// A reply cannot precede its probe, but the two clock readings may be a little out of order.
	return time.Duration(max(micros, 0)) * time.Microsecond, true
}
