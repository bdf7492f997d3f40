package monitor

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func drawDemands(t *rapid.T, least int) (all []demand) {
	for range rapid.IntRange(least, 12).Draw(t, "groups") {
		d := demand{
			n:      float64(rapid.IntRange(1, 1_000_000).Draw(t, "n")),
			lambda: math.Exp2(rapid.Float64Range(-36, -5).Draw(t, "log λ")),
			floor:  rapid.SampledFrom([]float64{0, 1e-6, 1e-5, 3e-4}).Draw(t, "floor"),
		}
		d.most = d.floor + rapid.SampledFrom([]float64{1e-5, 1e-3, 1.0 / 60}).Draw(t, "most")
		all = append(all, d)
	}
	return all
}

func cost(demands []demand, f []float64) (sum float64) {
	for i, d := range demands {
		sum += d.n * d.lambda / (2 * f[i])
	}
	return sum
}

// optimize finds the same by moving budget from one demand to another as long as that helps: slow, and knows nothing of Lagrange.
func optimize(demands []demand, budget float64) []float64 {
	f := make([]float64, len(demands))
	left := budget
	for i, d := range demands {
		f[i] = d.floor
		left -= d.n * d.floor
	}
	for i, d := range demands { // anything feasible
		more := min(left, d.n*(d.most-d.floor))
		f[i] += more / d.n
		left -= more
	}
	for range 3000 {
		moved := 0.0
		for i := range demands {
			for j := i + 1; j < len(demands); j++ {
				moved += math.Abs(exchange(demands, f, i, j))
			}
		}
		if moved < 1e-13*budget {
			break
		}
	}
	return f
}

// exchange moves the best part of the rate between two demands, by golden section.
func exchange(demands []demand, f []float64, i, j int) float64 {
	a, b := demands[i], demands[j]
	low := max(a.n*(a.floor-f[i]), b.n*(f[j]-b.most)) // of what i gets more
	high := min(a.n*(a.most-f[i]), b.n*(f[j]-b.floor))
	if high <= low {
		return 0
	}
	value := func(x float64) float64 {
		return a.n*a.lambda/max(f[i]+x/a.n, 1e-300) + b.n*b.lambda/max(f[j]-x/b.n, 1e-300)
	}
	const g = 0.6180339887498949
	for range 100 {
		x, y := high-g*(high-low), low+g*(high-low)
		if value(x) < value(y) {
			high = y
		} else {
			low = x
		}
	}
	x := (low + high) / 2
	if value(x) >= value(0) {
		return 0
	}
	f[i] += x / a.n
	f[j] -= x / b.n
	return x
}

// The closed form is as good as what a numeric optimizer finds, and within all bounds.
func TestFillIsOptimal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		demands := drawDemands(t, 1)
		var floors, most float64
		for _, d := range demands {
			floors += d.n * d.floor
			most += d.n * d.most
		}
		budget := floors + (most-floors)*rapid.Float64Range(0.001, 0.999).Draw(t, "budget")
		f := fill(nil, demands, budget)
		sum := 0.0
		for i, d := range demands {
			sum += d.n * f[i]
			if f[i] < d.floor*(1-1e-9) || f[i] > d.most*(1+1e-9) {
				t.Fatalf("%v is outside %v to %v", f[i], d.floor, d.most)
			}
		}
		if math.Abs(sum/budget-1) > 1e-9 {
			t.Fatalf("%v is spent of %v", sum, budget)
		}
		if best := cost(demands, optimize(demands, budget)); cost(demands, f) > best*(1+1e-6) {
			t.Fatalf("cost %v, and %v can be had: %v of %+v", cost(demands, f), best, f, demands)
		}
	})
}

// Where the floors take more than there is all get the same part of them; where there is too much nobody gets more than the most.
func TestFillAtItsEnds(t *testing.T) {
	demands := []demand{{1000, 1e-7, 1e-3, 1e-2}, {5000, 1e-9, 1e-4, 1e-2}}
	if f := fill(nil, demands, 0.75); math.Abs(f[0]-5e-4) > 1e-15 || math.Abs(f[1]-5e-5) > 1e-15 {
		t.Errorf("half of the budget that floors take: %v", f)
	}
	if f := fill(nil, demands, 1e6); f[0] != 1e-2 || f[1] != 1e-2 {
		t.Errorf("too much budget: %v", f)
	}
	// f ∝ √λ in between: 100 times λ, 10 times f.
	demands = []demand{{100, 1e-6, 0, 1}, {100, 1e-8, 0, 1}}
	if f := fill(nil, demands, 1.1); math.Abs(f[0]-0.01) > 1e-12 || math.Abs(f[1]-0.001) > 1e-12 {
		t.Errorf("√λ: %v", f)
	}
}

// No network gets more than its ceiling, none that is below it could do better with another one's, and the budget is spent.
func TestFillParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := make([]part, rapid.IntRange(1, 5).Draw(t, "networks"))
		all, ceilings := 0.0, 0.0
		for i := range parts {
			parts[i].demands = drawDemands(t, 1)
			most := 0.0
			for j := range parts[i].demands {
				parts[i].demands[j].floor = 0
				most += parts[i].demands[j].n * parts[i].demands[j].most
			}
			parts[i].ceiling = math.Inf(1)
			if rapid.Bool().Draw(t, "has a ceiling") {
				parts[i].ceiling = most * rapid.Float64Range(0.01, 1.5).Draw(t, "ceiling")
			}
			all += most
			ceilings += min(parts[i].ceiling, most)
		}
		budget := all * rapid.Float64Range(0.01, 1.2).Draw(t, "budget")
		fillParts(parts, budget)
		sum, free := 0.0, math.NaN()
		for i := range parts {
			p := &parts[i]
			sum += p.rate()
			if p.rate() > p.ceiling*(1+1e-9) {
				t.Fatalf("network %d gets %v, ceiling %v", i, p.rate(), p.ceiling)
			}
			for j, d := range p.demands {
				if f := p.f[j]; f < d.most*(1-1e-9) && f > 1e-30 {
					c := f / math.Sqrt(d.lambda) // the multiplier; one for all that are below their ceilings, none lower
					switch below := p.rate() < p.ceiling*(1-1e-9); {
					case below && math.IsNaN(free):
						free = c
					case below && math.Abs(c/free-1) > 1e-6:
						t.Fatalf("multipliers %v and %v", c, free)
					}
				}
			}
		}
		if want := min(budget, ceilings); math.Abs(sum/want-1) > 1e-9 {
			t.Fatalf("%v is spent of %v", sum, want)
		}
	})
}
