package estimate

import (
	"math"
	"testing"

	"synoptic/bench/lab/need"
)

// grid is the slow reference: the posterior of p and d on a grid of 400 × 320, and the distribution of what was
// missed by adding up binomial ones, without thinning.
func grid(c *Counts) (loss, missed Interval) {
	const ps, ds = 400, 320
	answers := tallyOf(&c.Answered[Open]).plus(tallyOf(&c.Answered[Closed]))
	m := newModel(c, answers, aside{})
	type point struct{ p, d, log, low float64 }
	var points []point
	top := math.Inf(-1)
	for i := range ps {
		v := (float64(i) + 0.5) / ps
		p := v * v
		for j := range ds + 1 {
			t := (float64(j) + 0.5) / ds
			d := t * t
			log := m.logLoss(p) + math.Log(v)
			low := t / (1 - t*t) / (p * (1 + p))
			if j == ds {
				d, low = 0, 0
				log += math.Log(m.none * ds)
			}
			log += answers.n * math.Log1p(-d)
			for k, n := range c.Silent {
				if n > 0 {
					log += float64(n) * math.Log(d+(1-d)*math.Pow(p, float64(k)))
				}
			}
			points = append(points, point{p, d, log, low})
			top = math.Max(top, log)
		}
	}
	flat, lower := map[int]float64{}, map[int]float64{}
	flatLoss, lowerLoss := make([]float64, ps), make([]float64, ps)
	for i, x := range points {
		w := math.Exp(x.log - top)
		flatLoss[i/(ds+1)] += w
		lowerLoss[i/(ds+1)] += w * x.low
		if w < 1e-7 {
			continue
		}
		pmf := []float64{1}
		for k, l := range c.Left {
			if l.Silent > 0 {
				r := (1 - x.d) * math.Pow(x.p, float64(k))
				pmf = convolve(pmf, binomialPMF(int(l.Silent), r/(x.d+r)))
			}
		}
		for n, p := range pmf {
			flat[n] += w * p
			lower[n] += w * p * x.low
		}
	}
	quantile := func(of map[int]float64, prob float64) float64 {
		var all, sum float64
		for _, w := range of {
			all += w
		}
		for n := 0; ; n++ {
			if sum += of[n]; sum >= prob*all {
				return float64(n)
			}
		}
	}
	lossQuantile := func(of []float64, prob float64) float64 {
		var all, sum float64
		for _, w := range of {
			all += w
		}
		for i, w := range of {
			if sum+w >= prob*all {
				v := (float64(i) + (prob*all-sum)/w) / ps
				return v * v
			}
			sum += w
		}
		return 1
	}
	loss.High, missed.High = lossQuantile(flatLoss, 1-tail), quantile(flat, 1-tail)
	if answers.lost > 0 {
		loss.Low, missed.Low = lossQuantile(lowerLoss, tail), quantile(lower, tail)
	}
	return loss, missed
}

func binomialPMF(n int, q float64) []float64 {
	pmf := make([]float64, n+1)
	for k := range pmf {
		a, _ := math.Lgamma(float64(n) + 1)
		b, _ := math.Lgamma(float64(k) + 1)
		c, _ := math.Lgamma(float64(n-k) + 1)
		pmf[k] = math.Exp(a - b - c + float64(k)*math.Log(q) + float64(n-k)*math.Log1p(-q))
	}
	if q >= 1 {
		clear(pmf)
		pmf[n] = 1
	}
	return pmf
}

func convolve(a, b []float64) []float64 {
	sum := make([]float64, len(a)+len(b)-1)
	for i, x := range a {
		for j, y := range b {
			sum[i+j] += x * y
		}
	}
	return sum
}

// counts are of positions with the same history: answered by attempt, silent, and none asked again.
func counts(answered []uint64, silent map[int]uint64) *Counts {
	c := new(Counts)
	copy(c.Answered[Open][:], answered)
	for k, n := range silent {
		c.Silent[k] = n
		c.Left[k].Silent = n
	}
	return c
}

// The fast integration agrees with the grid.
func TestOfAgreesWithTheGrid(t *testing.T) {
	cases := []*Counts{
		counts([]uint64{300, 30, 3}, map[int]uint64{3: 12}),
		counts([]uint64{450, 46, 4}, nil),
		counts([]uint64{100, 0, 0}, map[int]uint64{3: 40}),
		counts([]uint64{100, 2}, map[int]uint64{1: 60, 2: 4}),
		counts([]uint64{40, 12, 6, 2}, map[int]uint64{1: 9, 4: 30}),
		counts([]uint64{60, 20}, map[int]uint64{2: 20}),
		counts([]uint64{5, 0, 0}, map[int]uint64{3: 50}),
		counts([]uint64{5, 1, 0}, map[int]uint64{3: 50}),
		counts([]uint64{30, 11, 3, 2, 1, 0, 0, 0, 0, 0}, map[int]uint64{10: 1}),
		counts([]uint64{1, 0}, map[int]uint64{2: 1}),
		counts([]uint64{320, 115, 41}, map[int]uint64{3: 24}),
		counts([]uint64{2, 3}, map[int]uint64{2: 60}),
	}
	for _, c := range cases[:need.Sample(t, 1, 4, len(cases))] {
		m := newModel(c, tallyOf(&c.Answered[Open]), aside{})
		post := m.posterior()
		loss, missed := post.lossInterval(tail), post.missed(tail)
		wantLoss, wantMissed := grid(c)
		near := func(got, want float64) bool { return math.Abs(got-want) <= 0.02*want+0.002 }
		off := func(got, want float64) bool { return math.Abs(got-want) <= 1+0.01*want }
		t.Logf("%v %v: loss %.4f, missed %.2f", c.Answered[0][:4], c.Silent[:5], loss, missed)
		if !near(loss.Low, wantLoss.Low) || !near(loss.High, wantLoss.High) || !off(missed.Low, wantMissed.Low) || !off(missed.High, wantMissed.High) {
			t.Errorf("answered %v, silent %v:\nloss %+v, missed %+v; by the grid\nloss %+v, missed %+v",
				c.Answered[0], c.Silent, loss, missed, wantLoss, wantMissed)
		}
	}
}

func BenchmarkOf(b *testing.B) {
	for name, c := range map[string]*Counts{
		"many-lost": counts([]uint64{41000, 4100, 400, 41}, map[int]uint64{4: 1000000}),
		"few-lost":  counts([]uint64{4100, 12, 1, 0}, map[int]uint64{4: 5000}),
		"sampled":   counts([]uint64{41000, 12}, map[int]uint64{1: 90000, 2: 3000, 3: 1000}),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Of(c)
			}
		})
	}
}
