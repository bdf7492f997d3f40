package scan

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"time"
)

// rttEstimator smooths round-trip times as RFC 6298 section 2 does (gain 1/8), apart for every /24
// (IPv6: /48) folded into a fixed number of buckets, so that many near hosts do not hide a far one.
// Any number of lanes may observe; the words are atomics and a lost update between two lanes costs
// one sample of an average.
type rttEstimator struct {
	smoothed [256]atomic.Int64 // ns, 0: no sample yet
	largest  atomic.Int64      // ns, the largest smoothed value ever seen
}

func (e *rttEstimator) observe(a netip.Addr, rtt time.Duration) {
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

// cooldownFloor is waited in any case: a reply held up by a busy target's scheduler.
const cooldownFloor = 500 * time.Millisecond

// cooldownBlind is waited where nothing has answered, so that no round trip is known: twice the
// initial retransmission timeout of RFC 6298 section 2.1.
const cooldownBlind = 2 * time.Second

// cooldown is how long after a probe its answer is still waited for: four times the largest
// smoothed round trip, between cooldownFloor and limit.
func (e *rttEstimator) cooldown(limit time.Duration) time.Duration {
	d := cooldownBlind
	if largest := e.largest.Load(); largest != 0 {
		d = max(cooldownFloor, 4*time.Duration(largest))
	}
	return min(d, limit)
}
