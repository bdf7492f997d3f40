package estimate

import (
	"math"
	"testing"
)

// lostDistribution is the distribution of the number lost, by plain convolution, one position at a time.
func lostDistribution(groups []Group, p float64) []float64 {
	dist := []float64{1}
	for _, g := range groups {
		one := make([]float64, g.Attempts)
		var norm float64
		for k := range one {
			one[k] = math.Pow(p, float64(k))
			norm += one[k]
		}
		for range int(answered(g)) {
			next := make([]float64, len(dist)+len(one)-1)
			for i, a := range dist {
				for k, b := range one {
					next[i+k] += a * b / norm
				}
			}
			dist = next
		}
	}
	return dist
}

func TestExactTails(t *testing.T) {
	for _, groups := range [][]Group{
		{{2, []uint64{40, 3}}},
		{{2, []uint64{18, 13}}},
		{{2, []uint64{1, 30}}},
		{{3, []uint64{100, 20, 4}}},
		{{3, []uint64{5, 0, 15}}},
		{{4, []uint64{50, 5, 1, 0}}, {2, []uint64{30, 9}}, {2, []uint64{11, 3}}, {1, []uint64{999}}},
		{{10, []uint64{3, 0, 0, 0, 0, 0, 0, 0, 0, 3}}, {2, []uint64{4, 3}}},
	} {
		s := newSample(groups)
		if s.lost > exactUpTo {
			t.Fatalf("%v: case loses %v, too many for the exact tails", groups, s.lost)
		}
		fewer, atMost := s.exactTails(s.mostLikely())
		for _, p := range []float64{0.01, 0.05, 0.2, 0.6, 1} {
			var want [2]float64
			for j, v := range lostDistribution(groups, p) {
				if j < int(s.lost) {
					want[0] += v
				}
				if j <= int(s.lost) {
					want[1] += v
				}
			}
			for i, got := range []float64{math.Exp(fewer(p)), math.Exp(atMost(p))} {
				if math.Abs(got-want[i]) > 1e-7 {
					t.Errorf("%v at p=%v: tail %d is %v, by convolution %v", groups, p, i, got, want[i])
				}
			}
		}
	}
}

// TestCoverageExact leaves nothing to chance: the share of outcomes whose interval holds p, summed over
// the distribution of the number lost.
func TestCoverageExact(t *testing.T) {
	for _, c := range []struct{ attempts, n int }{{2, 50}, {2, 400}, {3, 50}, {4, 50}, {4, 150}} {
		// Any counts with that many lost do: the number lost is sufficient.
		intervals := make([]Interval, c.n*(c.attempts-1)+1)
		for lost := range intervals {
			g := Group{c.attempts, make([]uint64, c.attempts)}
			whole, rest := lost/(c.attempts-1), lost%(c.attempts-1)
			g.Answered[c.attempts-1] += uint64(whole)
			if whole < c.n {
				g.Answered[rest]++
				g.Answered[0] += uint64(c.n - whole - 1)
			}
			if got := newSample([]Group{g}); got.lost != float64(lost) || got.n != float64(c.n) {
				t.Fatalf("case has n=%v, lost=%v, want %d, %d", got.n, got.lost, c.n, lost)
			}
			intervals[lost], _ = Loss([]Group{g})
			if lost > 0 && (intervals[lost].High < intervals[lost-1].High || intervals[lost].Low < intervals[lost-1].Low) {
				t.Errorf("K=%d n=%d: ends fall from %d to %d lost: %v %v", c.attempts, c.n, lost-1, lost, intervals[lost-1], intervals[lost])
			}
		}
		worst, at := 1.0, 0.0
		model := Group{c.attempts, make([]uint64, c.attempts)}
		model.Answered[0] = uint64(c.n)
		for p := 0.0005; p < 0.9; p *= 1.05 {
			var held float64
			for lost, v := range lostDistribution([]Group{model}, p) {
				if intervals[lost].Low <= p && p <= intervals[lost].High {
					held += v
				}
			}
			if held < worst {
				worst, at = held, p
			}
		}
		t.Logf("K=%d n=%d: coverage at least %.4f (at p=%.4f)", c.attempts, c.n, worst, at)
		if worst < 0.93 {
			t.Errorf("K=%d n=%d: coverage %.4f at p=%.4f", c.attempts, c.n, worst, at)
		}
	}
}

func TestMostLikelyIsTheMaximum(t *testing.T) {
	for _, groups := range [][]Group{
		{{2, []uint64{980, 20}}},
		{{3, []uint64{900, 90, 9}}, {2, []uint64{70, 6}}},
		{{4, []uint64{10, 9, 9, 8}}},
		{{3, []uint64{1, 1, 40}}},
		{{10, []uint64{400, 200, 100, 50, 25, 12, 6, 3, 1, 1}}},
	} {
		s := newSample(groups)
		p := s.mostLikely()
		for q := 1e-4; q <= 1; q += 1e-4 {
			if s.logLikelihood(q) > s.logLikelihood(p)+1e-9 {
				t.Errorf("%v: %v is more likely than %v", groups, q, p)
				break
			}
		}
	}
	// Two attempts have the closed form p = Answered[1]/Answered[0].
	if l, _ := Loss([]Group{{2, []uint64{1000, 37}}}); math.Abs(l.Value-0.037) > 1e-9 {
		t.Errorf("two attempts: loss %v, want 0.037", l.Value)
	}
}

func TestQuantile(t *testing.T) {
	for _, c := range []struct{ n, q float64 }{{5, 0.36}, {1000, 0.001}, {40, 0.9}, {300, 0.2}, {3000, 0.5}, {80000, 0.001}} {
		mean, variance := c.n*c.q/(1-c.q), c.n*c.q/((1-c.q)*(1-c.q))
		for _, z := range []float64{-normalTail, normalTail} {
			prob := tail
			if z > 0 {
				prob = 1 - tail
			}
			// P(k) = Γ(n+k)/(Γ(n)·k!)·(1−q)^n·q^k
			var sum, want float64
			for ; ; want++ {
				a, _ := math.Lgamma(c.n + want)
				b, _ := math.Lgamma(c.n)
				d, _ := math.Lgamma(want + 1)
				sum += math.Exp(a - b - d + c.n*math.Log1p(-c.q) + want*math.Log(c.q))
				if sum >= prob {
					break
				}
			}
			if got := quantile(mean, variance, prob, z); math.Abs(got-want) > 1 || (mean <= walkUpTo && got != want) {
				t.Errorf("n=%v q=%v prob=%v: quantile %v, want %v", c.n, c.q, prob, got, want)
			}
		}
	}
}
