package window

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"synoptic/results"
)

// newSmallMap returns a map over words×16 slots.
func newSmallMap(t interface{ Fatal(...any) }, begin, positions uint64, words int) *Map {
	memory := make([]uint64, words)
	for i := range memory {
		memory[i] = ^uint64(0) // NewOn has to clear it
	}
	m, err := NewOn(begin, positions, memory)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestFor(t *testing.T) {
	for _, c := range []struct {
		positions uint64
		maxBytes  int64
		window    uint64 // 0: an error
	}{
		{0, 32, 64}, {1, 1 << 20, 64}, {64, 32, 64}, {65, 64, 128}, {65, 1 << 30, 128},
		{1 << 21, 1 << 20, 1 << 21}, {1<<21 + 1, 1 << 20, 1 << 21}, {1 << 48, 1 << 20, 1 << 21},
		{1 << 48, 1<<21 - 1, 1 << 21}, {1 << 48, 1 << 28, 1 << 29}, {1 << 29, 1 << 28, 1 << 29}, {1 << 48, 256e6, 1 << 28},
		{1 << 20, 1 << 19, 1 << 20}, // less than the minimum, but it covers the scan
		{1<<20 + 1, 1 << 19, 0}, {1 << 48, 1<<20 - 1, 0}, {65, 63, 0}, {1, 31, 0}, {1, 0, 0}, {1, -1, 0}, {1 << 40, -1 << 62, 0},
	} {
		window, err := For(c.positions, c.maxBytes)
		if window != c.window || (err == nil) != (c.window != 0) {
			t.Errorf("%d positions in %d bytes: %d, %v; want %d", c.positions, c.maxBytes, window, err, c.window)
		}
	}
	_, err := New(0, 5e6, 123456)
	var size *SizeError
	if !errors.As(err, &size) || size.Positions != 5e6 || size.MaxBytes != 123456 || size.Hint() == "" ||
		!strings.Contains(err.Error(), "123456") || !strings.Contains(err.Error(), "1048576") {
		t.Errorf("%v", err)
	}
}

func TestNewOnErrors(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 5, 12, 63} {
		if _, err := NewOn(0, 10, make([]uint64, n)); err == nil {
			t.Errorf("%d words: no error", n)
		}
	}
	if _, err := NewOn(1<<63, 1<<63, make([]uint64, 4)); err == nil {
		t.Error("positions beyond 64 bits: no error")
	}
}

// referenceMap is the same by a Go map: what is sent and in the window, and
// what is known of it.
type referenceMap struct {
	low, high uint64
	states    map[uint64]results.State
}

// The map against the reference: marks anywhere, batches of any length,
// several laps, ranges that begin anywhere.
func TestMapAgainstReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := 1 << rapid.IntRange(2, 5).Draw(t, "log words")
		window := uint64(words) * 16
		begin := rapid.Uint64Range(0, 1<<48).Draw(t, "begin")
		positions := rapid.Uint64Range(1, 5*window).Draw(t, "positions")
		m := newSmallMap(t, begin, positions, words)
		if m.Window() != window || m.Covers() != (positions <= window) {
			t.Fatalf("window %d, covers %v", m.Window(), m.Covers())
		}
		reach := m.Reach()
		if m.Covers() && reach != window || !m.Covers() && (reach >= window || reach < window*3/4) {
			t.Fatalf("reach %d of %d", reach, window)
		}
		ref := referenceMap{begin, begin, map[uint64]results.State{}}
		var unknown []uint64
		m.OnUnknown(func(p uint64) { unknown = append(unknown, p) })

		check := func(position uint64) {
			inside := ref.low <= position && position < ref.high
			if s, ok := m.Get(position); ok != inside || s != ref.states[position] && inside {
				t.Fatalf("position %d: %v, %v; want %v, %v", position, s, ok, ref.states[position], inside)
			}
		}
		mark := func(position uint64, s results.State) {
			inside := ref.low <= position && position < ref.high
			old, ok := m.Mark(position, s)
			if ok != inside || inside && old != ref.states[position] || !inside && old != 0 {
				t.Fatalf("mark %d with %v: %v, %v; want %v, %v", position, s, old, ok, ref.states[position], inside)
			}
			if inside {
				ref.states[position] |= s
			}
		}
		for ref.high < begin+positions {
			to := ref.high + min(rapid.Uint64Range(1, reach).Draw(t, "step"), begin+positions-ref.high)
			low := ref.low
			if to-begin > reach {
				low = max(low, to-reach)
			}
			var want, got []uint64
			for p := ref.low; p < low; p++ {
				if ref.states[p] == 0 {
					want = append(want, p)
				}
			}
			silent := func(p uint64) { got = append(got, p) }
			if rapid.Bool().Draw(t, "nobody wants the silent") {
				silent, got = nil, want
			}
			if left := m.Advance(to, silent); left != uint64(len(want)) || !slices.Equal(got, want) {
				t.Fatalf("advance to %d: %d left, %v; want %v", to, left, got, want)
			}
			ref.low, ref.high = low, to
			if m.Advance(to, nil) != 0 || m.Advance(begin, nil) != 0 {
				t.Fatal("an advance backwards does something")
			}

			for range rapid.IntRange(0, 40).Draw(t, "marks") {
				p := ref.low + rapid.Uint64Range(0, ref.high-ref.low-1).Draw(t, "position")
				mark(p, 1<<rapid.IntRange(0, 3).Draw(t, "bit"))
			}
			for _, edge := range []uint64{ref.low, ref.high} {
				for p := max(edge, 3) - 3; p < edge+3; p++ {
					check(p)
				}
			}
			mark(ref.low, results.Closed)
			mark(ref.high-1, results.Filtered)
			mark(ref.high, results.Open)
			mark(ref.high+window-1, results.Open)
			if ref.low > 0 {
				mark(ref.low-1, results.Open)
			}
		}
		var want, got []uint64
		for p := ref.low; p < ref.high; p++ {
			check(p)
			if ref.states[p] == 0 {
				want = append(want, p)
			}
		}
		m.Silent(0, math.MaxUint64, func(p uint64) bool { got = append(got, p); return true })
		if !slices.Equal(got, want) {
			t.Fatalf("silent at the end: %v, want %v", got, want)
		}
		m.Unknown(0, math.MaxUint64, func(p uint64) { unknown = append(unknown, p) })
		want = want[:0]
		for p := begin; p < ref.high; p++ {
			if ref.states[p] == results.Unknown {
				want = append(want, p)
			}
		}
		if !slices.Equal(unknown, want) {
			t.Fatalf("unknown %v, want %v", unknown, want)
		}
		want = got
		from := rapid.Uint64Range(0, ref.high).Draw(t, "count from")
		log2 := rapid.Uint8Range(0, 6).Draw(t, "multiples of 2 to")
		var multiples uint64
		for _, p := range want {
			if p >= from && p&(1<<log2-1) == 0 {
				multiples++
			}
		}
		if n := m.CountSilent(from, math.MaxUint64, log2); n != multiples {
			t.Fatalf("%d silent multiples of 2^%d from %d, want %d", n, log2, from, multiples)
		}
		if len(want) > 1 {
			n := 0
			m.Silent(0, math.MaxUint64, func(uint64) bool { n++; return n < 2 })
			if n != 2 {
				t.Fatalf("Silent did not stop, %d calls", n)
			}
		}
		if m.Overruns() != 0 {
			t.Fatal("overruns without a second goroutine")
		}
	})
}

// A scan that fits exactly keeps every position to the end, wherever its range
// begins in a word.
func TestWindowCoversExactly(t *testing.T) {
	for _, begin := range []uint64{0, 5, 15, 16, 1<<40 + 63} {
		m := newSmallMap(t, begin, 64, 4)
		if !m.Covers() || m.Reach() != 64 {
			t.Fatalf("covers %v, reach %d", m.Covers(), m.Reach())
		}
		for p := begin; p < begin+64; p++ {
			if left := m.Advance(p+1, func(p uint64) { t.Errorf("position %d left", p) }); left != 0 {
				t.Errorf("%d left", left)
			}
			if p%3 == 0 {
				m.Mark(p, results.Open)
			}
		}
		for p := begin; p < begin+64; p++ {
			want := results.State(0)
			if p%3 == 0 {
				want = results.Open
			}
			if s, ok := m.Get(p); s != want || !ok {
				t.Errorf("begin %d: position %d is %v, %v", begin, p, s, ok)
			}
		}
	}
	if newSmallMap(t, 0, 65, 4).Covers() {
		t.Error("65 positions in 64 slots")
	}
}

// What was not sent has no answer, but is not silent either.
func TestUnsentIsNotSilent(t *testing.T) {
	m := newSmallMap(t, 0, 100, 4)
	m.Advance(40, nil)
	m.Mark(3, results.Unknown)
	m.Silent(0, math.MaxUint64, func(p uint64) bool {
		if p == 3 {
			t.Error("unsent position among the silent")
		}
		return true
	})
	if old, ok := m.Mark(3, results.Open); old != results.Unknown || !ok || old.Best() != 0 {
		t.Error(old, ok)
	}
	m.Mark(4, results.Unknown)
	left := m.Advance(48+8, func(p uint64) {
		if p == 3 || p == 4 {
			t.Errorf("position %d left as silent", p)
		}
	})
	if left != 6 {
		t.Errorf("%d left silent of 8, two were marked", left)
	}
}

func TestAdvancePanics(t *testing.T) {
	for name, advance := range map[string]func(){
		"beyond the scan":        func() { newSmallMap(t, 10, 20, 4).Advance(31, nil) },
		"more than the window":   func() { newSmallMap(t, 10, 2000, 4).Advance(10+49, nil) },
		"covered, beyond by one": func() { newSmallMap(t, 0, 64, 4).Advance(65, nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			advance()
		}()
	}
	newSmallMap(t, 10, 2000, 4).Advance(10+48, nil) // the longest step
}

func TestMapAllocatesNothing(t *testing.T) {
	m := newSmallMap(t, 0, 1<<40, 1<<10)
	silent := func(uint64) {}
	to := uint64(0)
	if n := testing.AllocsPerRun(1000, func() {
		to += 64
		m.Advance(to, silent)
		m.Mark(to-1, results.Open)
		m.Get(to - 2)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Two cores take turns with the words in "shared", the worst case; replies of one
// lane are "own".
func BenchmarkMap(b *testing.B) {
	const positions = 1 << 24
	newMap := func() *Map {
		m, err := New(0, positions, 1<<28)
		if err != nil {
			b.Fatal(err)
		}
		m.Advance(positions, nil)
		return m
	}
	b.Run("Mark/own", func(b *testing.B) {
		m := newMap()
		b.ReportAllocs()
		for i := range b.N {
			m.Mark(uint64(i)%positions, results.Open)
		}
	})
	b.Run("Mark/scattered", func(b *testing.B) {
		m := newMap()
		for i := range b.N {
			m.Mark(uint64(i)*0x9e3779b97f4a7c15>>40, results.Open)
		}
	})
	b.Run("Mark/shared", func(b *testing.B) {
		m := newMap()
		b.RunParallel(func(pb *testing.PB) {
			for p := uint64(0); pb.Next(); p++ {
				m.Mark(p%positions, results.Open)
			}
		})
	})
	b.Run("Get", func(b *testing.B) {
		m := newMap()
		for i := range b.N {
			m.Get(uint64(i) % positions)
		}
	})
	for name, silent := range map[string]func(uint64){"Advance": nil, "Advance/silent": func(uint64) {}} {
		b.Run(name, func(b *testing.B) { // per position, in batches of 64
			m, err := New(0, 1<<60, 1<<20)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for i := 0; i < b.N; i += 64 {
				m.Advance(uint64(i)+64, silent)
			}
		})
	}
}
