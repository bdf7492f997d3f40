package estimate

import "math"

// moments describe the distribution of a count.
type moments struct{ mean, variance float64 }

// beyond is the excess over least of a count that is known to be no less, where it is known for no other reason
// than that so many have been seen already.
func (x moments) beyond(least float64) moments {
	sigma := math.Sqrt(x.variance)
	if sigma < 1e-6 {
		return moments{math.Max(0, x.mean-least), 0}
	}
	a := (least - 0.5 - x.mean) / sigma
	if a > 6 { // Mills's ratio, by its asymptotic series
		return moments{sigma / a, x.variance / (a * a)}
	}
	ratio := math.Exp(-a*a/2) / math.Sqrt(2*math.Pi) / (math.Erfc(a/math.Sqrt2) / 2)
	return moments{
		math.Max(0, x.mean+sigma*ratio-least),
		math.Max(0, x.variance*(1+a*ratio-ratio*ratio)),
	}
}

// spreads is a mixture of distributions of counts, put together by their means.
type spreads struct {
	bins [bins]bin
	all  bin // apart: where nobody is dead, and all is missed
}

// bin is a part of a mixture.
type bin struct{ weight, mean, squares float64 } // the moments times the weight

func (b *bin) add(weight float64, x moments) {
	b.weight += weight
	b.mean += weight * x.mean
	b.squares += weight * (x.variance + x.mean*x.mean)
}

func (b *bin) moments() moments {
	mean := b.mean / b.weight
	return moments{mean, math.Max(0, b.squares/b.weight-mean*mean)}
}

// The bins: one up to means of 2^-10, then 16 to the doubling up to 2^54.
const (
	bins     = 1 + 16*64
	smallest = -10
)

func (s *spreads) add(weight float64, x moments) {
	if !(weight > 0) {
		return
	}
	i := 0
	if x.mean > 1.0/1024 {
		i = min(1+int(16*(math.Log2(x.mean)-smallest)), bins-1)
	}
	s.bins[i].add(weight, x)
}

// parts calls f for each part of the mixture.
func (s *spreads) parts(f func(weight float64, x moments)) {
	if s.all.weight > 0 {
		f(s.all.weight, s.all.moments())
	}
	for i := range s.bins {
		if b := &s.bins[i]; b.weight > 0 {
			f(b.weight, b.moments())
		}
	}
}

// thin keeps of each count a share; all of it where there is none.
func (s *spreads) thin(open *share) *spreads {
	if open == nil {
		return s
	}
	thinned := new(spreads)
	s.parts(func(weight float64, x moments) {
		for _, n := range open {
			thinned.add(weight*n.weight, moments{x.mean * n.at, x.variance*n.at*n.at + x.mean*n.at*(1-n.at)})
		}
	})
	return thinned
}

// quantile is the least count that with probability prob is not exceeded.
func (s *spreads) quantile(prob float64) float64 {
	var small [walked]float64 // the probability of each small count, from the distributions with small means
	type part struct {
		weight float64
		moments
	}
	large := make([]part, 0, 64)
	lo, hi := 0.0, 1.0
	s.parts(func(weight float64, x moments) {
		hi = math.Max(hi, x.mean+12*math.Sqrt(x.variance)+40)
		if x.mean < walkUpTo {
			x.walk(weight, &small)
		} else {
			large = append(large, part{weight, x})
		}
	})
	var sums [walked]float64
	var sum float64
	for k, p := range small {
		sum += p
		sums[k] = sum
	}
	atMost := func(k float64) float64 {
		total := sum
		if k < walked {
			total = sums[int(k)]
		}
		for _, b := range large {
			total += b.weight * b.atMost(k)
		}
		return total
	}
	for hi-lo > 0.5 {
		if mid := math.Floor((lo + hi) / 2); mid >= hi || atMost(mid) >= prob {
			if hi = mid; hi == lo {
				break
			}
		} else {
			lo = mid + 1
		}
	}
	return lo
}

const (
	walkUpTo = 40  // the mean up to which a distribution is added up
	walked   = 256 // counts beyond which such a one has nothing
)

// walk adds weight times the distribution to sums: the binomial or negative binomial one with these moments.
func (x moments) walk(weight float64, sums *[walked]float64) {
	if x.mean <= 0 {
		sums[0] += weight
		return
	}
	excess := x.variance/x.mean - 1
	if excess < -0.999 { // next to certain
		sums[int(math.Round(x.mean))] += weight
		return
	}
	log0 := -x.mean // log P(0) = −mean·log(1+excess)/excess
	if math.Abs(excess) > 1e-9 {
		log0 *= math.Log1p(excess) / excess
	}
	term := weight * math.Exp(log0)
	for k := range sums {
		sums[k] += term
		if term *= (x.mean + float64(k)*excess) / ((1 + excess) * float64(k+1)); !(term > 0) {
			return
		}
	}
}

// atMost is the probability of k or fewer, by Edgeworth's expansion to the skewness.
func (x moments) atMost(k float64) float64 {
	sigma := math.Sqrt(x.variance)
	if sigma < 1e-6 {
		if k >= math.Round(x.mean) {
			return 1
		}
		return 0
	}
	z := (k + 0.5 - x.mean) / sigma
	if math.Abs(z) > 8 {
		return math.Max(0, math.Copysign(1, z))
	}
	skew := (2*x.variance/x.mean - 1) / sigma
	p := math.Erfc(-z/math.Sqrt2)/2 - skew/6*(z*z-1)*math.Exp(-z*z/2)/math.Sqrt(2*math.Pi)
	return math.Min(math.Max(p, 0), 1)
}
