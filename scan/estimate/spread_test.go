package estimate

import (
	"math"
	"testing"
)

// Quantiles of binomial distributions are those that adding up gives, or next to them where the mean is large.
func TestQuantile(t *testing.T) {
	var off, cases float64
	for _, c := range []struct {
		n int
		q float64
	}{{5, 0.36}, {400, 0.01}, {40, 0.9}, {300, 0.1}, {10, 1}, {10, 0}, {1000, 0.06}, {1000, 0.3}, {20_000, 0.004}, {20_000, 0.9}, {50_000, 0.003}} {
		mean := float64(c.n) * c.q
		var s spreads
		s.add(1, moments{mean, mean * (1 - c.q)})
		pmf := []float64{1}
		if c.q > 0 {
			pmf = binomialPMF(c.n, c.q)
		}
		for _, prob := range []float64{0.001, tail, 0.3, 1 - tail, 0.999} {
			var sum, want float64
			for sum = pmf[0]; sum < prob; sum += pmf[int(want)] {
				want++
			}
			got := s.quantile(prob)
			if math.Abs(got-want) > 1 || mean < walkUpTo && got != want {
				t.Errorf("n=%d q=%v prob=%v: %v, want %v", c.n, c.q, prob, got, want)
			}
			if mean >= walkUpTo {
				off += math.Abs(got - want)
				cases++
			}
		}
	}
	if off > cases/5 {
		t.Errorf("off by one in %v of %v", off, cases)
	}
}

// What more than so many is known to be, for no other reason than that so many have been seen.
func TestBeyond(t *testing.T) {
	for _, c := range []struct {
		n     int
		q     float64
		least int
	}{{1000, 0.1, 0}, {1000, 0.1, 95}, {1000, 0.1, 110}, {1000, 0.1, 140}, {200, 0.5, 90}, {50, 1, 20}} {
		pmf := binomialPMF(c.n, c.q)
		var weight, mean, squares float64
		for k := c.least; k <= c.n; k++ {
			x := float64(k - c.least)
			weight += pmf[k]
			mean += pmf[k] * x
			squares += pmf[k] * x * x
		}
		mean /= weight
		want := moments{mean, squares/weight - mean*mean}
		m := float64(c.n) * c.q
		got := moments{m, m * (1 - c.q)}.beyond(float64(c.least))
		if math.Abs(got.mean-want.mean) > 0.1*want.mean+0.3 || math.Abs(got.variance-want.variance) > 0.25*want.variance+0.3 {
			t.Errorf("%d of %v, at least %d: %+v, want %+v", c.n, c.q, c.least, got, want)
		}
	}
}
