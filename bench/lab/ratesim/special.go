package ratesim

import (
	"time"

	"synoptic/ratelimit/auto"
)

// Automatic is the controller as a scan has it that begins at a time, in packets per second at most.
func Automatic(most float64, begin time.Duration) *auto.Controller {
	start := min(10_000, most)
	return auto.New(auto.Config{Start: start, Min: min(100, start), Max: most}, epoch+int64(begin))
}

// Of the path whose capacity changes: before and after, between, and when.
const (
	high, low  = 100_000, 10_000
	down, back = 6 * time.Second, 14 * time.Second
)

// SteppedPath is one whose capacity falls from 100k to 10k after 6 s and comes back after 14.
func SteppedPath(rtt time.Duration) Path {
	return Path{Capacity: high, Queue: 50 * time.Millisecond, RTT: rtt, Steps: []Step{{down, low}, {back, high}}}
}

// SharedPath is one through which several scans go.
func SharedPath(capacity float64) Path {
	return Path{Capacity: capacity, Queue: 50 * time.Millisecond, RTT: 20 * time.Millisecond}
}

// Stepped is a scan over a path whose capacity falls to a tenth and comes back: when the rate had followed each time, and what was missed.
func Stepped(seed uint64, rtt time.Duration) (fell, rose time.Duration, missed, responsive int) {
	s := Scan{Positions: 1_000_000, Hit: 0.3, Retries: 2, Rater: Automatic(1e6, 0)}
	r := Run(SteppedPath(rtt), seed, 2*time.Minute, s)[0]
	return follows(r.Trace, down, low) - down, follows(r.Trace, back, high) - back, r.Responsive - r.Found, r.Responsive
}

// follows is from when on the rate is within a quarter of a capacity, on average over a fifth of a second.
func follows(trace []Point, since time.Duration, capacity float64) time.Duration {
	const span = 20
	for i := range trace {
		if trace[i].At < since || i+span > len(trace) {
			continue
		}
		sum := 0.0
		for _, p := range trace[i : i+span] {
			sum += p.Rate
		}
		if rate := sum / span; rate > 0.75*capacity && rate < 1.25*capacity {
			return trace[i].At
		}
	}
	return time.Hour
}

// Shared is two scans through one bottleneck, of which the second begins later: the share that the first has of what both send while both do.
func Shared(seed uint64, capacity float64, later time.Duration) float64 {
	scans := make([]Scan, 2)
	for i := range scans {
		begin := time.Duration(i) * later
		scans[i] = Scan{Positions: int(30 * capacity / 2.4), Hit: 0.3, Retries: 2, Start: begin, Rater: Automatic(1e6, begin)}
	}
	r := Run(SharedPath(capacity), seed, 30*time.Second, scans...)
	return fair(r[0].Trace, r[1].Trace, later+5*time.Second)
}

// fair is the share of the first of two in what both have sent since a time.
func fair(a, b []Point, since time.Duration) float64 {
	sent := func(t []Point) (n float64) {
		first := -1
		for _, p := range t {
			if p.At >= since && first < 0 {
				first = p.Sent
			}
			n = float64(p.Sent)
		}
		return n - float64(max(first, 0))
	}
	x, y := sent(a), sent(b)
	return x / (x + y)
}

// Lossy is a path without a bottleneck that loses a share of packets each way.
func Lossy(seed uint64, share float64) (Score, Result) {
	c := Cell{Path: Path{RTT: 20 * time.Millisecond, LossOut: share, LossBack: share}, Hit: 0.3, Seconds: 10, Max: 100_000, Retries: 2}
	return c.Run(seed)
}
