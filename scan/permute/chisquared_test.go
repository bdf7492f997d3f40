package permute

import (
	"math"
	"testing"
)

// alpha is how improbable a result must be, on either side, to fail. Too even a
// spread is as much a structure as too uneven a one. Seeds are fixed, so a test
// that passes once passes always.
const alpha = 1e-6

// chiSquared is a statistic and the degrees of freedom of its distribution.
type chiSquared struct {
	x, df float64
}

// add sums independent statistics.
func (c chiSquared) add(d chiSquared) chiSquared { return chiSquared{c.x + d.x, c.df + d.df} }

// suspicious tells whether the statistic lies in one of the tails.
func (c chiSquared) suspicious() bool {
	p := upperTail(c.df/2, c.x/2)
	return p < alpha || p > 1-alpha
}

// uniformCells compares counts that are expected to be all equal.
func uniformCells(counts []uint32) chiSquared {
	total := 0.0
	for _, c := range counts {
		total += float64(c)
	}
	expected := total / float64(len(counts))
	c := chiSquared{df: float64(len(counts) - 1)}
	for _, n := range counts {
		d := float64(n) - expected
		c.x += d * d / expected
	}
	return c
}

// independent compares a table of rows × columns with the product of its margins.
func independent(counts []uint32, columns int) chiSquared {
	rows := len(counts) / columns
	rowSum, columnSum, total := make([]float64, rows), make([]float64, columns), 0.0
	for i, n := range counts {
		rowSum[i/columns] += float64(n)
		columnSum[i%columns] += float64(n)
		total += float64(n)
	}
	c := chiSquared{df: float64(rows-1) * float64(columns-1)}
	for i, n := range counts {
		e := rowSum[i/columns] * columnSum[i%columns] / total
		d := float64(n) - e
		c.x += d * d / e
	}
	c.x *= (total - 1) / total // exact mean where both margins are fixed
	return c
}

// upperTail is the regularised incomplete gamma function Q(a, x), by its series
// or its continued fraction (Abramowitz and Stegun 6.5.29 and 6.5.31).
func upperTail(a, x float64) float64 {
	if x <= 0 {
		return 1
	}
	lg, _ := math.Lgamma(a)
	front := math.Exp(a*math.Log(x) - x - lg)
	if x < a+1 {
		term, sum := 1/a, 1/a
		for i := 1.0; term > sum*1e-16; i++ {
			term *= x / (a + i)
			sum += term
		}
		return 1 - front*sum
	}
	// Modified Lentz.
	b := x + 1 - a
	c, d := math.Inf(1), 1/b
	h := d
	for i := 1.0; i < 1e6; i++ {
		an := -i * (i - a)
		b += 2
		d = 1 / (an*d + b)
		c = b + an/c
		h *= d * c
		if math.Abs(d*c-1) < 1e-15 {
			break
		}
	}
	return front * h
}

// The quantiles are those of the usual printed tables.
func TestUpperTail(t *testing.T) {
	for _, c := range []struct{ df, x, want float64 }{
		{1, 3.841459, 0.05}, {1, 10.827566, 0.001}, {2, 13.815511, 0.001},
		{10, 3.940299, 0.95}, {10, 18.307038, 0.05}, {100, 77.929465, 0.95},
		{100, 124.342113, 0.05}, {100, 149.449253, 0.001},
	} {
		if got := upperTail(c.df/2, c.x/2); math.Abs(got-c.want) > 1e-6*math.Max(1, c.want) {
			t.Errorf("df %v x %v: %v, want %v", c.df, c.x, got, c.want)
		}
	}
	// Far out, against the normal limit: mean df, variance 2·df.
	if p := upperTail(1e6/2, (1e6+5*math.Sqrt(2e6))/2); p < 2.5e-7 || p > 3.3e-7 {
		t.Errorf("5 sigma of 10⁶ degrees: %v", p)
	}
}
