package target

import (
	"io"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strconv"
	"testing"
	"time"

	"synoptic/bench/lab/need"
)

// everyOther writes n single addresses, one to a line, every second one: n ranges that never join.
type everyOther struct {
	first netip.Addr
	n     int
	at    int
	line  []byte
}

func (e *everyOther) Read(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		if len(e.line) == 0 {
			if e.at == e.n {
				if done == 0 {
					return 0, io.EOF
				}
				return done, nil
			}
			e.line = append(everyOtherAddr(e.first, e.at).AppendTo(e.line), '\n')
			e.at++
		}
		k := copy(p[done:], e.line)
		done += k
		e.line = e.line[:copy(e.line, e.line[k:])]
	}
	return done, nil
}

func everyOtherAddr(first netip.Addr, i int) netip.Addr {
	if first.Is4() {
		return (number4(first) + addr4(2*i)).netip()
	}
	return number6(first).add(uint64(2 * i)).netip()
}

const million = 1_000_000

// One million disjoint ranges load in under 2 s and stay under 64 MB (issue: targets and ports).
func TestLoadMillionRanges(t *testing.T) {
	need.Long(t)
	for _, first := range []string{"10.0.0.0", "2001:db8::"} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		peak := watchHeap()
		start := time.Now()
		got, err := Load(t.Context(), Config{
			TargetFiles: []string{"-"},
			Stdin:       &everyOther{first: netip.MustParseAddr(first), n: million},
			Ports:       mustPorts(t, "80,443"),
		})
		took, top := time.Since(start), peak()
		if err != nil {
			t.Fatal(err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		heap := int64(after.HeapAlloc) - int64(before.HeapAlloc)
		t.Logf("%s: loaded in %v, %.1f MB stay, about %.0f MB at the peak", first, took.Round(time.Millisecond), float64(heap)/1e6,
			(float64(top)-float64(before.HeapAlloc))/1e6)
		if s := got.Space; s.Len() != 2*million || s.Addrs().NumRanges() != million {
			t.Fatalf("%d probes, %d ranges", s.Len(), s.Addrs().NumRanges())
		}
		if heap > 64e6 {
			t.Errorf("%d bytes stay, more than 64 MB", heap)
		}
		// Wall time decides nothing on a busy machine; a quadratic load would take minutes.
		if took > time.Minute {
			t.Errorf("loading took %v", took)
		}
		base := netip.MustParseAddr(first)
		for i := 0; i < million; i += 997 {
			want := everyOtherAddr(base, i)
			if a, p := got.Space.At(uint64(2*i + 1)); a != want || p != 443 {
				t.Fatalf("At(%d) = %v, %d, want %v, 443", 2*i+1, a, p, want)
			}
			if k, ok := got.Space.Index(want, 80); !ok || k != uint64(2*i) {
				t.Fatalf("Index(%v, 80) = %d, %v", want, k, ok)
			}
			if got.Space.Addrs().Contains(want.Next()) {
				t.Fatalf("%v is in the set", want.Next())
			}
		}
		runtime.KeepAlive(got)
	}
}

// watchHeap samples the heap until its result is called, which returns the highest sample.
func watchHeap() func() uint64 {
	stop, result := make(chan struct{}), make(chan uint64)
	go func() {
		var m runtime.MemStats
		var top uint64
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				runtime.ReadMemStats(&m)
				top = max(top, m.HeapAlloc)
			case <-stop:
				result <- top
				return
			}
		}
	}()
	return func() uint64 { close(stop); return <-result }
}

func TestLookupsDoNotAllocate(t *testing.T) {
	s, err := NewSpace(setOf(t, "10.0.0.0/24 10.9.0.0/16 192.168.0.1 2001:db8::/120 2001:db8:1::1"), mustPorts(t, "22,80,8000-8010"),
		map[uint16]*Set{443: setOf(t, "10.0.0.1 172.16.0.1 2001:db8::1"), 22: setOf(t, "172.16.0.9")})
	if err != nil {
		t.Fatal(err)
	}
	Service(80) // reads the registry
	var sink uint64
	if n := testing.AllocsPerRun(100, func() {
		for i := uint64(0); i < s.Len(); i += 1009 {
			a, p := s.At(i)
			k, _ := s.Index(a, p)
			_, in := s.Addrs().Index(a)
			if in {
				sink += k + uint64(len(Service(p)))
			}
		}
		a, p := s.At(s.Len() - 1)
		k, _ := s.Index(a, p)
		k2, _ := s.Index(a, 1)
		sink += k + k2
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// millionSet has the ranges of the test above; scattered has as many at random places, mostly in a few
// networks, the worst case for a guide.
func millionSet(b testing.TB, first netip.Addr, scattered bool) *Set {
	var sb SetBuilder
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range million {
		a := everyOtherAddr(first, i)
		if scattered && first.Is4() {
			a = addr4(10<<24 | rng.Uint32()>>9<<1).netip()
			if i%1000 == 0 {
				a = addr4(rng.Uint32()>>1 | 1<<24).netip()
			}
		} else if scattered {
			a = addr6{0x2001_0db8<<32 | uint64(rng.Uint32N(5000)), rng.Uint64()}.netip()
		}
		sb.AddAddr(a)
	}
	s, err := sb.Set()
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func BenchmarkSet(b *testing.B) {
	v4, v6 := netip.MustParseAddr("10.0.0.0"), netip.MustParseAddr("2001:db8::")
	for _, c := range []struct {
		name string
		make func() *Set
	}{
		{"one_range_v4", func() *Set { return setOf(b, "10.0.0.0/8") }},
		{"one_range_v6", func() *Set { return setOf(b, "2001:db8::/96") }},
		{"ten_ranges_v4", func() *Set {
			return setOf(b, "10.0.0.0/8 11.1.0.0/16 12.1.0.0/16 13.1.0.0/16 14.1.0.0/16 15.1.0.0/16 16.1.0.0/16 17.1.0.0/16 18.1.0.0/16 192.168.0.0/16")
		}},
		{"million_v4", func() *Set { return millionSet(b, v4, false) }},
		{"million_v6", func() *Set { return millionSet(b, v6, false) }},
		{"million_scattered_v4", func() *Set { return millionSet(b, v4, true) }},
		{"million_scattered_v6", func() *Set { return millionSet(b, v6, true) }},
	} {
		s := c.make()
		// Random order, as a permuted scan has it: the cache misses belong to the cost.
		indices := make([]uint64, 1<<16)
		addrs := make([]netip.Addr, len(indices))
		rng := rand.New(rand.NewPCG(3, 4))
		for i := range indices {
			indices[i] = rng.Uint64N(s.Len())
			addrs[i] = s.At(rng.Uint64N(s.Len()))
		}
		b.Run("At/"+c.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s.At(indices[i%len(indices)])
			}
		})
		b.Run("Index/"+c.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s.Index(addrs[i%len(addrs)])
			}
		})
	}
}

func BenchmarkSpace(b *testing.B) {
	for _, ports := range []string{"80", "1-1000", "-"} {
		s, err := NewSpace(setOf(b, "10.0.0.0/8"), mustPorts(b, ports), nil)
		if err != nil {
			b.Fatal(err)
		}
		n := strconv.Itoa(s.NumPorts()) + "_ports"
		b.Run("At/"+n, func(b *testing.B) {
			for i := uint64(0); b.Loop(); i += 0x9e3779b97f4a7c15 {
				s.At(i % s.Len())
			}
		})
		a, p := s.At(s.Len() / 3)
		b.Run("Index/"+n, func(b *testing.B) {
			for b.Loop() {
				s.Index(a, p)
			}
		})
	}
}

func BenchmarkService(b *testing.B) {
	b.ReportAllocs()
	for i := uint16(0); b.Loop(); i++ {
		Service(i)
	}
}
