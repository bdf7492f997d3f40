package watch

import (
	"cmp"
	"slices"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"synoptic/results/coverage"
)

// mostRanges of a coverage are written: where there are more, the shortest are left out, and nobody knows later that they were asked.
const mostRanges = 1 << 12

// covered are positions as ranges, the longest mostRanges of them, and those of always.
func covered(asked *roaring64.Bitmap, always []uint64) *coverage.Set {
	var all []coverage.Range
	var some [256]uint64
	for it := asked.ManyIterator(); ; {
		n := it.NextMany(some[:])
		if n == 0 {
			break
		}
		for _, p := range some[:n] {
			if last := len(all) - 1; last >= 0 && all[last].End == p {
				all[last].End++
			} else {
				all = append(all, coverage.Range{Begin: p, End: p + 1})
			}
		}
	}
	if len(all) > mostRanges {
		slices.SortFunc(all, func(x, y coverage.Range) int {
			return cmp.Or(cmp.Compare(y.Len(), x.Len()), cmp.Compare(x.Begin, y.Begin))
		})
		all = all[:mostRanges]
	}
	for _, p := range always {
		all = append(all, coverage.Range{Begin: p, End: p + 1})
	}
	return coverage.Of(all...)
}
