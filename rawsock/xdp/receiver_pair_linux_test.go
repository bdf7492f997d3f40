//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package xdp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"synoptic/results"
	"synoptic/results/window"
	"synoptic/scan/probe"
)

// receiverPair is the model beside the program.
type receiverPair struct {
	*receiverModel
	forger   *forger
	programs *Programs
	kernel   *window.Map
	run      runner
	verdicts [4]int
	kinds    [3]int
}

// advance moves both windows.
func (d *receiverPair) advance(to uint64) {
	d.results.Advance(to, nil)
	d.kernel.Advance(to, nil)
	d.programs.SetWindow(d.kernel.Bounds())
}

// step moves the windows a little, and marks what only user space does.
func (d *receiverPair) step() {
	_, high := d.results.Bounds()
	end := d.space.Len()
	if high < end {
		d.advance(min(end, high+1+d.forger.rng.Uint64N(max(d.results.Guard(), 64))))
	}
	for range 8 {
		at, state := d.position(), results.Filtered
		if at%97 == 5 { // apart, for no probe gets all four bits: that is a sealed slot
			state = results.Unknown
		}
		d.results.Mark(at, state)
		d.kernel.Mark(at, state)
	}
}

// position is in the window, or near it, or anywhere.
func (d *receiverPair) position() uint64 {
	low, high := d.results.Bounds()
	at := low + d.forger.rng.Uint64N(high-low)
	switch d.forger.rng.IntN(12) {
	case 0:
		at = low + d.forger.rng.Uint64N(64) - 32
	case 1:
		at = high + d.forger.rng.Uint64N(64) - 32
	case 2:
		at = d.forger.rng.Uint64N(d.space.Len())
	}
	return at % d.space.Len()
}

// packet makes one and puts it through both.
func (d *receiverPair) packet(t *testing.T) {
	t.Helper()
	d.check(t, d.forger.packet(d.position()))
}

// check puts a frame through both.
func (d *receiverPair) check(t *testing.T, frame []byte) {
	t.Helper()
	want := d.receiverModel.packet(frame)
	verdict, out := d.run.packet(t, frame)
	if verdict != want.verdict {
		t.Fatalf("verdict %d, want %d, of\n% x", verdict, want.verdict, frame)
	}
	d.verdicts[verdict]++
	bytesOut := frame
	if verdict == xdpTX {
		bytesOut = wantReset(t, frame)
	}
	if !bytes.Equal(out, bytesOut) {
		t.Fatalf("the packet became\n% x, want\n% x, from\n% x", out, bytesOut, frame)
	}
	if err := d.mustReach(frame, &want); err != nil {
		t.Fatal(err)
	}
	if want.record {
		r := nextRecord(t, d.programs)
		if r.Kind != want.kind || r.Kind != Raw && r.Position != want.position || !bytes.Equal(r.Packet, want.packet) {
			t.Fatalf("record %d, position %d\n% x, want %d, position %d\n% x", r.Kind, r.Position, r.Packet, want.kind, want.position, want.packet)
		}
		d.kinds[r.Kind]++
	}
	if d.programs.More() {
		t.Fatalf("a record that nobody asked for, of\n% x", frame)
	}
	if want.settled {
		if i := want.position % d.config.Window / 16; d.words[i] != d.programs.Slots()[i] {
			t.Fatalf("position %d: slots %x, want %x", want.position, d.programs.Slots()[i], d.words[i])
		}
	}
}

// mustReach holds the model itself against package probe: what is proven there is never passed by.
func (d *receiverPair) mustReach(frame []byte, o *outcome) error {
	if o.settled || o.raw {
		return nil
	}
	var r probe.Reply
	ip, _ := payload(frame)
	if probe.Parse(ip, &r) != probe.Accepted || !d.key.Genuine(&r) || !d.ours(r.LocalPort) || r.Local != d.config.Source {
		return nil
	}
	if _, ok := d.space.Index(r.Target, r.Port); !ok {
		return nil
	}
	return fmt.Errorf("a genuine reply is passed by: % x", frame)
}

// agree holds the counters and the whole map against each other.
func (d *receiverPair) agree(t *testing.T) (got Tally) {
	t.Helper()
	got, err := d.programs.Tally()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d.tally, got); diff != "" {
		t.Errorf("counters (-model +program):\n%s", diff)
	}
	for i, w := range d.words {
		if got := d.programs.Slots()[i]; got != w {
			t.Fatalf("word %d: %x, want %x", i, got, w)
		}
	}
	for i := range d.losses {
		if got := lossesOf(d.programs, i); got != d.losses[i] {
			t.Fatalf("first answers of chunk %d:\n%v, want\n%v", i, got, d.losses[i])
		}
	}
	return got
}

// compare is agree, and that the packets went everywhere.
func (d *receiverPair) compare(t *testing.T) {
	t.Helper()
	got := d.agree(t)
	for _, f := range flaws {
		if d.forger.reached[f.name] == 0 {
			t.Errorf("no packet: %s", f.name)
		}
	}
	for name, n := range map[string]uint64{
		"drop": uint64(d.verdicts[xdpDrop]), "pass": uint64(d.verdicts[xdpPass]), "TX": uint64(d.verdicts[xdpTX]),
		"news": uint64(d.kinds[News]), "sample": uint64(d.kinds[Sample]) + uint64(bit(d.space.Len() < 64)), "raw": uint64(d.kinds[Raw]),
		"duplicates": got.Duplicates, "outranked": got.Outranked, "invalid": got.Invalid,
		"late": got.Late + uint64(bit(d.results.Covers())), "repeated": got.Repeated + uint64(bit(d.config.PortMin+1 == d.config.PortMax)),
	} {
		if n == 0 && d.config.Emits != uint8(results.Open|results.Closed) {
			t.Errorf("no packet: %s", name)
		}
	}
	t.Logf("verdicts %v, records %v, %+v", d.verdicts, d.kinds, got)
}

// lossesOf reads a chunk of the counters of first answers.
func lossesOf(p *Programs, chunk int) (l [2][6][16]uint32) {
	b := p.Losses()
	b = b[chunk*(len(b)/p.config.Loss.Chunks):]
	for i := range l {
		for j := range l[i] {
			for k := range l[i][j] {
				l[i][j][k] = binary.LittleEndian.Uint32(b)
				b = b[4:]
			}
		}
	}
	return l
}
