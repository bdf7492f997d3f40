package engine

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"synoptic/bench/lab/testnet"
	"synoptic/ratelimit"
	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/results"
	"synoptic/scan/permute"
	"synoptic/scan/plan"
	"synoptic/scan/probe"
	"synoptic/scan/schedule"
	"synoptic/scan/target"
)

func TestMain(m *testing.M) { testnet.Main(m) }

// lanePhase is the phase of a session without sockets over 10.77.0.0/16, and what else is given, × 22,80.
func lanePhase(t testing.TB, maxMemory int64, more ...string) (*Session, *Phase) {
	t.Helper()
	ports, err := target.ParsePorts("22,80")
	if err != nil {
		t.Fatal(err)
	}
	targets, err := target.Load(t.Context(), target.Config{Targets: append(more, "10.77.0.0/16"), Ports: ports})
	if err != nil {
		t.Fatal(err)
	}
	n := targets.Space.Len()
	permutation, err := permute.New(n, 1)
	if err != nil {
		t.Fatal(err)
	}
	return sessionOf(t, &plan.Plan{
		Asked: plan.Config{
			Targets: targets, Attempts: 3, Batch: plan.DefaultBatch, RetryGap: plan.DefaultRetryGap, Wait: plan.DefaultWait,
			MaxMemory: maxMemory, Show: results.Open,
		},
		Choice: plan.Choice{Backend: plan.BackendAFPacket, Lanes: 1}, Space: targets.Space, Pace: ratelimit.Constant(1e5),
		Permutation: permutation, Positions: permute.Range{End: n}, SourcePorts: plan.PortRange{Min: 61000, Max: 61000 + schedule.MaxAttempts - 1},
	})
}

func sessionOf(t testing.TB, p *plan.Plan) (*Session, *Phase) {
	t.Helper()
	s, err := New(Config{Phases: []PhaseConfig{{Name: "scan", Plan: p}}})
	if err != nil {
		t.Fatal(err)
	}
	s.phases[0].id.key = probe.Key{K0: 1, K1: 2}
	return s, s.phases[0]
}

var laneSource = netip.MustParseAddr("10.76.0.1")

// reply is a target's answer to attempt (from 0) at a position: flags 0x12 for SYN-ACK, 0x14 for RST.
func (ph *Phase) reply(pos uint64, attempt uint16, flags byte) []byte {
	addr, port := ph.id.endpoint(pos)
	sport := ph.id.ports.Min + attempt
	pkt := make([]byte, 40)
	pkt[0], pkt[3], pkt[8], pkt[9] = 0x45, 40, 64, 6
	src, dst := addr.As4(), laneSource.As4()
	copy(pkt[12:], src[:])
	copy(pkt[16:], dst[:])
	binary.BigEndian.PutUint16(pkt[20:], port)
	binary.BigEndian.PutUint16(pkt[22:], sport)
	binary.BigEndian.PutUint32(pkt[28:], probe.Cookie(ph.id.key.Hash(laneSource, addr, sport, port))+1)
	pkt[32], pkt[33], pkt[34] = 5<<4, flags, 0xff
	return pkt
}

// What a receiver lane makes of each packet: news once, and a count of everything else.
func TestReceiverLane(t *testing.T) {
	_, ph := lanePhase(t, 1<<20)
	ph.results.Advance(1000, nil)
	l := newAnswers(ph, interfaceNames{})
	l.news = ph.rec.queue.batch()
	const synAck, rst = 0x12, 0x14
	for _, step := range []struct {
		what string
		pkt  []byte
		news int
		want rxTally
	}{
		{"an answer", ph.reply(5, 0, synAck), 1, rxTally{replies: 1}},
		{"the same again", ph.reply(5, 0, synAck), 1, rxTally{replies: 2, duplicates: 1}},
		{"a reset after it", ph.reply(5, 0, rst), 1, rxTally{replies: 3, duplicates: 1, outranked: 1}},
		{"a reset first, not shown", ph.reply(6, 1, rst), 1, rxTally{replies: 4, duplicates: 1, outranked: 1}},
		{"and then better", ph.reply(6, 0, synAck), 2, rxTally{replies: 5, duplicates: 1, outranked: 1}},
		{"not sent yet", ph.reply(1000, 0, synAck), 2, rxTally{replies: 6, duplicates: 1, outranked: 1, late: 1}},
		{"a port beyond our attempts", ph.reply(7, schedule.MaxAttempts, synAck), 2, rxTally{replies: 6, duplicates: 1, outranked: 1, late: 1, invalid: 1}},
		{"no TCP reply", make([]byte, 40), 2, rxTally{replies: 6, duplicates: 1, outranked: 1, late: 1, invalid: 2}},
	} {
		l.packet(&rawsock.Packet{Data: step.pkt})
		if l.seen != step.want || len(l.news) != step.news {
			t.Errorf("%s: %d news, counts %+v, want %d, %+v", step.what, len(l.news), l.seen, step.news, step.want)
		}
	}
	if o, c := ph.tally.open.Load(), ph.tally.closed.Load(); o != 2 || c != 0 {
		t.Errorf("%d open, %d closed in the end, want 2, 0", o, c)
	}
}

// A packet costs no allocation, whether it is news or not.
func TestLanesDoNotAllocate(t *testing.T) {
	n := testnet.New(t, testnet.Config{Gateway: true})
	s, ph := lanePhase(t, 1<<20)
	ph.results.Advance(ph.id.space.Len(), nil)
	rx := newAnswers(ph, interfaceNames{})
	rx.news = make([]results.Port, 0, 1<<16)
	ph.ev.timesOf(0)
	var pos uint64
	packets := make([]rawsock.Packet, 4096)
	for i := range packets {
		packets[i] = rawsock.Packet{Data: ph.reply(uint64(i), 0, 0x12), Time: 1}
	}
	if a := testing.AllocsPerRun(2000, func() { rx.packet(&packets[pos]); rx.packet(&packets[pos]); pos++ }); a != 0 {
		t.Errorf("receiver: %v allocations for an answer and its duplicate", a)
	}
	if len(rx.news) < 2000 || rx.seen.duplicates < 2000 {
		t.Fatalf("%d news, %d duplicates: the lane did not work", len(rx.news), rx.seen.duplicates)
	}

	lane, tx := laneOut(t, s, ph, n.PeerHardwareAddr)
	lane.pace = fast(t)
	p := &schedule.Pass{First: true, Step: schedule.All, Chunk: schedule.Chunk{End: ph.plan.Positions.End}}
	if a := testing.AllocsPerRun(100, func() {
		lane.due = p.Collect(ph.results, lane.due[:0])
		lane.fill(p, len(lane.due))
		if err := lane.flush(t.Context(), p, lane.egress[0]); err != nil {
			t.Error(err)
		}
	}); a != 0 {
		t.Errorf("sender: %v allocations a batch", a)
	}
	if sent := ph.tally.sent.Load(); sent < 100*uint64(tx.Batch()) {
		t.Fatalf("%d sent: the lane did not work", sent)
	}
}

// fast is a pace that nobody waits for.
func fast(t testing.TB) *ratelimit.Pacer {
	t.Helper()
	p, err := ratelimit.NewPacer(ratelimit.Constant(1e12), ratelimit.System())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// laneOut is a sender lane with a packet socket towards the peer.
func laneOut(t testing.TB, s *Session, ph *Phase, peer net.HardwareAddr) (*txLane, *rawsock.Tx) {
	t.Helper()
	p := *s.plan
	var err error
	if p.Routes, err = route.New(p.Space.Addrs().Ranges(), route.Options{}); err != nil {
		t.Fatal(err)
	}
	s.plan = &p
	path := &p.Routes.Paths[0]
	tmpl, err := p.Template(path, peer)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := rawsock.NewTx(rawsock.TxConfig{Interface: path.Link.Index, FrameLen: tmpl.Len()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tx.Close() })
	tx.Prepare(tmpl.Fill)
	out := &egress{hop: &hop{}, way: &way{path, tmpl}, tx: tx, positions: make([]uint64, tx.Batch())}
	return newTxLane(s, ph, newSharedSchedule(ph), []*egress{out}), tx
}
