// Package estimate says how much a scan lost and missed, from the attempt at which each position was
// first answered.
//
// It is a removal design (Zippin, Biometrics 12(2), 1956; Otis et al., Wildlife Monographs 62, 1978,
// the special case of capture–recapture in which what was caught is not caught again): a position
// that would answer is silent to each probe with the two-way loss p, is probed again only while it is
// silent, and at most K times. First answers then fall off as 1, p, p², … over the attempts, and how
// fast they do gives p and with it how many positions were still silent after the last one. Positions
// where nobody is need not be known: they never answer and do not enter.
//
// docs/accuracy.md has the derivation, and what the figures mean where losses are not independent.
package estimate

import "math"

// Group counts positions that were treated alike: each was given up to Attempts probes while it stayed
// silent, and Answered[k] of them were first answered on attempt k+1. len(Answered) is Attempts.
//
// Which group a position belongs to must not depend on its answer. A running scan therefore counts
// by position: behind the last retry cursor in the group with all attempts, between two cursors in
// that with fewer, whether or not the position had answered by then. A random sample that was
// retried is a group with the positions of that sample which answered at once in Answered[0]; the
// rest is a group of one attempt.
type Group struct {
	Attempts int
	Answered []uint64
}

// Interval is an estimate and its 95 % interval, Low ≤ Value ≤ High.
type Interval struct {
	Value, Low, High float64
}

// unknown is a loss of which nothing is known.
var unknown = Interval{0, 0, 1}

// Quantiles of a 95 % interval.
const (
	tail       = 0.025
	normalTail = 1.959963984540054  // 97.5 % point of the normal distribution
	halfChi    = 1.9207294103470677 // half the 95 % point of chi-squared with one degree of freedom
)

// exactUpTo is the largest number of losses seen for which the interval comes from the exact
// distribution. Above it the likelihood ratio holds its 95 % as well and costs less.
const exactUpTo = 30

// Loss is the two-way loss p in [0, 1], common to all groups, by maximum likelihood.
//
// The interval inverts the exact distribution of the number of lost attempts, as Clopper and Pearson's
// does the binomial, and above 30 of them the likelihood ratio. With none lost it is 0 to about 3/n.
// Where the counts do not fall from attempt to attempt they are compatible with total loss: Value
// or High is 1. Low is 1 too where they rise so much that no loss explains them, as when first packets
// are dropped while an address is being resolved.
//
// ok is false, and the interval 0 to 1, where nothing answered or no answered position would have
// had a second attempt: p is then not identifiable.
func Loss(groups []Group) (loss Interval, ok bool) {
	s := newSample(groups)
	if s.n == 0 {
		return unknown, false
	}
	p := s.mostLikely()
	loss = Interval{Value: p}
	switch {
	case s.lost == 0:
		loss.High = s.upperAtZero()
	case s.lost <= exactUpTo:
		fewer, atMost := s.exactTails(p)
		loss.Low = below(p, func(q float64) float64 { return math.Log1p(-tail) - fewer(q) })
		loss.High = above(p, func(q float64) float64 { return math.Log(tail) - atMost(q) })
	default:
		top := s.highest(p)
		excess := func(q float64) float64 { return top - s.logLikelihood(q) - halfChi }
		loss.Low = below(p, func(q float64) float64 { return -excess(q) })
		loss.High = above(p, excess)
	}
	return loss, true
}

// below finds the root under p of f, which rises with its argument and is expected to be positive
// at p; where it is not, p itself is the end.
func below(p float64, f func(float64) float64) float64 {
	if f(p) <= 0 {
		return p
	}
	for hi := p; hi > 0; hi /= 2 {
		if f(hi/2) <= 0 {
			return root(f, hi/2, hi)
		}
	}
	return 0
}

// above finds the root over p > 0 of f, which rises with its argument and is expected to be negative at
// p; the end is 1 where f is still negative there.
func above(p float64, f func(float64) float64) float64 {
	if p >= 1 || f(p) >= 0 {
		return p
	}
	for lo := p; ; lo *= 2 {
		hi := math.Min(2*lo, 1)
		if f(hi) >= 0 {
			return root(f, lo, hi)
		}
		if hi == 1 {
			return 1
		}
	}
}

// root finds x in [lo, hi] with f(x) = 0 for a rising f by Ridders' method, to a relative 1e-9.
func root(f func(float64) float64, lo, hi float64) float64 {
	flo, fhi := f(lo), f(hi)
	switch {
	case flo >= 0:
		return lo
	case fhi <= 0:
		return hi
	}
	x := lo
	for range 60 {
		mid := (lo + hi) / 2
		fmid := f(mid)
		// Ridders: an exponential through three points makes them a straight line.
		last := x
		x = mid - (mid-lo)*fmid/math.Sqrt(fmid*fmid-flo*fhi)
		x = math.Min(math.Max(x, lo), hi) // rounding must not leave the bracket, least of all to 0
		fx := f(x)
		if fx == 0 || math.Abs(x-last) <= 1e-9*x {
			return x
		}
		a, fa, b, fb := mid, fmid, x, fx
		if a > b {
			a, fa, b, fb = b, fb, a, fa
		}
		switch {
		case fa >= 0:
			hi, fhi = a, fa
		case fb >= 0:
			lo, flo, hi, fhi = a, fa, b, fb
		default:
			lo, flo = b, fb
		}
		if hi-lo <= 1e-9*hi {
			break
		}
	}
	return x
}
