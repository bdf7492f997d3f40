// Package rtt knows how long answers take. Call Estimator.Observe for each round trip, and Estimator.Cooldown for how
// long to wait behind the last probe; SendTimes remembers when each position was probed, Timeouts says how long
// a connect may take, and Awake measures waiting.
package rtt

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"sync/atomic"
	"time"
)

// Estimator smooths round-trip times as RFC 6298 section 2 does (gain 1/8), apart for every /24
// (IPv6: /48) folded into a fixed number of buckets, so that many near hosts do not hide a far one.
// Any number of lanes may observe; the words are atomics and a lost update between two lanes costs
// one sample of an average.
type Estimator struct {
	smoothed [256]atomic.Int64 // ns, 0: no sample yet
	largest  atomic.Int64      // ns, the largest smoothed value ever seen

	// histogram counts round trips by size: four buckets to a doubling, in µs.
	histogram [4 * 32]atomic.Uint32
}

// Observe takes in a round trip of a probe to an address.
func (e *Estimator) Observe(a netip.Addr, rtt time.Duration) {
	e.histogram[rttBucket(rtt)].Add(1)
	s := &e.smoothed[prefixBucket(a)]
	v := s.Load()
	if v == 0 {
		v = max(int64(rtt), 1)
	} else {
		v += (int64(rtt) - v) / 8
	}
	s.Store(v)
	for {
		old := e.largest.Load()
		if v <= old || e.largest.CompareAndSwap(old, v) {
			return
		}
	}
}

func prefixBucket(a netip.Addr) uint8 {
	b := a.As16()
	key := binary.BigEndian.Uint64(b[:]) >> 16 // /48
	if a.Is4() || a.Is4In6() {
		key = uint64(binary.BigEndian.Uint32(b[12:]) >> 8)
	}
	return uint8(key * 0x9e3779b97f4a7c15 >> 56) // Fibonacci hashing, Knuth TAOCP 6.4
}

// Longest is the largest smoothed round trip seen so far; 0: none was.
func (e *Estimator) Longest() time.Duration { return time.Duration(e.largest.Load()) }

// CooldownFloor is waited in any case: a reply held up by a busy target's scheduler.
const CooldownFloor = 500 * time.Millisecond

// CooldownBlind is waited where nothing has answered, so that no round trip is known: twice the
// initial retransmission timeout of RFC 6298 section 2.1.
const CooldownBlind = 2 * time.Second

// Cooldown is how long after a probe its answer is still waited for: four times the largest
// smoothed round trip, between CooldownFloor and limit.
func (e *Estimator) Cooldown(limit time.Duration) time.Duration {
	d := CooldownBlind
	if largest := e.largest.Load(); largest != 0 {
		d = max(CooldownFloor, 4*time.Duration(largest))
	}
	return min(d, limit)
}

// settledFloor is waited where everything has answered.
const settledFloor = 20 * time.Millisecond

// Settled is how long to wait where everything has answered, so that only a better answer can still come
// (open behind the RST of a firewall): four times the largest smoothed round trip, limit at most.
func (e *Estimator) Settled(limit time.Duration) time.Duration {
	return min(max(settledFloor, 4*time.Duration(e.largest.Load())), limit)
}

// rttBucket is the histogram's bucket of a round trip: the position of its highest bit and the two
// bits below it.
func rttBucket(rtt time.Duration) int {
	us := uint64(min(max(rtt.Microseconds(), 4), 1<<31))
	high := bits.Len64(us) - 1
	return high*4 + int(us>>(high-2)&3)
}

// percentile is the upper end of the bucket that holds the share q of the round trips; ok is false
// while there are too few for it to mean something.
func (e *Estimator) percentile(q float64) (rtt time.Duration, ok bool) {
	var counts [len(e.histogram)]uint64
	var total uint64
	for i := range e.histogram {
		counts[i] = uint64(e.histogram[i].Load())
		total += counts[i]
	}
	if total < 100 {
		return 0, false
	}
	left := uint64(q * float64(total))
	for i, n := range counts {
		if n > left {
			return time.Duration(4+i%4+1) << (i / 4) / 4 * time.Microsecond, true
		}
		left -= n
	}
	return 0, false
}

const (
	// retryGapFloor outlasts a burst of loss of some length: of two packets sent back to back that
	// lose one, over 93 % lose both (Wan et al., On the Origin of Scanning, IMC 2020).
	retryGapFloor = 250 * time.Millisecond
	// retryGapRTTs times the 99th percentile of the round trips is far beyond an answer still on its way.
	retryGapRTTs = 4
)

// RetryGap is limit, or less on a network known to be fast.
func (e *Estimator) RetryGap(limit time.Duration) time.Duration {
	p99, ok := e.percentile(0.99)
	if !ok {
		return limit
	}
	return min(limit, max(retryGapFloor, retryGapRTTs*p99))
}
