//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package xdp

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"synoptic/results"
)

// sentProbe is a probe that the generator has to send.
type sentProbe struct {
	position      uint64
	attempt       uint16
	first, sample bool
}

// due are the probes of a pass, in order, given the states of the positions: what pass.collect and
// chunk.attempt of package scan say.
func due(p Pass, state func(uint64) results.State) (probes []sentProbe) {
	for at := p.Begin; at < p.End; at++ {
		inSample := at%(1<<p.Stride) == 0
		if !p.First && (state(at) != 0 || p.Sample && !inSample) {
			continue
		}
		attempt := uint16(p.Probes)
		if p.Sampled && inSample {
			attempt++
		}
		probes = append(probes, sentProbe{at, attempt, p.First, p.Sample})
	}
	return probes
}

// frame is the probe as Go makes it.
func (s *subject) frame(p sentProbe) []byte {
	b := make([]byte, s.template.Len())
	s.template.Fill(b)
	addr, port := s.space.At(s.permutation.Index(p.position))
	sport := s.config.PortMin + p.attempt
	s.template.Patch(b, addr, sport, port, s.key.Hash(s.source, addr, sport, port))
	return b
}

// randomPass lies in [from, to), often near or at the ends, often short or empty.
func randomPass(rng *rand.Rand, from, to uint64) Pass {
	p := Pass{Begin: from + rng.Uint64N(to-from+1)}
	length := []uint64{0, rng.Uint64N(4), rng.Uint64N(40), rng.Uint64N(1000), rng.Uint64N(8000), rng.Uint64N(4000)}[rng.IntN(6)]
	if rng.IntN(6) == 0 {
		p.Begin = from
	}
	if p.End = min(p.Begin+length, to); rng.IntN(6) == 0 {
		p.Begin, p.End = to-min(length, to-from), to
	}
	switch rng.IntN(4) {
	case 0:
		p.First = true
	case 1:
		p.Sample, p.Probes, p.Stride = true, uint8(1+rng.IntN(3)), uint8(rng.IntN(6))
	case 2:
		p.Sampled, p.Probes, p.Stride = true, uint8(1+rng.IntN(3)), uint8(rng.IntN(6))
	case 3:
		p.Probes = uint8(1 + rng.IntN(15))
	}
	return p
}

// generatorModel is what the generator must have done so far.
type generatorModel struct {
	*subject
	*Programs
	far *farEnd
	rng *rand.Rand
	// pace draws what depends on time: how often it is asked does.
	pace *rand.Rand
	gone []netip.Prefix // excluded
	// passedOver are positions that were silent, and excluded.
	passedOver uint64

	sent, retransmitted, sampled, finished uint64
}

// excluded tells whether an address is.
func (g *generatorModel) excluded(a netip.Addr) bool {
	return slices.ContainsFunc(g.gone, func(p netip.Prefix) bool { return p.Contains(a) })
}

// round marks the map anew, and makes the generator do some passes over it.
func (g *generatorModel) round(t *testing.T) {
	t.Helper()
	low := g.rng.Uint64N(g.space.Len() - g.subject.config.Window + 1)
	if g.rng.IntN(3) == 0 {
		low = g.space.Len() - g.subject.config.Window
	}
	g.mark()
	slots := slices.Clone(g.Slots())
	state := func(at uint64) results.State {
		at %= g.subject.config.Window
		return results.State(slots[at/16]>>(at%16*4)) & 15
	}
	var probes []sentProbe
	waiting := make([]Pass, g.rng.IntN(12)+1)
	for i := range waiting {
		waiting[i] = randomPass(g.rng, low, low+g.subject.config.Window)
		probes = append(probes, due(waiting[i], state)...)
	}
	passes := uint64(len(waiting))
	before := g.sent
	stop := g.grantMeanwhile(uint64(len(probes)))
	if stop != nil {
		defer stop() // also where the test ends early
	}
	for end := time.Now().Add(time.Minute); ; {
		if time.Now().After(end) {
			t.Fatalf("no end: %+v, want %d probes", g.Progress(), len(probes))
		}
		for len(waiting) > 0 && g.pace.IntN(3) > 0 {
			if !g.Post(waiting[0]) {
				t.Fatal("no room for a pass")
			}
			waiting = waiting[1:]
		}
		if stop == nil {
			g.Grant(g.pace.Uint64N(uint64(len(probes))/3 + 2))
		}
		generateRuns(t, g.Programs, 1<<14)
		if arrived, granted := g.far.arrived(t), g.Granted(); arrived > granted {
			t.Fatalf("%d frames, %d granted", arrived, granted)
		}
		if done := g.Progress(); len(waiting) == 0 && done.Finished == g.finished+passes {
			break
		} else if done.Spent > before+uint64(len(probes)) {
			t.Fatalf("%+v, want %d probes", done, len(probes))
		}
	}
	if stop != nil {
		stop()
	}
	g.compare(t, probes, passes)
}

// mark fills the map: words that are silent, answered, sealed, or all kinds at once.
func (g *generatorModel) mark() {
	for i := range g.Slots() {
		w := uint64(0)
		switch g.rng.IntN(6) {
		case 0:
			w = g.rng.Uint64()
		case 1:
			w = ^uint64(0)
		case 2, 3:
			for range g.rng.IntN(16) {
				w |= 1 << g.rng.IntN(64)
			}
		case 4:
			w = 0x1111111111111111 << g.rng.IntN(4)
		}
		g.Slots()[i] = w
	}
	// A stretch where all is answered, longer than one run looks through.
	at := g.rng.IntN(len(g.Slots()) - 200)
	for i := range g.Slots()[at : at+200] {
		g.Slots()[at+i] = 0x2222222222222222
	}
}

// grantMeanwhile grants in small portions while the program runs, in every other round; nil where not.
func (g *generatorModel) grantMeanwhile(probes uint64) (stop func()) {
	if g.rng.IntN(2) == 0 {
		return nil
	}
	var done atomic.Bool
	var granter sync.WaitGroup
	portion := probes/20 + 1
	granter.Go(func() {
		for !done.Load() {
			g.Grant(portion)
			time.Sleep(200 * time.Microsecond)
		}
	})
	return func() {
		done.Store(true)
		granter.Wait()
	}
}

// compare holds what arrived and what was counted against what was due.
func (g *generatorModel) compare(t *testing.T, probes []sentProbe, passes uint64) {
	t.Helper()
	frames := g.far.take(t, len(probes))
	for i, p := range probes {
		g.sent++
		if !p.first {
			g.retransmitted++
		}
		if p.sample {
			g.sampled++
		}
		if i >= len(frames) {
			continue
		}
		if want := g.frame(p); !bytes.Equal(frames[i], want) {
			t.Fatalf("frame %d of %d: %s, want %s\n% x\n% x", i, len(probes), describe(frames[i]), describe(want), frames[i], want)
		}
	}
	g.finished += passes
	got := g.Progress()
	got.Starved = 0
	want := Progress{Finished: g.finished, Spent: g.sent, Sent: g.sent, Retransmitted: g.retransmitted, Sampled: g.sampled, Excluded: g.passedOver}
	if got != want {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	if _, begun := g.Cursor(); begun || len(g.Unsent()) > 0 {
		t.Errorf("something is left: %v", g.Unsent())
	}
}
