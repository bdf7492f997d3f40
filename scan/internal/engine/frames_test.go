package engine

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/results"
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

func (w *writtenOver) AppendFrame(b []byte, _ rawsock.Packet) ([]byte, int) {
	return append(b, w.ring[:w.kept]...), w.length
}

// A record's frame is that of the reply that decided it, whatever is written over the ring and however
// often the batches go round, until nobody holds the record any more.
func TestFramesOutliveRingAndBatches(t *testing.T) {
	_, ph := lanePhase(t, 1<<20)
	ph.results.Advance(ph.id.space.Len(), nil)
	q := ph.rec.queue
	q.frames = true
	var got []results.Port // kept, as no real sink may, to see what becomes of their frames
	sink := results.SinkFuncs{OnPorts: func(batch []results.Port) error { got = append(got, batch...); return nil }}
	ring := &writtenOver{}
	l := newAnswers(ph, "eth0")
	l.news, l.frames = q.batch(), &frames{source: ring, link: results.LinkEthernet}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { q.pump(sink, stop, func(err error) { t.Error(err) }); close(done) }()
	const n = 40 * queueBatch
	want := map[netip.AddrPort][]byte{}
	for pos := range uint64(n) {
		header := []byte{2, 0, 0, byte(pos >> 16), byte(pos >> 8), byte(pos), 2, 0, 0, 0, 0, 1, 8, 0}
		reply := ph.reply(pos, 0, 0x12)
		if pos%7 == 0 {
			reply = append(reply, bytes.Repeat([]byte{byte(pos)}, 400)...) // longer than what is kept
		}
		ring.put(header, reply)
		addr, port := ph.id.endpoint(pos)
		want[netip.AddrPortFrom(addr, port)] = slices.Concat(header, reply)
		l.packet(&rawsock.Packet{Data: reply, Time: 1})
		ring.put(nil, bytes.Repeat([]byte{0xff}, frameSnap))
		l.packet(&rawsock.Packet{Data: reply, Time: 2}) // the duplicate's frame is no evidence
		if pos%97 == 0 {
			l.news = q.put(l.news)
		}
	}
	q.put(l.news)
	close(stop)
	<-done
	if len(got) != n {
		t.Fatalf("%d records of %d", len(got), n)
	}
	for _, p := range got {
		frame := want[netip.AddrPortFrom(p.Addr, p.Port)]
		if !bytes.Equal(p.Frame, frame[:min(len(frame), frameSnap)]) || int(p.FrameLen) != len(frame) || p.Link != results.LinkEthernet {
			t.Fatalf("%s:%d has a frame of %d bytes, link %d: % x\nwant %d: % x", p.Addr, p.Port, p.FrameLen, p.Link, p.Frame, len(frame), frame)
		}
		if cap(p.Frame) != len(p.Frame) {
			t.Fatal("who appends to a frame writes over the next one")
		}
	}
	for _, b := range q.free {
		for _, p := range b[:cap(b)] {
			if p.Frame != nil {
				t.Fatal("an emptied batch holds on to its frames")
			}
		}
	}
}

// Where no output asks for them, records have no frames.
func TestNoFramesUnlessAsked(t *testing.T) {
	_, ph := lanePhase(t, 1<<20)
	ph.results.Advance(10, nil)
	l := newAnswers(ph, "")
	l.news = ph.rec.queue.batch()
	l.packet(&rawsock.Packet{Data: ph.reply(5, 0, 0x12), Time: 1})
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
	if a := testing.AllocsPerRun(10_000, func() { kept, _, _ = f.keep(&rawsock.Packet{}) }); a >= 1 {
		t.Errorf("%v allocations for a frame", a)
	}
	if len(kept) != linkHeader+44 {
		t.Errorf("frame of %d bytes", len(kept))
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
