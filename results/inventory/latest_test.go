package inventory

import (
	"testing"

	"pgregory.net/rapid"

	"synoptic/results/coverage"
)

// Of sweeps that cover some of a few positions each, the newest holds at each position, and ranges are ascending and do not overlap.
func TestNewestSweep(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 24
		want, covered := [size]int{}, uint64(0)
		for i := range want {
			want[i] = -1
		}
		var o latestOrder
		for sweep := 9; sweep >= 0; sweep-- {
			var all []coverage.Range
			for range rapid.IntRange(0, 3).Draw(t, "ranges") {
				begin := rapid.Uint64Range(0, size-1).Draw(t, "begin")
				end := rapid.Uint64Range(begin, size).Draw(t, "end")
				all = append(all, coverage.Range{Begin: begin, End: end})
				for i := begin; i < end; i++ {
					if want[i] < 0 {
						want[i], covered = sweep, covered+1
					}
				}
			}
			o.take(coverage.Of(all...), sweep)
		}
		for i, sweep := range want {
			if got := o.newest(uint64(i)); got != sweep {
				t.Fatalf("position %d was covered last by sweep %d, and not %d: %v", i, sweep, got, o.ranges)
			}
		}
		end := uint64(0)
		for _, r := range o.ranges {
			if r.Begin < end || r.Len() == 0 {
				t.Fatalf("%v", o.ranges)
			}
			end = r.End
		}
		if o.n != covered {
			t.Fatalf("%d positions, and not %d", o.n, covered)
		}
	})
}
