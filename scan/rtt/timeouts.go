package rtt

import (
	"context"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"synoptic/results/crash"
)

// Timeouts says how long to wait for a connect, apart for every /24 (IPv6: /48), folded as
// Estimator folds them: a near network must not cut short what a far one takes.
//
// The longest round trip counts, not the mean: near and far may share a bucket.
type Timeouts struct {
	buckets [256]atomic.Int64 // ns, the longest round trip so far; 0: none
	overall atomic.Int64      // ns, over all buckets
}

// patientOneIn is the share of connects that wait blindly though their bucket has answered before:
// a far host among near ones could not show itself otherwise.
const patientOneIn = 32

// connectFloor lets the kernel send the SYN a second time, after 1 s (RFC 6298 section 2.1), and the
// answer come: one lost packet must not make a port silent.
const connectFloor = 1200 * time.Millisecond

// Observe notes how long an answer took.
func (t *Timeouts) Observe(a netip.Addr, rtt time.Duration) {
	raise(&t.buckets[prefixBucket(a)], max(int64(rtt), 1))
	raise(&t.overall, int64(rtt))
}

func raise(longest *atomic.Int64, v int64) {
	for {
		old := longest.Load()
		if v <= old || longest.CompareAndSwap(old, v) {
			return
		}
	}
}

// Of is the time for the connect of a position: twice the longest round trip in the bucket of its
// address, connectFloor at least, and CooldownBlind where nothing has answered there; limit at most.
func (t *Timeouts) Of(a netip.Addr, pos uint64, limit time.Duration) time.Duration {
	rtt := time.Duration(t.buckets[prefixBucket(a)].Load())
	d := max(connectFloor, 2*rtt)
	if rtt == 0 || pos%patientOneIn == 0 { // the order is random, and so is the choice
		d = max(CooldownBlind, 2*rtt)
	}
	return min(d, limit)
}

// SecondLook is how long after its end a time-out still lets an answer in: where the process stood still, timers
// and answers are both late, and the timers are looked at first.
const SecondLook = 20 * time.Millisecond

// WithTimeout is a context that ends d and a SecondLook from now. Its cause is then os.ErrDeadlineExceeded.
func WithTimeout(ctx context.Context, d time.Duration) (limited context.Context, cancel func()) {
	limited, end := context.WithCancelCause(ctx)
	timer := time.AfterFunc(d, crash.Guarded(func() {
		time.AfterFunc(SecondLook, crash.Guarded(func() { end(os.ErrDeadlineExceeded) }))
	}))
	return limited, func() { timer.Stop(); end(nil) }
}

// Longest is the most that of gives just now.
func (t *Timeouts) Longest(limit time.Duration) time.Duration {
	return min(max(CooldownBlind, 2*time.Duration(t.overall.Load())), limit)
}
