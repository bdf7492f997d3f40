package target

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func (a addr6) big() *big.Int {
	n := new(big.Int).SetUint64(a.hi)
	return n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(a.lo))
}

func TestAddr6AgainstBig(t *testing.T) {
	size := new(big.Int).Lsh(big.NewInt(1), 128)
	low64 := new(big.Int).SetUint64(^uint64(0))
	draw := rapid.Custom(func(t *rapid.T) addr6 {
		word := rapid.OneOf(rapid.Uint64(), rapid.SampledFrom([]uint64{0, 1, 1 << 63, ^uint64(0)}))
		return addr6{word.Draw(t, "hi"), word.Draw(t, "lo")}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw.Draw(t, "a"), draw.Draw(t, "b")
		same := func(what string, got addr6, want *big.Int) {
			if want.Mod(want, size); got.big().Cmp(want) != 0 {
				t.Fatalf("%s: %x, want %x", what, got.big(), want)
			}
		}
		same("a-b", a.sub(b), new(big.Int).Sub(a.big(), b.big()))
		same("a+b.lo", a.add(b.lo), new(big.Int).Add(a.big(), new(big.Int).SetUint64(b.lo)))
		same("next", a.next(), new(big.Int).Add(a.big(), big.NewInt(1)))
		same("prev", a.prev(), new(big.Int).Sub(a.big(), big.NewInt(1)))
		if want := a.big().Cmp(b.big()); a.cmp(b) != want || a.less(b) != (want < 0) {
			t.Fatalf("cmp %d, less %v, want %d", a.cmp(b), a.less(b), want)
		}
		for n := range uint(128) {
			want := new(big.Int).Rsh(a.big(), n)
			if got := a.shr(n); got != want.And(want, low64).Uint64() {
				t.Fatalf("%x >> %d: low half %x, want %x", a.big(), n, got, want)
			}
		}
	})
}

// The guide's shift crosses the middle of an IPv6 address as the set gets wider.
func TestSetEveryWidth(t *testing.T) {
	for width := uint(6); width < 126; width++ {
		top := new(big.Int).Lsh(big.NewInt(1), width)
		var r ranges
		for i := range int64(16) {
			n := new(big.Int).Mul(top, big.NewInt(i))
			n.Rsh(n, 4)
			a := addr6{new(big.Int).Rsh(n, 64).Uint64(), new(big.Int).And(n, new(big.Int).SetUint64(^uint64(0))).Uint64()}.add(1)
			r.v6 = push(r.v6, span[addr6]{a, a})
		}
		r.normalize()
		s, err := newSet(r)
		if err != nil {
			t.Fatal(err)
		}
		for i := range s.Len() {
			if back, ok := s.Index(s.At(i)); !ok || back != i || s.Contains(s.At(i).Prev()) || s.Contains(s.At(i).Next()) {
				t.Fatalf("width %d: Index(At(%d)) = Index(%v) = %d, %v", width, i, s.At(i), back, ok)
			}
		}
	}
}
