package sim

import "time"

// bottleneck is a link of limited capacity with a queue before it, drop-tail, and a policer before that. While
// its queue stands, packets that come at r a second wait longer by r/Capacity − 1 seconds for each second.
type bottleneck struct {
	leg *Leg

	free   float64 // ns: when the last packet taken will have left
	tokens float64 // of the policer
	filled time.Duration
	begun  bool
}

// pass gives the time that a packet spends in the queue and on the link, or why it does not get through.
func (b *bottleneck) pass(at time.Duration) (delay time.Duration, fate Fate) {
	if b.leg.Police > 0 && !b.admit(at) {
		return 0, Policed
	}
	if b.leg.Capacity <= 0 {
		return 0, InFlight
	}
	wait := max(b.free-float64(at), 0)
	if wait > float64(b.leg.Queue) {
		return 0, Overflowed
	}
	b.free = float64(at) + wait + 1e9/b.leg.Capacity
	return time.Duration(b.free) - at, InFlight
}

// admit is a token bucket.
func (b *bottleneck) admit(at time.Duration) bool {
	burst := max(b.leg.PoliceBurst, 1)
	if !b.begun {
		b.begun, b.tokens = true, burst
	}
	b.tokens = min(b.tokens+(at-b.filled).Seconds()*b.leg.Police, burst)
	b.filled = at
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
