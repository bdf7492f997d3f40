//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package xdp

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cilium/ebpf"

	"synoptic/bench/lab/need"
	"synoptic/results"
	"synoptic/results/window"
	"synoptic/scan/probe"
)

// marker marks positions by way of the program.
type marker struct {
	*Programs
	forger *forger
	run    runner
}

func newMarker(s *subject, p *Programs, seed uint64) *marker {
	return &marker{
		Programs: p, run: runner{program: p.objects.Receive},
		forger: &forger{subject: s, rng: rand.New(rand.NewPCG(seed, 9)), reached: map[string]int{}},
	}
}

func (m *marker) mark(t testing.TB, position uint64, state results.State) {
	t.Helper()
	a := m.forger.answer(position, 0, state == results.Open)
	m.run.packet(t, a.bytes())
}

// What a reply does to a slot, case by case: window.Map's rules.
func TestReceiveMarks(t *testing.T) {
	const position, low, high = 1000, 992, 1016 // both bounds within a word
	const seal = 15
	type counts = Tally
	s := newSubject(t, parse(t, "10.77.0.0/16", "", "443"), 1, probe.ProfileMSS)
	s.config.Window, s.config.Guard, s.config.Emits = 1<<13, 1<<10, uint8(results.Open|results.Closed)
	p := programsOf(t, s)
	p.SetWindow(low, high)
	for name, c := range map[string]struct {
		position uint64
		before   results.State
		mark     results.State
		after    results.State
		want     counts
		records  int
	}{
		"open":                      {position, 0, results.Open, results.Open, counts{Open: 1}, 1},
		"closed":                    {position, 0, results.Closed, results.Closed, counts{Closed: 1}, 1},
		"open again":                {position, results.Open, results.Open, results.Open, counts{Duplicates: 1}, 0},
		"closed again":              {position, results.Closed, results.Closed, results.Closed, counts{Duplicates: 1}, 0},
		"open after closed":         {position, results.Closed, results.Open, 3, counts{Open: 1, Closed: -1}, 1},
		"closed after open":         {position, results.Open, results.Closed, 3, counts{Outranked: 1}, 0},
		"closed again, after open":  {position, 3, results.Closed, 3, counts{Duplicates: 1}, 0},
		"open after filtered":       {position, results.Filtered, results.Open, 5, counts{Open: 1, Filtered: -1}, 1},
		"closed after filtered":     {position, results.Filtered, results.Closed, 6, counts{Closed: 1, Filtered: -1}, 1},
		"open after both":           {position, 6, results.Open, 7, counts{Open: 1, Closed: -1}, 1},
		"open, not sent":            {position, results.Unknown, results.Open, 9, counts{Open: 1}, 1},
		"closed, not sent":          {position, results.Unknown, results.Closed, 10, counts{Closed: 1}, 1},
		"open after closed, unsent": {position, results.Unknown | results.Closed, results.Open, 11, counts{Open: 1, Closed: -1}, 1},
		"sealed":                    {position, seal, results.Open, seal, counts{Late: 1}, 0},
		"first of the window":       {low, 0, results.Open, results.Open, counts{Open: 1}, 1},
		"last of the window":        {high - 1, 0, results.Open, results.Open, counts{Open: 1}, 1},
		"before the window":         {low - 1, 0, results.Open, 0, counts{Late: 1}, 0},
		"long before the window":    {1, results.Closed, results.Open, results.Closed, counts{Late: 1}, 0},
		"behind the window":         {high, 0, results.Closed, 0, counts{Late: 1}, 0},
		"long behind the window":    {high + 5000, 0, results.Closed, 0, counts{Late: 1}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			clear(p.losses)
			if err := p.objects.Tallies.Update(uint32(0), make([]scanTally, ebpf.MustPossibleCPU()), ebpf.UpdateAny); err != nil {
				t.Fatal(err)
			}
			word, shift := &p.Slots()[c.position/16], c.position%16*4
			others := ^uint64(15<<shift) & 0x1248_1248_1248_1248
			*word = others | uint64(c.before)<<shift
			newMarker(s, p, 1).mark(t, c.position, c.mark)
			if *word != others|uint64(c.after)<<shift {
				t.Errorf("word %x, want state %d", *word, c.after)
			}
			c.want.Replies = 1
			if c.mark == results.Open {
				c.want.Resets = 1
			}
			if got, err := p.Tally(); err != nil || got != c.want {
				t.Errorf("%v\n%s", err, cmp.Diff(c.want, got))
			}
			firsts := uint32(0)
			for chunk := range s.config.Loss.Chunks {
				for _, evidence := range lossesOf(p, chunk) {
					for _, divisor := range evidence {
						firsts += divisor[0]
					}
				}
			}
			if silent := c.before.Best() == 0 && c.records > 0; (firsts == 1) != silent {
				t.Errorf("%d first answers", firsts)
			}
			for range c.records {
				if r := nextRecord(t, p); r.Kind != News || r.Position != c.position {
					t.Errorf("%+v", r)
				}
			}
			if p.More() {
				t.Error("a record too many")
			}
		})
	}
}

// A reply that is between its look at the window and its mark while the window moves: window.Map.leaving.
func TestReceiveWhileWindowMoves(t *testing.T) {
	if runtime.NumCPU() < 2 {
		t.Skip("one processor: nothing happens meanwhile")
	}
	const position, guard = 1003, 1 << 10
	const word = position &^ 15
	for name, c := range map[string]struct {
		low      uint64
		sealed   bool
		overruns bool
	}{
		"not reused yet":         {low: word + guard},
		"reused":                 {low: word + guard + 1, overruns: true},
		"sealed":                 {low: word + guard + 1, sealed: true},
		"not reused yet, sealed": {low: word + guard, sealed: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSubject(t, parse(t, "10.77.0.0/16", "", "443"), 1, probe.ProfileMSS)
			s.config.Window, s.config.Guard, s.config.Emits = 1<<13, guard, 0
			p := programsOf(t, s)
			if c.sealed {
				p.Slots()[position/16] = ^uint64(0)
			}
			p.SetWindow(0, 5000)
			var stop atomic.Bool
			var mover sync.WaitGroup
			mover.Go(func() {
				for !stop.Load() {
					atomic.StoreUint64(&p.control.Low, c.low)
					atomic.StoreUint64(&p.control.Low, 0)
				}
			})
			defer mover.Wait()
			defer stop.Store(true)
			m := newMarker(s, p, 1)
			a := m.forger.answer(position, 0, false)
			frame := a.bytes()
			var got Tally
			for range 4000 { // a few are enough, but a hypervisor may let the processors run by turns
				if _, err := p.objects.Receive.Run(&ebpf.RunOptions{Data: frame, Repeat: 1 << 16}); err != nil {
					t.Fatal(err)
				}
				var err error
				if got, err = p.Tally(); err != nil {
					t.Fatal(err)
				}
				if c.overruns == (got.Overruns > 0) && got.Late > 0 && got.Replies > 1<<18 {
					break
				}
			}
			if c.overruns != (got.Overruns > 0) {
				t.Errorf("%d overruns of %d replies", got.Overruns, got.Replies)
			}
			if c.sealed && got.Late != got.Replies {
				t.Errorf("%d late of %d that met a seal", got.Late, got.Replies)
			}
			if got.Late == 0 || got.Replies != got.Late+got.Overruns+got.Duplicates+uint64(got.Closed) || got.Closed > 1 {
				t.Errorf("%+v", got)
			}
		})
	}
}

// The program and Go mark the same words together, while the window moves: no mark is lost, none
// counts twice.
func TestMarksTogether(t *testing.T) {
	all := uint64(1 << 15)
	if need.Gate(t) && !need.RaceEnabled {
		all = 1 << 19
	}
	for name, c := range map[string]struct {
		window, positions uint64
		step              uint64
	}{
		"covering": {all, all, 64},
		"sliding":  {1 << 10, all, 30},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSubject(t, parse(t, "10.64.0.0/13", "", "443"), 1, probe.ProfileMSS)
			s.config.Window, s.config.Emits = c.window, 0
			whole, err := window.NewOn(0, c.positions, make([]uint64, c.window/16))
			if err != nil {
				t.Fatal(err)
			}
			s.config.Guard = whole.Guard()
			p := programsOf(t, s)
			m, err := window.NewOn(0, c.positions, p.Slots())
			if err != nil {
				t.Fatal(err)
			}
			w := &together{Map: m, marker: newMarker(s, p, 1), accepted: make([]atomic.Uint32, c.positions)}
			w.all(t, c.positions, c.step)
		})
	}
}

// together is a map with those who mark it.
type together struct {
	*window.Map
	*marker
	accepted []atomic.Uint32 // by Go, and where nothing is late by the program
	found    [3]atomic.Int64 // of Go: open, closed, filtered
}

func (w *together) all(t *testing.T, positions, step uint64) {
	rng := rand.New(rand.NewPCG(11, 12))
	var stop atomic.Bool
	var ops [2]atomic.Uint64
	var markers sync.WaitGroup
	for i, mark := range []func(*rand.Rand) error{w.byGo, w.byProgram(t)} {
		mine := rand.New(rand.NewPCG(13, uint64(i)))
		markers.Go(func() {
			for !stop.Load() {
				if err := mark(mine); err != nil {
					t.Error(err)
					ops[i].Add(1 << 62) // so that nobody waits
					return
				}
				ops[i].Add(1)
				runtime.Gosched() // whoever waits for it spins
			}
		})
	}
	left := uint64(0)
	for high := uint64(0); high < positions; {
		// Whoever marks has finished at least one mark since the last step, so that no mark takes as
		// long as the window takes to pass the guard: overruns are another test's.
		was := [2]uint64{ops[0].Load(), ops[1].Load()}
		high = min(positions, high+1+rng.Uint64N(step))
		left += w.Advance(high, nil)
		w.SetWindow(w.Bounds())
		for i := range ops {
			for ops[i].Load() == was[i] && !t.Failed() {
				runtime.Gosched()
			}
		}
	}
	stop.Store(true)
	markers.Wait()

	tally, err := w.Tally()
	if err != nil || tally.Overruns != 0 || w.Overruns() != 0 || tally.RingFull != 0 {
		t.Fatalf("%+v: %v", tally, err)
	}
	counted := [3]int64{tally.Open + w.found[0].Load(), tally.Closed + w.found[1].Load(), tally.Filtered + w.found[2].Load()}
	low, high := w.Bounds()
	var states [3]int64
	silent := left
	for at := low; at < high; at++ {
		state, ok := w.Get(at)
		if lost := results.State(w.accepted[at].Load()) &^ state; !ok || lost != 0 || w.Covers() && state != results.State(w.accepted[at].Load()) {
			t.Fatalf("position %d: %d, marked as %d", at, state, w.accepted[at].Load())
		}
		if best := state.Best(); best == 0 {
			silent++
		} else {
			states[best>>1]++
		}
	}
	if w.Covers() && counted != states {
		t.Errorf("counted %v, the map has %v", counted, states)
	}
	if counted[0]+counted[1]+counted[2]+int64(silent) != int64(positions) {
		t.Errorf("counted %v, %d silent, of %d positions", counted, silent, positions)
	}
	if tally.Replies < positions/step || tally.Duplicates == 0 || tally.Outranked == 0 || !w.Covers() && tally.Late == 0 {
		t.Errorf("not much happened: %+v", tally)
	}
	t.Logf("%d marks by Go, %+v, %d silent", ops[0].Load(), tally, silent)
}

// near gives a position where things happen: at the ends of the window, or anywhere in it.
func (w *together) near(rng *rand.Rand) uint64 {
	low, high := w.Bounds()
	for {
		at := low + rng.Uint64N(high-low+1)
		switch rng.IntN(4) {
		case 0:
			at = low + rng.Uint64N(48) - 32
		case 1:
			at = high - 1 - rng.Uint64N(32)
		}
		if at < high {
			return at
		}
		low, high = w.Bounds()
	}
}

func (w *together) byGo(rng *rand.Rand) error {
	if _, high := w.Bounds(); high == 0 {
		return nil
	}
	at, state := w.near(rng), results.State(1)<<rng.IntN(3)
	old, ok := w.Mark(at, state)
	if !ok {
		return nil
	}
	w.accepted[at].Or(uint32(state))
	if old&state != 0 || old.Best() != 0 && old.Best() < state {
		return nil
	}
	w.found[state>>1].Add(1)
	if best := old.Best(); best != 0 {
		w.found[best>>1].Add(-1)
	}
	return nil
}

func (w *together) byProgram(t *testing.T) func(*rand.Rand) error {
	return func(rng *rand.Rand) error {
		// What the program has been told of the window.
		if atomic.LoadUint64(&w.control.High) == 0 {
			return nil
		}
		at, state := w.near(rng), results.State(1)<<rng.IntN(2)
		if w.Covers() {
			if at >= atomic.LoadUint64(&w.control.High) {
				return nil // late
			}
			w.accepted[at].Or(uint32(state))
		}
		a := w.forger.answer(at, 0, state == results.Open)
		w.run.options.Data, w.run.options.DataOut = a.bytes(), nil
		verdict, err := w.run.program.Run(&w.run.options)
		if err == nil && verdict == xdpPass {
			err = errors.New("a reply was passed by")
		}
		return err
	}
}
