//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package xdp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"synoptic/bench/lab/responder"
	"synoptic/bench/lab/testnet"
	"synoptic/results"
	"synoptic/scan/probe"
)

// As in bpf/bench.bpf.c.
const (
	replyNone = iota
	replyRST
	replySYNACK
	replyForged
	replyForeign
	replyAgain
)

// hotPrograms are those of a scan, with one that makes replies.
type hotPrograms struct {
	*Programs
	all struct {
		scanObjects
		Reply    *ebpf.Program  `ebpf:"reply"`
		Kind     *ebpf.Variable `ebpf:"reply_kind"`
		Position *ebpf.Variable `ebpf:"reply_position"`
	}
}

func newHotPrograms(b *testing.B, s *subject) *hotPrograms {
	b.Helper()
	testnet.Require(b)
	spec, err := loadBench()
	if err != nil {
		b.Fatal(err)
	}
	if err := spec.Variables[scanVarScan].Set(s.config.words(0)); err != nil {
		b.Fatal(err)
	}
	s.config.size(spec.Maps)
	p := &hotPrograms{}
	if err := spec.LoadAndAssign(&p.all, nil); err != nil {
		skipWithoutBPF(b, err)
	}
	p.Programs = &Programs{config: s.config, objects: p.all.scanObjects}
	b.Cleanup(func() { p.all.Reply.Close(); p.Close() })
	if err := p.share(); err != nil {
		b.Fatal(err)
	}
	if p.records, err = ringbuf.NewReader(p.objects.Records); err != nil {
		b.Fatal(err)
	}
	p.SetWindow(0, s.config.Window)
	return p
}

func set(b *testing.B, v *ebpf.Variable, value any) {
	b.Helper()
	if err := v.Set(value); err != nil {
		b.Fatal(err)
	}
}

// hotRuns are the runs of one call; their news fit the ring.
const hotRuns = 1 << 16

// BenchmarkHotReceive times the program receive, less what making the packet costs, over packets of one
// kind. Each is for the next position, as replies come in the order of their probes.
func BenchmarkHotReceive(b *testing.B) {
	for _, c := range []struct {
		name    string
		kind    uint32
		emits   results.State
		verdict uint32
	}{
		{"RST", replyRST, results.Open, xdpDrop},
		{"RST/known", replyAgain, results.Open, xdpDrop},
		{"SYN-ACK", replySYNACK, results.Open, xdpTX},
		{"SYN-ACK/no-record", replySYNACK, 0, xdpTX},
		{"forged", replyForged, results.Open, xdpPass},
		{"other-port", replyForeign, results.Open, xdpPass},
	} {
		for _, shape := range []struct{ name, targets, ports string }{
			{"8", "10.0.0.0/8", "443"},
			{"ranges", manyRanges(), "22,80,443"},
		} {
			b.Run(c.name+"/"+shape.name, func(b *testing.B) {
				s := newSubject(b, parse(b, shape.targets, "", shape.ports), 1, probe.ProfileNone)
				s.config.Window, s.config.Emits = 1<<16, uint8(c.emits)
				p := newHotPrograms(b, s)
				frame := make([]byte, 54)
				var spent [2]time.Duration
				calls := 0
				for b.Loop() {
					for i, kind := range []uint32{replyNone, c.kind} {
						clear(p.Slots())
						set(b, p.all.Kind, kind)
						set(b, p.all.Position, uint64(0))
						verdict, took, err := p.all.Reply.Benchmark(frame, hotRuns, nil)
						if err != nil || i == 1 && verdict != c.verdict {
							b.Fatalf("verdict %d: %v", verdict, err)
						}
						spent[i] += took
					}
					for p.More() {
						if _, _, err := p.Next(time.Now()); err != nil {
							b.Fatal(err)
						}
					}
					calls++
				}
				b.ReportMetric(float64(spent[1]-spent[0])/float64(calls), "ns/packet")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

func manyRanges() (targets string) {
	for i := range 2000 {
		targets += netip.AddrFrom4([4]byte{11, byte(i / 50), byte(i * 5), byte(i * 32)}).String() + "/28\n"
	}
	return targets
}

// BenchmarkHotGenerate times the program generate: a probe made, and up to the redirect; a run that
// looks for a silent position in a map where all is answered; a run without anything to do.
func BenchmarkHotGenerate(b *testing.B) {
	for _, c := range []struct {
		name  string
		pass  Pass
		slots uint64
	}{
		{"first", Pass{First: true}, 0},
		{"retry", Pass{Probes: 1}, 0},
		{"retry/half-answered", Pass{Probes: 1}, 0x2020202020202020},
		{"answered", Pass{Probes: 1}, 0x2222222222222222},
		{"idle", Pass{}, 0},
	} {
		for _, shape := range []struct{ name, targets, ports string }{
			{"8", "10.0.0.0/8", "443"},
			{"ranges", manyRanges(), "22,80,443"},
		} {
			b.Run(c.name+"/"+shape.name, func(b *testing.B) {
				s := newSubject(b, parse(b, shape.targets, "", shape.ports), 1, probe.ProfileNone)
				s.config.Window = 1 << 16
				p := newHotPrograms(b, s)
				if err := p.SetFrame(s.template.Constants()); err != nil {
					b.Fatal(err)
				}
				for i := range p.Slots() {
					p.Slots()[i] = c.slots
				}
				frame := make([]byte, 54)
				var spent time.Duration
				probes, calls := uint64(0), 0
				for b.Loop() {
					w := p.control
					w.Finished, w.Posted, w.Cursor, w.Spent, w.Redirected, w.Granted = 0, 0, 0, 0, 0, 1<<40
					pass := c.pass
					if c.name != "idle" {
						pass.End = 1 << 40
						p.Post(pass)
					}
					_, took, err := p.objects.Generate.Benchmark(frame, hotRuns, nil)
					if err != nil {
						b.Fatal(err)
					}
					spent += took
					calls++
					probes = p.Progress().Spent
				}
				if made := c.name != "answered" && c.name != "idle"; made != (probes == hotRuns) {
					b.Errorf("%d probes", probes)
				}
				b.ReportMetric(float64(spent)/float64(calls), "ns/run")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// BenchmarkHotGenerateLive times a probe from the generator to a far end that counts it and drops it,
// without the fixed cost of the call.
func BenchmarkHotGenerateLive(b *testing.B) {
	for name, profile := range map[string]probe.Profile{"none": probe.ProfileNone, "mss": probe.ProfileMSS, "linux": probe.ProfileLinux} {
		b.Run(name, func(b *testing.B) {
			n := testnet.New(b, testnet.Config{Gateway: true})
			responder.New(b, n, responder.Config{LocalNet: netip.MustParsePrefix("10.76.0.0/24")})
			s := newSubject(b, parse(b, "10.0.0.0/8", "", "443"), 1, profile)
			p := generatorOn(b, n, s)
			var spent time.Duration
			sent := uint64(0)
			for b.Loop() {
				w := p.control
				// The call's own cost, with nothing to do, is taken off.
				begin := time.Now()
				generateRuns(b, p, 1)
				idle := time.Since(begin)
				p.Post(Pass{End: 1 << 24, First: true})
				p.Grant(1 << 24)
				before := p.Progress().Sent
				begin = time.Now()
				generateRuns(b, p, 4*hotRuns)
				spent += time.Since(begin) - idle
				sent += p.Progress().Sent - before
				w.Cursor, w.Finished = 0, w.Posted
				w.Granted = w.Spent
			}
			b.ReportMetric(float64(spent)/float64(sent), "ns/probe")
			b.ReportMetric(0, "ns/op")
		})
	}
}
