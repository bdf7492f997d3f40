package permute

import (
	"flag"
	"fmt"
	"slices"
	"testing"

	"synoptic/bench/lab/need"
)

var roundsTable = flag.Bool("rounds-table", false, "measure the failures at every number of rounds")

// bijection is what the tests of uniformity look at.
type bijection interface {
	Len() uint64
	Index(position uint64) uint64
	Position(index uint64) uint64
}

// sample is how many values a test of a large permutation takes.
const sample = 1 << 18

// cell scales x of [0, n) to one of m equal cells, n·m < 2^64.
func cell(x, n, m uint64) uint64 { return x * m / n }

// uniformityTests each give one statistic for one permutation. They look at what
// a network would notice, and at what a Feistel network with too few rounds shows.
var uniformityTests = []struct {
	name string
	run  func(p, other bijection) chiSquared
}{
	// The whole scan, or its first part: time slices × prefixes of the space.
	{"slices×prefixes", func(p, _ bijection) chiSquared {
		return slicesByCells(p.Len(), p.Index, 16, 64)
	}},
	// A /10 of IPv4 is 1/1024 of it.
	{"slices×/10", func(p, _ bijection) chiSquared {
		return slicesByCells(p.Len(), p.Index, 4, min(1024, p.Len()/64))
	}},
	// When the neighbours in a prefix get their turn.
	{"prefixes×slices", func(p, _ bijection) chiSquared {
		return slicesByCells(p.Len(), p.Position, 16, 64)
	}},
	// The low digits: with many ports, which port it is.
	{"remainders", func(p, _ bijection) chiSquared {
		n := p.Len()
		counts := make([]uint32, 16*61)
		for s := range uint64(16) {
			for i := range min(sample, n) / 16 {
				counts[s*61+p.Index(s*(n/16)+i)%61]++
			}
		}
		return independent(counts, 61)
	}},
	{"step 1", func(p, _ bijection) chiSquared { return differences(p.Len(), p.Index, 1) }},
	{"step 1 back", func(p, _ bijection) chiSquared { return differences(p.Len(), p.Position, 1) }},
	// One column of the Feistel square: only the high half differs.
	{"step a", func(p, _ bijection) chiSquared { return differences(p.Len(), p.Index, 1<<lowBits(p.Len())) }},
	{"step a back", func(p, _ bijection) chiSquared { return differences(p.Len(), p.Position, 1<<lowBits(p.Len())) }},
	{"step a+1", func(p, _ bijection) chiSquared { return differences(p.Len(), p.Index, 1<<lowBits(p.Len())+1) }},
	{"successive prefixes", func(p, _ bijection) chiSquared {
		n := p.Len()
		counts := make([]uint32, 32*32)
		for i := uint64(0); i+1 < min(2*sample, n); i += 2 {
			counts[cell(p.Index(i), n, 32)*32+cell(p.Index(i+1), n, 32)]++
		}
		return independent(counts, 32)
	}},
	{"two seeds, prefixes", func(p, other bijection) chiSquared {
		n := p.Len()
		counts := make([]uint32, 32*32)
		for i := range min(sample, n) {
			counts[cell(p.Index(i), n, 32)*32+cell(other.Index(i), n, 32)]++
		}
		return independent(counts, 32)
	}},
	{"two seeds, distance", func(p, other bijection) chiSquared {
		n := p.Len()
		counts := make([]uint32, 256)
		for i := range min(sample, n) {
			d := p.Index(i) + n - other.Index(i)
			counts[cell(d%n, n, 256)]++
		}
		return uniformCells(counts)
	}},
}

// slicesByCells counts where f takes slices of consecutive values. Over a whole
// permutation both margins are fixed; a slice of a large one is a sample.
func slicesByCells(n uint64, f func(uint64) uint64, slices, cells uint64) chiSquared {
	counts := make([]uint32, slices*cells)
	if n <= 4*sample {
		for x := range n {
			counts[cell(x, n, slices)*cells+cell(f(x), n, cells)]++
		}
		return independent(counts, int(cells))
	}
	var sum chiSquared
	length := sample / slices
	for s := range slices {
		row := counts[s*cells : (s+1)*cells]
		for i := range length {
			row[cell(f(s*(n/slices)+i), n, cells)]++
		}
		sum = sum.add(uniformCells(row))
	}
	sum.x *= float64(n-1) / float64(n-length) // drawn without replacement
	return sum
}

// differences counts how far apart two values come out that are step apart: in
// 256 cells, from disjoint pairs so that these are independent.
func differences(n uint64, f func(uint64) uint64, step uint64) chiSquared {
	counts := make([]uint32, 256)
	for begin := uint64(0); begin+2*step <= min(n, 2*sample); begin += 2 * step {
		for i := range step {
			counts[cell((f(begin+i+step)+n-f(begin+i))%n, n, 256)]++
		}
	}
	if step > sample { // a column is longer than the sample
		for i := range uint64(sample) {
			counts[cell((f(i+step)+n-f(i))%n, n, 256)]++
		}
	}
	return uniformCells(counts)
}

var uniformityLens = []uint64{
	1 << 16, 65536*3 + 1, 1 << 18, // whole
	1_000_003, 1 << 24, 1<<32 - 600_000_000, 1 << 32, 1000 * 65535, 5<<40 + 77, MaxLen, // sampled
}

// failures runs every test at every length for one seed and names what failed.
func failures(seed uint64, build func(n, seed uint64) bijection) (failed []string, total int) {
	for _, n := range uniformityLens {
		p, other := build(n, seed), build(n, seed+1)
		for _, test := range uniformityTests {
			total++
			if c := test.run(p, other); c.suspicious() {
				failed = append(failed, fmt.Sprintf("n=%d %s: χ² %.0f of %.0f degrees", n, test.name, c.x, c.df))
			}
		}
	}
	return failed, total
}

func TestUniform(t *testing.T) {
	need.Long(t)
	seeds := []uint64{0xfeedfacecafebeef, 0}
	for _, seed := range seeds[:need.Sample(t, 1, 1, 2)] {
		failed, _ := failures(seed, func(n, seed uint64) bijection {
			p, err := New(n, seed)
			if err != nil {
				t.Fatal(err)
			}
			return p
		})
		for _, f := range failed {
			t.Errorf("seed %#x: %s", seed, f)
		}
	}
}

// The tests must be able to see a bad permutation: one or two rounds fail most
// of them, and the identity nearly all.
func TestTooFewRoundsAreSeen(t *testing.T) {
	lens := uniformityLens
	defer func() { uniformityLens = lens }()
	uniformityLens = slices.DeleteFunc(slices.Clone(lens), func(n uint64) bool { return n != 1<<16 && n != 1<<32 })
	for rounds := range 3 {
		failed, total := failures(1, func(n, seed uint64) bijection { return newReference(n, seed, rounds) })
		t.Logf("%d rounds: %d of %d fail", rounds, len(failed), total)
		if 2*len(failed) < total {
			t.Errorf("%d rounds: only %d of %d tests fail", rounds, len(failed), total)
		}
	}
}

// The table in the comment of Rounds: go test -run RoundsTable -rounds-table -v
func TestRoundsTable(t *testing.T) {
	if !*roundsTable {
		t.Skip("without -rounds-table")
	}
	for rounds := 1; rounds <= Rounds; rounds++ {
		failing, all := 0, 0
		for seed := range uint64(8) {
			failed, total := failures(1000*seed, func(n, seed uint64) bijection { return newReference(n, seed, rounds) })
			failing, all = failing+len(failed), all+total
		}
		t.Logf("%d rounds: %d of %d fail", rounds, failing, all)
	}
}
