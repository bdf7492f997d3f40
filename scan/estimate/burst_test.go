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
func spaced(r *rand.Rand, n, attempts int, gap, length float64, loses func(t float64) bool) (c *Counts, missed float64) {
	c = new(Counts)
	for range n {
		t := r.Float64() * length
		k := 0
		for k < attempts && loses(t+float64(k)*gap) {
			k++
		}
		if k == attempts {
			missed++
			c.silent(attempts, 1)
		} else {
			c.Answered[Open][k]++
		}
	}
	return c, missed
}

// dead are positions where nobody is: they make silence normal.
func (c *Counts) dead(attempts int, n uint64) *Counts {
	c.silent(attempts, n)
	return c
}

// Where losses come in bursts and the gap between attempts is long, the expected number is right, though bursts hit
// more or less of each attempt than independent losses would, which is seen more often than not; where the gap is
// short, what fails once fails again, and that is always seen. After gap seconds a burst still lasts with probability
// stay = share + (1−share)·e^(−gap/τ), 1/τ = 1/good + 1/bad: so k losses in a row have probability
// share·stay^(k−1), and that is what the simulation has to show.
func TestBursts(t *testing.T) {
	const (
		n, attempts, length, scans = 65536, 3, 600.0, 6
		good, bad                  = 1.8, 0.2 // seconds in the mean
		share                      = bad / (good + bad)
	)
	for _, gap := range []float64{0.001, 0.02, 0.1, 0.2, 0.5, 1, 2} {
		r := rand.New(rand.NewPCG(11, 1))
		var estimated, truth, loss, held, void float64
		for range scans {
			ch := randomBursts(r, good, bad, length+attempts*gap)
			c, missed := spaced(r, n, attempts, gap, length, ch.loses)
			truth += missed / scans
			c.dead(attempts, n)
			if x := Of(c); x.Void != None {
				void++
			} else {
				estimated += x.Missed.Value
				loss += x.Loss.Value
				if x.Missed.Low <= missed && missed <= x.Missed.High {
					held++
				}
			}
		}
		stay := share + (1-share)*math.Exp(-gap*(1/good+1/bad))
		wantTruth := n * share * stay * stay
		estimated, loss = estimated/(scans-void), loss/(scans-void)
		t.Logf("gap %4.0f ms: void %v of %v; else loss %.4f, missed %.4g estimated, %.5g true (expected %.5g), in the interval %v",
			gap*1000, void, scans, loss, estimated, truth, wantTruth, held)
		// 6 × 300 bursts: their share is known to some 4 %, its powers to 3 times that.
		if math.Abs(truth/wantTruth-1) > 0.25 {
			t.Errorf("gap %v s: %.5g missed, expected %.5g", gap, truth, wantTruth)
		}
		if void < scans && (estimated > 2*wantTruth || estimated < wantTruth/2) {
			t.Errorf("gap %v s: %.5g estimated, expected %.5g", gap, estimated, wantTruth)
		}
		if gap < 1 && void < scans {
			t.Errorf("gap %v s: the model was not seen to fail in %v of %v scans", gap, scans-void, scans)
		}
	}
}

// 200 ms of every 2 s are dropped. The estimate is blind where the gap is a multiple of the period: nothing that was
// lost once is ever found.
func TestPeriodicBursts(t *testing.T) {
	const n, attempts, length = 65536, 3, 600.0
	loses := periodicBursts(2, 0.2)
	for _, c := range []struct {
		gap               float64
		trueLow, trueHigh float64
		void              Void
		high              float64 // of the estimate
	}{
		{0.01, 5700, 6100, LastingLoss, 0},
		{0.05, 3100, 3450, LastingLoss, 0},
		{0.2, 0, 0, FirstAttempts, 0}, // no second attempt is lost
		{1, 0, 0, FirstAttempts, 0},
		{2, 6300, 6800, None, 0},
	} {
		r := rand.New(rand.NewPCG(13, 1))
		counts, missed := spaced(r, n, attempts, c.gap, length, loses)
		counts.dead(attempts, n)
		x := Of(counts)
		t.Logf("gap %4.0f ms: answered %v, %+v, truly %v", c.gap*1000, counts.Answered[Open][:3], x, missed)
		if missed < c.trueLow || missed > c.trueHigh || x.Void != c.void || x.Missed.High > c.high {
			t.Errorf("gap %v s: missed %v, %+v", c.gap, missed, x)
		}
	}
}

// Two losses under one roof: those that are missed are behind the worse path, and that is seen.
func TestMixedPaths(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 1))
	c := new(Counts)
	missed := asked(r, c, Open, 58982, 3, 0.01) + asked(r, c, Open, 6554, 3, 0.3)
	c.dead(3, 65536)
	x := Of(c)
	t.Logf("answered %v, %+v, truly missed %v", c.Answered[Open][:3], x, missed)
	if x.Void != LastingLoss {
		t.Errorf("%+v", x)
	}
}
