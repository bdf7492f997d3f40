//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package xdp

import (
	"fmt"
	"math/rand/v2"
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
