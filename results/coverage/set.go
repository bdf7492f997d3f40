package coverage

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sort"
)

// Range is the half-open range of positions [Begin, End).
type Range struct{ Begin, End uint64 }

// Len is the number of positions, 0 for a reversed range.
func (r Range) Len() uint64 { return r.End - min(r.Begin, r.End) }

// MaxLen is how many positions a space has at most: 2^48, as scan/permute's.
const MaxLen = 1 << 48

// Set is a set of positions: half-open ranges that are ascending, and neither empty nor overlap nor touch. The zero value is
// empty. A Set that is read only may be used by several goroutines.
type Set struct{ ranges []Range }

// Of returns the set of some ranges, in any order.
func Of(ranges ...Range) *Set {
	s := &Set{ranges: slices.DeleteFunc(slices.Clone(ranges), func(r Range) bool { return r.Len() == 0 })}
	slices.SortFunc(s.ranges, func(a, b Range) int { return cmp.Compare(a.Begin, b.Begin) })
	s.ranges = merged(s.ranges)
	return s
}

// merged joins ranges that overlap or touch, in place; they are ascending.
func merged(all []Range) []Range {
	n := 0
	for _, r := range all {
		if n > 0 && r.Begin <= all[n-1].End {
			all[n-1].End = max(all[n-1].End, r.End)
			continue
		}
		all[n] = r
		n++
	}
	return all[:n]
}

// Len is the number of positions.
func (s *Set) Len() (n uint64) {
	for _, r := range s.ranges {
		n += r.Len()
	}
	return n
}

// NumRanges is the number of ranges.
func (s *Set) NumRanges() int { return len(s.ranges) }

// Ranges yields the ranges, ascending.
func (s *Set) Ranges() iter.Seq[Range] { return slices.Values(s.ranges) }

// Contains tells whether a position is in the set.
func (s *Set) Contains(position uint64) bool {
	i := sort.Search(len(s.ranges), func(i int) bool { return s.ranges[i].End > position })
	return i < len(s.ranges) && s.ranges[i].Begin <= position
}

// Minus returns what is in s and not in o.
func (s *Set) Minus(o *Set) *Set {
	left, k := &Set{}, 0
	for _, r := range s.ranges {
		for k < len(o.ranges) && o.ranges[k].End <= r.Begin {
			k++
		}
		for i := k; i < len(o.ranges) && o.ranges[i].Begin < r.End; i++ {
			if hole := o.ranges[i]; hole.Begin > r.Begin {
				left.ranges = append(left.ranges, Range{Begin: r.Begin, End: hole.Begin})
				r.Begin = hole.End
			} else {
				r.Begin = max(r.Begin, hole.End)
			}
		}
		if r.Len() > 0 {
			left.ranges = append(left.ranges, r)
		}
	}
	return left
}

// Equal tells whether two sets hold the same.
func (s *Set) Equal(o *Set) bool { return slices.Equal(s.ranges, o.ranges) }

// Pieces yields sets of at most n ranges each, which together are s.
func (s *Set) Pieces(n int) iter.Seq2[int, *Set] {
	return func(yield func(int, *Set) bool) {
		i := 0
		for piece := range slices.Chunk(s.ranges, n) {
			if !yield(i, &Set{piece}) {
				return
			}
			i++
		}
	}
}

// AppendBinary appends the set, encoded: of each range, how far it begins behind the end of the one before and how long it is, both as unsigned
// varints of encoding/binary.
func (s *Set) AppendBinary(b []byte) []byte {
	end := uint64(0)
	for _, r := range s.ranges {
		b = binary.AppendUvarint(b, r.Begin-end)
		b = binary.AppendUvarint(b, r.Len())
		end = r.End
	}
	return b
}

// errForm is what is not an encoded set.
var errForm = errors.New("not a set of positions")

// Decode reads what AppendBinary has written.
func Decode(b []byte) (*Set, error) {
	s, end := &Set{}, uint64(0)
	for len(b) > 0 {
		var next [2]uint64
		for i := range next {
			x, n := binary.Uvarint(b)
			if n <= 0 || x > MaxLen {
				return nil, errForm
			}
			next[i], b = x, b[n:]
		}
		r := Range{Begin: end + next[0], End: end + next[0] + next[1]}
		if next[1] == 0 || len(s.ranges) > 0 && next[0] == 0 || r.End > MaxLen {
			return nil, fmt.Errorf("%w: %v behind %d", errForm, r, end)
		}
		s.ranges, end = append(s.ranges, r), r.End
	}
	return s, nil
}

// Add adds a position that lies behind all of the set.
func (s *Set) Add(position uint64) {
	if n := len(s.ranges); n > 0 && s.ranges[n-1].End == position {
		s.ranges[n-1].End++
		return
	}
	s.ranges = append(s.ranges, Range{Begin: position, End: position + 1})
}
