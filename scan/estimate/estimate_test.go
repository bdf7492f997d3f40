package estimate

import (
	"math"
	"testing"
)

func TestLossEdges(t *testing.T) {
	for _, c := range []struct {
		name      string
		groups    []Group
		value     float64
		low, high float64
		ok        bool
	}{
		{"no groups", nil, 0, 0, 1, false},
		{"nothing answered", []Group{{2, []uint64{0, 0}}}, 0, 0, 1, false},
		{"one attempt only", []Group{{1, []uint64{5000}}}, 0, 0, 1, false},
		{"second attempt for none that answered", []Group{{1, []uint64{5000}}, {3, make([]uint64, 3)}}, 0, 0, 1, false},
		{"one answer", []Group{{2, []uint64{1, 0}}}, 0, 0, 1, true},
		{"nothing lost: rule of three", []Group{{2, []uint64{1000, 0}}}, 0, 0, math.Expm1(math.Log(20) / 1000), true},
		{"nothing lost, three attempts", []Group{{3, []uint64{100000, 0, 0}}}, 0, 0, 2.9956e-5, true},
		{"one attempt beside", []Group{{2, []uint64{1000, 0}}, {1, []uint64{9999}}}, 0, 0, math.Expm1(math.Log(20) / 1000), true},
		// The odds of Clopper–Pearson's interval for 2 of 22, by bisection of the binomial sums:
		{"two of 22", []Group{{2, []uint64{20, 2}}}, 0.1, 0.011332574158762026, 0.41165723702261586, true},
		{"as many on the second", []Group{{2, []uint64{500, 500}}}, 1, 0.8833, 1, true},
		{"all on the second", []Group{{2, []uint64{0, 8}}}, 1, 1, 1, true},
		{"all on the second of many", []Group{{2, []uint64{0, 8000}}}, 1, 1, 1, true},
	} {
		got, ok := Loss(c.groups)
		if ok != c.ok || math.Abs(got.Value-c.value) > 1e-9 || math.Abs(got.Low-c.low) > 1e-4*c.low+1e-12 || math.Abs(got.High-c.high) > 1e-4*c.high {
			t.Errorf("%s: %+v, %v; want %v %v–%v, %v", c.name, got, ok, c.value, c.low, c.high, c.ok)
		}
	}
}

// TestLossLargeCounts: few losses among up to some 2^59 answers, where a solver loses its digits first.
func TestLossLargeCounts(t *testing.T) {
	for n := uint64(1000); n < math.MaxUint64/20; n = n*17/13 + 1 {
		for _, lost := range []uint64{1, 2, 7, 30, 31, 1000} {
			for k := 2; k <= 10; k++ {
				g := Group{k, make([]uint64, k)}
				g.Answered[0], g.Answered[1] = n, lost
				l, _ := Loss([]Group{g, {1, []uint64{n}}})
				want := float64(lost) / float64(n)
				if want < 0.01 && (math.Abs(l.Value/want-1) > 0.03 || !(l.Low < l.Value && l.Value < l.High)) {
					t.Fatalf("%d lost of %d, %d attempts: %+v", lost, n, k, l)
				}
			}
		}
	}
}

func TestLossMergesGroups(t *testing.T) {
	one, _ := Loss([]Group{{3, []uint64{900, 80, 11}}})
	many, _ := Loss([]Group{{3, []uint64{400, 50, 1}}, {1, []uint64{7}}, {3, []uint64{500, 30, 10}}})
	if one != many {
		t.Errorf("split groups: %+v, whole: %+v", many, one)
	}
}

func TestMissedEdges(t *testing.T) {
	for _, c := range []struct {
		name   string
		groups []Group
		loss   Interval
		silent uint64
		want   Interval
	}{
		{"unknown loss", []Group{{1, []uint64{10}}}, Interval{0, 0, 1}, 300, Interval{0, 0, 300}},
		{"total loss", []Group{{2, []uint64{5, 9}}}, Interval{1, 1, 1}, 300, Interval{300, 300, 300}},
		{"nobody silent", []Group{{1, []uint64{1000}}}, Interval{0.1, 0.05, 0.2}, 0, Interval{0, 0, 0}},
		{"no loss", []Group{{2, []uint64{65536, 0}}}, Interval{0, 0, 4.6e-5}, 1000, Interval{0, 0, 0}},
		{"no groups", nil, Interval{0.1, 0.1, 0.1}, 50, Interval{0, 0, 0}},
		// Nothing answered a single probe with loss 0.5: q^(M+1) ≤ 2.5 % first at M = 5.
		{"nothing answered", []Group{{1, []uint64{0}}}, Interval{0.5, 0.5, 0.5}, 50, Interval{0, 0, 5}},
		// A loss known exactly leaves the negative binomial: 900 answered, q = 0.1.
		{"known loss", []Group{{1, []uint64{900}}}, Interval{0.1, 0.1, 0.1}, 5000, Interval{100, 79, 122}},
		{"sum of groups", []Group{{1, []uint64{900}}, {2, []uint64{900, 90}}}, Interval{0.1, 0.1, 0.1}, 5000, Interval{110, 89, 133}},
	} {
		got := Missed(c.groups, c.loss, c.silent)
		if math.Abs(got.Value-c.want.Value) > 1e-9 || math.Abs(got.Low-c.want.Low) > 1 || math.Abs(got.High-c.want.High) > 1 {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// FuzzEstimates: whatever is counted, the results are finite, in order and in their ranges.
func FuzzEstimates(f *testing.F) {
	f.Add(uint64(1000), uint64(20), uint64(1), uint64(0), uint64(70), 3, uint64(500))
	f.Add(uint64(0), uint64(0), uint64(0), uint64(1), uint64(0), 4, uint64(0))
	f.Add(uint64(math.MaxUint64), uint64(1), uint64(0), uint64(0), uint64(math.MaxUint64), 2, uint64(math.MaxUint64))
	f.Add(uint64(1), uint64(math.MaxUint64), uint64(9), uint64(9), uint64(3), 4, uint64(1))
	f.Add(uint64(31), uint64(30), uint64(0), uint64(0), uint64(3), 0, uint64(1))
	f.Add(uint64(math.MaxUint64), uint64(1), uint64(0), uint64(0), uint64(0), 2, uint64(5))
	f.Add(uint64(math.MaxUint64), uint64(0), uint64(1), uint64(math.MaxUint64), uint64(0), 3, uint64(5))
	f.Fuzz(func(t *testing.T, a, b, c, d, single uint64, attempts int, silent uint64) {
		groups := []Group{{attempts % 12, []uint64{a, b, c, d}}, {1, []uint64{single}}, {2, []uint64{c, d}}}
		loss, ok := Loss(groups)
		check := func(what string, i Interval, limit float64) {
			if !(0 <= i.Low && i.Low <= i.Value && i.Value <= i.High && i.High <= limit) {
				t.Errorf("%s of %v with %d silent: %+v", what, groups, silent, i)
			}
		}
		check("loss", loss, 1)
		if !ok && loss != unknown {
			t.Errorf("loss of %v: not ok, but %+v", groups, loss)
		}
		check("missed", Missed(groups, loss, silent), float64(silent))
		if retried := min(a, silent); b <= retried {
			check("sample", Sample(single, silent, retried, b, 0.999).Missed, 1)
		}
		if k := Attempts(loss, 0.999, 10); k < 1 || k > 10 {
			t.Errorf("attempts for %+v: %d", loss, k)
		}
	})
}

var benchGroups = []Group{
	{4, []uint64{41000, 4100, 400, 41}},
	{3, []uint64{9000, 880, 90}},
	{2, []uint64{5000, 490}},
	{1, []uint64{3000}},
}

func BenchmarkProgress(b *testing.B) {
	few := []Group{{4, []uint64{4100, 12, 1, 0}}, {3, []uint64{900, 3, 0}}, {2, []uint64{500, 2}}, {1, []uint64{300}}}
	for name, groups := range map[string][]Group{"many-lost": benchGroups, "few-lost": few} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				loss, _ := Loss(groups)
				Missed(groups, loss, 1<<20)
			}
		})
	}
}
