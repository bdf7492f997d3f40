package estimate

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestAttempts(t *testing.T) {
	exactly := func(p float64) Interval { return Interval{p, p, p} }
	for _, c := range []struct {
		loss   Interval
		recall float64
		limit  int
		want   int
	}{
		{exactly(0), 0.999, 10, 1},
		{Interval{0, 0, 4.6e-5}, 0.999, 10, 1}, // nothing lost of 65,536
		{Interval{0, 0, 0.003}, 0.999, 10, 2},  // nothing lost of 1000
		{exactly(0.0004), 0.999, 10, 1},
		{exactly(0.0006), 0.999, 10, 2}, // below 1−recall, but not safely
		{exactly(0.0199), 0.999, 10, 2},
		{exactly(0.0975), 0.999, 10, 4}, // three leave 0.00093: more than 0.001 in every fourth scan of 65,536
		{exactly(0.36), 0.999, 10, 8},
		{exactly(0.36), 0.999, 5, 5},
		{exactly(0.36), 0.5, 10, 2},
		{unknown, 0.999, 10, 10},
		{exactly(0.1), 1, 7, 7},
		{exactly(0.1), 0, 7, 1},
		{exactly(0.1), 0.999, 0, 1},
	} {
		if got := Attempts(c.loss, c.recall, c.limit); got != c.want {
			t.Errorf("loss up to %v, recall %v, at most %d: %d attempts, want %d", c.loss.High, c.recall, c.limit, got, c.want)
		}
	}
}

// TestAttemptsReachRecall plays the whole decision: measure the loss on two attempts, plan, go on.
func TestAttemptsReachRecall(t *testing.T) {
	const n, recall, scans = 65536, 0.999, 1000
	for i, p := range []float64{0.002, 0.0199, 0.0975, 0.36} {
		r := rand.New(rand.NewPCG(5, uint64(i)))
		reached := 0
		for range scans {
			first, left := probe(r, n, 2, p)
			loss, _ := Loss([]Group{first})
			more := Attempts(loss, recall, 10) - 2
			for range more {
				left = binomial(r, left, p)
			}
			if float64(left) <= n*(1-recall) {
				reached++
			}
		}
		if reached < scans*999/1000 {
			t.Errorf("loss %v: recall %v reached in %d of %d scans", p, recall, reached, scans)
		}
	}
}

// drawn is how many of the marked are among sample drawn from all without putting back.
func drawn(r *rand.Rand, all, marked, sample uint64) (hits uint64) {
	for range sample {
		if r.Uint64N(all) < marked {
			hits++
			marked--
		}
		all--
	}
	return hits
}

func TestSample(t *testing.T) {
	const recall = 0.999
	for i, c := range []struct {
		responsive, dead uint64
		p, share         float64
	}{
		{65536, 20000, 0, 0.05},
		{65536, 20000, 0.0001, 0.1},
		{65536, 20000, 0.00105, 0.06}, // just above what is allowed: may pass as safe in 5 %
		{65536, 20000, 0.01, 0.05},
		{65536, 20000, 0.0975, 0.05},
		{4096, 20000, 0.0015, 0.4},
		{500, 3000, 0.05, 1},
	} {
		r := rand.New(rand.NewPCG(7, uint64(i)))
		const scans = 2000
		var in, safe float64
		for range scans {
			answered := binomial(r, c.responsive, 1-c.p)
			hidden := c.responsive - answered
			silent := hidden + c.dead
			retried := uint64(float64(silent) * c.share)
			found := binomial(r, drawn(r, silent, hidden, retried), 1-c.p)
			v := Sample(answered, silent, retried, found, recall)
			truth := float64(hidden-found) / float64(c.responsive)
			if v.Missed.Low <= truth && truth <= v.Missed.High {
				in++
			}
			if v.Safe {
				safe++
			}
		}
		t.Logf("loss %v, share %v: share missed in its interval in %.3f, safe in %.3f", c.p, c.share, in/scans, safe/scans)
		if in/scans < 0.93 {
			t.Errorf("loss %v, share %v: share missed in its interval in %.3f of scans", c.p, c.share, in/scans)
		}
		left := c.p * (1 - c.share*(1-c.p))
		if left > 1-recall && safe/scans > 0.06 {
			t.Errorf("loss %v, share %v: leaves %.5f and is called safe in %.3f of scans", c.p, c.share, left, safe/scans)
		}
		if c.p == 0 && safe != scans {
			t.Errorf("no loss: safe in %v of %v", safe, scans)
		}
	}
	if v := Sample(0, 100, 50, 0, recall); v.Safe || v.Missed != unknown {
		t.Errorf("nothing answered: %+v", v)
	}
	if v := Sample(1000, 100, 0, 0, 0.5); v.Safe {
		t.Errorf("nothing retried: %+v", v)
	}
}

func TestSampleShare(t *testing.T) {
	const silent = 1 << 30
	for _, answered := range []uint64{1, 30, 3000, 4096, 65536, 1 << 24} {
		for _, recall := range []float64{0.5, 0.9, 0.999, 0.9999} {
			f := SampleShare(answered, recall)
			if f <= 0 || f > 1 {
				t.Fatalf("%d answered, recall %v: share %v", answered, recall, f)
			}
			retried := uint64(math.Ceil(f * silent))
			if f < 1 && !Sample(answered, silent, retried, 0, recall).Safe {
				t.Errorf("%d answered, recall %v: a share of %v with nothing found is not safe", answered, recall, f)
			}
			if Sample(answered, silent, retried*95/100, 0, recall).Safe {
				t.Errorf("%d answered, recall %v: 5 %% less than %v is safe too", answered, recall, f)
			}
		}
	}
	// What the first pass of a loss-free /16 costs on top.
	if f := SampleShare(65536, 0.999); f > 0.05 {
		t.Errorf("65,536 answered, recall 0.999: share %v", f)
	}
}
