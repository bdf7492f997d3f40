package permute

import (
	"hash/fnv"
	"testing"

	"pgregory.net/rapid"
)

func mustNew(t testing.TB, n, seed uint64) *Permutation {
	t.Helper()
	p, err := New(n, seed)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// checkBijective asserts that every index appears once and comes back.
func checkBijective(t *testing.T, n, seed uint64, seen []bool) {
	t.Helper()
	p := mustNew(t, n, seed)
	if p.Len() != n {
		t.Fatalf("n=%d: Len %d", n, p.Len())
	}
	seen = seen[:n]
	clear(seen)
	for x := range n {
		i := p.Index(x)
		if i >= n || seen[i] {
			t.Fatalf("n=%d seed=%d: position %d has index %d, outside or for the second time", n, seed, x, i)
		}
		seen[i] = true
		if back := p.Position(i); back != x {
			t.Fatalf("n=%d seed=%d: position %d → index %d → position %d", n, seed, x, i, back)
		}
	}
}

func TestBijectiveSmall(t *testing.T) {
	most := uint64(2000)
	if testing.Short() {
		most = 700
	}
	seen := make([]bool, most)
	for n := uint64(1); n <= most; n++ {
		for _, seed := range []uint64{0, 1, 0xdeadbeef, ^uint64(0)} {
			checkBijective(t, n, seed, seen)
		}
	}
}

// Around powers of two and squares the halves change size.
func TestBijectiveAtEdges(t *testing.T) {
	lens, edges := []uint64{}, []uint64{1 << 11, 1 << 12, 1 << 13, 1 << 16, 300 * 300}
	if !testing.Short() {
		lens, edges = []uint64{1e6, 1000 * 999, 1023 * 1023, 1024*1024 - 1024}, append(edges, 1<<17, 1<<18, 1<<20)
	}
	for _, edge := range edges {
		lens = append(lens, edge-1, edge, edge+1)
	}
	seen := make([]bool, 1<<20+1)
	for _, n := range lens {
		checkBijective(t, n, n, seen)
	}
}

func TestInverseLarge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Every magnitude, not only the largest.
		n := rapid.Uint64Range(1, 1<<rapid.IntRange(0, 48).Draw(t, "bits")).Draw(t, "n")
		seed := rapid.Uint64().Draw(t, "seed")
		p, err := New(n, seed)
		if err != nil {
			t.Fatal(err)
		}
		slow := newReference(n, seed, Rounds)
		for range 20 {
			x := rapid.Uint64Range(0, n-1).Draw(t, "x")
			i := p.Index(x)
			if i >= n || p.Position(i) != x || p.Index(p.Position(x)) != x {
				t.Fatalf("position %d → index %d → position %d", x, i, p.Position(i))
			}
			if slow.Index(x) != i || slow.Position(x) != p.Position(x) {
				t.Fatalf("x=%d: index %d position %d, reference %d and %d", x, i, p.Position(x), slow.Index(x), slow.Position(x))
			}
		}
	})
}

// The last positions and indices, where a half at its maximum would overflow.
func TestMaxLen(t *testing.T) {
	for _, n := range []uint64{MaxLen, MaxLen - 1, MaxLen/2 + 1, MaxLen / 2, MaxLen/4 + 1} {
		p, slow := mustNew(t, n, 99), newReference(n, 99, Rounds)
		if q := p.Params(); q.High > 1<<24 || q.LowBits > 24 || q.High<<q.LowBits < n {
			t.Errorf("n=%d: %+v", n, q)
		}
		for x := n - 1000; x < n; x++ {
			if p.Position(p.Index(x)) != x || p.Index(x) != slow.Index(x) {
				t.Fatalf("n=%d: position %d", n, x)
			}
		}
	}
}

// The documented form of Params is complete: π from it alone.
func TestParamsSuffice(t *testing.T) {
	for _, n := range []uint64{1, 2, 3, 77, 65536, 1 << 32, MaxLen} {
		p := mustNew(t, n, 5)
		q := p.Params()
		for x := range min(n, 500) {
			y := x
			for again := true; again; again = y >= q.Len {
				low, high := y&(1<<q.LowBits-1), y>>q.LowBits
				for r, key := range q.Keys {
					half := [2]uint64{low, high}[r%2]
					h := half*MulInput + key
					h ^= h >> 32
					h *= MulOutput
					if r%2 == 0 {
						high = (high + (h >> 24 * q.High >> 40)) % q.High
					} else {
						low = (low + h>>(64-q.LowBits)) % (1 << q.LowBits)
					}
				}
				y = high<<q.LowBits | low
			}
			if want := p.Index(x); y != want {
				t.Fatalf("n=%d: position %d gives %d, want %d", n, x, y, want)
			}
		}
	}
}

// A walk visits fewer values beyond n than there are: 2^LowBits bounds a loop.
func TestWalkIsBounded(t *testing.T) {
	for n := uint64(1); n <= 1<<16; n = n*5/4 + 1 {
		q := mustNew(t, n, 0).Params()
		if beyond := q.High<<q.LowBits - n; beyond >= 1<<q.LowBits {
			t.Errorf("n=%d: %d values beyond n", n, beyond)
		}
	}
}

// A seed means the same order wherever Version is the same: checkpoints and shards on
// other machines rest on it. These values are Version 1's; another order needs another
// number, and values of its own.
func TestGolden(t *testing.T) {
	if Version != 1 {
		t.Fatalf("version %d has no golden values", Version)
	}
	for _, c := range []struct {
		n, seed uint64
		first   [4]uint64
	}{
		{1, 0, [4]uint64{0, 0, 0, 0}},
		{2, 1, [4]uint64{1, 0, 0, 0}},
		{3, 2, [4]uint64{1, 2, 0, 0}},
		{1000, 0, [4]uint64{498, 501, 408, 429}},
		{65536, 1, [4]uint64{3163, 6112, 10952, 50507}},
		{1 << 32, 42, [4]uint64{3402007484, 3389822252, 2300896768, 4222436708}},
		{3_700_000_000, 0xfeedface, [4]uint64{449335569, 2034041072, 900434790, 556633706}},
		{65535 << 24, 7, [4]uint64{858835494013, 284109018595, 1039163409109, 179733214239}},
		{MaxLen, ^uint64(0), [4]uint64{51335446981497, 155792400795937, 234689730361106, 18996314645439}},
	} {
		p := mustNew(t, c.n, c.seed)
		for x := range min(c.n, 4) {
			if got := p.Index(x); got != c.first[x] {
				t.Errorf("n=%d seed=%d: index %d at position %d, want %d", c.n, c.seed, got, x, c.first[x])
			}
		}
	}
	const want = 0x69e08f16074210e1
	whole := fnv.New64a()
	p := mustNew(t, 65536*3, 42)
	for x := range p.Len() {
		i := p.Index(x)
		whole.Write([]byte{byte(i), byte(i >> 8), byte(i >> 16)})
	}
	if got := whole.Sum64(); got != want {
		t.Errorf("whole order hashes to %#x, want %#x", got, uint64(want))
	}
}

func TestNewErrors(t *testing.T) {
	for _, n := range []uint64{0, MaxLen + 1, ^uint64(0)} {
		if _, err := New(n, 1); err == nil {
			t.Errorf("length %d: no error", n)
		}
	}
}

// Beyond the length there is no answer: none may be made up.
func TestOutOfRangePanics(t *testing.T) {
	p := mustNew(t, 1000, 1)
	for _, f := range []func(uint64) uint64{p.Index, p.Position} {
		for _, x := range []uint64{1000, 1 << 40, ^uint64(0)} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%d did not panic", x)
					}
				}()
				f(x)
			}()
		}
	}
}

func TestNoAllocation(t *testing.T) {
	p := mustNew(t, 1<<32, 1)
	if n := testing.AllocsPerRun(100, func() { sink = p.Index(p.Position(12345)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

var sink uint64

// Sender lanes ask for one position after another, so the processor overlaps
// the calls; "chained" is the time of one alone.
func BenchmarkPermutation(b *testing.B) {
	p := mustNew(b, 1<<32-600_000_000, 7)
	for _, c := range []struct {
		name string
		f    func(uint64) uint64
	}{{"Index", p.Index}, {"Position", p.Position}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			var sum uint64
			for i := range b.N {
				sum += c.f(uint64(i) % (1 << 31))
			}
			sink = sum
		})
		b.Run(c.name+"/chained", func(b *testing.B) {
			x := uint64(1)
			for range b.N {
				x = c.f(x)
			}
			sink = x
		})
	}
}
