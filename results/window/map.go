// Package window holds the lock-free result map. Call New for a window over the positions of a scan; the
// sender then calls Map.Advance before it sends, and receivers call Map.Mark with what they have seen.
package window

import (
	"fmt"
	"math"
	"math/bits"
	"sync/atomic"

	"synoptic/results"
)

// All answers a slot can hold, and what it holds once its position has left the window.
const (
	answers = results.Open | results.Closed | results.Filtered
	sealed  = answers | results.Unknown // no probe gets all four
)

const (
	// MinBytes is the least memory for a window that does not cover its scan.
	// It holds 2^21 positions: two seconds for replies at a million probes a
	// second, with a guard of a quarter of a second.
	MinBytes = 1 << 20

	slotBits  = 4
	wordSlots = 64 / slotBits
	minWindow = 4 * wordSlots

	// guardShift makes the guard an eighth of the window.
	guardShift = 3

	// slotOnes has the lowest bit of each slot set.
	slotOnes = 0x1111111111111111
)

// Map holds the results.State of each position in a window of a scan: a ring of 4-bit
// slots, position p in slot p mod W. No key is stored, nothing is allocated, and
// nobody waits. One sender at a time calls Advance; any number of receivers call Mark.
//
// A scan of up to W positions is covered whole. Otherwise the window slides
// behind the sender:
//
//	       low                        high
//	────────┼───────────────────────────┼───────────┼────────▶ positions
//	 sealed │ marked and read           │  guard    │ low + W
//	        │ at most W - guard         │  (slots still sealed)
//
// Why a slot is never used by two positions at once. Both marks are written by
// the sender alone (or by senders in turn), and Go's atomics are sequentially consistent.
//
//   - Advance stores low first: from then on Mark refuses what leaves.
//   - Then it seals the leaving slots: an atomic Or of all four bits, whose old
//     value is the final state. A receiver that had checked low just before either
//     comes before the seal, and the sender sees its bit, or after it, sees the
//     seal and reports the reply as late. So a position is never both passed on as
//     silent and news.
//   - A slot stays sealed while the sender passes the guard, W/8 positions, and is
//     set to zero only when its next position is about to be sent. A receiver
//     would have to be held up between its check and its Or for that long to hit
//     the wrong position: 2^26 positions with the default 256 MiB, 3 s at 20
//     million probes a second; 2^18 with MinBytes, 260 ms at a million. Even
//     that is seen, after the fact, and counted in Overruns.
//   - Advance stores high last, so that a reply is accepted once its slot is clean.
//     The sender calls it before it sends.
//
// Several sender lanes share a Map: they take turns at advancing it, each over the run of
// positions that it sends next, under a lock that they need anyway to agree who sends
// what. So the lanes work close to each other, and one window reaches over all of them.
type Map struct {
	// Read by all, never written after New.
	words      []uint64 // only through sync/atomic
	begin, end uint64   // of the scan or lane
	mask       uint64   // W - 1
	guard      uint64   // positions; 0 if the whole scan is covered

	// Written by the sender once for each batch, read for each reply: apart from
	// the fields above, which thus stay in every cache.
	_         [64]byte
	low, high atomic.Uint64
	cleared   uint64                // the sender's own: slots of positions below are clean, a multiple of wordSlots
	unknown   func(position uint64) // likewise; nil: nobody wants to know

	_        [64]byte
	overruns atomic.Uint64 // written by receivers, next to never
}

// SizeError says that the memory allowed is too little for a useful window.
type SizeError struct {
	Positions uint64
	MaxBytes  int64
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("result map: %d bytes are too few for a window over %d positions, the minimum is %d bytes", e.MaxBytes, e.Positions, MinBytes)
}

// Field is MaxMemory.
func (e *SizeError) Field() string { return "MaxMemory" }

// Hint tells the user what to change.
func (e *SizeError) Hint() string {
	return "raise MaxMemory: 256 MiB hold the results of half a billion probes at a time"
}

// For returns the window W that New takes for a scan of so many positions:
// the least power of two that covers them, or the largest that fits maxBytes at
// half a byte each. A *SizeError says that neither is possible with at least
// MinBytes.
func For(positions uint64, maxBytes int64) (uint64, error) {
	budget := uint64(max(0, min(maxBytes, math.MaxInt/2)))
	window := uint64(minWindow)
	for window < positions && window <= budget { // doubled it takes window bytes
		window *= 2
	}
	if window/2 > budget || window < positions && budget < MinBytes {
		return 0, &SizeError{Positions: positions, MaxBytes: maxBytes}
	}
	return window, nil
}

// New returns a map for the positions [begin, begin+positions), with the window
// and the error of For.
func New(begin, positions uint64, maxBytes int64) (*Map, error) {
	window, err := For(positions, maxBytes)
	if err != nil {
		return nil, err
	}
	// Fresh memory is zero, and the kernel supplies pages only as they are used.
	return newMap(begin, positions, make([]uint64, window/wordSlots))
}

// NewOn is New in memory of the caller's, which it sets to zero: for a BPF
// array that is mapped into memory, 16 positions to the word, position p in bits
// 4·(p mod 16) upwards of word p/16 mod len(words). The number of words must be a
// power of two, at least 4.
func NewOn(begin, positions uint64, words []uint64) (*Map, error) {
	if n := len(words); n < minWindow/wordSlots || bits.OnesCount(uint(n)) != 1 {
		return nil, fmt.Errorf("result map: %d words, need a power of two of at least %d", n, minWindow/wordSlots)
	}
	clear(words)
	return newMap(begin, positions, words)
}

func newMap(begin, positions uint64, words []uint64) (*Map, error) {
	window := uint64(len(words)) * wordSlots
	if begin+positions+window < begin {
		return nil, fmt.Errorf("result map: %d positions from %d exceed 64 bits", positions, begin)
	}
	m := &Map{words: words, begin: begin, end: begin + positions, mask: window - 1}
	if positions > window {
		m.guard = max(window>>guardShift, wordSlots)
	}
	m.cleared = begin&^(wordSlots-1) + window // the first lap finds clean slots
	m.low.Store(begin)
	m.high.Store(begin)
	return m, nil
}

// Window returns W, the number of slots.
func (m *Map) Window() uint64 { return m.mask + 1 }

// Covers tells whether the window covers the whole scan, so that no reply is late.
func (m *Map) Covers() bool { return m.guard == 0 }

// Reach returns for how many positions behind the sender replies are accepted: W
// less the guard, or W if that covers the scan.
func (m *Map) Reach() uint64 { return m.Window() - m.guard }

// Guard returns for how many positions behind those that Reach covers slots stay sealed: W less Reach.
func (m *Map) Guard() uint64 { return m.guard }

// Bounds returns the positions that are marked and read, [low, high), for those who mark by other
// means than Mark.
func (m *Map) Bounds() (low, high uint64) { return m.low.Load(), m.high.Load() }

// Overruns returns the number of marks that may have hit the slot of a later
// position, because their receiver was held up while the sender passed the guard.
// Anything but 0 means that as many later results may be wrong.
func (m *Map) Overruns() uint64 { return m.overruns.Load() }

// Mark adds s to the state of a position and returns what was known before: the
// reply is news only if old lacks it. ok is false, and nothing is known, if the
// position has left the window (the reply is late) or has not been sent.
//
// It is wait-free but for the Or, which amd64 does as a compare-and-swap loop:
// a lane fails there only if another lane marks the same 16 positions just then.
func (m *Map) Mark(position uint64, s results.State) (old results.State, ok bool) {
	if position < m.low.Load() || position >= m.high.Load() {
		return 0, false
	}
	return m.or(position, s)
}

// or is the second half of Mark, after the check of the window.
func (m *Map) or(position uint64, s results.State) (old results.State, ok bool) {
	shift := position % wordSlots * slotBits
	word := atomic.OrUint64(&m.words[position&m.mask/wordSlots], uint64(s&sealed)<<shift)
	old = results.State(word>>shift) & sealed
	if low := m.low.Load(); position < low {
		return m.leaving(position, low, old)
	}
	return old, true
}

// leaving decides about a mark that met with its position's leaving the window.
func (m *Map) leaving(position, low uint64, old results.State) (results.State, bool) {
	switch {
	case old == sealed:
		return 0, false // late by a hair
	case low <= position&^(wordSlots-1)+m.guard:
		return old, true // not reused yet and not sealed: it came before the seal
	}
	m.overruns.Add(1)
	return 0, false
}

// Get returns the state of a position; ok is false outside the window.
func (m *Map) Get(position uint64) (s results.State, ok bool) {
	if position >= m.high.Load() {
		return 0, false
	}
	word := atomic.LoadUint64(&m.words[position&m.mask/wordSlots])
	if position < m.low.Load() { // only now: it may have left meanwhile
		return 0, false
	}
	return results.State(word>>(position%wordSlots*slotBits)) & sealed, true
}

// OnUnknown has f called for each position that leaves the window unknown, without an answer, in order. Call it before Advance.
func (m *Map) OnUnknown(f func(position uint64)) { m.unknown = f }

// Advance makes room for the positions below to. Only the sender calls it, before
// it sends them, in steps of Reach at most. Positions that leave the window and
// are silent are passed to silent, in order, unless it is nil; their number is
// returned. It panics if to lies beyond the scan or the step is too long, because
// results would be lost or invented.
func (m *Map) Advance(to uint64, silent func(position uint64)) (left uint64) {
	high := m.high.Load()
	if to <= high {
		return 0
	}
	if to > m.end || to-high > m.Reach() {
		panic("result map: advanced beyond the scan or by more than the window")
	}
	if !m.Covers() {
		if low := m.low.Load(); to > low+m.Reach() {
			m.low.Store(to - m.Reach())
			left = m.seal(low, to-m.Reach(), silent)
		}
		// A whole word at a time: all 16 positions that had it are sealed, for the
		// guard is at least as long.
		for ; m.cleared < to; m.cleared += wordSlots {
			atomic.StoreUint64(&m.words[m.cleared&m.mask/wordSlots], 0)
		}
	}
	m.high.Store(to)
	return left
}

// seal ends the marking of the positions [from, to), already below low.
func (m *Map) seal(from, to uint64, silent func(position uint64)) (left uint64) {
	for from < to {
		slots, next := wordSpan(from, to)
		word := atomic.OrUint64(&m.words[from&m.mask/wordSlots], slots)
		quiet := silentSlots(word) & slots
		left += uint64(bits.OnesCount64(quiet))
		for ; silent != nil && quiet != 0; quiet &= quiet - 1 {
			silent(from&^(wordSlots-1) + uint64(bits.TrailingZeros64(quiet))/slotBits)
		}
		if m.unknown != nil {
			for lost := unknownSlots(word) & slots; lost != 0; lost &= lost - 1 {
				m.unknown(from&^(wordSlots-1) + uint64(bits.TrailingZeros64(lost))/slotBits)
			}
		}
		from = next
	}
	return left
}

// Silent calls f for each silent position of [from, to) that is in the window, in
// order, until f returns false. A reply that comes meanwhile may or may not be seen.
func (m *Map) Silent(from, to uint64, f func(position uint64) bool) {
	to = min(to, m.high.Load())
	for from = max(from, m.low.Load()); from < to; {
		slots, next := wordSpan(from, to)
		quiet := silentSlots(atomic.LoadUint64(&m.words[from&m.mask/wordSlots])) & slots
		for ; quiet != 0; quiet &= quiet - 1 {
			if !f(from&^(wordSlots-1) + uint64(bits.TrailingZeros64(quiet))/slotBits) {
				return
			}
		}
		from = next
	}
}

// Unknown calls f for each position of [from, to) that is in the window and unknown, without an answer, in order.
func (m *Map) Unknown(from, to uint64, f func(position uint64)) {
	to = min(to, m.high.Load())
	for from = max(from, m.low.Load()); from < to; {
		slots, next := wordSpan(from, to)
		for lost := unknownSlots(atomic.LoadUint64(&m.words[from&m.mask/wordSlots])) & slots; lost != 0; lost &= lost - 1 {
			f(from&^(wordSlots-1) + uint64(bits.TrailingZeros64(lost))/slotBits)
		}
		from = next
	}
}

// multiples has the lowest bit of each slot of a multiple of 2^i.
var multiples = [...]uint64{slotOnes, 0x0101010101010101, 0x0001000100010001, 0x0000000100000001, 1}

// CountSilent counts what Silent reports of the multiples of 2^log2.
func (m *Map) CountSilent(from, to uint64, log2 uint8) (n uint64) {
	wanted := multiples[min(int(log2), len(multiples)-1)]
	to = min(to, m.high.Load())
	for from = max(from, m.low.Load()); from < to; {
		slots, next := wordSpan(from, to)
		if from&^(wordSlots-1)&(1<<log2-1) == 0 || log2 < uint8(len(multiples)) {
			n += uint64(bits.OnesCount64(silentSlots(atomic.LoadUint64(&m.words[from&m.mask/wordSlots])) & slots & wanted))
		}
		from = next
	}
	return n
}

// wordSpan returns all bits of the slots of [from, to) in the word of from, and
// the position where the rest begins.
func wordSpan(from, to uint64) (slots, next uint64) {
	first := from % wordSlots
	next = min(to, from-first+wordSlots)
	last := (next - 1) % wordSlots
	return ^uint64(0) << (first * slotBits) & (^uint64(0) >> ((wordSlots - 1 - last) * slotBits)), next
}

// silentSlots returns the lowest bit of each slot that is zero.
func silentSlots(word uint64) uint64 {
	word |= word >> 1
	word |= word >> 2
	return ^word & slotOnes
}

// unknownSlots returns the lowest bit of each slot that is unknown, and has no answer.
func unknownSlots(word uint64) uint64 {
	return word >> 3 &^ (word | word>>1 | word>>2) & slotOnes
}
