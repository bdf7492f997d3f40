package ratelimit

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"
)

// MinRate in packets per second is the least that a rate may be lowered to: one packet in 17 minutes.
const MinRate = 0.001

// Pace is how fast a scan is to go, in packets per second. Buffers and tables are sized for Max; the rate of
// the moment lies between Min and Max.
type Pace struct{ Start, Min, Max float64 }

// Constant is the pace of a scan whose rate never changes.
func Constant(rate float64) Pace { return Pace{rate, rate, rate} }

// Validate refuses what is not 0 < Min ≤ Start ≤ Max < ∞.
func (p Pace) Validate() error {
	if !(p.Min > 0 && p.Min <= p.Start && p.Start <= p.Max) || math.IsInf(p.Max, 0) {
		return &RateError{Input: fmt.Sprintf("%v..%v..%v", p.Min, p.Start, p.Max), Reason: "a pace must be above zero, ascending and finite"}
	}
	return nil
}

// Pacer is the one owner of a scan's rate: every lane takes its grants from it, and whoever may change the rate
// does so here. All methods may be called by several goroutines at once.
type Pacer struct {
	pace    Pace
	limiter *Limiter

	mu      sync.Mutex
	paused  bool          // by Pause,
	since   time.Time     // since then,
	stood   time.Duration // and for so long before
	holds   int           // by Hold
	resumed chan struct{} // closed when neither is left; nil while there is none
}

// NewPacer starts at p.Start. The first token is due at once.
func NewPacer(p Pace, clock Clock) (*Pacer, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	l, err := New(p.Start, clock)
	if err != nil {
		return nil, err
	}
	return &Pacer{pace: p, limiter: l}, nil
}

// Pace returns the bounds.
func (p *Pacer) Pace() Pace { return p.pace }

// Rate returns the packets per second of the moment; a pause does not change it.
func (p *Pacer) Rate() float64 { return p.limiter.Rate() }

// SetRate changes the rate from now on, as Limiter.SetRate does, to what of it lies between Min and Max. It
// returns the rate that holds.
func (p *Pacer) SetRate(rate float64) float64 {
	if math.IsNaN(rate) {
		return p.Rate()
	}
	rate = min(max(rate, p.pace.Min), p.pace.Max)
	_ = p.limiter.SetRate(rate) // cannot fail: the bounds were validated
	return rate
}

// Restart forgets what was not sent so far: the next token is due now, and there is no credit beyond it.
func (p *Pacer) Restart() { p.limiter.Restart() }

// Pause stops all grants until Resume. Whoever waits in Take sees it within 50 ms, and gets none either.
func (p *Pacer) Pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.paused {
		p.paused, p.since = true, p.limiter.clock.Now()
	}
	p.changed()
}

// Hold stops all grants as Pause does, until release is called. It is for who has a reason of its own: Resume does not
// end it, and it does not end a pause.
func (p *Pacer) Hold() (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holds++
	p.changed()
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.holds--
		p.changed()
	})
}

// changed opens or closes the way, for those who hold the lock.
func (p *Pacer) changed() {
	switch held := p.paused || p.holds > 0; {
	case held && p.resumed == nil:
		p.resumed = make(chan struct{})
	case !held && p.resumed != nil:
		close(p.resumed)
		p.resumed = nil
	}
}

// Resume ends a pause. What was not sent meanwhile is forfeited, beyond the limiter's short memory.
func (p *Pacer) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.paused {
		p.paused = false
		p.stood += p.limiter.clock.Now().Sub(p.since)
	}
	p.changed()
}

// Standing tells whether Pause holds, and for how long it has in all. Hold has no part in either.
func (p *Pacer) Standing() (now bool, inAll time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.paused {
		return true, p.stood + p.limiter.clock.Now().Sub(p.since)
	}
	return false, p.stood
}

// Paused tells whether Pause or Hold holds.
func (p *Pacer) Paused() bool { return p.pausing() != nil }

func (p *Pacer) pausing() chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.resumed
}

// Take is Limiter.Take; it waits while the pace is paused.
func (p *Pacer) Take(ctx context.Context, limit int) (n int, err error) {
	return p.limiter.take(ctx, limit, p.Await)
}

// Await waits while the pace is paused, or until ctx ends.
func (p *Pacer) Await(ctx context.Context) {
	for resumed := p.pausing(); resumed != nil; resumed = p.pausing() {
		select {
		case <-ctx.Done():
			return
		case <-resumed:
		}
	}
}

// TryTake is Take for who does not wait: it grants what is due, which may be nothing, and nothing in a pause.
func (p *Pacer) TryTake(limit int) (n int) {
	if limit < 1 || p.Paused() {
		return 0
	}
	n, _ = p.limiter.grant(limit)
	return n
}

// Spend takes n tokens that were not granted: who sends without waiting makes the others wait so much longer.
func (p *Pacer) Spend(n int) { p.limiter.Spend(n) }

// Return gives back n tokens that were granted and not used.
func (p *Pacer) Return(n int) { p.limiter.Return(n) }
