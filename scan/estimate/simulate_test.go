package estimate

import (
	"math"
	"math/rand/v2"
)

// binomial draws from Bin(n, p) exactly, by inversion from the mode outwards.
func binomial(r *rand.Rand, n uint64, p float64) uint64 {
	if n == 0 || p <= 0 {
		return 0
	}
	if p >= 1 {
		return n
	}
	N := float64(n)
	odds := p / (1 - p)
	mode := math.Floor((N + 1) * p)
	mode = min(mode, N)
	lg := func(x float64) float64 { v, _ := math.Lgamma(x + 1); return v }
	down := math.Exp(lg(N) - lg(mode) - lg(N-mode) + mode*math.Log(p) + (N-mode)*math.Log1p(-p))
	up := down
	lo, hi := mode, mode
	u := r.Float64() - down
	for u > 0 && (lo > 0 || hi < N) {
		if hi < N {
			up *= (N - hi) / (hi + 1) * odds
			hi++
			if u -= up; u <= 0 {
				return uint64(hi)
			}
		}
		if lo > 0 {
			down *= lo / (N - lo + 1) / odds
			lo--
			if u -= down; u <= 0 {
				return uint64(lo)
			}
		}
		if up+down < 1e-300 {
			break
		}
	}
	return uint64(mode)
}

// asked gives positions up to attempts probes each, all of which would answer, and counts them under kind.
func asked(r *rand.Rand, c *Counts, kind int, positions uint64, attempts int, p float64) (missed uint64) {
	for k := range attempts {
		n := binomial(r, positions, 1-p)
		c.Answered[kind][k] += n
		positions -= n
	}
	c.silent(attempts, positions)
	return positions
}

// silent adds positions that were silent to so many attempts, and are not asked again.
func (c *Counts) silent(attempts int, positions uint64) {
	c.Silent[attempts] += positions
	c.Left[attempts].Silent += positions
}
