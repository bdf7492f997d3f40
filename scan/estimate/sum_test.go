package estimate

import (
	"math/rand/v2"
	"testing"
)

// The sum of parts with losses of their own holds the truth as a scan of one part does.
func TestSumHolds(t *testing.T) {
	type part struct {
		open, dead uint64
		p          float64
	}
	for name, parts := range map[string][]part{
		"one":                     {{20_000, 40_000, 0.1}},
		"two alike":               {{20_000, 40_000, 0.1}, {20_000, 40_000, 0.1}},
		"one loses, one does not": {{20_000, 50_000, 0.19}, {5000, 100_000, 0}},
		"a small one loses much":  {{50_000, 10_000, 0.01}, {300, 900, 0.5}},
		"three":                   {{8000, 9000, 0.02}, {4000, 40_000, 0.3}, {900, 0, 0.1}},
		"rarely anything missed":  {{400, 2000, 0.02}, {400, 2000, 0.02}, {400, 2000, 0.02}},
	} {
		const scans, attempts = 300, 3
		var missedIn, lossIn, said int
		for seed := range uint64(scans) {
			r := rand.New(rand.NewPCG(seed, 11))
			var results []Result
			var missed uint64
			var lost, sent float64
			for _, x := range parts {
				c := new(Counts)
				left := asked(r, c, Open, x.open, attempts, x.p)
				missed += left
				for k, n := range c.Answered[Open] {
					lost, sent = lost+float64(k)*float64(n), sent+float64(k+1)*float64(n)
				}
				lost, sent = lost+attempts*float64(left), sent+attempts*float64(left)
				c.silent(attempts, x.dead)
				results = append(results, OfPart(c, len(parts)))
			}
			sum := Sum(results)
			if sum.Void != None { // by chance: the model is tested for misfits
				continue
			}
			said++
			if sum.Missed.Low <= float64(missed) && float64(missed) <= sum.Missed.High {
				missedIn++
			}
			if truth := lost / sent; sum.Loss.Low <= truth && truth <= sum.Loss.High {
				lossIn++
			}
		}
		t.Logf("%s: missed in %d, loss in %d of %d scans", name, missedIn, lossIn, said)
		if said < scans*9/10 || missedIn < said*95/100 || lossIn < said*95/100 {
			t.Errorf("%s: missed in its interval in %d, loss in %d of %d scans", name, missedIn, lossIn, said)
		}
	}
}

// What is in a sum, and when there is none.
func TestSum(t *testing.T) {
	a := Of(counts([]uint64{9000, 900, 90}, map[int]uint64{3: 5000}))
	b := Of(counts([]uint64{5000, 50, 1}, map[int]uint64{3: 700}))
	void := func(v Void) Result { return Result{Void: v} }
	if got := Sum([]Result{a}); got != a {
		t.Errorf("of one part %+v, want %+v", got, a)
	}
	both := Sum([]Result{a, b})
	if both.Missed != (Interval{a.Missed.Value + b.Missed.Value, a.Missed.Low + b.Missed.Low, a.Missed.High + b.Missed.High}) || both.Answers != 9990+5051 {
		t.Errorf("of two parts %+v", both)
	}
	for _, end := range [][3]float64{{both.Loss.Value, a.Loss.Value, b.Loss.Value}, {both.Loss.Low, a.Loss.Low, b.Loss.Low}, {both.Loss.High, a.Loss.High, b.Loss.High}} {
		if end[0] >= end[1] || end[0] <= end[2] {
			t.Errorf("a loss of %v is not between those of the parts, %v and %v", end[0], end[1], end[2])
		}
	}
	for name, c := range map[string]struct {
		parts []Result
		want  Result
	}{
		"none":                   {nil, Result{}},
		"nothing known":          {[]Result{void(Unmeasured), void(NoAnswers)}, void(Unmeasured)},
		"one known":              {[]Result{void(NoAnswers), a, void(Unmeasured), void(SingleAttempt)}, Sum([]Result{a})},
		"one with evidence lost": {[]Result{a, void(EvidenceLost), b}, void(EvidenceLost)},
		"one with first contacts lost behind one that nobody knows": {[]Result{void(Unmeasured), void(FirstContacts)}, void(FirstContacts)},
		"one with a lasting loss":                                   {[]Result{a, void(LastingLoss)}, void(LastingLoss)},
		"one whose first attempts fail":                             {[]Result{void(FirstAttempts), a}, void(FirstAttempts)},
		"one that may have lost all": {[]Result{a, {Answers: 1, Loss: Interval{0, 0, 1}}}, Result{
			Loss: Interval{both.Loss.Value, 0, 1}}},
	} {
		got := Sum(c.parts)
		if name == "one that may have lost all" {
			if got.Loss.High != 1 || !(got.Loss.Low < got.Loss.Value) || !(got.Loss.Value < 1) {
				t.Errorf("%s: %+v", name, got)
			}
			continue
		}
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// Of more parts each interval is wider, so that all together leave no more to chance.
func TestOfPartIsWider(t *testing.T) {
	c := counts([]uint64{9000, 900, 90}, map[int]uint64{3: 5000})
	last := Of(c)
	for parts := 2; parts <= 4; parts++ {
		r := OfPart(c, parts)
		if r.Missed.Low > last.Missed.Low || r.Missed.High < last.Missed.High || r.Loss.Low >= last.Loss.Low || r.Loss.High <= last.Loss.High || r.Missed.Value != last.Missed.Value {
			t.Errorf("%d parts: %+v, before %+v", parts, r, last)
		}
		last = r
	}
}
