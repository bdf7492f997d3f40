//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package xdp

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"synoptic/bench/lab/packet"
	"synoptic/bench/lab/testnet"
)

// farEnd keeps the frames that arrive at the far end of a network's link, in the order of their
// arrival. Nothing is lost behind it, unlike with a capture.
type farEnd struct {
	objects farObjects
	frames  []farArrival
	seen    int // by take
}

// newFarEnd takes a frame every burn at most.
func newFarEnd(t testing.TB, n *testnet.Network, burn time.Duration) *farEnd {
	t.Helper()
	spec, err := loadFar()
	if err != nil {
		t.Fatal(err)
	}
	if err := spec.Variables["burn"].Set(uint64(burn)); err != nil {
		t.Fatal(err)
	}
	f := &farEnd{}
	if err := spec.LoadAndAssign(&f.objects, nil); err != nil {
		skipWithoutBPF(t, err)
	}
	p := &Programs{}
	memory, err := p.mapMemory(f.objects.Arrivals)
	if err != nil {
		t.Fatal(err)
	}
	f.frames = arrivalsOf(memory)
	attachFar(t, n, f.objects.Keep)
	t.Cleanup(func() {
		f.frames = nil
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		f.objects.Close()
	})
	return f
}

func attachFar(t testing.TB, n *testnet.Network, program *ebpf.Program) {
	t.Helper()
	err := n.Do(func() error {
		peer, err := netlink.LinkByName(n.PeerLink)
		if err != nil {
			return err
		}
		l, err := link.AttachXDP(link.XDPOptions{Program: program, Interface: peer.Attrs().Index, Flags: link.XDPDriverMode})
		if err == nil {
			t.Cleanup(func() { l.Close() })
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// arrived is how many frames have come so far.
func (f *farEnd) arrived(t testing.TB) (n uint64) {
	t.Helper()
	if err := f.objects.Arrived.Get(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// take gives what has come since the last time, n frames and no more.
func (f *farEnd) take(t testing.TB, n int) [][]byte {
	t.Helper()
	var out [][]byte
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if now := f.arrived(t); now >= uint64(f.seen+n) && f.written(f.seen, f.seen+n) || time.Now().After(deadline) {
			break
		}
	}
	for end := min(int(f.arrived(t)), len(f.frames)); f.seen < end; f.seen++ {
		a := &f.frames[f.seen]
		out = append(out, append([]byte(nil), a.Frame[:min(int(a.Length), len(a.Frame))]...))
		if int(a.Length) > len(a.Frame) {
			t.Errorf("a frame of %d bytes", a.Length)
		}
	}
	if len(out) != n {
		t.Errorf("%d frames arrived, want %d", len(out), n)
	}
	return out
}

func (f *farEnd) written(from, to int) bool {
	for i := from; i < to; i++ {
		if atomic.LoadUint32(&f.frames[i].Length) == 0 {
			return false
		}
	}
	return true
}

// describe says what a probe is, for messages.
func describe(frame []byte) string {
	p, err := packet.ParseEthernet(frame)
	if err != nil {
		return fmt.Sprintf("% x", frame)
	}
	return fmt.Sprintf("%d bytes to %v from port %d", len(frame), p.To(), p.From().Port())
}
