package scan

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"synoptic/bench/lab/testnet"
	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/results"
	"synoptic/scan/target"
)

// writtenOver is a ring with room for one packet: the next is written over it.
type writtenOver struct {
	ring   [frameSnap]byte
	length int // of the packet on the link
	kept   int
}

func (w *writtenOver) put(header, packet []byte) {
	clear(w.ring[:])
	w.length = len(header) + len(packet)
	w.kept = copy(w.ring[:], slices.Concat(header, packet))
}

func (w *writtenOver) AppendFrame(b []byte) ([]byte, int) {
	return append(b, w.ring[:w.kept]...), w.length
}

// gathered keeps the records of its batches, as no real sink may, to see what becomes of their frames.
type gathered struct {
	openHosts
	ports []results.Port
}

func (g *gathered) Ports(batch []results.Port) error {
	g.ports = append(g.ports, batch...)
	return nil
}

// A record's frame is that of the reply that decided it, whatever is written over the ring and however
// often the batches go round, until nobody holds the record any more.
func TestFramesOutliveRingAndBatches(t *testing.T) {
	e := laneEngine(t, 1<<20)
	e.results.Advance(e.Space.Len(), nil)
	e.queue.frames = true
	ring, sink := &writtenOver{}, &gathered{}
	l := &rxLane{engine: e, news: e.queue.batch(), iface: "eth0", frames: &frames{source: ring, link: results.LinkEthernet}}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { e.queue.pump(sink, stop, func(err error) { t.Error(err) }); close(done) }()
	const n = 40 * newsBatch
	want := map[netip.AddrPort][]byte{}
	for pos := range uint64(n) {
		header := []byte{2, 0, 0, byte(pos >> 16), byte(pos >> 8), byte(pos), 2, 0, 0, 0, 0, 1, 8, 0}
		reply := e.reply(pos, 0, 0x12)
		if pos%7 == 0 {
			reply = append(reply, bytes.Repeat([]byte{byte(pos)}, 400)...) // longer than what is kept
		}
		ring.put(header, reply)
		addr, port := e.Space.At(e.Permutation.Index(pos))
		want[netip.AddrPortFrom(addr, port)] = slices.Concat(header, reply)
		l.packet(reply, 1)
		ring.put(nil, bytes.Repeat([]byte{0xff}, frameSnap))
		l.packet(reply, 2) // the duplicate's frame is no evidence
		if pos%97 == 0 {
			l.news = l.queue.put(l.news)
		}
	}
	l.queue.put(l.news)
	close(stop)
	<-done
	if len(sink.ports) != n {
		t.Fatalf("%d records of %d", len(sink.ports), n)
	}
	for _, p := range sink.ports {
		frame := want[netip.AddrPortFrom(p.Addr, p.Port)]
		if !bytes.Equal(p.Frame, frame[:min(len(frame), frameSnap)]) || int(p.FrameLen) != len(frame) || p.Link != results.LinkEthernet {
			t.Fatalf("%s:%d has a frame of %d bytes, link %d: % x\nwant %d: % x", p.Addr, p.Port, p.FrameLen, p.Link, p.Frame, len(frame), frame)
		}
		if cap(p.Frame) != len(p.Frame) {
			t.Fatal("who appends to a frame writes over the next one")
		}
	}
	for _, b := range e.queue.free {
		for _, p := range b[:cap(b)] {
			if p.Frame != nil {
				t.Fatal("an emptied batch holds on to its frames")
			}
		}
	}
}

// Where no output asks for them, records have no frames.
func TestNoFramesUnlessAsked(t *testing.T) {
	e := laneEngine(t, 1<<20)
	e.results.Advance(10, nil)
	l := &rxLane{engine: e, news: e.queue.batch()}
	l.packet(e.reply(5, 0, 0x12), 1)
	if len(l.news) != 1 || l.news[0].Frame != nil || l.news[0].FrameLen != 0 {
		t.Errorf("news %+v", l.news)
	}
}

// A frame costs memory, but seldom an allocation.
func TestFramesAllocateInBlocks(t *testing.T) {
	ring := &writtenOver{}
	ring.put(make([]byte, linkHeader), make([]byte, 44))
	f := &frames{source: ring}
	var kept []byte
	if a := testing.AllocsPerRun(10_000, func() { kept, _, _ = f.keep() }); a >= 1 {
		t.Errorf("%v allocations for a frame", a)
	}
	if len(kept) != linkHeader+44 {
		t.Errorf("frame of %d bytes", len(kept))
	}
}

// Frames come by packet sockets only: other backends are refused, and not chosen.
func TestFramesDecideTheBackend(t *testing.T) {
	testnet.New(t, testnet.Config{Gateway: true})
	plan := func(targets, backend string) (*Plan, error) {
		ports, err := target.ParsePorts("80")
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := target.Load(t.Context(), target.Config{Targets: []string{targets}, Ports: ports})
		if err != nil {
			t.Fatal(err)
		}
		return NewPlan(Config{Targets: loaded, Backend: backend, Rate: 1e6, Frames: true})
	}
	p, err := plan("10.77.0.0/24", BackendAuto)
	if err != nil {
		t.Fatal(err)
	}
	if p.Backend != BackendAFPacket || !strings.Contains(p.BackendReason, "an output keeps the replies' frames") {
		t.Errorf("%s: %s", p.Backend, p.BackendReason)
	}
	if _, err := plan("10.77.0.0/24", BackendAFPacket); err != nil {
		t.Errorf("afpacket: %v", err)
	}
	for _, c := range [][2]string{
		{"10.77.0.0/24", BackendXDP}, {"10.77.0.0/24", BackendEBPF}, {"10.77.0.0/24", BackendConnect}, {"::1", BackendAuto}, {"::1", BackendConnect},
	} {
		_, err := plan(c[0], c[1])
		var h interface{ Hint() string }
		if err == nil || !strings.Contains(err.Error(), "frames") || !errors.As(err, &h) || h.Hint() == "" {
			t.Errorf("%s by %s: error %v, want one about frames with a hint", c[0], c[1], err)
		}
	}
}

// Frames begin with what their link has before the IP header.
func TestLinkOf(t *testing.T) {
	for framing, want := range map[rawsock.Framing]struct {
		link   results.LinkType
		header int
	}{rawsock.Ethernet: {results.LinkEthernet, 14}, rawsock.Loopback: {results.LinkEthernet, 14}, rawsock.None: {results.LinkRaw, 0}} {
		if link, header := linkOf(&route.Link{Framing: framing}); link != want.link || header != want.header {
			t.Errorf("%s: link %d, header of %d bytes, want %+v", framing, link, header, want)
		}
	}
}
