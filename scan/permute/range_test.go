package permute

import (
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// checkPartition asserts that the parts follow one another from begin to end and
// differ in length by one at most.
func checkPartition(t *rapid.T, parts []Range, whole Range) {
	next, shortest, longest := whole.Begin, whole.Len(), uint64(0)
	for _, p := range parts {
		if p.Begin != next || p.End < p.Begin {
			t.Fatalf("%v follows position %d", p, next)
		}
		next = p.End
		shortest, longest = min(shortest, p.Len()), max(longest, p.Len())
	}
	if next != whole.End || longest-shortest > 1 {
		t.Fatalf("parts of %v end at %d, lengths %d to %d", whole, next, shortest, longest)
	}
}

func TestSplitPartitions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		begin := rapid.Uint64Range(0, MaxLen).Draw(t, "begin")
		whole := Range{begin, rapid.Uint64Range(begin, MaxLen).Draw(t, "end")}
		n := rapid.IntRange(1, 300).Draw(t, "parts")
		parts := whole.Split(n)
		if len(parts) != n {
			t.Fatalf("%d parts, want %d", len(parts), n)
		}
		checkPartition(t, parts, whole)
	})
}

func TestShardsPartition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(0, MaxLen).Draw(t, "n")
		of := rapid.IntRange(1, 300).Draw(t, "of")
		var parts []Range
		for i := 1; i <= of; i++ {
			r, err := Shard(n, i, of)
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, r)
		}
		checkPartition(t, parts, Range{0, n})
	})
	for n := range uint64(40) { // every small case, and more shards than probes
		for of := 1; of <= 45; of++ {
			seen := make([]int, n)
			for i := 1; i <= of; i++ {
				r, _ := Shard(n, i, of)
				for p := r.Begin; p < r.End; p++ {
					seen[p]++
				}
			}
			for p, times := range seen {
				if times != 1 {
					t.Fatalf("n=%d of=%d: position %d in %d shards", n, of, p, times)
				}
			}
		}
	}
}

func TestShardErrors(t *testing.T) {
	for _, c := range [][2]int{{0, 4}, {5, 4}, {-1, 4}, {1, 0}, {1, -2}, {0, 0}} {
		if r, err := Shard(100, c[0], c[1]); err == nil {
			t.Errorf("shard %v of 100 is %v", c, r)
		}
	}
}

func TestParseShard(t *testing.T) {
	for _, c := range []struct {
		in    string
		i, of int // 0, 0: an error
	}{
		{"1/1", 1, 1}, {"2/8", 2, 8}, {"8/8", 8, 8}, {"2147483647/2147483647", 1<<31 - 1, 1<<31 - 1},
		{"0/8", 0, 0}, {"9/8", 0, 0}, {"1/0", 0, 0}, {"", 0, 0}, {"/", 0, 0}, {"3", 0, 0}, {"1/", 0, 0}, {"/2", 0, 0},
		{"-1/2", 0, 0}, {"+1/2", 0, 0}, {"1/2/3", 0, 0}, {" 1/2", 0, 0}, {"1/2147483648", 0, 0}, {"a/b", 0, 0}, {"1.0/2", 0, 0}, {"02/8", 0, 0}, {"2/08", 0, 0}, {"00/8", 0, 0},
	} {
		i, of, err := ParseShard(c.in)
		if i != c.i || of != c.of || (err == nil) != (c.of != 0) {
			t.Errorf("%q: %d/%d, %v", c.in, i, of, err)
		}
		var hint interface{ Hint() string }
		if err != nil && (!errors.As(err, &hint) || hint.Hint() == "") {
			t.Errorf("%q: error %q has no hint", c.in, err)
		}
	}
}

func TestRange(t *testing.T) {
	r := Range{5, 9}
	if r.Len() != 4 || r.Contains(4) || !r.Contains(5) || !r.Contains(8) || r.Contains(9) || r.String() != "[5, 9)" {
		t.Error(r, r.Len())
	}
	if (Range{9, 5}).Len() != 0 {
		t.Error("a reversed range has a length")
	}
	defer func() {
		if recover() == nil {
			t.Error("Split(0) did not panic")
		}
	}()
	r.Split(0)
}
