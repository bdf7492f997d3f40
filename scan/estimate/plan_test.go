package estimate

import (
	"math/rand/v2"
	"testing"
)

func TestAttempts(t *testing.T) {
	for _, c := range []struct {
		loss   float64
		recall float64
		limit  int
		want   int
	}{
		{0, 0.999, 10, 1},
		{4.6e-5, 0.999, 10, 1}, // nothing lost of 65,536
		{0.003, 0.999, 10, 2},  // nothing lost of 1000
		{0.0004, 0.999, 10, 1},
		{0.0006, 0.999, 10, 2}, // below 1−recall, but not safely
		{0.0199, 0.999, 10, 2},
		{0.0975, 0.999, 10, 4}, // three leave 0.00093: more than 0.001 in every fourth scan of 65,536
		{0.36, 0.999, 10, 8},
		{0.36, 0.999, 5, 5},
		{0.36, 0.5, 10, 2},
		{1, 0.999, 10, 10},
		{0.1, 1, 7, 7},
		{0.1, 0, 7, 1},
		{0.1, 0.999, 0, 1},
	} {
		if got := Attempts(c.loss, c.recall, c.limit); got != c.want {
			t.Errorf("loss up to %v, recall %v, at most %d: %d attempts, want %d", c.loss, c.recall, c.limit, got, c.want)
		}
	}
}

// TestAttemptsReachRecall plays the whole decision: measure the loss on two attempts, plan, go on.
func TestAttemptsReachRecall(t *testing.T) {
	const n, recall, scans = 65536, 0.999, 300
	for i, p := range []float64{0.002, 0.0199, 0.0975, 0.36} {
		r := rand.New(rand.NewPCG(5, uint64(i)))
		reached := 0
		for range scans {
			c := new(Counts)
			left := asked(r, c, Open, n, 2, p)
			more := Attempts(LossUpTo(c), recall, 10) - 2
			for range more {
				left = binomial(r, left, p)
			}
			if float64(left) <= n*(1-recall) {
				reached++
			}
		}
		if reached < scans {
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
			v := Sample(answered, found, float64(retried)/float64(silent))
			truth := c.p * (1 - c.share*(1-c.p))
			if v.Low <= truth && truth <= v.High {
				in++
			}
			if v.High < 1-recall {
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
	if v := Sample(0, 0, 0.5); v != (Interval{0, 0, 1}) {
		t.Errorf("nothing answered: %+v", v)
	}
	if v := Sample(1000, 0, 0); v != (Interval{0, 0, 1}) {
		t.Errorf("nothing retried: %+v", v)
	}
}
