package monitor

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Percentiles are those of the sorted ages, or less than a 32nd more; the highest age and what is overdue are exact.
func TestAges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a ages
		var all []int64
		target := time.Duration(rapid.Int64Range(0, 200_000).Draw(t, "target")) * time.Second
		var overdue uint64
		for range rapid.IntRange(1, 50).Draw(t, "ages") {
			age, n := rapid.Int64Range(-5, 1<<rapid.IntRange(1, 30).Draw(t, "bits")).Draw(t, "age"), rapid.Uint64Range(1, 4).Draw(t, "n")
			a.add(age*second, n, target)
			for range n {
				all = append(all, max(age, 0))
			}
			if target > 0 && age > int64(target/time.Second) {
				overdue += n
			}
		}
		slices.Sort(all)
		if a.max != all[len(all)-1] || a.overdue != overdue || a.n != uint64(len(all)) {
			t.Fatalf("%d, %d overdue of %d; want %d, %d of %d", a.max, a.overdue, a.n, all[len(all)-1], overdue, len(all))
		}
		for _, share := range []float64{0.5, 0.99} {
			want := all[int(math.Ceil(share*float64(len(all))))-1]
			if got := a.percentile(share); got < want || float64(got) > float64(want)*(1+1.0/32) {
				t.Fatalf("percentile %v is %d, want %d", share, got, want)
			}
		}
	})
}
