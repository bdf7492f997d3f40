package coverage

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// drawn is a set as a test sees it: which of a few positions are in it.
type drawn [64]bool

func (d *drawn) set(rng *rapid.T, label string) *Set {
	var all []Range
	for i := range d {
		d[i] = rapid.Bool().Draw(rng, label)
		if d[i] {
			all = append(all, Range{Begin: uint64(i), End: uint64(i + 1)})
		}
	}
	return Of(rapid.Permutation(all).Draw(rng, "order")...)
}

// Sets are what sets of single positions are, and their ranges are as few as can be.
func TestSets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a, b drawn
		x, y := a.set(t, "a"), b.set(t, "b")
		union, less := Of(slices.AppendSeq(slices.Collect(x.Ranges()), y.Ranges())...), x.Minus(y)
		n := uint64(0)
		for i := range a {
			p := uint64(i)
			if x.Contains(p) != a[i] || union.Contains(p) != (a[i] || b[i]) || less.Contains(p) != (a[i] && !b[i]) {
				t.Fatalf("position %d: %v, %v, %v of %v and %v", i, x.Contains(p), union.Contains(p), less.Contains(p), x, y)
			}
			if a[i] {
				n++
			}
		}
		if x.Len() != n || x.Contains(64) || !x.Equal(Of(slices.Collect(x.Ranges())...)) {
			t.Fatalf("%v", x)
		}
		for _, s := range []*Set{x, union, less} {
			last := Range{}
			for r := range s.Ranges() {
				if r.Len() == 0 || last.Len() > 0 && r.Begin <= last.End {
					t.Fatalf("%v behind %v", r, last)
				}
				last = r
			}
			var together []Range
			for _, piece := range s.Pieces(rapid.IntRange(1, 5).Draw(t, "ranges of a piece")) {
				back, err := Decode(piece.AppendBinary(nil))
				if err != nil || !back.Equal(piece) || back.NumRanges() > 5 {
					t.Fatalf("%v: %v, want %v", err, back, piece)
				}
				together = slices.AppendSeq(together, back.Ranges())
			}
			if !Of(together...).Equal(s) {
				t.Fatalf("%v, want %v", together, s)
			}
		}
	})
}

// Whatever is decoded is a set, or an error.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4})
	f.Add([]byte{0, 1, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := Decode(b); err == nil && !s.Equal(Of(s.ranges...)) {
			t.Errorf("%v", s.ranges)
		}
	})
}
