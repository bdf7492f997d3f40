package ratesim

import (
	"math"
	"time"
)

// Path is what lies between the scanner and its targets. The zero value carries everything at once.
type Path struct {
	Capacity float64       // of the bottleneck, in packets per second; 0: there is none
	Steps    []Step        // later capacities, ascending by time
	Queue    time.Duration // what the bottleneck's buffer holds, as time at Capacity; of a policer: its bucket
	Policer  bool          // drops what exceeds Capacity, and delays nothing

	RTT      time.Duration // without any queue
	Jitter   time.Duration // more that a round trip takes, uniform from 0
	LossOut  float64       // share of probes lost beside the bottleneck
	LossBack float64       // share of answers
}

// Step is a capacity from a time on.
type Step struct {
	At       time.Duration
	Capacity float64
}

// Loss is the share of round trips that are lost beside the bottleneck.
func (p *Path) Loss() float64 { return 1 - (1-p.LossOut)*(1-p.LossBack) }

// bottleneck is one queue with one server: what is in it is worked out when the next packet comes.
type bottleneck struct {
	capacity float64
	steps    []Step
	limit    float64 // packets in the queue, or tokens in the policer's bucket
	policer  bool

	last    int64   // ns
	backlog float64 // packets that wait; of a policer: tokens that are missing from a full bucket
	passed  int
	dropped int
}

func newBottleneck(p *Path) bottleneck {
	return bottleneck{capacity: p.Capacity, steps: p.Steps, limit: max(p.Capacity*p.Queue.Seconds(), 1), policer: p.Policer, last: epoch}
}

// advance serves until a time.
func (b *bottleneck) advance(t int64) {
	for len(b.steps) > 0 && epoch+int64(b.steps[0].At) <= t {
		b.serve(epoch + int64(b.steps[0].At))
		b.capacity, b.steps = b.steps[0].Capacity, b.steps[1:]
	}
	b.serve(t)
}

func (b *bottleneck) serve(t int64) {
	if t > b.last {
		b.backlog = max(0, b.backlog-float64(t-b.last)*1e-9*b.capacity)
		b.last = t
	}
}

// admit takes a packet in at a time, none before the last, and gives the time at which it leaves; ok is false where it is dropped.
func (b *bottleneck) admit(t int64) (leaves int64, ok bool) {
	if b.capacity == 0 {
		b.passed++
		return t, true
	}
	b.advance(t)
	if b.backlog+1 > b.limit {
		b.dropped++
		return 0, false
	}
	b.backlog++
	b.passed++
	if b.policer {
		return t, true
	}
	return b.servedAt(b.backlog), true
}

// servedAt is when n packets from now on will have been served.
func (b *bottleneck) servedAt(n float64) int64 {
	t, c := b.last, b.capacity
	for _, s := range b.steps {
		span := float64(epoch+int64(s.At)-t) * 1e-9
		if n <= span*c {
			break
		}
		n -= span * c
		t, c = epoch+int64(s.At), s.Capacity
	}
	return t + int64(math.Ceil(n/c*1e9))
}

// wait is how long a packet that comes now waits.
func (b *bottleneck) wait() time.Duration {
	if b.policer || b.capacity == 0 {
		return 0
	}
	return time.Duration(b.backlog / b.capacity * 1e9)
}
