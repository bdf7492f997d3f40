package window

import (
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
	m.Mark(3, results.Unsent)
	m.Silent(0, math.MaxUint64, func(p uint64) bool {
		if p == 3 {
			t.Error("unsent position among the silent")
		}
		return true
	})
	if old, ok := m.Mark(3, results.Open); old != results.Unsent || !ok || old.Best() != 0 {
		t.Error(old, ok)
	}
	m.Mark(4, results.Unsent)
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

// A receiver is held up between the two halves of Mark while the sender goes on.
func TestReceiverHeldUp(t *testing.T) {
	const begin, position = 1000, 1010 // 64 slots: guard 16, reach 48
	sent := func(to uint64) (m *Map, passedOn bool) {
		m = newSmallMap(t, begin, 10_000, 4)
		for p := uint64(begin + 20); p <= to; p++ {
			m.Advance(p, func(p uint64) { passedOn = passedOn || p == position })
		}
		return m, passedOn
	}

	// Not at all, and by so little that the position is still in the window.
	for _, to := range []uint64{begin + 20, position + 48} {
		m, passedOn := sent(to)
		if old, ok := m.or(position, results.Open); passedOn || old != 0 || !ok {
			t.Errorf("sent to %d: passed on %v, mark %v, %v", to, passedOn, old, ok)
		}
	}
	// Past the seal: the sender has reported silence, so the reply must be late.
	// The mark leaves nothing behind for the slot's next position.
	for to := uint64(position + 49); to <= position&^15+64; to++ {
		m, passedOn := sent(to)
		if old, ok := m.or(position, results.Open); !passedOn || old != 0 || ok {
			t.Errorf("sent to %d: passed on %v, mark %v, %v", to, passedOn, old, ok)
		}
		for ; to < position+64+1; to++ {
			m.Advance(to+1, nil)
		}
		if s, ok := m.Get(position + 64); s != 0 || !ok || m.Overruns() != 0 {
			t.Errorf("the next position in the slot is %v, %v; overruns %d", s, ok, m.Overruns())
		}
	}
	// Past the guard: the mark is wrong, and counted.
	m, _ := sent(position + 65)
	if _, ok := m.or(position, results.Open); ok || m.Overruns() != 1 {
		t.Errorf("ok %v, overruns %d", ok, m.Overruns())
	}

	// Held up after its Or, before the last look at low: news, as the sender saw it.
	m, _ = sent(begin + 20)
	m.or(position, results.Open)
	passedOn := false
	m.Advance(position+49, func(p uint64) { passedOn = passedOn || p == position })
	if old, ok := m.leaving(position, m.low.Load(), 0); passedOn || old != 0 || !ok {
		t.Errorf("passed on %v, mark %v, %v", passedOn, old, ok)
	}
}

// Receivers that mark everything at once share the news: each bit of each position
// is news to exactly one of them. All march over the same words together, so that
// a lost update shows.
func TestConcurrentMarks(t *testing.T) {
	const positions, receivers = 1 << 16, 4
	m, err := New(7, positions, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	m.Advance(7+positions, nil)
	// One bit is never marked at every tenth position.
	left := func(i uint64, bit int) bool { return i%10 == 0 && bit == 1 }
	news := make([][4]atomic.Int32, positions)
	var ready, done sync.WaitGroup
	ready.Add(receivers)
	for r := range receivers {
		done.Go(func() {
			ready.Done()
			ready.Wait()
			for i := range uint64(positions) {
				for k := range 4 {
					bit := (k + r) % 4
					if left(i, bit) {
						continue
					}
					old, ok := m.Mark(7+i, 1<<bit)
					if !ok {
						t.Errorf("position %d not in the window", i)
					}
					if old&(1<<bit) == 0 {
						news[i][bit].Add(1)
					}
				}
			}
		})
	}
	done.Wait()
	for i := range uint64(positions) {
		want := sealed
		for bit := range news[i] {
			n := news[i][bit].Load()
			if left(i, bit) {
				n++
				want &^= 1 << bit
			}
			if n != 1 {
				t.Fatalf("bit %d of position %d was news %d times", bit, i, n)
			}
		}
		if s, _ := m.Get(7 + i); s != want {
			t.Fatalf("position %d has state %04b, want %04b", i, s, want)
		}
	}
}

// A sender and several receivers over many laps: each position ends up either as
// news to exactly one receiver or among the silent, never both, never neither.
func TestConcurrentWindow(t *testing.T) {
	const begin, positions, receivers, batch = 1<<40 + 3, 200_000, 3, 64
	m := newSmallMap(t, begin, positions, 1<<10) // 16384 slots: 12 laps
	outcomes := make([]atomic.Int32, positions)
	var cursor, late atomic.Uint64
	cursor.Store(begin)
	// Where the cursor was when each receiver began its mark. The sender keeps
	// within half a guard of all: the map asks no more of a scheduler.
	var began [receivers]atomic.Uint64
	for r := range began {
		began[r].Store(begin)
	}
	var receiving sync.WaitGroup
	for r := range uint64(receivers) {
		receiving.Go(func() {
			random := rand.New(rand.NewPCG(r, 2))
			for i := 1; ; i++ {
				if i%64 == 0 {
					runtime.Gosched() // lets the sender go on where processors are few
				}
				at := cursor.Load()
				began[r].Store(at)
				if at == begin+positions {
					return
				}
				// From beyond the cursor to well behind the window, mostly at its edge,
				// where the sender is at work.
				p := at + 2 - random.Uint64N(60)
				if random.Uint64N(2) == 0 {
					p = at + 100 - m.Reach() - random.Uint64N(200)
				}
				if p < begin || p >= begin+positions || p%5 == 0 {
					continue
				}
				old, ok := m.Mark(p, results.Open)
				switch {
				case !ok:
					late.Add(1)
				case old&results.Open == 0:
					outcomes[p-begin].Add(1)
				}
				if old&^results.Open != 0 {
					t.Errorf("position %d had state %04b", p, old)
				}
			}
		})
	}
	silent := func(p uint64) { outcomes[p-begin].Add(1000) }
	for p := uint64(begin); p < begin+positions; {
		for r := range began {
			for p-began[r].Load() > m.guard/2 {
				runtime.Gosched()
			}
		}
		p = min(p+batch, begin+positions)
		m.Advance(p, silent)
		cursor.Store(p)
	}
	receiving.Wait()
	m.Silent(0, math.MaxUint64, func(p uint64) bool { silent(p); return true })
	open := 0
	for i := range outcomes {
		switch n := outcomes[i].Load(); n {
		case 1:
			open++
		case 1000:
		default:
			t.Fatalf("position %d: outcome %d, overruns %d", uint64(begin)+uint64(i), n, m.Overruns())
		}
	}
	if m.Overruns() != 0 {
		t.Errorf("%d overruns", m.Overruns())
	}
	if open == 0 || late.Load() == 0 {
		t.Errorf("%d open, %d late: the race did not take place", open, late.Load())
	}
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
