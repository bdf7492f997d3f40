//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package engine

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"reflect"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"synoptic/bench/lab/testnet"
	"synoptic/rawsock"
	"synoptic/rawsock/xdp"
	"synoptic/results"
	"synoptic/scan/schedule"
)

// structOf gives a struct of the programs by what the compiler says of it.
func structOf(t *testing.T, name string) *btf.Struct {
	t.Helper()
	object, err := os.ReadFile("../../../rawsock/xdp/scan_bpfel.o")
	if err != nil {
		t.Fatal(err)
	}
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object))
	if err != nil {
		t.Fatal(err)
	}
	var s *btf.Struct
	if err := spec.Types.TypeByName(name, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// The programs count in the memory of the engine's chunks of losses.
func TestChunkLossLayout(t *testing.T) {
	c := structOf(t, "chunk_loss")
	own := reflect.TypeFor[schedule.ChunkLoss]()
	if uintptr(c.Size) != own.Size() {
		t.Errorf("%d bytes, the programs have %d", own.Size(), c.Size)
	}
	if c.Size%8 != 0 {
		t.Errorf("%d bytes: elements of an array are multiples of 8 bytes apart", c.Size)
	}
	members := map[string]btf.Member{}
	for _, m := range c.Members {
		members[m.Name] = m
	}
	f, _ := own.FieldByName("answered")
	if m, ok := members["answered"]; !ok || uintptr(m.Offset.Bytes()) != f.Offset {
		t.Errorf("answered at %d, the programs have it at %d", f.Offset, m.Offset.Bytes())
	}
	// [evidence][divisor][attempt]
	theirs, ours := members["answered"].Type, f.Type
	for ours.Kind() == reflect.Array {
		a, ok := btf.UnderlyingType(theirs).(*btf.Array)
		if !ok || int(a.Nelems) != ours.Len() {
			t.Fatalf("%v, want %d elements", theirs, ours.Len())
		}
		theirs, ours = a.Type, ours.Elem()
	}
	if i, ok := btf.UnderlyingType(theirs).(*btf.Int); !ok || uintptr(i.Size) != ours.Size() {
		t.Errorf("counters are %v", theirs)
	}
}

// The memory that package xdp gives is as many chunks as were asked for, and a chunk's counters are
// where schedule.Loss looks for them.
func TestLossChunksOfPrograms(t *testing.T) {
	const chunks = 5
	size := int(reflect.TypeFor[schedule.ChunkLoss]().Size())
	memory := make([]byte, chunks*size)
	ring := lossChunks(memory)
	if len(ring) != chunks {
		t.Fatalf("%d chunks", len(ring))
	}
	l := schedule.NewLoss(1<<10, 1<<10, chunks<<10, chunks<<10, nil)
	l.Use(ring)
	l.Answer(3<<10|4, results.RST, 7)
	at := 2*size + 4*((1*(schedule.MaxStride+1)+2)*schedule.MaxAttempts+7)
	for i, b := range memory {
		if want := i == at; (b == 1) != want {
			t.Errorf("byte %d is %d", i, b)
		}
	}
	p, err := xdp.Load(xdp.Config{
		Interface: 1, Source: netip.AddrFrom4([4]byte{10}), Window: 64, FrameLen: 54, PortMax: schedule.MaxAttempts - 1,
		Times: xdp.Times{Attempts: schedule.MaxAttempts, Entries: 8}, Loss: xdp.Loss{ChunkLen: 1 << 10, Chunks: chunks}, Space: xdp.Space{Sets: []xdp.Set{{}}},
	})
	if errors.Is(err, rawsock.ErrPermission) && !testnet.Required("network") {
		t.Skipf("BPF is not permitted here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if got := lossChunks(p.Losses()); len(got) != chunks || len(p.Losses()) != len(memory) {
		t.Errorf("%d chunks of %d bytes", len(got), len(p.Losses()))
	}
	for i := range schedule.MaxAttempts {
		if got := atomicWords(p.Times(i)); len(got) != 8 {
			t.Errorf("attempt %d: %d entries", i, len(got))
		}
	}
}
