package estimate

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestNothingIsSaid(t *testing.T) {
	for _, c := range []struct {
		name   string
		counts *Counts
		want   Void
	}{
		{"nothing", counts(nil, nil), NoAnswers},
		{"nothing answered", counts(nil, map[int]uint64{2: 500}), NoAnswers},
		{"one attempt only", counts([]uint64{5000}, map[int]uint64{1: 10}), SingleAttempt},
		{"the first tries are on their way", counts([]uint64{5000}, map[int]uint64{0: 10}), SingleAttempt},
		{"everything at once", counts([]uint64{5000}, nil), None},
		{"a second attempt", counts([]uint64{5000, 0}, map[int]uint64{1: 10, 2: 1}), None},
		{"first contacts", counts([]uint64{500, 450, 50}, map[int]uint64{3: 1000}), FirstAttempts},
		{"first contacts, two attempts", counts([]uint64{500, 495}, map[int]uint64{2: 5}), FirstAttempts},
		{"as many at the second attempt, and much silence", counts([]uint64{500, 500}, map[int]uint64{2: 1 << 20}), FirstAttempts},
		{"bursts", counts([]uint64{900, 50, 25}, map[int]uint64{3: 1000}), LastingLoss},
		{"losses as they should be", counts([]uint64{900, 90, 9}, map[int]uint64{3: 1000}), None},
	} {
		r := Of(c.counts)
		if r.Void != c.want || r.Void != None && r != (Result{Void: r.Void}) {
			t.Errorf("%s: %+v, want %q", c.name, r, c.want)
		}
	}
}

func TestOfEdges(t *testing.T) {
	// All that was silent to the last attempt is bound to be missed, or nothing can have been.
	if r := Of(counts([]uint64{5000}, nil)); r.Missed != (Interval{}) || r.Loss.Low != 0 || r.Loss.High < 3.0/5000 || r.Loss.High > 5.0/5000 {
		t.Errorf("all answered at once: %+v", r)
	}
	if r := Of(counts([]uint64{9000, 900, 90}, map[int]uint64{3: 10})); r.Missed.High != 10 {
		t.Errorf("silence is no more than what loss leaves: %+v", r)
	}
	if r := Of(counts([]uint64{9000, 900, 90}, map[int]uint64{3: 100_000})); r.Missed.Low > 10 || r.Missed.High < 10 || r.Missed.High > 30 {
		t.Errorf("much silence: %+v", r)
	}
	// No loss is seen: nothing says that anything was missed.
	if r := Of(counts([]uint64{1000, 0}, map[int]uint64{1: 3000, 2: 100})); r.Loss.Value != 0 || r.Missed.Low != 0 || r.Missed.Value != 0 || r.Missed.High < 10 {
		t.Errorf("nothing found in a sample: %+v", r)
	}
	// What only begins to be listened to.
	c := counts([]uint64{9000, 900}, map[int]uint64{2: 1000})
	c.Silent[0], c.Left[0] = 1000, Left{Silent: 800, Late: [2]uint64{200, 0}}
	if r := Of(c); r.Missed.Low < 750 || r.Missed.High > 880 || r.Missed.High < 820 {
		t.Errorf("100 of 1000 silent, and 717 of the 800 whose answers are on their way: %+v", r)
	}
}

// Of first tries that were not listened to, closed ports would answer as well.
func TestFirstTriesOnTheirWay(t *testing.T) {
	c := counts([]uint64{950, 48}, map[int]uint64{2: 70_000})
	c.Answered[Closed] = [MaxAttempts]uint64{28_500, 1425}
	c.Silent[0], c.Left[0].Silent = 10_000, 10_000
	if r := Of(c); r.Missed.Low > 90 || r.Missed.High < 110 || r.Missed.High > 130 {
		t.Errorf("1 %% of the 10,000 on their way are open: %+v", r)
	}
}

// Hosts that limit their resets lose more than the network does: with enough open ports, or where it is seen, the
// resets say nothing of the open ports missed.
func TestOpenAndClosedApart(t *testing.T) {
	for i, open := range []uint64{60, 1000} {
		var inside int
		const scans, p, limited = 200, 0.05, 0.5
		for seed := range uint64(scans) {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			c := new(Counts)
			missed := asked(r, c, Open, open, 2, p)
			asked(r, c, Closed, 20_000, 2, limited)
			c.silent(2, 30_000)
			x := Of(c)
			if x.Void != None {
				t.Fatalf("%d open: %+v", open, x)
			}
			if x.Missed.Low <= float64(missed) && float64(missed) <= x.Missed.High {
				inside++
			}
		}
		if inside < scans*93/100 {
			t.Errorf("%d open: missed in its interval in %d of %d scans", open, inside, scans)
		}
	}
}

// Where only some of the silence is asked again, closed ports are as many among the spared.
func TestClosedAmongTheSpared(t *testing.T) {
	var inside int
	const scans, p = 200, 0.36
	for seed := range uint64(scans) {
		r := rand.New(rand.NewPCG(seed, 3))
		c := new(Counts)
		missed := asked(r, c, Open, 3000, 1, p) + asked(r, c, Open, 3000, 4, p)
		asked(r, c, Closed, 90_000, 1, p)
		asked(r, c, Closed, 90_000, 4, p)
		c.silent(1, 210_000)
		c.silent(4, 210_000)
		if x := Of(c); x.Missed.Low <= float64(missed) && float64(missed) <= x.Missed.High {
			inside++
		}
	}
	if inside < scans*93/100 {
		t.Errorf("missed in its interval in %d of %d scans", inside, scans)
	}
}

// Where few answers are open, few of the missed are.
func TestFewOpen(t *testing.T) {
	c := counts([]uint64{16, 3}, map[int]uint64{2: 10_000})
	c.Answered[Closed] = [MaxAttempts]uint64{4000, 800}
	if r := Of(c); r.Missed.Low > 0 || r.Missed.Value < 0.5 || r.Missed.Value > 1.2 || r.Missed.High < 2 || r.Missed.High > 5 {
		t.Errorf("19 of 4819 answers are open, and 200 missed: %+v", r)
	}
}

// Where everything answers, all that is silent is missed, be it more than usual.
func TestAllAnswer(t *testing.T) {
	var inside int
	const scans = 200
	for seed := range uint64(scans) {
		c := new(Counts)
		missed := asked(rand.New(rand.NewPCG(seed, 4)), c, Open, 8192, 2, 0.36)
		if x := Of(c); x.Missed.Low <= float64(missed) && float64(missed) <= x.Missed.High {
			inside++
		}
	}
	if inside < scans*98/100 {
		t.Errorf("missed in its interval in %d of %d scans", inside, scans)
	}
}

// FuzzEstimates: whatever is counted, the results are finite, in order and in their ranges.
func FuzzEstimates(f *testing.F) {
	f.Add(uint64(1000), uint64(20), uint64(1), uint64(70), uint64(500), uint64(3), uint64(100), uint64(0))
	f.Add(uint64(0), uint64(0), uint64(0), uint64(1), uint64(0), uint64(4), uint64(0), uint64(0))
	f.Add(uint64(math.MaxUint64), uint64(1), uint64(0), uint64(math.MaxUint64), uint64(2), uint64(math.MaxUint64), uint64(0), uint64(9))
	f.Add(uint64(1), uint64(math.MaxUint64), uint64(9), uint64(3), uint64(4), uint64(1), uint64(1), uint64(1))
	f.Add(uint64(1<<32), uint64(31), uint64(0), uint64(1<<32), uint64(1<<20), uint64(5), uint64(7), uint64(100))
	f.Add(uint64(2), uint64(3), uint64(1<<40), uint64(1<<39), uint64(0), uint64(1<<40), uint64(0), uint64(1<<40))
	f.Fuzz(func(t *testing.T, a, b, c, closed, closedLater, silent, spared, late uint64) {
		counts := counts([]uint64{a, b, c}, map[int]uint64{1: spared, 3: silent})
		counts.Answered[Closed][0], counts.Answered[Closed][1] = closed, closedLater
		counts.Silent[0], counts.Left[0] = late, Left{Silent: late / 2, Late: [2]uint64{late / 4, late / 4}}
		check := func(what string, i Interval, limit float64) {
			if !(0 <= i.Low && i.Low <= i.Value && i.Value <= i.High && i.High <= limit) {
				t.Errorf("%s of %v: %+v", what, *counts, i)
			}
		}
		r := Of(counts)
		check("loss", r.Loss, 1)
		check("missed", r.Missed, 1.001*(float64(silent)+float64(spared)+float64(late)))
		check("sample", Sample(a, b, float64(c)/math.MaxUint64), 1)
		if k := Attempts(LossUpTo(counts), 0.999, 10); k < 1 || k > 10 {
			t.Errorf("attempts for %+v: %d", r, k)
		}
	})
}
