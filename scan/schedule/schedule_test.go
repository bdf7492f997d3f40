package schedule

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"synoptic/bench/lab/need"
	"synoptic/results"
	"synoptic/results/window"
	"synoptic/scan/estimate"
	"synoptic/scan/permute"
)

// simulation is sender lanes without a network, which take turns at random: the real schedule, map and
// loss counters, a clock that moves with the rate, and targets that answer by chance.
type simulation struct {
	positions permute.Range
	rate      float64
	gap       time.Duration
	maxBytes  int64
	silent    func(pos uint64) bool    // nobody is there
	lost      func(now time.Time) bool // a probe or its answer
	retries   int
	recall    float64
	lanes     int                                  // 0 means 1
	putOff    func(now time.Time, pos uint64) bool // it cannot be asked just now
	rng       *rand.Rand                           // for more than one lane

	// outcome
	m      *window.Map
	loss   *Loss
	sent   uint64
	probes []uint8     // by position, from the first
	last   []time.Time // likewise
	found  uint64

	answered [2][MaxAttempts]uint64  // as of estimate.Counts
	left     [MaxAttempts + 1]uint64 // silent positions by probes
}

func (sim *simulation) run(t tester) {
	t.Helper()
	m, err := window.New(sim.positions.Begin, sim.positions.Len(), sim.maxBytes)
	if err != nil {
		t.Fatal(err)
	}
	silent := func(begin, end uint64) (n uint64) {
		m.Silent(begin, end, func(uint64) bool { n++; return true })
		return n
	}
	chunkLen := ChunkLen(sim.rate, m.Reach(), false)
	loss := NewLoss(sim.positions.Begin, chunkLen, sim.positions.Len(), m.Reach(), m.CountSilent)
	var policy Policy = FixedRetries{uint8(sim.retries), loss}
	if sim.recall > 0 {
		policy = TargetRecall{sim.recall, loss}
	}
	s := New(Config{
		Positions: sim.positions, ChunkLen: chunkLen, Reach: m.Reach(), Policy: policy, Silent: silent,
		Gap: func() time.Duration { return sim.gap },
	})
	sim.m, sim.loss = m, loss
	sim.probes, sim.last = make([]uint8, sim.positions.Len()), make([]time.Time, sim.positions.Len())
	now := time.Unix(1_800_000_000, 0)
	due := make([]uint64, 0, 64)
	flights := make([]*Pass, max(sim.lanes, 1)) // by lane
	for turns, flying := 0, 0; ; turns++ {
		if turns > 5_000_000 {
			t.Fatal("the schedule does not end")
		}
		lane := 0
		if len(flights) > 1 {
			lane = sim.rng.IntN(len(flights))
		}
		p := flights[lane]
		if p == nil {
			var wait time.Duration
			if p, wait = s.Next(now); p == nil {
				if wait < 0 && flying == 0 {
					break
				}
				if wait < 0 || flying > 0 && wait == 0 {
					t.Fatalf("wait %v with %d passes in flight", wait, flying)
				}
				if flying == 0 {
					now = now.Add(max(wait, time.Millisecond))
				}
				continue
			}
			flights[lane] = p
			if p.Begin/chunkLen != (p.End-1)/chunkLen {
				t.Fatalf("the chunk [%d, %d) reaches over a multiple of %d", p.Begin, p.End, chunkLen)
			}
			if flying++; p.Begins() {
				loss.Open(p.Begin)
				m.Advance(p.End, func(pos uint64) { sim.left[sim.probes[pos-sim.positions.Begin]]++ })
			}
		}
		due = p.Collect(m, due[:0])
		if sim.putOff != nil && chance(sim.rng, 0.1) {
			due = due[:sim.rng.IntN(len(due)+1)] // no more can be put off
			p.Walked(due)
			sim.walk(t, p, due, now)
			s.Park(p, now)
		} else if len(due) > 0 {
			p.Walked(due)
			sim.walk(t, p, due, now)
			now = now.Add(time.Duration(float64(len(due)) / sim.rate * float64(time.Second)))
			continue
		} else if !p.Whole() {
			if p.Exhausted(); chance(sim.rng, 0.1) {
				s.Rouse(now, func(pos uint64) bool { return pos%2 == 0 })
			}
			s.Park(p, now)
		} else {
			s.Finish(p, now)
		}
		flights[lane] = nil
		flying--
	}
	if s.flying != 0 || s.early != 0 || s.oldest() != sim.positions.End || len(s.parked) != 0 {
		t.Fatalf("at the end %d passes are in flight, %d of them early, and position %d holds the window", s.flying, s.early, s.oldest())
	}
	loss.End(now)
	sim.checkCounts(t)
}

// checkCounts: every position is among the answered or the silent, by its attempts.
func (sim *simulation) checkCounts(t tester) {
	t.Helper()
	want := estimate.Counts{Answered: sim.answered}
	sim.m.Silent(sim.positions.Begin, sim.positions.End, func(pos uint64) bool {
		sim.left[sim.probes[pos-sim.positions.Begin]]++
		return true
	})
	for k, n := range sim.left {
		want.Silent[k], want.Left[k].Silent = n, n
	}
	if got := sim.loss.Counts(time.Time{}); got != want {
		t.Fatalf("counted %v, want %v", got, want)
	}
}

func chance(rng *rand.Rand, share float64) bool { return rng.Float64() < share }

// walk probes the positions of a batch, but those that are put off.
func (sim *simulation) walk(t tester, p *Pass, due []uint64, now time.Time) {
	for _, pos := range due {
		switch state, _ := sim.m.Get(pos); {
		case !p.First && state != 0: // answered while it was put off
		case sim.putOff != nil && sim.putOff(now, pos):
			p.PutOff(pos, time.Time{})
			continue
		default:
			sim.probe(t, p, pos, now)
		}
	}
}

// probe sends one, and checks what must hold of every probe: attempts are numbered in turn, and
// spaced by the gap.
func (sim *simulation) probe(t tester, p *Pass, pos uint64, now time.Time) {
	sim.sent++
	attempt, i := p.Attempt(pos), pos-sim.positions.Begin
	if attempt != sim.probes[i] {
		t.Fatalf("position %d: probe %d has the number %d", pos, sim.probes[i], attempt)
	}
	if gap := now.Sub(sim.last[i]); attempt > 0 && gap < sim.gap {
		t.Fatalf("position %d: probed again after %v, want %v", pos, gap, sim.gap)
	}
	sim.probes[i]++
	sim.last[i] = now
	if sim.silent(pos) || sim.lost(now) {
		return
	}
	if old, ok := sim.m.Mark(pos, results.Open); ok && old == 0 {
		sim.found++
		sim.answered[estimate.Open][attempt]++
		sim.loss.Answer(pos, results.SYNACK, attempt)
	}
}

// tester is what testing.T and rapid.T share.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func neverLost(time.Time) bool { return false }

func loseShare(rng *rand.Rand, p float64) func(time.Time) bool {
	return func(time.Time) bool { return rng.Float64() < p }
}

// Whatever the rate, the window and the loss: every position is tried once, a silent one N times more
// and not sooner than the gap, one that has answered never again, and attempts are numbered in turn.
func TestScheduleIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		begin := rapid.Uint64Range(0, 1<<40).Draw(t, "begin")
		n := rapid.Uint64Range(1, 20_000).Draw(t, "positions")
		seed := rapid.Uint64().Draw(t, "seed")
		rng := rand.New(rand.NewPCG(seed, 0))
		quiet := rapid.Float64Range(0, 1).Draw(t, "share of silent positions")
		sim := &simulation{
			positions: permute.Range{Begin: begin, End: begin + n},
			rate:      rapid.Float64Range(100, 5e6).Draw(t, "rate"),
			gap:       time.Duration(rapid.IntRange(1, 2000).Draw(t, "gap in ms")) * time.Millisecond,
			retries:   rapid.IntRange(0, 9).Draw(t, "retries"),
			lanes:     rapid.IntRange(1, 4).Draw(t, "lanes"),
			rng:       rng,
			maxBytes:  1 << 20,
			silent:    func(pos uint64) bool { return float64(pos*0x9e3779b97f4a7c15>>11)/(1<<53) < quiet },
			lost:      loseShare(rng, rapid.Float64Range(0, 1).Draw(t, "loss")),
		}
		if slow := rapid.Float64Range(0, 1).Draw(t, "share of positions that are put off"); slow > 0.5 {
			sim.putOff = func(_ time.Time, pos uint64) bool {
				return float64(pos*0xbf58476d1ce4e5b9>>11)/(1<<53) < slow && rng.IntN(3) > 0
			}
		}
		sim.run(t)
		for pos := begin; pos < begin+n; pos++ {
			probes := int(sim.probes[pos-begin])
			state, _ := sim.m.Get(pos)
			switch {
			case probes == 0:
				t.Fatalf("position %d was never tried", pos)
			case state == 0 && probes != sim.retries+1:
				t.Fatalf("position %d was silent and got %d probes, want %d", pos, probes, sim.retries+1)
			case probes > sim.retries+1:
				t.Fatalf("position %d got %d probes, want %d at most", pos, probes, sim.retries+1)
			}
		}
	})
}

// watched is a policy that retires every chunk and remembers what it was told.
type watched struct{ more []bool }

func (*watched) Final(*Chunk) bool { return false }
func (*watched) Answered(*Chunk)   {}
func (*watched) TakenBack(*Chunk)  {}
func (w *watched) Step(_ *Chunk, more bool) Step {
	w.more = append(w.more, more)
	return Retire
}

// While first tries are in flight, more will be known than now.
func TestScheduleKnowsWhatIsInFlight(t *testing.T) {
	for _, flying := range []bool{false, true} {
		w := &watched{}
		s := New(Config{
			Positions: permute.Range{End: 128}, ChunkLen: 64, Reach: 1 << 20, Policy: w,
			Gap: func() time.Duration { return time.Second }, Silent: func(uint64, uint64) uint64 { return 1 },
		})
		now := time.Unix(1_800_000_000, 0)
		a, _ := s.Next(now)
		b, _ := s.Next(now)
		if a == b || a.Begin != 0 || b.Begin != 64 {
			t.Fatalf("passes %+v and %+v", a, b)
		}
		s.Finish(a, now)
		if !flying {
			s.Finish(b, now)
		}
		if p, wait := s.Next(now.Add(time.Second)); p != nil || (wait < 0) == flying {
			t.Errorf("in flight %v: pass %v, wait %v", flying, p, wait)
		}
		if w.more[0] != true && flying || len(w.more) == 2 && w.more[1] {
			t.Errorf("in flight %v: the policy was told of more to come: %v", flying, w.more)
		}
	}
}

// A window far smaller than the scan slides behind unfinished chunks and no result is lost.
func TestScheduleKeepsToTheWindow(t *testing.T) {
	if testing.Short() {
		t.Skip("not with -short") // the smallest window has 2 M positions
	}
	const n = 3 << 20 // positions, over a window of 2 M
	rng := rand.New(rand.NewPCG(1, 1))
	sim := &simulation{
		positions: permute.Range{Begin: 100, End: 100 + n}, rate: 3e6, gap: 50 * time.Millisecond, retries: 2, maxBytes: 1 << 20,
		silent: func(pos uint64) bool { return pos%64 != 0 }, lost: loseShare(rng, 0.2), lanes: 3, rng: rng,
	}
	sim.run(t)
	for i, probes := range sim.probes {
		if pos := uint64(i) + 100; pos%64 != 0 && probes != 3 || probes == 0 {
			t.Fatalf("position %d got %d probes", pos, probes)
		}
	}
}

// The promise of --target-recall, over many seeds: next to nothing where nothing is lost, and the
// recall asked for where something is, at close to the least number of probes.
func TestTargetRecall(t *testing.T) {
	const n = 1 << 17
	half := func(pos uint64) bool { return pos*0x9e3779b97f4a7c15>>63 == 0 }
	nobody := func(uint64) bool { return false }
	for _, c := range []struct {
		name   string
		silent func(uint64) bool
		loss   float64
	}{
		{"no loss, half silent", half, 0}, {"no loss, all answer", nobody, 0},
		{"1 % each way, half silent", half, 0.0199}, {"5 % each way, half silent", half, 0.0975},
		{"5 % each way, all answer", nobody, 0.0975}, {"20 % each way, half silent", half, 0.36},
	} {
		t.Run(c.name, func(t *testing.T) {
			for seed := range need.Sample[uint64](t, 1, 3, 6) {
				rng := rand.New(rand.NewPCG(seed, 7))
				sim := &simulation{
					positions: permute.Range{Begin: 0, End: n}, rate: 100e3, gap: 250 * time.Millisecond,
					recall: 0.999, maxBytes: 1 << 20, silent: c.silent, lost: neverLost, lanes: 1 + int(seed%3), rng: rng,
				}
				if c.loss > 0 {
					sim.lost = loseShare(rng, c.loss)
				}
				sim.run(t)
				var there, there1 uint64
				for pos, probes := range sim.probes {
					if !c.silent(uint64(pos)) {
						there++
						there1 += uint64(probes)
					}
				}
				recall := float64(sim.found) / float64(there)
				if recall < 0.999 {
					t.Errorf("seed %d: recall %.5f", seed, recall)
				}
				if c.loss == 0 && float64(sim.sent) > 1.05*n {
					t.Errorf("seed %d: %d probes where nothing is lost, want less than 5 %% over %d", seed, sim.sent, n)
				}
				need := float64(there)
				for left := c.loss; left >= 1-sim.recall; left *= c.loss {
					need += left * float64(there)
				}
				if c.loss > 0 && float64(there1) > 1.15*need {
					t.Errorf("seed %d: %d probes to positions that answer, want at most 15 %% over %.0f", seed, there1, need)
				}
			}
		})
	}
}

// A pass of retries whose positions are all put off, and behind which nothing is silent, does not keep others from beginning; and what was
// put off for long is handed out at once when it is roused.
func TestRouse(t *testing.T) {
	m, err := window.New(0, 128, window.MinBytes)
	if err != nil {
		t.Fatal(err)
	}
	loss := NewLoss(0, 64, 128, m.Reach(), m.CountSilent)
	s := New(Config{
		Positions: permute.Range{End: 128}, ChunkLen: 64, Reach: m.Reach(), Policy: FixedRetries{Retries: 1, Loss: loss},
		Gap: func() time.Duration { return 0 }, Silent: func(begin, end uint64) uint64 { return m.CountSilent(begin, end, 0) },
	})
	now, due := time.Unix(0, 0), make([]uint64, 0, 64)
	next := func() *Pass {
		now = now.Add(time.Millisecond)
		p, _ := s.Next(now)
		return p
	}
	first := next()
	loss.Open(0)
	m.Advance(64, nil)
	first.Walked(first.Collect(m, due))
	s.Finish(first, now)
	for pos := uint64(3); pos < 64; pos++ {
		m.Mark(pos, results.Open)
	}
	retry := next()
	if retry == nil || retry.First {
		t.Fatalf("%+v", retry)
	}
	all := retry.Collect(m, due)
	for _, pos := range all {
		retry.PutOff(pos, now.Add(time.Hour))
	}
	retry.Walked(all)
	if len(all) != 3 || len(retry.Collect(m, due)) != 0 {
		t.Fatal(all)
	}
	retry.Exhausted()
	s.Park(retry, now)
	if p := next(); p == nil || !p.First {
		t.Fatalf("no first tries beside what is put off: %+v", p)
	}
	s.Rouse(now, func(pos uint64) bool { return pos == 1 })
	if p := next(); p != retry || !p.Resumed() {
		t.Fatalf("it is not roused: %+v", p)
	} else if got := p.Collect(m, due); len(got) != 1 || got[0] != 1 {
		t.Errorf("roused: %v", got)
	}
}
