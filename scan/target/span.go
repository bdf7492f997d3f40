package target

import (
	"slices"
	"sort"
)

// span is a closed range of one family, first <= last.
type span[T number[T]] struct{ first, last T }

// touches reports whether x begins inside s or right behind it, so that both are one range.
func (s span[T]) touches(x span[T]) bool {
	if x.first.cmp(s.first) < 0 {
		return false
	}
	// Beyond s.last there is a higher address, so next does not wrap.
	return x.first.cmp(s.last) <= 0 || s.last.next() == x.first
}

// push appends x to s and joins it to the tail where it touches it: a sorted file of single addresses
// becomes the ranges it means while it is read.
func push[T number[T]](s []span[T], x span[T]) []span[T] {
	if n := len(s); n > 0 && s[n-1].touches(x) {
		if x.last.cmp(s[n-1].last) > 0 {
			s[n-1].last = x.last
		}
		return s
	}
	return append(s, x)
}

// settleFrom is from how many spans on put makes sure that none of them is there twice.
const settleFrom = 1 << 12

// put is push for a list that nobody has looked at yet. What a file says a million times takes the memory of once, at a
// third more work: a list that has outgrown its memory is merged first, and grows where that has made little room.
func put[T number[T]](s []span[T], x span[T]) []span[T] {
	if len(s) == cap(s) && len(s) >= settleFrom {
		s = merge(s)
		if n := cap(s) / 2; len(s) > n {
			s = slices.Grow(s, n)
		}
	}
	return push(s, x)
}

// merge sorts s in place and joins what overlaps or touches. Its result shares s's memory and has the
// normal form every function below expects: ascending, disjoint, never adjacent.
func merge[T number[T]](s []span[T]) []span[T] {
	slices.SortFunc(s, func(a, b span[T]) int { return a.first.cmp(b.first) })
	out := s[:0]
	for _, x := range s {
		out = push(out, x)
	}
	return out
}

// subtract returns the part of a that is not in b. It leaves both alone, and may return a itself.
func subtract[T number[T]](a, b []span[T]) []span[T] {
	if len(a) == 0 || len(b) == 0 {
		return a
	}
	out := make([]span[T], 0, len(a))
	k := 0 // first span of b that can still reach into a
	for _, x := range a {
		for k < len(b) && b[k].last.cmp(x.first) < 0 {
			k++
		}
		left := true
		for ; k < len(b) && b[k].first.cmp(x.last) <= 0; k++ {
			if b[k].first.cmp(x.first) > 0 {
				out = append(out, span[T]{x.first, b[k].first.prev()})
			}
			if b[k].last.cmp(x.last) >= 0 {
				left = false // b[k] may cover the next span of a too
				break
			}
			x.first = b[k].last.next()
		}
		if left {
			out = append(out, x)
		}
	}
	return out
}

// meet returns the lowest address that x shares with s.
func meet[T number[T]](s []span[T], x span[T]) (T, bool) {
	i := sort.Search(len(s), func(i int) bool { return s[i].last.cmp(x.first) >= 0 })
	if i == len(s) || s[i].first.cmp(x.last) > 0 {
		var none T
		return none, false
	}
	if s[i].first.cmp(x.first) > 0 {
		return s[i].first, true
	}
	return x.first, true
}
