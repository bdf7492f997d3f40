package monitor

import (
	"math"
	"slices"
)

// demand is what a number of endpoints that are alike want.
type demand struct {
	n      float64 // endpoints
	lambda float64 // changes of each per second
	floor  float64 // asks of each per second, at least
	most   float64 // and at most
}

// fill appends how often an endpoint of each demand is asked per second, f, so that the mean time to see a change, Σ n·λ/2f, is
// least under Σ n·f = budget.
//
// By Lagrange f = c·√λ, held between floor and most. Σ n·f is then a piecewise linear function of c that never falls and has a
// corner wherever a demand meets one of its bounds; so the segment with the budget in it gives c exactly. Where the floors alone
// take more than the budget all are lowered alike; where it is more than enough, the rest is not used.
func fill(f []float64, demands []demand, budget float64) []float64 {
	var floors, most float64
	corners := make([]float64, 0, 2*len(demands))
	for _, d := range demands {
		floors += d.n * d.floor
		most += d.n * d.most
		if s := math.Sqrt(d.lambda); s > 0 {
			corners = append(corners, d.floor/s, d.most/s)
		}
	}
	switch {
	case floors >= budget:
		for _, d := range demands {
			f = append(f, d.floor*budget/floors)
		}
		return f
	case most <= budget:
		for _, d := range demands {
			f = append(f, d.most)
		}
		return f
	}
	if len(corners) == 0 { // nothing is known to change
		return fill(f, demands, floors)
	}
	slices.Sort(corners)
	k, _ := slices.BinarySearchFunc(corners, budget, func(c, want float64) int {
		if spent(demands, c) < want {
			return -1
		}
		return 1
	})
	low, high := 0.0, corners[min(k, len(corners)-1)]
	if k > 0 {
		low = corners[k-1]
	}
	c := high
	if at, to := spent(demands, low), spent(demands, high); to > at {
		c = low + (high-low)*(budget-at)/(to-at)
	}
	for _, d := range demands {
		f = append(f, d.at(c))
	}
	return f
}

// at is how often an endpoint is asked where the multiplier is c.
func (d *demand) at(c float64) float64 {
	return min(max(c*math.Sqrt(d.lambda), d.floor), d.most)
}

func spent(demands []demand, c float64) (sum float64) {
	for i := range demands {
		sum += demands[i].n * demands[i].at(c)
	}
	return sum
}

// part is a network with its demands.
type part struct {
	demands []demand
	ceiling float64 // probes per second; +Inf: none
	f       []float64
}

// fillParts is fill over several networks, some of which have a ceiling. One that would get more than its ceiling gets
// just that, and the others share the rest, whereby each gets no less than before: so a network that has met its ceiling stays
// there, and the search ends after as many rounds as there are ceilings.
func fillParts(parts []part, budget float64) {
	var free []int
	for i := range parts {
		free = append(free, i)
	}
	for {
		var all []demand
		for _, i := range free {
			all = append(all, parts[i].demands...)
		}
		f := fill(nil, all, max(budget, 0))
		var still []int
		for _, i := range free {
			p := &parts[i]
			n := len(p.demands)
			p.f, f = f[:n:n], f[n:]
			if p.rate() > p.ceiling {
				p.f = fill(nil, p.demands, p.ceiling)
				budget -= p.ceiling
				continue
			}
			still = append(still, i)
		}
		if len(still) == len(free) {
			return
		}
		free = still
	}
}

// rate is what a part gets in probes per second.
func (p *part) rate() (sum float64) {
	for i, d := range p.demands {
		sum += d.n * p.f[i]
	}
	return sum
}
