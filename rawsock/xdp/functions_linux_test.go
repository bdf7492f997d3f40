//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package xdp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"synoptic/bench/lab/need"
	"synoptic/bench/lab/testnet"
	"synoptic/rawsock"
	"synoptic/scan/permute"
	"synoptic/scan/probe"
	"synoptic/scan/target"
)

// subject is a scan as both languages know it.
type subject struct {
	space       *target.Space
	permutation *permute.Permutation
	key         probe.Key
	template    *probe.Template
	source      netip.Addr
	profile     probe.Profile
	config      Config
}

var source = netip.MustParseAddr("10.76.0.1")

func newSubject(t testing.TB, space *target.Space, seed uint64, profile probe.Profile) *subject {
	t.Helper()
	s := &subject{space: space, source: source, profile: profile, key: probe.Key{K0: 0x0706050403020100 ^ seed, K1: 0x0f0e0d0c0b0a0908 * (seed + 1)}}
	var err error
	if s.permutation, err = permute.New(space.Len(), seed); err != nil {
		t.Fatal(err)
	}
	s.template, err = probe.NewTemplate(probe.TemplateConfig{
		Ethernet: true, SrcMAC: []byte{2, 0, 0, 0, 0, 1}, DstMAC: []byte{2, 0, 0, 0, 0, 2}, Src: s.source, Profile: profile,
	})
	if err != nil {
		t.Fatal(err)
	}
	tables, ok := space.Tables()
	if !ok {
		t.Fatal("no tables")
	}
	p := s.permutation.Params()
	s.config = Config{
		Interface: 1, Source: s.source, PortMin: 61000, PortMax: 61015, Key: [2]uint64{s.key.K0, s.key.K1},
		Permutation: Permutation{p.Len, p.LowBits, p.High, p.Keys}, Space: spaceOf(tables),
		Window: 1 << 16, Emits: 1, Times: Times{Attempts: 3, Entries: 1 << 10}, Loss: Loss{ChunkLen: 1 << 10, Chunks: 16},
	}
	s.config.FrameLen = s.template.Len()
	return s
}

func spaceOf(t target.Tables) Space {
	s := Space{Product: t.Product, Magic: t.Magic, Ports: t.Ports}
	for _, x := range t.Sets {
		set := Set{Port: x.Port, Base: x.Base, Len: x.Len, Width: x.Width, ByBase: Guide(x.ByBase), ByAddr: Guide(x.ByAddr)}
		for _, r := range x.Runs {
			set.Runs = append(set.Runs, Run{r[0], r[1]})
		}
		s.Sets = append(s.Sets, set)
	}
	return s
}

// functions are the loaded test programs.
type functions struct {
	objects functionsObjects
	cases   []functionsFunctionCase
}

func load(t testing.TB, s *subject) *functions {
	t.Helper()
	testnet.Require(t)
	c := &s.config
	if err := c.check(); err != nil {
		t.Fatal(err)
	}
	spec, err := loadFunctions()
	if err != nil {
		t.Fatal(err)
	}
	if err := spec.Variables["scan"].Set(c.words(0)); err != nil {
		t.Fatal(err)
	}
	frame, ipSum, tcpSum := s.template.Constants()
	template := functionsTemplate{IpSum: ipSum, TcpSum: tcpSum}
	copy(template.Frame[:], frame)
	if err := spec.Variables["template"].Set(template); err != nil {
		t.Fatal(err)
	}
	c.size(spec.Maps)
	f := &functions{}
	if err := spec.LoadAndAssign(&f.objects, nil); err != nil {
		skipWithoutBPF(t, err)
	}
	t.Cleanup(func() { f.objects.Close() })
	o := &f.objects
	p := &Programs{config: *c, objects: scanObjects{scanMaps: scanMaps{Runs: o.Runs, Guides: o.Guides, Sets: o.Sets, Ports: o.Ports, PortIndex: o.PortIndex}}}
	if err := p.fillTables(); err != nil {
		t.Fatal(err)
	}
	memory, err := p.mapMemory(o.Cases)
	if err != nil {
		t.Fatal(err)
	}
	f.cases = casesOf(memory)
	return f
}

// skipWithoutBPF skips where the right to load programs is missing, which is no fault of the programs.
func skipWithoutBPF(t testing.TB, err error) {
	t.Helper()
	err = kernelError("load", err)
	if errors.Is(err, rawsock.ErrPermission) && !testnet.Required("network") {
		t.Skipf("BPF is not permitted here: %v", err)
	}
	t.Fatalf("%+v", err)
}

func (f *functions) run(t testing.TB, prog *ebpf.Program, frame []byte) {
	t.Helper()
	verdict, err := prog.Run(&ebpf.RunOptions{Data: frame, Repeat: uint32(len(f.cases))})
	if err != nil || verdict != 2 {
		t.Fatalf("verdict %d: %v", verdict, err)
	}
}

// spaces are shapes of targets that take every way through the look-ups.
func spaces(t testing.TB) map[string]*target.Space {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	many := ""
	for range 3000 {
		many += fmt.Sprintf("%d.%d.%d.0/%d\n", 11+rng.IntN(100), rng.IntN(256), rng.IntN(256), 24+rng.IntN(9))
	}
	pairs := ""
	for range 2000 {
		pairs += fmt.Sprintf("10.9.%d.%d:%d\n", rng.IntN(4), rng.IntN(256), 1+rng.IntN(65535))
	}
	out := map[string]*target.Space{}
	for name, in := range map[string]struct {
		targets, exclude, ports string
	}{
		"one address":    {"10.1.2.3", "", "80"},
		"three ports":    {"10.1.2.3", "", "80,81,443"},
		"a /16":          {"10.77.0.0/16", "", "443"},
		"all ports":      {"10.77.0.0/20", "", "-"},
		"an /8":          {"10.0.0.0/8", "", "22,80,443,8080,9"},
		"with holes":     {"10.0.0.0/12", "10.0.0.7,10.1.0.0/24,10.2.3.4-10.2.9.1,10.15.255.255", "80,443"},
		"many ranges":    {many, "", "1-1000"},
		"pairs only":     {pairs, "", ""},
		"pairs and more": {pairs + "10.9.1.0/24\n10.200.0.0/16", "", "80,8000-8100"},
		"everything":     {"1.0.0.0-223.255.255.255", "10.0.0.0/8", "80,443"},
	} {
		out[name] = parse(t, in.targets, in.exclude, in.ports)
	}
	return out
}

func parse(t testing.TB, targets, exclude, ports string) *target.Space {
	t.Helper()
	files := map[string]string{"targets": targets, "exclude": exclude, "scope": "0.0.0.0/0"}
	c := target.Config{TargetFiles: []string{"targets"}, ScopeFiles: []string{"scope"},
		Open: func(name string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(files[name])), nil }}
	if exclude != "" {
		c.ExcludeFiles = []string{"exclude"}
	}
	if ports != "" {
		var err error
		if c.Ports, err = target.ParsePorts(ports); err != nil {
			t.Fatal(err)
		}
	}
	loaded, err := target.Load(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return loaded.Space
}

func TestFunctionsMatchGo(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	rounds := 16
	if need.RaceEnabled {
		rounds = 4
	}
	for name, space := range spaces(t) {
		t.Run(name, func(t *testing.T) {
			s := newSubject(t, space, rng.Uint64()>>12, probe.Profile(rng.IntN(4)))
			f := load(t, s)
			for range rounds { // of 4096 cases
				s.forward(t, f, rng)
				s.backward(t, f, rng)
			}
		})
	}
}

// forward: position → index → address and port → probe, and back to the position.
func (s *subject) forward(t *testing.T, f *functions, rng *rand.Rand) {
	t.Helper()
	n := s.space.Len()
	for i := range f.cases {
		at := rng.Uint64N(n)
		if i < 64 { // both ends
			at = uint64(i) % n
		} else if i < 128 {
			at = n - 1 - uint64(i)%min(n, 64)
		}
		f.cases[i] = functionsFunctionCase{In: at, SourcePort: uint16(61000 + rng.IntN(16))}
	}
	f.run(t, f.objects.Forward, make([]byte, s.config.FrameLen))
	frame := make([]byte, s.template.Len())
	s.template.Fill(frame)
	for i := range f.cases {
		c := &f.cases[i]
		index := s.permutation.Index(c.In)
		addr, port := s.space.At(index)
		got := netip.AddrFrom4([4]byte{byte(c.Addr >> 24), byte(c.Addr >> 16), byte(c.Addr >> 8), byte(c.Addr)})
		hash := s.key.Hash(s.source, addr, c.SourcePort, port)
		if c.Index != index || c.Position != c.In || got != addr || c.Port != port || c.Hash != hash {
			t.Fatalf("position %d: got index %d, position %d, %v:%d, hash %x; want index %d, %v:%d, hash %x",
				c.In, c.Index, c.Position, got, c.Port, c.Hash, index, addr, port, hash)
		}
		s.template.Patch(frame, addr, c.SourcePort, port, hash)
		if !bytes.Equal(c.Frame[:len(frame)], frame) {
			t.Fatalf("position %d: probe\n% x, want\n% x", c.In, c.Frame[:len(frame)], frame)
		}
	}
}

// backward: address and port, of the scan or near it or anywhere, → index or none.
func (s *subject) backward(t *testing.T, f *functions, rng *rand.Rand) {
	t.Helper()
	for i := range f.cases {
		addr, port := s.space.At(rng.Uint64N(s.space.Len()))
		b := addr.As4()
		a := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		switch i % 4 {
		case 1:
			a += uint32(rng.IntN(1025)) - 512
		case 2:
			port += uint16(rng.IntN(5)) - 2
		case 3:
			a, port = rng.Uint32(), uint16(rng.Uint32())
		}
		f.cases[i] = functionsFunctionCase{Addr: a, Port: port}
	}
	f.run(t, f.objects.Backward, make([]byte, 64))
	for i := range f.cases {
		c := &f.cases[i]
		addr := netip.AddrFrom4([4]byte{byte(c.Addr >> 24), byte(c.Addr >> 16), byte(c.Addr >> 8), byte(c.Addr)})
		index, ok := s.space.Index(addr, c.Port)
		if !ok {
			index = ^uint64(0)
		}
		if c.Found != index {
			t.Fatalf("%v:%d: got index %d, want %d", addr, c.Port, int64(c.Found), int64(index))
		}
	}
}
