package monitor

import (
	"math"
	"math/rand/v2"
	"testing"
)

// integrate gives mean and variance of λ by the trapezoidal rule over ln λ, the likelihood being the function.
func integrate(g gamma, likelihood func(lambda float64) float64) (mean, variance float64) {
	var sums [3]float64
	const steps = 20_000
	middle := math.Log(g.a / g.b)
	for i := range steps {
		x := middle - 40 + 50*float64(i)/steps
		lambda := math.Exp(x)
		w := math.Exp(g.a*(x-middle)-g.b*lambda+g.a) * likelihood(lambda)
		for k := range sums {
			sums[k] += w * math.Pow(lambda, float64(k))
		}
	}
	mean = sums[1] / sums[0]
	return mean, sums[2]/sums[0] - mean*mean
}

// A change within an interval, and none in it, move what is known as Bayes' rule does.
func TestGammaFollowsBayes(t *testing.T) {
	for _, g := range []gamma{{2, 2 / 1e-7}, {0.5, 1e5}, {40, 3e8}} {
		for _, dt := range []float64{0.001, 60, 1600, 86400, 1e7} {
			for _, changed := range []bool{false, true} {
				want, variance := integrate(g, func(l float64) float64 {
					if changed {
						return -math.Expm1(-l * dt)
					}
					return math.Exp(-l * dt)
				})
				got := g
				if changed {
					got.changed(dt)
				} else {
					got.unchanged(dt)
				}
				if math.Abs(got.mean()/want-1) > 1e-4 || math.Abs(got.a/(got.b*got.b)/variance-1) > 1e-3 {
					t.Errorf("%+v, changed %v after %v s: mean %v and variance %v, want %v and %v", g, changed, dt, got.mean(), got.a/(got.b*got.b), want, variance)
				}
			}
		}
	}
}

// Observations that say "changed or not" only, at uneven times, lead to the rate behind them, though half of the intervals hold
// several changes: the mere count of changes by the time would give half of it.
func TestGammaLearns(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const lambda = 1e-4
	g := expected(lambda*30, 2)
	count, total := 0.0, 0.0
	for range 3000 {
		dt := rng.Float64() * 40_000
		changed := rng.Float64() < -math.Expm1(-lambda*dt)
		total += dt
		if changed {
			g.changed(dt)
			count++
		} else {
			g.unchanged(dt)
		}
	}
	if math.Abs(g.mean()/lambda-1) > 0.08 {
		t.Errorf("%v, want %v; counting gives %v", g.mean(), lambda, count/total)
	}
	if count/total > 0.7*lambda {
		t.Error("counting would have done: the test shows nothing")
	}
}

// A busy network is told apart from a quiet one, and one of which nothing was seen is like its port.
func TestLearnerTellsClassesApart(t *testing.T) {
	e := Default().Expect
	l := newLearner(e, 2)
	rng := rand.New(rand.NewPCG(3, 4))
	rates := map[uint64]float64{1: 100 * e.Open, 2: 5 * e.Open}
	for range 40_000 {
		for net, lambda := range rates {
			l.learn(net, 443, standsOpen, rng.Float64() < -math.Expm1(-lambda*1600), 1600)
		}
	}
	for net, want := range rates {
		if got := l.lambda(net, 443, standsOpen); got < want/1.5 || got > want*1.5 {
			t.Errorf("network %d: %v, want %v", net, got, want)
		}
	}
	other := l.lambda(3, 443, standsOpen)
	if port := l.port(443, standsOpen).mean(); other != port || other < 10*e.Open || other > 100*e.Open {
		t.Errorf("an unseen network: %v, its port %v", other, port)
	}
	if got := l.lambda(1, 443, standsPredicted); got != e.Predicted {
		t.Errorf("what is predicted has learnt from what is open: %v", got)
	}
	fixed := newLearner(e, math.Inf(1))
	fixed.learn(1, 443, standsOpen, true, 1)
	if fixed.lambda(1, 443, standsOpen) != e.Open {
		t.Error("what is fixed has learnt")
	}
}

func TestLevels(t *testing.T) {
	for k := range levels {
		if levelOf(lambdaOf(k)) != k {
			t.Errorf("level %d is %d", k, levelOf(lambdaOf(k)))
		}
	}
	for _, lambda := range []float64{0.01 * perDay, 1e-5 * perDay, 1.0 / 3600} {
		if r := math.Sqrt(lambdaOf(levelOf(lambda)) / lambda); r < 0.91 || r > 1.1 {
			t.Errorf("λ %v: √ of its level is off by %v", lambda, r)
		}
	}
	if levelOf(0) != 0 || levelOf(1e300) != levels-1 {
		t.Error("what is beyond the ends has no level")
	}
}
