package rtt

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// SendTimes is the coarse table position → send time of one attempt, so that a round-trip time needs
// no state per probe and no bits of the sequence number. It remembers the last `horizon` of sending.
//
// Sender lanes store, each for its own chunks, which share no entry but those a span apart; receiver
// lanes load. An entry is one atomic word, so a reader sees the old or the new time, never half of
// one. A reader that comes between the provisional and the final store of a batch is off by the
// length of one send call.
type SendTimes struct {
	micros []atomic.Uint32 // Unix time in µs modulo 2^32 (71 minutes), per granule of positions
	shift  uint            // log2 of the positions that share an entry
	mask   uint64
	cursor atomic.Uint64 // one past the highest position stored
}

const (
	// sendTimeHorizon is the oldest probe whose round trip is still measured.
	sendTimeHorizon = 8 * time.Second
	// sendTimeEntries bounds the table to 8 MiB; above 262,144 pps positions share entries, at
	// 3 M pps sixteen of them, which are sent within 6 µs.
	sendTimeEntries = 1 << 21
	// clockSlackMicros is how much two readings of the clock may be out of order.
	clockSlackMicros = 100
)

// NewSendTimes makes the table of a scan of so many positions at a rate in probes per second.
func NewSendTimes(rate float64, positions uint64) *SendTimes {
	entries, shift := Shape(rate, positions, sendTimeEntries)
	return &SendTimes{micros: make([]atomic.Uint32, entries), shift: shift, mask: entries - 1}
}

// NewSendTimesOn is NewSendTimes in memory of the caller's: a power of two of entries, of 2^shift positions each.
func NewSendTimesOn(micros []atomic.Uint32, shift uint) *SendTimes {
	return &SendTimes{micros: micros, shift: shift, mask: uint64(len(micros)) - 1}
}

// Shape gives the number of entries, a power of two up to limit, and how many positions share one.
func Shape(rate float64, positions, limit uint64) (entries uint64, shift uint) {
	entries = ceilPow2(max(min(uint64(rate*sendTimeHorizon.Seconds()), positions), 1))
	for entries > limit {
		entries /= 2
		shift++
	}
	return entries, shift
}

func ceilPow2(v uint64) uint64 { return 1 << bits.Len64(v-1) }

// Granule is the number of positions that share an entry, a power of two. A batch that begins at a
// multiple of it shares none with the batch before.
func (s *SendTimes) Granule() uint64 { return 1 << s.shift }

// Set stores the Unix time in nanoseconds at which a position was probed.
func (s *SendTimes) Set(position uint64, unixNano int64) {
	s.micros[position>>s.shift&s.mask].Store(max(uint32(unixNano/1000), 1))
}

// Forget says that the time is not known well enough. Entry 0 means so, and a time that is 0 is 1.
func (s *SendTimes) Forget(position uint64) { s.micros[position>>s.shift&s.mask].Store(0) }

// Sent says that positions up to cursor have been stored, by whichever lane: entries one span behind
// are reused.
func (s *SendTimes) Sent(cursor uint64) {
	for {
		old := s.cursor.Load()
		if cursor <= old || s.cursor.CompareAndSwap(old, cursor) {
			return
		}
	}
}

// Holds tells whether the position's entry is still its own, and not one for positions a span ahead.
func (s *SendTimes) Holds(position uint64) bool {
	first := position &^ (s.Granule() - 1) // of the entry
	// Less than zero within the batch being sent: cursor is stored behind it.
	return int64(s.cursor.Load()-first) <= int64(len(s.micros))<<s.shift
}

// RTT is the time from the position's probe to received, a Unix time in nanoseconds. ok is false
// where the entry has been reused since, or the time was never known well.
func (s *SendTimes) RTT(position uint64, received int64) (d time.Duration, ok bool) {
	if !s.Holds(position) {
		return 0, false
	}
	sent := s.micros[position>>s.shift&s.mask].Load()
	if sent == 0 {
		return 0, false
	}
	micros := int32(uint32(received/1000) - sent)
	// A reply cannot precede its probe, but the two clock readings may be a little out of order; and
	// the entry may be of a neighbour that left later.
	if micros < -clockSlackMicros {
		return 0, false
	}
	return time.Duration(max(micros, 0)) * time.Microsecond, true
}
