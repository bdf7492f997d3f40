package main

import (
	"math"
	"net/netip"
)

// score compares what was found with the truth.
type score struct {
	open     int // truly, among what was scanned
	found    int // of these
	invented int // reported, but not open
}

func scored(reported, truth map[netip.AddrPort]bool) (s score) {
	s.open = len(truth)
	for e := range reported {
		if truth[e] {
			s.found++
		} else {
			s.invented++
		}
	}
	return s
}

// recall is 1 where there was nothing to find.
func (s score) recall() float64 {
	if s.open == 0 {
		return 1
	}
	return float64(s.found) / float64(s.open)
}

func (s score) missed() int { return s.open - s.found }

// within is the part of a truth that lies in targets.
func within(truth map[netip.AddrPort]bool, targets netip.Prefix) map[netip.AddrPort]bool {
	part := map[netip.AddrPort]bool{}
	for e := range truth {
		if targets.Contains(e.Addr()) {
			part[e] = true
		}
	}
	return part
}

// addresses is how many there are in targets.
func addresses(targets netip.Prefix) int { return 1 << (targets.Addr().BitLen() - targets.Bits()) }

// need is the number of probes without which n positions that answer cannot be found at a recall, when
// a probe and its answer get lost with probability p: n·(1 + p + p² + …), up to the attempt where
// the share left, p to the number of attempts, is below 1 − recall.
func need(n int, p, recall float64) float64 {
	sum, left := 0.0, 1.0
	for {
		sum += left
		left *= p
		if left < 1-recall || left >= 1 {
			return float64(n) * sum
		}
	}
}

// near is the promise for the estimate of missed ports: within a factor of 2, or 2 ports.
func near(estimate float64, truth int) bool {
	t := float64(truth)
	return math.Abs(estimate-t) <= 2 || estimate >= t/2 && estimate <= 2*t
}
