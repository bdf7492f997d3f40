package ratesim

import "math"

// The limiter of package ratelimit, whose Take sleeps, where here nothing may: the same two buckets with the same constants. A test holds
// the two against each other.
const (
	sustainedMemory = 0.1 // s
	peakFactor      = 1.25
	peakMemory      = 0.002
	batchTime       = 200e-6
	maxNap          = 40_000_000 // ns
)

type pace struct {
	last                                         int64
	rate, sustained, peak, sustainedCap, peakCap float64
	batch                                        float64
}

func newPace(rate float64) pace {
	p := pace{sustained: 1, peak: 1}
	p.set(0, rate)
	return p
}

func (p *pace) set(now int64, rate float64) {
	p.fill(now)
	if rate < p.rate {
		p.sustained = 1 + (p.sustained-1)*rate/p.rate
		p.peak = 1 + (p.peak-1)*rate/p.rate
	}
	p.rate = rate
	p.sustainedCap, p.peakCap = 1+rate*sustainedMemory, 1+rate*peakMemory
	p.batch = max(1, math.Floor(rate*batchTime))
	p.sustained, p.peak = min(p.sustained, p.sustainedCap), min(p.peak, p.peakCap)
}

func (p *pace) fill(now int64) {
	if now <= p.last {
		return
	}
	elapsed := float64(now-p.last) / 1e9
	p.last = now
	p.sustained = min(p.sustained+elapsed*p.rate, p.sustainedCap)
	p.peak = min(p.peak+elapsed*p.rate*peakFactor, p.peakCap)
}

// grant takes up to limit tokens, or gives the ns to wait before asking again.
func (p *pace) grant(now int64, limit int) (n int, wait int64) {
	p.fill(now)
	switch due := min(p.sustained, p.peak); {
	case due >= float64(limit):
		n = limit
	case due >= p.batch:
		n = int(due)
	}
	if n > 0 {
		p.spend(n)
		return n, 0
	}
	s := max((p.batch-p.sustained)/p.rate, (p.batch-p.peak)/(p.rate*peakFactor))
	return 0, int64(min(s*1e9, maxNap)) + 1
}

func (p *pace) spend(n int) {
	p.sustained -= float64(n)
	p.peak -= float64(n)
}
