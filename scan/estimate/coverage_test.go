package estimate

import (
	"math"
	"math/rand/v2"
	"testing"
)

// nearEnough is the standard that the whole scanner is held to.
func nearEnough(estimate, truth float64) bool {
	return math.Abs(estimate-truth) <= 2 || (estimate <= 2*truth && truth <= 2*estimate)
}

// attainable is how often the best constant is near enough to a Poisson count of that mean: no estimate
// made without seeing what was missed does better, not even one that is told the loss.
func attainable(mean float64) float64 {
	var best float64
	for c := mean / 2; c <= 2*mean+2; c += math.Max(mean/200, 0.02) {
		var sum float64
		term := math.Exp(-mean)
		for m := 0.0; m <= mean+40+10*math.Sqrt(mean); m++ {
			if nearEnough(c, m) {
				sum += term
			}
			term *= mean / (m + 1)
		}
		best = math.Max(best, sum)
	}
	return best
}

// TestCoverage runs thousands of scans and asks of each whether the intervals held the truth. 93 % are
// demanded of 95: the counts are whole numbers, so no interval holds exactly 95 everywhere.
func TestCoverage(t *testing.T) {
	scans := 2000
	if testing.Short() {
		scans = 500
	}
	for i, d := range designs {
		for j, p := range []float64{0, 0.002, 0.0199, 0.0975, 0.36} {
			for k, n := range []uint64{50, 1000, 65536} {
				r := rand.New(rand.NewPCG(3, uint64(i*100+j*10+k)))
				var known, lossIn, missedIn, near, truth float64
				var width float64
				for range scans {
					groups, missed := d.scan(r, n, p)
					loss, ok := Loss(groups)
					m := Missed(groups, loss, missed+10*n)
					if float64(missed) >= m.Low && float64(missed) <= m.High {
						missedIn++
					}
					truth += float64(missed)
					if nearEnough(m.Value, float64(missed)) {
						near++
					}
					width += m.High - m.Low
					if !(m.Low <= m.Value && m.Value <= m.High) || !(loss.Low <= loss.Value && loss.Value <= loss.High) {
						t.Fatalf("%s p=%v n=%d: ends out of order: %+v %+v", d.name, p, n, loss, m)
					}
					if !ok {
						continue
					}
					known++
					if loss.Low <= p && p <= loss.High {
						lossIn++
					}
				}
				lossIn /= max(known, 1)
				all := float64(scans)
				missedIn, near, truth, width = missedIn/all, near/all, truth/all, width/all
				t.Logf("%-20s p=%-6v n=%-6d loss in %.3f  missed in %.3f  near %.3f  true missed %.4g width %.4g",
					d.name, p, n, lossIn, missedIn, near, truth, width)
				if known > 0 && lossIn < 0.93 {
					t.Errorf("%s p=%v n=%d: loss in its interval in %.3f of scans", d.name, p, n, lossIn)
				}
				if missedIn < 0.93 {
					t.Errorf("%s p=%v n=%d: missed in its interval in %.3f of scans", d.name, p, n, missedIn)
				}
				if n < 65536 {
					continue
				}
				expected := float64(n) * ((1-d.sampled)*p + d.sampled*math.Pow(p, float64(d.attempts)))
				if d.sampled == 0 {
					expected = float64(n) * math.Pow(p, float64(d.attempts))
				}
				want := math.Min(0.95, attainable(expected)-0.04)
				if d.sampled == 1.0/32 && p == 0.002 {
					want = 0.70 // 4 losses are seen in the sample of 2048: see docs/accuracy.md
				}
				if near < want {
					t.Errorf("%s p=%v n=%d: estimate near the truth in %.3f of scans, want %.3f", d.name, p, n, near, want)
				}
			}
		}
	}
}
