package estimate

import (
	"math"
	"math/rand/v2"
	"sort"
	"testing"
)

// A channel that loses everything in bursts and nothing between them (Gilbert 1960 with h = 0). ends
// holds the ends of alternating good and bad spells, in seconds.
type channel struct{ ends []float64 }

func randomBursts(r *rand.Rand, good, bad, length float64) channel {
	var c channel
	for t := 0.0; t < length; {
		t += r.ExpFloat64() * good
		c.ends = append(c.ends, t)
		t += r.ExpFloat64() * bad
		c.ends = append(c.ends, t)
	}
	return c
}

func (c channel) loses(t float64) bool {
	return sort.SearchFloat64s(c.ends, t)%2 == 1
}

func periodicBursts(period, bad float64) func(t float64) bool {
	return func(t float64) bool { return math.Mod(t, period) < bad }
}

// spaced sends to n positions over length seconds, retrying after gap seconds.
func spaced(r *rand.Rand, n, attempts int, gap, length float64, loses func(t float64) bool) (g Group, missed float64) {
	g = Group{attempts, make([]uint64, attempts)}
	for range n {
		t := r.Float64() * length
		k := 0
		for k < attempts && loses(t+float64(k)*gap) {
			k++
		}
		if k == attempts {
			missed++
		} else {
			g.Answered[k]++
		}
	}
	return g, missed
}

// TestBursts shows what the estimate is worth where losses are not independent. After gap seconds a burst
// still lasts with probability stay = share + (1−share)·e^(−gap/τ), 1/τ = 1/good + 1/bad: so k losses in a row
// have probability share·stay^(k−1), and that is what the simulation has to show.
func TestBursts(t *testing.T) {
	const (
		n, attempts, length, scans = 65536, 3, 600.0, 6
		good, bad                  = 1.8, 0.2 // seconds in the mean
		share                      = bad / (good + bad)
	)
	for _, gap := range []float64{0.001, 0.02, 0.1, 0.2, 0.5, 1, 2} {
		r := rand.New(rand.NewPCG(11, 1))
		var estimated, truth, loss, held float64
		for range scans {
			ch := randomBursts(r, good, bad, length+attempts*gap)
			g, missed := spaced(r, n, attempts, gap, length, ch.loses)
			l, _ := Loss([]Group{g})
			m := Missed([]Group{g}, l, n)
			estimated += m.Value / scans
			truth += missed / scans
			loss += l.Value / scans
			if m.Low <= missed && missed <= m.High {
				held++
			}
		}
		stay := share + (1-share)*math.Exp(-gap*(1/good+1/bad))
		wantTruth := n * share * stay * stay
		model := Group{attempts, []uint64{
			uint64(math.Round(n * (1 - share))),
			uint64(math.Round(n * share * (1 - stay))),
			uint64(math.Round(n * share * stay * (1 - stay))),
		}}
		l, _ := Loss([]Group{model})
		wantEstimate := Missed([]Group{model}, l, n).Value
		t.Logf("gap %4.0f ms: loss %.4f, missed %.4g estimated (expected %.4g), %.5g true (expected %.5g), in the interval %v of %v",
			gap*1000, loss, estimated, wantEstimate, truth, wantTruth, held, scans)
		// 6 × 300 bursts: their share is known to some 4 %, its powers to 3 times that.
		if math.Abs(truth/wantTruth-1) > 0.25 {
			t.Errorf("gap %v s: %.5g missed, expected %.5g", gap, truth, wantTruth)
		}
		// At 1 ms the estimate is a cube of very few.
		if gap > 0.01 && math.Abs(estimated/wantEstimate-1) > 0.4 {
			t.Errorf("gap %v s: %.5g estimated, expected %.5g", gap, estimated, wantEstimate)
		}
	}
}

// TestPeriodicBursts: 200 ms of every 2 s are dropped. The estimate is blind where the gap is a multiple of
// the period, and errs to the safe side where the retry always falls between two bursts.
func TestPeriodicBursts(t *testing.T) {
	const n, attempts, length = 65536, 3, 600.0
	loses := periodicBursts(2, 0.2)
	for _, c := range []struct {
		gap               float64
		trueLow, trueHigh float64
		estLow, estHigh   float64
	}{
		{0.01, 5700, 6100, 0, 10},
		{0.05, 3100, 3450, 20, 40},
		{0.2, 0, 0, 30, 100},
		{1, 0, 0, 30, 100},
		{2, 6300, 6800, 0, 0},
	} {
		r := rand.New(rand.NewPCG(13, 1))
		g, missed := spaced(r, n, attempts, c.gap, length, loses)
		l, _ := Loss([]Group{g})
		m := Missed([]Group{g}, l, n)
		t.Logf("gap %4.0f ms: answered %v, loss %.4f, missed %.1f (%v–%v), truly %v", c.gap*1000, g.Answered, l.Value, m.Value, m.Low, m.High, missed)
		if missed < c.trueLow || missed > c.trueHigh || m.Value < c.estLow || m.Value > c.estHigh {
			t.Errorf("gap %v s: missed %v, estimated %v", c.gap, missed, m.Value)
		}
	}
}

// TestMixedPaths: two losses under one roof. The common p is too low for the worse path, so the estimate is a
// lower bound.
func TestMixedPaths(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 1))
	good, m1 := probe(r, 58982, 3, 0.01)
	bad, m2 := probe(r, 6554, 3, 0.3)
	both := Group{3, make([]uint64, 3)}
	for k := range both.Answered {
		both.Answered[k] = good.Answered[k] + bad.Answered[k]
	}
	l, _ := Loss([]Group{both})
	m := Missed([]Group{both}, l, 65536)
	truth := float64(m1 + m2)
	t.Logf("answered %v, loss %.4f, missed %.1f (%v–%v), truly %v", both.Answered, l.Value, m.Value, m.Low, m.High, truth)
	if m.Value > truth/2 {
		t.Errorf("missed %v, truly %v: expected far too low an estimate", m.Value, truth)
	}
}
