package scan

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"synoptic/bench/lab/testnet"
	"synoptic/ratelimit"
	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/results"
	"synoptic/results/window"
	"synoptic/scan/permute"
	"synoptic/scan/probe"
	"synoptic/scan/target"
)

func TestMain(m *testing.M) { testnet.Main(m) }

// laneEngine is an engine without sockets over 10.77.0.0/16, and what else is given, × 22,80.
func laneEngine(t testing.TB, maxMemory int64, more ...string) *engine {
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
	m, err := window.New(0, n, maxMemory)
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{
		Plan: &Plan{
			Config: Config{Targets: targets, Rate: 1e5, Attempts: 3, Batch: DefaultBatch, RetryGap: DefaultRetryGap}, Space: targets.Space,
			Permutation: permutation, Positions: permute.Range{End: n}, SourcePorts: PortRange{61000, 61000 + maxAttempts - 1},
		},
		key: probe.Key{K0: 1, K1: 2}, emits: results.Open, results: m, queue: newNews(),
	}
	e.loss = newLossStats(0, e.chunkLen(), n)
	return e
}

var laneSource = netip.MustParseAddr("10.76.0.1")

// reply is a target's answer to attempt (from 0) at a position: flags 0x12 for SYN-ACK, 0x14 for RST.
func (e *engine) reply(pos uint64, attempt uint16, flags byte) []byte {
	addr, port := e.Space.At(e.Permutation.Index(pos))
	sport := e.SourcePorts.Min + attempt
	pkt := make([]byte, 40)
	pkt[0], pkt[3], pkt[8], pkt[9] = 0x45, 40, 64, 6
	src, dst := addr.As4(), laneSource.As4()
	copy(pkt[12:], src[:])
	copy(pkt[16:], dst[:])
	binary.BigEndian.PutUint16(pkt[20:], port)
	binary.BigEndian.PutUint16(pkt[22:], sport)
	binary.BigEndian.PutUint32(pkt[28:], probe.Cookie(e.key.Hash(laneSource, addr, sport, port))+1)
	pkt[32], pkt[33], pkt[34] = 5<<4, flags, 0xff
	return pkt
}

// What a receiver lane makes of each packet: news once, and a count of everything else.
func TestReceiverLane(t *testing.T) {
	e := laneEngine(t, 1<<20)
	e.results.Advance(1000, nil)
	l := &rxLane{engine: e, news: e.queue.batch()}
	const synAck, rst = 0x12, 0x14
	for _, step := range []struct {
		what string
		pkt  []byte
		news int
		want rxTally
	}{
		{"an answer", e.reply(5, 0, synAck), 1, rxTally{replies: 1}},
		{"the same again", e.reply(5, 0, synAck), 1, rxTally{replies: 2, duplicates: 1}},
		{"a reset after it", e.reply(5, 0, rst), 1, rxTally{replies: 3, duplicates: 1, outranked: 1}},
		{"a reset first, not shown", e.reply(6, 1, rst), 1, rxTally{replies: 4, duplicates: 1, outranked: 1}},
		{"and then better", e.reply(6, 0, synAck), 2, rxTally{replies: 5, duplicates: 1, outranked: 1}},
		{"not sent yet", e.reply(1000, 0, synAck), 2, rxTally{replies: 6, duplicates: 1, outranked: 1, late: 1}},
		{"a port beyond our attempts", e.reply(7, maxAttempts, synAck), 2, rxTally{replies: 6, duplicates: 1, outranked: 1, late: 1, invalid: 1}},
		{"no TCP reply", make([]byte, 40), 2, rxTally{replies: 6, duplicates: 1, outranked: 1, late: 1, invalid: 2}},
	} {
		l.packet(step.pkt, 0)
		if l.seen != step.want || len(l.news) != step.news {
			t.Errorf("%s: %d news, counts %+v, want %d, %+v", step.what, len(l.news), l.seen, step.news, step.want)
		}
	}
	if o, c := e.tally.open.Load(), e.tally.closed.Load(); o != 2 || c != 0 {
		t.Errorf("%d open, %d closed in the end, want 2, 0", o, c)
	}
}

// A packet costs no allocation, whether it is news or not.
func TestLanesDoNotAllocate(t *testing.T) {
	n := testnet.New(t, testnet.Config{Gateway: true})
	e := laneEngine(t, 1<<20)
	e.results.Advance(e.Space.Len(), nil)
	rx := &rxLane{engine: e, news: make([]results.Port, 0, 1<<16)}
	e.timesOf(0)
	var pos uint64
	packets := make([][]byte, 4096)
	for i := range packets {
		packets[i] = e.reply(uint64(i), 0, 0x12)
	}
	if a := testing.AllocsPerRun(2000, func() { rx.packet(packets[pos], 1); rx.packet(packets[pos], 2); pos++ }); a != 0 {
		t.Errorf("receiver: %v allocations for an answer and its duplicate", a)
	}
	if len(rx.news) < 2000 || rx.seen.duplicates < 2000 {
		t.Fatalf("%d news, %d duplicates: the lane did not work", len(rx.news), rx.seen.duplicates)
	}

	var err error
	if e.Routes, err = route.New(e.Space.Addrs().Ranges(), route.Options{}); err != nil {
		t.Fatal(err)
	}
	tmpl, err := e.template(&e.Routes.Paths[0], n.PeerHardwareAddr)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := rawsock.NewTx(rawsock.TxConfig{Interface: e.Routes.Paths[0].Link.Index, FrameLen: tmpl.Len()})
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Close()
	tx.Prepare(tmpl.Fill)
	limiter, err := ratelimit.New(1e9, ratelimit.System())
	if err != nil {
		t.Fatal(err)
	}
	out := &egress{hop: &hop{path: &e.Routes.Paths[0], tmpl: tmpl}, tx: tx, positions: make([]uint64, tx.Batch())}
	lane := &txLane{engine: e, schedule: e.newSharedSchedule(), egress: []*egress{out}, limiter: limiter}
	p := &pass{first: true, step: stepAll, chunk: chunk{end: e.Positions.End}}
	pos = 0
	if a := testing.AllocsPerRun(100, func() {
		out.frames = tx.Frames()
		for range tx.Batch() {
			lane.craft(p, pos)
			pos++
		}
		if err := lane.flush(t.Context(), p, out); err != nil {
			t.Error(err)
		}
	}); a != 0 {
		t.Errorf("sender: %v allocations a batch", a)
	}
	if sent := e.tally.sent.Load(); sent < 100*uint64(tx.Batch()) {
		t.Fatalf("%d sent: the lane did not work", sent)
	}
}
