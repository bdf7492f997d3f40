// Package ratelimit holds the packet rate of a scan. Call NewPacer with a Pace (Constant, where the rate does
// not change), and Take before packets are sent: it says how many may be, and sleeps until one may. ParseRate and
// ParseBandwidth read what a user writes.
//
// All sender lanes share the one Limiter of the Pacer. Two token buckets are coupled in
// it, and a token is granted only if both have it:
//
//   - the sustained one fills at the rate and remembers 100 ms. It makes the
//     rate exact over a second although sleeps last too long; what a longer
//     stall left unsent is forfeited.
//   - the peak one fills at 1.25 times the rate and remembers 2 ms. It spreads
//     over several times its length what the sustained bucket remembers, so a
//     lost time slice is caught up smoothly and never as a burst.
//
// So any interval of length t carries at most 1 + rate·(t + 100 ms) tokens and at
// most 1 + rate·(1.25·t + 2 ms).
package ratelimit

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"
)

const (
	// sustainedMemory is for how long unused credit is kept. A scheduler's stall
	// is 10 to 50 ms; a suspended machine is not to be made good.
	sustainedMemory = 100 * time.Millisecond

	// peakFactor is the speed of catching up, relative to the rate.
	peakFactor = 1.25

	// peakMemory bounds a burst. It has to exceed the shortest wait with its
	// oversleep, about 1.2 ms, or the rate would be lost. It stays the same at
	// low rates, where it is less than a useful batch: a system call for each
	// packet costs nothing there, and evenness is worth more.
	peakMemory = 2 * time.Millisecond

	// batchTime is the least worth waiting for: at 100k tokens a second a lane
	// gets 20 at once or more and wakes 5000 times a second or less.
	batchTime = 200 * time.Microsecond

	// maxNap bounds the time until a stop or a new rate is seen.
	maxNap = 40 * time.Millisecond
)

// Limiter is a token bucket with a bounded peak, shared by every sender lane.
// One token is one packet. All methods may be called by several goroutines at
// once.
type Limiter struct {
	clock Clock

	// One lock for each grant of a batch: about 15 ns, for some 64 packets.
	mu   sync.Mutex
	last time.Time // until when the buckets are filled

	// Each bucket holds one token beyond its memory: the one that is due. So at
	// rates where the memory is worth less than a token, a grant that comes late
	// by less than the memory does not delay those after it.
	sustained, peak       float64 // tokens
	sustainedCap, peakCap float64
	rate                  float64 // tokens per second
	batch                 float64 // least grant while more are wanted, ≥ 1
}

// New returns a limiter of rate tokens per second, any finite number above 0.
// The first token is due at once.
func New(rate float64, clock Clock) (*Limiter, error) {
	l := &Limiter{clock: clock, last: clock.Now(), sustained: 1, peak: 1}
	if err := l.setRate(rate); err != nil {
		return nil, err
	}
	return l, nil
}

// setRate keeps credit and debt, but at a lower rate only for the time that they were
// made in: what is left of a fast second becomes neither a burst of a slow one nor a long wait.
func (l *Limiter) setRate(rate float64) error {
	if !(rate > 0) || math.IsInf(rate, 0) {
		return &RateError{Input: fmt.Sprint(rate), Reason: "a rate must be above zero and finite"}
	}
	if rate < l.rate {
		l.sustained = 1 + (l.sustained-1)*rate/l.rate
		l.peak = 1 + (l.peak-1)*rate/l.rate
	}
	l.rate = rate
	l.sustainedCap = 1 + rate*sustainedMemory.Seconds()
	l.peakCap = 1 + rate*peakMemory.Seconds()
	l.batch = max(1, math.Floor(rate*batchTime.Seconds()))
	l.sustained = min(l.sustained, l.sustainedCap)
	l.peak = min(l.peak, l.peakCap)
	return nil
}

// Take waits until tokens are due and grants n of them, 1 ≤ n ≤ limit. At high
// rates it waits for 200 µs worth or limit, whichever is less. It returns
// ctx.Err() once ctx is done, even while waiting, within 50 ms; then n is 0. A
// limit below 1 is an error.
func (l *Limiter) Take(ctx context.Context, limit int) (n int, err error) {
	return l.take(ctx, limit, nil)
}

// take is Take that grants nothing while held, if there is one, waits.
func (l *Limiter) take(ctx context.Context, limit int, held func(context.Context)) (n int, err error) {
	if limit < 1 {
		return 0, fmt.Errorf("rate limiter: %d tokens asked for", limit)
	}
	for {
		if held != nil {
			held(ctx)
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n, pause := l.grant(limit)
		if n > 0 {
			return n, nil
		}
		l.clock.Sleep(pause)
	}
}

// grant takes up to limit tokens, or says how long to wait before asking again.
func (l *Limiter) grant(limit int) (n int, pause time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fill()
	due := min(l.sustained, l.peak)
	if due >= float64(limit) {
		n = limit
	} else if due >= l.batch {
		n = int(due)
	}
	if n > 0 {
		l.sustained -= float64(n)
		l.peak -= float64(n)
		return n, 0
	}
	// For the whole batch even if limit is less: nobody needs to wake for less.
	wait := max((l.batch-l.sustained)/l.rate, (l.batch-l.peak)/(l.rate*peakFactor))
	if wait >= maxNap.Seconds() {
		return 0, maxNap
	}
	// One more nanosecond covers rounding, so that no sleep ends too early for a token.
	return 0, time.Duration(wait*1e9) + 1
}

// fill adds what became due since the last time.
func (l *Limiter) fill() {
	now := l.clock.Now()
	elapsed := float64(now.Sub(l.last)) / 1e9 // s
	if elapsed <= 0 {
		return
	}
	l.last = now
	l.sustained = min(l.sustained+elapsed*l.rate, l.sustainedCap)
	l.peak = min(l.peak+elapsed*l.rate*peakFactor, l.peakCap)
}

// Restart forgets all credit: one token is due at once, as after New.
func (l *Limiter) Restart() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last, l.sustained, l.peak = l.clock.Now(), 1, 1
}

// Return gives back n tokens that were granted and not used. It does not wait:
// a lane that the kernel refuses has to pause by itself before it asks again.
func (l *Limiter) Return(n int) {
	if n <= 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sustained = min(l.sustained+float64(n), l.sustainedCap)
	l.peak = min(l.peak+float64(n), l.peakCap)
}

// Spend takes n tokens without waiting for them: the next Take waits so much longer.
func (l *Limiter) Spend(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fill()
	l.sustained -= float64(n)
	l.peak -= float64(n)
}

// Rate returns the tokens per second.
func (l *Limiter) Rate() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rate
}

// SetRate changes the rate from now on; who waits sees it within 50 ms. Time
// already past is credited at the old rate. Values as for New.
func (l *Limiter) SetRate(rate float64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fill()
	return l.setRate(rate)
}
