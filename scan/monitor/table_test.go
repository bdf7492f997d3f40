package monitor

import (
	"testing"

	"pgregory.net/rapid"
)

// The table finds what a map finds, whatever comes and goes.
func TestTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tab table
		have := map[uint64]uint32{}
		span := rapid.SampledFrom([]uint64{50, 3000, 1 << 40}).Draw(t, "span")
		for range rapid.IntRange(1, 3000).Draw(t, "steps") {
			i := rapid.Uint64Range(0, span).Draw(t, "index")
			switch id := have[i]; {
			case id == 0:
				id = tab.alloc()
				*tab.at(id) = entry{meta: i | flagOpen}
				tab.put(id)
				have[i] = id
			case rapid.Bool().Draw(t, "drop"):
				tab.drop(i)
				tab.release(id)
				delete(have, i)
			}
		}
		for i, id := range have {
			if tab.find(i) != id {
				t.Fatalf("index %d is %d, want %d", i, tab.find(i), id)
			}
		}
		for range 100 {
			if i := rapid.Uint64Range(0, span).Draw(t, "index"); tab.find(i) != have[i] {
				t.Fatalf("index %d is %d, want %d", i, tab.find(i), have[i])
			}
		}
		if tab.n != len(have) {
			t.Fatalf("%d entries, want %d", tab.n, len(have))
		}
	})
}

// What an endpoint takes is what the documentation says.
func TestTableMemory(t *testing.T) {
	var tab table
	const n = 1_000_000
	worst := 0.0
	for i := range uint64(n) {
		id := tab.alloc()
		tab.at(id).meta = i
		tab.put(id)
		if i > 100_000 {
			worst = max(worst, float64(len(tab.pages)*pageLen*16+len(tab.slots)*4)/float64(i))
		}
	}
	if worst > 28 {
		t.Errorf("%.1f bytes an endpoint", worst)
	}
}

// A queue gives what was pushed, in order.
func TestFIFO(t *testing.T) {
	var tab table
	var q fifo
	for i := range uint64(5) {
		id := tab.alloc()
		tab.at(id).meta = i
		q.push(&tab, id)
	}
	for i := range uint64(5) {
		if id := q.pop(&tab); tab.at(id).index() != i || q.n != int(4-i) {
			t.Fatalf("entry %d is %d, %d left", i, tab.at(id).index(), q.n)
		}
	}
	if q.pop(&tab) != 0 || q.tail != 0 {
		t.Error("an empty queue gives something")
	}
}

// The confirm queue gives the earliest first.
func TestTurns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h turns
		n := rapid.IntRange(1, 100).Draw(t, "n")
		for i := range n {
			h.push(turn{rapid.Int64Range(0, 20).Draw(t, "due"), uint64(i)})
		}
		last := turn{-1, 0}
		for range n {
			x := h.pop()
			if compareTurns(last, x) >= 0 {
				t.Fatalf("%v behind %v", x, last)
			}
			last = x
		}
	})
}
