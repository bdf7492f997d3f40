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

// probe gives positions up to attempts probes each, all of which would answer.
func probe(r *rand.Rand, positions uint64, attempts int, p float64) (g Group, missed uint64) {
	g = Group{Attempts: attempts, Answered: make([]uint64, attempts)}
	for k := range g.Answered {
		g.Answered[k] = binomial(r, positions, 1-p)
		positions -= g.Answered[k]
	}
	return g, positions
}

// design is a way to retry; sampled is the share of positions that got attempts, the rest got one.
type design struct {
	name     string
	attempts int
	sampled  float64
}

func (d design) scan(r *rand.Rand, positions uint64, p float64) (groups []Group, missed uint64) {
	if d.sampled == 0 {
		g, m := probe(r, positions, d.attempts, p)
		return []Group{g}, m
	}
	in := binomial(r, positions, d.sampled)
	a, m := probe(r, in, d.attempts, p)
	b, rest := probe(r, positions-in, 1, p)
	return []Group{a, b}, m + rest
}

var designs = []design{
	{"K=2", 2, 0},
	{"K=3", 3, 0},
	{"K=4", 4, 0},
	{"1/32 K=2, rest K=1", 2, 1.0 / 32},
	{"1/4 K=3, rest K=1", 3, 0.25},
}
