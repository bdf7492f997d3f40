package estimate

import "math"

// sample is what the likelihood needs of all groups: how many attempts were lost before an answer,
// which is sufficient for p, and how many positions answered for each number of attempts.
type sample struct {
	lost   float64 // Σ k·Answered[k] over all groups
	n      float64 // answered positions in groups of two attempts or more
	strata []stratum
}

type stratum struct {
	attempts int
	n        float64 // answered positions
}

// newSample merges groups with equal attempts. Groups of one attempt say nothing on p and are left out.
func newSample(groups []Group) sample {
	s := sample{strata: make([]stratum, 0, len(groups))}
	for _, g := range groups {
		n := answered(g)
		if g.Attempts < 2 || n == 0 {
			continue
		}
		for k, a := range counts(g) {
			s.lost += float64(k) * float64(a)
		}
		s.n += n
		s.add(g.Attempts, n)
	}
	return s
}

func (s *sample) add(attempts int, n float64) {
	for i := range s.strata {
		if s.strata[i].attempts == attempts {
			s.strata[i].n += n
			return
		}
	}
	s.strata = append(s.strata, stratum{attempts, n})
}

// counts bounds Answered by Attempts.
func counts(g Group) []uint64 {
	return g.Answered[:min(len(g.Answered), max(g.Attempts, 0))]
}

func answered(g Group) float64 {
	var n float64
	for _, a := range counts(g) {
		n += float64(a)
	}
	return n
}

// Of a position that answered within K attempts, the attempt before which k were lost has
// probability p^k / (1 + p + … + p^(K-1)). The log-likelihood of all is therefore
// lost·log p − Σ n·log(1 + p + … + p^(K-1)), an exponential family in log p: concave there, with one
// maximum, and well-conditioned up to p = 1 because nothing is divided by 1−p.
func (s *sample) logLikelihood(p float64) float64 {
	return s.lost*math.Log(p) - s.logNorm(p)
}

// logNorm is Σ n·log(1 + p + … + p^(K-1)).
func (s *sample) logNorm(p float64) float64 {
	var sum float64
	for _, t := range s.strata {
		var a float64 // p + p² + … + p^(K-1)
		for range t.attempts - 1 {
			a = (a + 1) * p
		}
		sum += t.n * math.Log1p(a)
	}
	return sum
}

// expectedLost is the mean of lost at p, rising with p.
func (s *sample) expectedLost(p float64) float64 {
	var sum float64
	for _, t := range s.strata {
		var a, b float64 // Σ p^k and Σ k·p^k
		for k := t.attempts - 1; k >= 0; k-- {
			a = a*p + 1
			b = b*p + float64(k)
		}
		sum += t.n * b / a
	}
	return sum
}

// mostLikely is the p in [0, 1] at which the number lost is the one expected. It is 1 where more was
// lost than any p explains (Zippin's condition for the failure of the removal method).
func (s *sample) mostLikely() float64 {
	if s.lost == 0 {
		return 0
	}
	// A position has lost between p/(1+p) ≥ p/2 attempts in the mean, the value for K = 2, and p/(1-p),
	// that for K without bound.
	lo, hi := s.lost/(s.n+s.lost), math.Min(1, 2*s.lost/s.n)
	return root(func(p float64) float64 { return s.expectedLost(p) - s.lost }, lo, hi)
}

// highest is the maximum of the log-likelihood with p left free to exceed 1, p being mostLikely. That
// maximum and not the one at 1 is what a p must be compared with where more was lost than expected even
// at p = 1. Read backwards, from the last attempt to the first, such counts are those of the loss 1/p.
func (s *sample) highest(p float64) float64 {
	if p < 1 {
		return s.logLikelihood(p)
	}
	backwards := sample{n: s.n, strata: s.strata, lost: -s.lost}
	for _, t := range s.strata {
		backwards.lost += t.n * float64(t.attempts-1)
	}
	if backwards.lost <= 0 {
		return 0 // all on the last attempt: certain as p grows without bound
	}
	return backwards.logLikelihood(backwards.mostLikely())
}

// upperAtZero is the upper end where nothing was lost. The lower end is then 0 whatever p is, so all of
// the 5 % is left for this one: P(lost = 0) = 5 %, the rule of three (about 3/n).
func (s *sample) upperAtZero() float64 {
	f := func(p float64) float64 { return s.logNorm(p) + math.Log(2*tail) }
	// log(1+p+…) ≥ log(1+p) ≥ p·log 2 on [0, 1]: so the root is no higher than this.
	return root(f, 0, math.Min(1, -math.Log(2*tail)/(s.n*math.Ln2)))
}

// exactTails returns log P_p(L < lost) and log P_p(L ≤ lost) as functions of p, which fall with p. L is
// the number lost by as many answered positions. p0 is where the terms are computed, any p in (0, 1]
// near the ones asked for.
//
// The generating function of L is Π ((1 + pz + … + (pz)^(K-1)) / (1 + p + …))^n. Its logarithmic
// derivative is Σ n·(Σ_j (pz)^j − K·Σ_j (pz)^(Kj)) / z, which gives the terms at p0 by a recurrence
// in lost² steps; at another p they are multiplied by (p/p0)^j and normed anew.
func (s *sample) exactTails(p0 float64) (fewer, atMost func(p float64) float64) {
	var derivative, terms [exactUpTo + 1]float64
	norm0 := s.logNorm(p0)
	terms[0] = math.Exp(-norm0)
	power := 1.0
	lost := int(s.lost)
	for j := 1; j <= lost; j++ {
		power *= p0
		for _, t := range s.strata {
			derivative[j] += t.n * power
			if j%t.attempts == 0 {
				derivative[j] -= t.n * power * float64(t.attempts)
			}
		}
		for i := 1; i <= j; i++ {
			terms[j] += derivative[i] * terms[j-i]
		}
		terms[j] /= float64(j)
	}
	upTo := func(last int) func(float64) float64 {
		return func(p float64) float64 {
			ratio := p / p0
			var sum float64
			for j := last; j >= 0; j-- {
				sum = sum*ratio + terms[j]
			}
			return math.Log(sum) + norm0 - s.logNorm(p)
		}
	}
	return upTo(lost - 1), upTo(lost)
}
