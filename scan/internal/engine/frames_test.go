package engine

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"synoptic/rawsock"
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
	l := newAnswers(ph, interfaceNames{only: "eth0"})
	l.news, l.frames = q.batch(), &frames{source: ring}
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
		l.packet(&rawsock.Packet{Data: reply, Len: len(reply), Time: 1})
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
	l := newAnswers(ph, interfaceNames{})
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
	if a := testing.AllocsPerRun(10_000, func() { kept, _, _ = f.keep(&rawsock.Packet{Len: 44}) }); a >= 1 {
		t.Errorf("%v allocations for a frame", a)
	}
	if len(kept) != linkHeader+44 {
		t.Errorf("frame of %d bytes", len(kept))
	}
}

// Frames begin with an Ethernet header, or at their IP header where their link has another one or none.
func TestFrameOfLink(t *testing.T) {
	packet := bytes.Repeat([]byte{0x45}, 44)
	for _, c := range []struct {
		header, want int
		link         results.LinkType
	}{{14, 14, results.LinkEthernet}, {0, 0, results.LinkRaw}, {20, 0, results.LinkRaw}} {
		ring := &writtenOver{}
		ring.put(bytes.Repeat([]byte{1}, c.header), packet)
		f := &frames{source: ring}
		for range 3 {
			frame, length, link := f.keep(&rawsock.Packet{Len: len(packet)})
			if want := append(bytes.Repeat([]byte{1}, c.want), packet...); !bytes.Equal(frame, want) || int(length) != len(want) || link != c.link {
				t.Errorf("link header of %d bytes: frame of %d bytes % x, link %d", c.header, length, frame, link)
			}
		}
	}
}
