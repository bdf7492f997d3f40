package estimate

import "math"

// Missed is how many positions would have answered but were still silent after their last attempt:
// Σ n·p^K/(1−p^K) over the groups, n being the answered positions of a group and p the loss.
//
// loss may come from other groups: those of all answers, say, where the groups given here count the
// open ports only. silent is the number of positions that were probed and never answered; no
// more than those can have been missed, and without that bound a loss of 1 would mean infinitely many.
//
// The interval is one for the true count, not for its expectation (a prediction interval): it
// contains both what is not known of p and the binomial spread of what was missed. Its ends are whole
// numbers, except where Value itself is beyond them. Where the loss is unknown (Loss is not ok) it
// is 0 to silent.
func Missed(groups []Group, loss Interval, silent uint64) Interval {
	bound := float64(silent)
	m := predict(loss, func(p float64) spread {
		var s spread
		for _, g := range groups {
			if g.Attempts > 0 {
				s.add(answered(g), math.Pow(p, float64(g.Attempts)))
			}
		}
		return s
	})
	m.Value = math.Min(m.Value, bound)
	m.Low = math.Min(math.Round(m.Low), m.Value)
	m.High = math.Max(math.Min(math.Round(m.High), bound), m.Value)
	return m
}

// spread describes the count of positions missed when the loss is known. If n of an unknown number of
// positions were answered and each was missed with probability q, the number missed beside them is
// negative binomial with mean n·q/(1−q) and variance n·q/(1−q)².
type spread struct {
	mean, variance float64
	worst          float64 // the largest q
}

func (s *spread) add(n, q float64) {
	s.worst = math.Max(s.worst, q)
	if n > 0 && q > 0 {
		s.mean += n * q / (1 - q) // +Inf at q = 1
		s.variance += n * q / ((1 - q) * (1 - q))
	}
}

// lower and upper are the 2.5 % and 97.5 % quantiles. For the upper one a further answered position is
// added, as in the interval of Clopper and Pearson: the largest M for which n or fewer answers
// among n+M positions are not improbable. It matters where little or nothing was answered.
func (s spread) lower() float64 { return quantile(s.mean, s.variance, tail, -normalTail) }
func (s spread) upper() float64 {
	s.add(1, s.worst)
	return quantile(s.mean, s.variance, 1-tail, normalTail)
}

// predict combines the uncertainty of the loss with the spread of the count at a given loss. The two
// are independent (given how many answered, the attempt of their answers says nothing on how many
// others were missed), so their distances from the estimate are added in squares, each on its own
// side (MOVER, the method of Zou and Donner, 2008).
func predict(loss Interval, at func(p float64) spread) Interval {
	best, lo, hi := at(loss.Value), at(loss.Low), at(loss.High)
	m := Interval{Value: best.mean, High: math.Inf(1)}
	if math.IsInf(best.mean, 1) {
		m.Low = lo.mean
		if !math.IsInf(lo.mean, 1) {
			m.Low = lo.lower()
		}
		return m
	}
	m.Low = math.Max(0, m.Value-math.Hypot(m.Value-lo.mean, m.Value-best.lower()))
	if loss.High < 1 {
		m.High = m.Value + math.Hypot(hi.mean-m.Value, best.upper()-m.Value)
	}
	return m
}

// walkUpTo is the mean up to which quantiles are found by adding up the distribution; above, the
// expansion is good to a fraction of one.
const walkUpTo = 50

// quantile is the prob quantile of the negative binomial distribution with that mean and variance ≥
// mean (equal: Poisson). z is the normal distribution's.
func quantile(mean, variance, prob, z float64) float64 {
	if mean <= 0 {
		return 0
	}
	if mean > walkUpTo {
		// Cornish and Fisher's expansion to the skewness, here (2·variance/mean − 1)/√variance.
		x := mean + z*math.Sqrt(variance) + (2*variance/mean-1)*(z*z-1)/6
		return math.Max(0, math.Round(x))
	}
	excess := math.Max(0, variance/mean-1)
	log0 := -mean // log P(0) = −mean·log(1+excess)/excess
	if excess > 0 {
		log0 *= math.Log1p(excess) / excess
	}
	term := math.Exp(log0)
	sum := term
	k := 0.0
	for limit := mean + 40*math.Sqrt(variance) + 40; sum < prob && k < limit; k++ {
		term *= (mean + k*excess) / ((1 + excess) * (k + 1))
		sum += term
	}
	return k
}
