//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package xdp

import (
	"math/rand/v2"
	"testing"

	"synoptic/bench/lab/replies"
	"synoptic/results"
	"synoptic/results/window"
	"synoptic/scan/probe"
)

// newReceiverPair loads the receiver of a scan whose window holds everything.
func newReceiverPair(t testing.TB) *receiverPair {
	t.Helper()
	s := newSubject(t, parse(t, "10.77.0.0/16", "", "443"), 9, probe.ProfileMSS)
	s.config.Window, s.config.Emits = 1<<16, uint8(results.Open)
	s.config.Loss = Loss{ChunkLen: 1 << 10, Chunks: 64}
	m, err := newReceiverModel(s, 0, s.space.Len())
	if err != nil {
		t.Fatal(err)
	}
	s.config.Guard = m.results.Guard()
	p := programsOf(t, s)
	kernel, err := window.NewOn(0, s.space.Len(), p.Slots())
	if err != nil {
		t.Fatal(err)
	}
	d := &receiverPair{
		receiverModel: m, programs: p, kernel: kernel, run: runner{program: p.objects.Receive},
		forger: &forger{subject: s, rng: rand.New(rand.NewPCG(9, 9)), reached: map[string]int{}},
	}
	d.advance(s.space.Len())
	return d
}

// probeOf is the probe of a position as its target sees it.
func (d *receiverPair) probeOf(position uint64) replies.Probe {
	addr, port := d.space.At(d.permutation.Index(position))
	frame := make([]byte, d.template.Len())
	d.template.Fill(frame)
	d.template.Patch(frame, addr, d.config.PortMin, port, d.key.Hash(d.source, addr, d.config.PortMin, port))
	return replies.Read(frame)
}

// Every reply of the table is to the program what it is to the model, and what is proven to the parser goes up.
func TestReceiveTableOfReplies(t *testing.T) {
	d := newReceiverPair(t)
	for i, row := range replies.Table() {
		for _, frame := range row.Frames(d.probeOf(uint64(i))) {
			d.check(t, frame)
		}
	}
	d.agree(t)
}

// Frames of any bytes, near those that answer probes: the program, the model and the parser agree.
func FuzzReceive(f *testing.F) {
	d := newReceiverPair(f)
	for i, row := range replies.Table() {
		for _, frame := range row.Frames(d.probeOf(uint64(i))) {
			f.Add(frame)
		}
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) < 14 || len(frame) > 3000 { // what a test run takes
			t.Skip()
		}
		d.check(t, frame)
	})
}
