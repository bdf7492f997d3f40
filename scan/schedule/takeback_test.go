package schedule

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"synoptic/results"
	"synoptic/results/window"
	"synoptic/scan/estimate"
	"synoptic/scan/permute"
)

// outage is a time in which nothing travels. It is noticed at its end, or some time after its begin.
type outage struct{ begin, noticed, end time.Duration }

// broken plays a scan over a network that breaks: nothing is lost but in outages.
type broken struct {
	positions permute.Range
	rate      float64
	gap       time.Duration
	retries   int
	recall    float64
	lanes     int
	outages   []outage
	silent    func(pos uint64) bool
	rng       *rand.Rand

	m       *window.Map
	s       *Schedule
	loss    *Loss
	now     time.Duration
	good    []int // probes by position that travelled
	all     []int // and all that were sent
	settled []Asked
}

var epoch = time.Unix(1_800_000_000, 0)

func (b *broken) down(t time.Duration) bool {
	return slices.ContainsFunc(b.outages, func(o outage) bool { return o.begin <= t && t < o.end })
}

// trusted is what beacons would say: an outage that is not over yet is not trusted from its begin on.
func (b *broken) trusted() time.Time {
	for _, o := range b.outages {
		if o.begin <= b.now && b.now <= o.end {
			return epoch.Add(o.begin)
		}
	}
	return epoch.Add(b.now - time.Millisecond)
}

func (b *broken) run(t *rapid.T) {
	var err error
	if b.m, err = window.New(b.positions.Begin, b.positions.Len(), 1<<20); err != nil {
		t.Fatal(err)
	}
	silent := func(begin, end uint64) (n uint64) {
		b.m.Silent(begin, end, func(uint64) bool { n++; return true })
		return n
	}
	chunkLen := ChunkLen(b.rate, b.m.Reach(), false)
	loss := NewLoss(b.positions.Begin, chunkLen, b.positions.Len(), b.m.Reach(), b.m.CountSilent)
	b.loss = loss
	var policy Policy = FixedRetries{uint8(b.retries), loss}
	if b.recall > 0 {
		policy = TargetRecall{b.recall, loss}
	}
	b.s = New(Config{
		Positions: b.positions, ChunkLen: chunkLen, Reach: b.m.Reach(), Policy: policy, Silent: silent,
		Gap: func() time.Duration { return b.gap }, Trusted: b.trusted, Settled: func(a Asked) { b.settled = append(b.settled, a) },
	})
	b.good, b.all = make([]int, b.positions.Len()), make([]int, b.positions.Len())
	flights := make([]*Pass, b.lanes)
	due := make([]uint64, 0, 64)
	noticed := 0
	for turns := 0; ; turns++ {
		if turns > 2_000_000 {
			t.Fatal("the schedule does not end")
		}
		if noticed < len(b.outages) && b.now >= b.outages[noticed].noticed {
			o := b.outages[noticed]
			b.s.TakeBack(epoch.Add(o.begin), epoch.Add(b.now))
			for _, p := range flights {
				if p != nil {
					b.s.Interrupted(p)
				}
			}
			b.now = max(b.now, o.end) // paused until then
			noticed++
			continue
		}
		lane := b.rng.IntN(len(flights))
		p := flights[lane]
		if p == nil {
			var wait time.Duration
			if p, wait = b.s.Next(epoch.Add(b.now)); p == nil {
				if wait < 0 && !slices.ContainsFunc(flights, func(p *Pass) bool { return p != nil }) {
					break
				}
				b.now += max(wait, time.Millisecond)
				continue
			}
			if flights[lane] = p; p.Begins() {
				loss.Open(p.Begin)
				b.m.Advance(p.End, nil)
			}
		}
		if due = p.Collect(b.m, due[:0]); len(due) == 0 {
			b.s.Finish(p, epoch.Add(b.now))
			flights[lane] = nil
			continue
		}
		due = due[:1+b.rng.IntN(len(due))]
		p.Walked(due)
		for _, pos := range due {
			b.probe(p, loss, pos)
		}
		b.now += time.Duration(float64(len(due)) / b.rate * float64(time.Second))
	}
}

func (b *broken) probe(p *Pass, loss *Loss, pos uint64) {
	i := pos - b.positions.Begin
	b.all[i]++
	if b.down(b.now) {
		return
	}
	b.good[i]++
	if b.silent(pos) {
		return
	}
	if old, ok := b.m.Mark(pos, results.Open); ok && old == 0 {
		loss.Answer(pos, results.SYNACK, p.Attempt(pos))
	}
}

// Whatever breaks and for however long, as long as it is noticed before it is over or a moment later: every
// position is asked while the network is up, as often as it was to be asked, and none is settled before.
func TestTakeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		begin := rapid.Uint64Range(0, 1<<40).Draw(t, "begin")
		n := rapid.Uint64Range(1, 8000).Draw(t, "positions")
		b := &broken{
			positions: permute.Range{Begin: begin, End: begin + n},
			rate:      rapid.Float64Range(100, 1e6).Draw(t, "rate"),
			gap:       time.Duration(rapid.IntRange(1, 1000).Draw(t, "gap in ms")) * time.Millisecond,
			retries:   rapid.IntRange(0, 4).Draw(t, "retries"),
			lanes:     rapid.IntRange(1, 4).Draw(t, "lanes"),
			rng:       rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)),
		}
		if rapid.Bool().Draw(t, "target recall") {
			b.recall = 0.99
		}
		quiet := rapid.Float64Range(0, 1).Draw(t, "share of silent positions")
		b.silent = func(pos uint64) bool { return float64(pos*0x9e3779b97f4a7c15>>11)/(1<<53) < quiet }
		var at time.Duration
		span := int(max(float64(n)/b.rate*1e3, 10)) // ms of first tries
		for range rapid.IntRange(0, 3).Draw(t, "outages") {
			at += time.Duration(rapid.IntRange(1, span).Draw(t, "up for ms")) * time.Millisecond
			o := outage{begin: at, end: at + time.Duration(rapid.IntRange(1, 60_000).Draw(t, "down for ms"))*time.Millisecond}
			o.noticed = min(o.begin+time.Duration(rapid.IntRange(0, 3000).Draw(t, "noticed after ms"))*time.Millisecond, o.end)
			b.outages = append(b.outages, o)
			at = o.end + time.Millisecond
		}
		b.run(t)
		want := b.retries + 1
		for i := range b.good {
			pos := begin + uint64(i)
			state, _ := b.m.Get(pos)
			switch {
			case b.good[i] == 0:
				t.Fatalf("position %d was not asked while the network was up (%d times in all)", pos, b.all[i])
			case !b.silent(pos) && state != results.Open:
				t.Fatalf("position %d would have answered: %d probes travelled", pos, b.good[i])
			case b.recall == 0 && state == 0 && (b.good[i] < want || b.good[i] > want+len(b.outages)):
				t.Fatalf("position %d was asked %d times while the network was up, want %d, one more for each outage at most", pos, b.good[i], want)
			case b.recall == 0 && len(b.outages) == 0 && b.all[i] > want:
				t.Fatalf("position %d was asked %d times, want %d", pos, b.all[i], want)
			}
		}
		// What has not travelled is in no count.
		b.loss.End(epoch.Add(b.now))
		counts := b.loss.Counts(time.Time{})
		var silent, counted uint64
		for i := range b.good {
			if b.silent(begin + uint64(i)) {
				silent++
			}
		}
		for i := range counts.Answered[estimate.Open] {
			counted += counts.Answered[estimate.Open][i] + counts.Silent[i+1]
		}
		if counted != n || b.recall == 0 && counts.Silent[want] != silent {
			t.Fatalf("counted %v of %d positions, %d of them silent to %d attempts", counts, n, silent, want)
		}
		if b.s.flying != 0 || b.s.early != 0 || len(b.s.aloft) != 0 || b.s.oldest() != b.positions.End {
			t.Fatalf("at the end %d passes are in flight, %d early, position %d holds the window", b.s.flying, b.s.early, b.s.oldest())
		}
		for _, a := range b.settled {
			for _, o := range b.outages {
				if first := a.Passes[0].Ended; epoch.Add(o.begin).Before(first) && first.Before(epoch.Add(o.noticed)) {
					t.Fatalf("chunk [%d, %d): its first pass, over at %v, lies in the outage %v", a.Begin, a.End, first.Sub(epoch), o)
				}
			}
		}
	})
}

// What a stopped scan has asked in an outage only is told, and nothing else is.
func TestUnasked(t *testing.T) {
	m, err := window.New(0, 256, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	loss := NewLoss(0, 64, 256, m.Reach(), m.CountSilent)
	s := New(Config{
		Positions: permute.Range{End: 256}, ChunkLen: 64, Reach: m.Reach(), Policy: FixedRetries{1, loss},
		Gap: func() time.Duration { return time.Second }, Silent: func(begin, end uint64) uint64 { return end - begin },
		Trusted: func() time.Time { return epoch },
	})
	pass := func(at time.Duration) *Pass {
		p, _ := s.Next(epoch.Add(at))
		if p == nil {
			t.Fatal("no pass")
		}
		loss.Open(p.Begin)
		m.Advance(p.End, nil)
		return p
	}
	walk := func(p *Pass, n uint64, at time.Duration) *Pass {
		for pos := p.Begin; pos < p.Begin+n; pos++ {
			p.Walked([]uint64{pos})
		}
		if n == 64 {
			s.Finish(p, epoch.Add(at))
		}
		return p
	}
	walk(pass(1), 64, 10)
	walk(pass(11), 64, 20)
	flying := walk(pass(21), 16, 30)
	if again := s.TakeBack(epoch.Add(15), epoch.Add(40)); again != 64 {
		t.Errorf("%d positions are asked again, want the second chunk's", again)
	}
	if again := s.Interrupted(flying); again != 16 {
		t.Errorf("%d positions of the pass in flight are asked again, want 16", again)
	}
	if begin, end := flying.Unasked(); begin != 128 || end != 144 {
		t.Errorf("of the pass in flight [%d, %d)", begin, end)
	}
	p := pass(50)
	if p.Begin != 64 || p.First || p.Attempt(70) != 0 || p.Probes != 0 {
		t.Fatalf("asked again: %+v", p)
	}
	walk(p, 8, 60)
	if begin, end := p.Unasked(); begin != 72 || end != 128 {
		t.Errorf("of the pass that asks again [%d, %d)", begin, end)
	}
	s.TakeBack(epoch.Add(55), epoch.Add(70))
	if begin, end := p.Unasked(); begin != 64 || end != 72 {
		t.Errorf("and taken back itself [%d, %d), of what it had walked", begin, end)
	}
}
