//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package xdp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"synoptic/bench/lab/packet"
	"synoptic/bench/lab/testnet"
	"synoptic/results"
	"synoptic/scan/probe"
)

// generateRuns is Generate with so many runs, after which it returns.
func generateRuns(t testing.TB, p *Programs, runs uint32) {
	t.Helper()
	if _, err := p.objects.Generate.Run(&ebpf.RunOptions{Data: p.liveFrame(), Repeat: runs, Flags: unix.BPF_F_TEST_XDP_LIVE_FRAMES, BatchSize: liveBatch}); err != nil {
		t.Fatal(err)
	}
}

// generateUntil is generateRuns until something is true, or for a minute: the link takes nothing while the
// processor that empties its queue is away.
func generateUntil(t testing.TB, p *Programs, runs uint32, done func(Progress) bool) {
	t.Helper()
	generateRuns(t, p, runs)
	for end := time.Now().Add(time.Minute); !done(p.Progress()) && time.Now().Before(end); {
		generateRuns(t, p, runs)
	}
}

// sent says that so many probes are.
func sent(n uint64) func(Progress) bool {
	return func(now Progress) bool { return now.Sent == n && now.Flying == 0 }
}

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

// Random passes over a result map marked at random, granted in portions: exactly the model's probes
// arrive, byte for byte, in order and once, and never more than was granted.
func TestGeneratorMatchesGo(t *testing.T) {
	for name, profile := range map[string]probe.Profile{
		"none": probe.ProfileNone, "mss": probe.ProfileMSS, "windows": probe.ProfileWindows, "linux": probe.ProfileLinux,
	} {
		t.Run(name, func(t *testing.T) {
			n := testnet.New(t, testnet.Config{Gateway: true})
			far := newFarEnd(t, n, 0)
			seed := uint64(profile) + 20
			s := newSubject(t, parse(t, "10.77.0.0/16", "10.77.3.0/24", "22,80,443"), seed, profile)
			s.config.Window = 1 << 14
			s.config.Times = Times{Attempts: 16, Entries: 1 << 10}
			p := generatorOn(t, n, s)
			g := &generatorModel{subject: s, Programs: p, far: far, rng: rand.New(rand.NewPCG(seed, 2)), pace: rand.New(rand.NewPCG(seed, 3))}
			for range 10 {
				g.round(t)
			}
			for name, count := range map[string]uint64{"first": g.sent - g.retransmitted, "retries": g.retransmitted, "sample": g.sampled} {
				if count < 50 {
					t.Errorf("%d probes: %s", count, name)
				}
			}
			t.Logf("%d probes, %d retransmitted, %d sampled, in %d passes", g.sent, g.retransmitted, g.sampled, g.finished)
		})
	}
}

// generatorModel is what the generator must have done so far.
type generatorModel struct {
	*subject
	*Programs
	far *farEnd
	rng *rand.Rand
	// pace draws what depends on time: how often it is asked does.
	pace *rand.Rand

	sent, retransmitted, sampled, finished uint64
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
	want := Progress{Finished: g.finished, Spent: g.sent, Sent: g.sent, Retransmitted: g.retransmitted, Sampled: g.sampled}
	if got != want {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	if _, begun := g.Cursor(); begun || len(g.Unsent()) > 0 {
		t.Errorf("something is left: %v", g.Unsent())
	}
}

// Passes at the ends of words, of the window and of the scan, one by one; and what is left of one that
// was not paid for.
func TestGeneratorPasses(t *testing.T) {
	n := testnet.New(t, testnet.Config{Gateway: true})
	far := newFarEnd(t, n, 0)
	s := newSubject(t, parse(t, "10.77.0.0/16", "", "443"), 5, probe.ProfileMSS)
	s.config.Window = 1 << 10
	p := generatorOn(t, n, s)
	g := &generatorModel{subject: s, Programs: p, far: far, rng: rand.New(rand.NewPCG(1, 1))}
	end := s.space.Len()
	for at := uint64(0); at < 1<<10; at += 3 {
		p.Slots()[at/16] |= 4 << (at % 16 * 4)
	}
	state := func(at uint64) results.State {
		return results.State(p.Slots()[at%1024/16]>>(at%16*4)) & 15
	}
	for _, shape := range []Pass{
		{First: true}, {Probes: 1}, {Probes: 2, Sampled: true, Stride: 2}, {Probes: 1, Sample: true, Stride: 5}, {Probes: 1, Sample: true, Stride: 1},
	} {
		var probes []sentProbe
		passes := uint64(0)
		for _, ends := range [][2]uint64{
			{0, 1}, {0, 16}, {0, 1024}, {1, 2}, {1, 16}, {15, 16}, {15, 17}, {16, 32}, {17, 18}, {3, 4}, {30, 34}, {64, 64}, {0, 0},
			{1023, 1025}, {1020, 1040}, {1000, 2000}, {end - 1, end}, {end - 16, end}, {end - 17, end - 1}, {end - 1000, end}, {end, end},
		} {
			pass := shape
			pass.Begin, pass.End = ends[0], ends[1]
			probes = append(probes, due(pass, state)...)
			if !p.Post(pass) {
				t.Fatal("no room")
			}
			passes++
		}
		p.Grant(uint64(len(probes)) + 1)
		generateUntil(t, p, 1<<15, func(now Progress) bool { return now.Finished == g.finished+passes && now.Flying == 0 })
		g.compare(t, probes, passes)
		p.Grant(^uint64(0)) // takes one back
	}

	// A budget that ends within a pass.
	p.Post(Pass{Begin: 100, End: 200, First: true})
	p.Grant(40)
	generateUntil(t, p, 1<<12, sent(g.sent+40))
	if at, begun := p.Cursor(); at != 140 || !begun {
		t.Errorf("cursor %d, %v", at, begun)
	}
	far.take(t, 40)
	// Passes until there is no more room.
	room := 1
	for ; p.Post(Pass{}); room++ {
		if room > 1000 {
			t.Fatal("room without end")
		}
	}
	if room != PassesAhead {
		t.Errorf("%d passes were taken", room)
	}
	p.Grant(61)
	generateUntil(t, p, 1<<12, func(now Progress) bool { return now.Finished == g.finished+PassesAhead && now.Flying == 0 })
	far.take(t, 60)
	if _, begun := p.Cursor(); begun {
		t.Error("nothing is begun")
	}
	if got := p.Progress(); got.Finished != g.finished+PassesAhead || got.Flying != 0 {
		t.Errorf("%+v", got)
	}
}

// The packet socket of a far end that lets all pass sees the same.
func TestGeneratorCaptured(t *testing.T) {
	n := testnet.New(t, testnet.Config{Gateway: true})
	var o farObjects
	if err := loadFarObjects(&o, nil); err != nil {
		skipWithoutBPF(t, err)
	}
	defer o.Close()
	attachFar(t, n, o.Pass)
	s := newSubject(t, parse(t, "10.77.0.0/20", "", "443"), 6, probe.ProfileLinux)
	p := generatorOn(t, n, s)
	c := n.Capture(t)
	p.SetWindow(0, s.space.Len())
	p.LeaveResets()
	p.Post(Pass{End: s.space.Len(), First: true})
	p.Grant(s.space.Len())
	generateUntil(t, p, 1<<13, sent(s.space.Len()))
	got := map[string]int{}
	for _, f := range c.Stop() {
		if p, err := packet.ParseEthernet(f.Data); err == nil && !f.Outgoing && p.IP != nil && p.IP.Version == 4 {
			got[string(f.Data)]++
		}
	}
	for at := range s.space.Len() {
		frame := string(s.frame(sentProbe{position: at}))
		if got[frame] != 1 {
			t.Fatalf("position %d arrived %d times", at, got[frame])
		}
		delete(got, frame)
	}
	for frame := range got {
		t.Errorf("also: %s", describe([]byte(frame)))
	}
}

// The generator notes when it sent: an entry for each granule, of the run's time, never 0.
func TestGeneratorSendTimes(t *testing.T) {
	for _, shift := range []uint{0, 3, 6} {
		t.Run(fmt.Sprintf("%d positions to the entry", 1<<shift), func(t *testing.T) {
			n := testnet.New(t, testnet.Config{Gateway: true})
			newFarEnd(t, n, 0)
			s := newSubject(t, parse(t, "10.77.0.0/16", "", "443"), 8, probe.ProfileMSS)
			s.config.Window = 1 << 14
			s.config.Times = Times{Attempts: 3, Entries: 1 << 10, Shift: shift}
			p := generatorOn(t, n, s)
			const begin, length = 4096 + 96, 700
			run := func(pass Pass, n uint64) (from, to uint32) {
				p.Post(pass)
				p.Grant(n)
				all := p.Progress().Sent + n
				start := time.Now()
				generateUntil(t, p, 1<<12, sent(all))
				// A µs for the rounding of the clocks' difference.
				return uint32(start.UnixMicro() - 50), uint32(time.Now().UnixMicro() + 50)
			}
			check := func(attempt int, within func(entry uint64) (from, to uint32, written bool)) {
				t.Helper()
				for entry, micros := range p.Times(attempt) {
					from, to, written := within(uint64(entry))
					if !written && micros != 0 {
						t.Errorf("attempt %d: entry %d is written", attempt, entry)
					}
					if written && (micros == 0 || micros-from > to-from) {
						t.Errorf("attempt %d: entry %d is %d, want %d to %d", attempt, entry, micros, from, to)
					}
				}
			}
			entries := func(begin, end uint64) map[uint64]bool {
				m := map[uint64]bool{}
				for at := begin; at < end; at++ {
					m[at>>shift%(1<<10)] = true
				}
				return m
			}
			from, to := run(Pass{Begin: begin, End: begin + length, First: true}, length)
			all := entries(begin, begin+length)
			check(0, func(e uint64) (uint32, uint32, bool) { return from, to, all[e] })
			from1, to1 := run(Pass{Begin: begin + 64, End: begin + 128, Probes: 1}, 64)
			some := entries(begin+64, begin+128)
			check(1, func(e uint64) (uint32, uint32, bool) { return from1, to1, some[e] })
			check(0, func(e uint64) (uint32, uint32, bool) { return from, to, all[e] })
			check(2, func(uint64) (uint32, uint32, bool) { return 0, 0, false })
			// The entry that was written last, of the next attempt.
			from2, to2 := run(Pass{Begin: begin + 127, End: begin + 128, Probes: 2}, 1)
			last := entries(begin+127, begin+128)
			check(2, func(e uint64) (uint32, uint32, bool) { return from2, to2, last[e] })
		})
	}
}
