package window

import (
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"synoptic/results"
)

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
