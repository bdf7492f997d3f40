package watch

import (
	"math/bits"
	"slices"

	"synoptic/results/coverage"
)

// asked are positions, as bits in pages of 2^16: 8 KB each, made where one of its positions is asked.
type asked map[uint64]*[1 << pageShift / 64]uint64

const pageShift = 16

func (a asked) add(position uint64) {
	page := a[position>>pageShift]
	if page == nil {
		page = new([1 << pageShift / 64]uint64)
		a[position>>pageShift] = page
	}
	page[position%(1<<pageShift)/64] |= 1 << (position % 64)
}

// Ranges of a coverage that are written: where there are more, the shortest are left out, and nobody knows later that they were asked.
const mostRanges = 1 << 12

// set are the positions as ranges, the longest mostRanges of them, and those of always.
func (a asked) set(always []uint64) *coverage.Set {
	numbers := make([]uint64, 0, len(a))
	for n := range a {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	var all []coverage.Range
	for _, n := range numbers {
		for i, word := range a[n] {
			base := n<<pageShift + uint64(i)*64
			for word != 0 {
				from := bits.TrailingZeros64(word)
				length := bits.TrailingZeros64(^(word >> from))
				all = join(all, coverage.Range{Begin: base + uint64(from), End: base + uint64(from+length)})
				if from+length >= 64 {
					break
				}
				word &^= 1<<(from+length) - 1
			}
		}
	}
	if len(all) > mostRanges {
		slices.SortFunc(all, func(x, y coverage.Range) int { return int(int64(y.Len()) - int64(x.Len())) })
		all = all[:mostRanges]
	}
	for _, p := range always {
		all = append(all, coverage.Range{Begin: p, End: p + 1})
	}
	return coverage.Of(all...)
}

// join appends a range, or makes the last one longer that it touches.
func join(all []coverage.Range, r coverage.Range) []coverage.Range {
	if last := len(all) - 1; last >= 0 && all[last].End == r.Begin {
		all[last].End = r.End
		return all
	}
	return append(all, r)
}
