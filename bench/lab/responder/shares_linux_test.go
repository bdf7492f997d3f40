package responder

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"synoptic/bench/lab/need"
	"synoptic/bench/lab/testnet"
)

// Losses and duplicates are drawn for every packet, so one port shows them all. The bounds are six
// standard deviations: the kernel's random numbers cannot be seeded, and one run in 10^8 may fail.
func TestSharesDrawnPerPacket(t *testing.T) {
	testnet.Require(t)
	probes := need.Sample[uint64](t, 20_000, 20_000, 100_000)
	o := program(t, Config{Open: 1, LossIn: 0.1, LossOut: 0.2, Duplicates: 0.3})
	r := runner{t: t, p: o.respond}
	in := frame(t, netip.MustParseAddrPort("10.128.0.1:443"), 7, nil)
	var verdicts [4]uint64
	for range probes {
		verdict, out := r.run(in)
		verdicts[verdict]++
		if verdict == xdpPass && (len(out) != 4+54 || binary.NativeEndian.Uint32(out) != 0x54574943) {
			t.Fatalf("a reply to be sent twice is % x, want it marked", out)
		}
	}
	c, err := o.counters()
	if err != nil {
		t.Fatal(err)
	}
	within(t, "lost in", c.LostIn, probes, 0.1)
	if c.SYNs != probes || c.SYNACKs != probes-c.LostIn {
		t.Errorf("%+v do not add up", c)
	}
	within(t, "duplicates", c.Duplicates, c.SYNACKs, 0.3)
	within(t, "lost out", c.LostOut, c.SYNACKs+c.Duplicates, 0.2)
	within(t, "both sent", verdicts[xdpPass], c.Duplicates, 0.8*0.8)
	if sent := verdicts[xdpTx] + 2*verdicts[xdpPass]; sent != c.SYNACKs+c.Duplicates-c.LostOut {
		t.Errorf("%d replies sent, the counters say %+v", sent, c)
	}
}

func TestResetsPerHost(t *testing.T) {
	testnet.Require(t)
	const perSecond, probes = 20, 5_000
	o := program(t, Config{Closed: 0.9, Open: 0.1, Seed: 1, ResetsPerHost: perSecond})
	r := runner{t: t, p: o.respond}
	config := Config{Closed: 0.9, Open: 0.1, Seed: 1}
	var before Counters
	for host := range byte(4) {
		to := netip.AddrFrom4([4]byte{10, 128, host, 1})
		begun := time.Now()
		var resets uint64
		for port := range uint16(probes) {
			state := config.State(to, port)
			verdict, out := r.run(frame(t, netip.AddrPortFrom(to, port), 1, nil))
			switch got := stateOf(verdict, out); {
			case got == Closed && state == Closed:
				resets++
			case got == Silent && state == Closed:
			case got != state:
				t.Fatalf("%v:%d is %v, want %v", to, port, got, state)
			}
		}
		// A full bucket, and what flowed in meanwhile.
		most := perSecond + uint64(perSecond*time.Since(begun).Seconds()) + 1
		if resets < perSecond || resets > most {
			t.Errorf("%v: %d RSTs, want %d to %d", to, resets, perSecond, most)
		}
		c, err := o.counters()
		if err != nil {
			t.Fatal(err)
		}
		if c.RSTs-before.RSTs != resets || c.RSTs+c.RateLimited+c.SYNACKs != c.SYNs {
			t.Errorf("%d RSTs, counters %+v after %+v", resets, c, before)
		}
		before = c
	}
	// The bucket fills again: a second brings all of it, a tenth of a second a tenth.
	time.Sleep(150 * time.Millisecond)
	verdict, out := r.run(frame(t, netip.MustParseAddrPort("10.128.0.1:0"), 1, nil))
	if config.State(netip.MustParseAddr("10.128.0.1"), 0) == Closed && stateOf(verdict, out) != Closed {
		t.Error("the bucket stays empty")
	}
}

func BenchmarkProgram(b *testing.B) {
	testnet.Require(b)
	for _, c := range []struct {
		name   string
		config Config
	}{
		{"sink", Config{}},
		{"open", Config{Open: 1}},
		{"closed", Config{Closed: 1}},
		{"usual", Config{Seed: 1, Open: 1.0 / 16, Closed: 15.0 / 16}},
		{"everything", Config{Seed: 1, Open: 0.1, Closed: 0.5, Alive: 0.9, AnswerAll: 0.01, LossIn: 0.01, LossOut: 0.01, ResetsPerHost: 1000}},
	} {
		b.Run(c.name, func(b *testing.B) {
			spec, err := parametrize(c.config)
			if err != nil {
				b.Fatal(err)
			}
			var o struct {
				Measure *ebpf.Program `ebpf:"measure"`
			}
			if err := spec.LoadAndAssign(&o, nil); err != nil {
				b.Fatal(explain("load", err))
			}
			defer o.Measure.Close()
			in := frame(b, netip.MustParseAddrPort("10.128.0.1:443"), 7, nil)
			_, each, err := o.Measure.Benchmark(in, b.N, b.ResetTimer)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(each.Nanoseconds()), "ns/packet")
		})
	}
}
