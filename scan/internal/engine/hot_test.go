package engine

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"synoptic/bench/lab/testnet"
	"synoptic/ratelimit"
	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/results"
	"synoptic/results/window"
	"synoptic/scan/permute"
	"synoptic/scan/probe"
	"synoptic/scan/rtt"
	"synoptic/scan/schedule"
)

// BenchmarkHot times every function that runs for each probe, reply or batch, from where the engine
// calls it. .ci/allocations knows the names, and fails where one is missing or allocates.
func BenchmarkHot(b *testing.B) {
	n := testnet.New(b, testnet.Config{Gateway: true})
	s, ph := lanePhase(b, 1<<20)
	lane, tx := laneOut(b, s, ph, n.PeerHardwareAddr)
	tmpl := lane.egress[0].tmpl
	run := func(name string, f func(b *testing.B)) {
		b.Run(name, func(b *testing.B) { b.ReportAllocs(); f(b) })
	}
	hotIdentity(run, &ph.id, s.plan.Routes)
	hotProbe(run, ph, tmpl)
	hotResults(run)
	hotSending(run, ph)
	hotLanes(run, ph, lane, tx)
}

// hotSink keeps results that the compiler would otherwise do without.
var hotSink uint64

type hotRun func(name string, f func(b *testing.B))

// hotIdentity: position ↔ index ↔ (address, port) → path.
func hotIdentity(run hotRun, id *identity, routes *route.Plan) {
	n := id.space.Len()
	run("permute.Permutation.Index", func(b *testing.B) {
		for i := uint64(0); b.Loop(); i++ {
			hotSink += id.permutation.Index(i % n)
		}
	})
	run("permute.Permutation.Position", func(b *testing.B) {
		for i := uint64(0); b.Loop(); i++ {
			hotSink += id.permutation.Position(i % n)
		}
	})
	run("target.Space.At", func(b *testing.B) {
		for i := uint64(0); b.Loop(); i += 7919 {
			_, port := id.space.At(i % n)
			hotSink += uint64(port)
		}
	})
	run("target.Space.Index", func(b *testing.B) {
		for i := uint32(0); b.Loop(); i += 7919 {
			index, ok := id.space.Index(netip.AddrFrom4([4]byte{10, 77, byte(i >> 8), byte(i)}), 80)
			if !ok {
				b.Fatal(i)
			}
			hotSink += index
		}
	})
	run("route.Plan.Lookup", func(b *testing.B) {
		for i := uint32(0); b.Loop(); i += 7919 {
			if routes.Lookup(netip.AddrFrom4([4]byte{10, 77, byte(i >> 8), byte(i)})) != 0 {
				b.Fatal(i)
			}
		}
	})
	run("route.Table.MAC", func(b *testing.B) {
		link := routes.Paths[0].Link
		link.NoARP = true // filled without asking anybody
		table, err := route.Resolve(b.Context(), link, routes.Paths[0].Src, onLink(routes, 0, func(netip.Addr) bool { return true }), route.ResolveOptions{})
		if err != nil {
			b.Fatal(err)
		}
		for i := uint32(0); b.Loop(); i += 7919 {
			if _, ok := table.MAC(netip.AddrFrom4([4]byte{10, 77, byte(i >> 8), byte(i)})); !ok {
				b.Fatal(i)
			}
		}
	})
}

// hotProbe: the bytes of probes and replies.
func hotProbe(run hotRun, ph *Phase, tmpl *probe.Template) {
	target := netip.MustParseAddr("10.77.1.2")
	frame := make([]byte, tmpl.Len())
	tmpl.Fill(frame)
	run("probe.Key.Hash", func(b *testing.B) {
		for i := uint16(0); b.Loop(); i++ {
			hotSink += ph.id.key.Hash(laneSource, target, 61000, i)
		}
	})
	run("probe.Template.Patch", func(b *testing.B) {
		for i := uint64(0); b.Loop(); i++ {
			tmpl.Patch(frame, target, 61000, uint16(i), i*0x9e3779b97f4a7c15)
		}
	})
	run("probe.Template.PatchMAC", func(b *testing.B) {
		for i := byte(0); b.Loop(); i++ {
			tmpl.PatchMAC(frame, [6]byte{2, 0, 0, 0, 0, i})
		}
	})
	var r probe.Reply
	parse := func(pkt []byte) func(b *testing.B) {
		return func(b *testing.B) {
			for b.Loop() {
				if probe.Parse(pkt, &r) != probe.Accepted {
					b.Fatal("refused")
				}
			}
		}
	}
	run("probe.Parse/ICMP", parse(icmpError(3, 1)))
	run("probe.Parse/TCP", parse(ph.reply(5, 0, 0x12)))
	probe.Parse(ph.reply(5, 0, 0x12), &r)
	run("probe.Key.Genuine", func(b *testing.B) {
		for b.Loop() {
			if !ph.id.key.Genuine(&r) {
				b.Fatal("refused")
			}
		}
	})
}

// hotResults: the map, and a record's way to its bytes.
func hotResults(run hotRun) {
	const positions = 1 << 40
	slide := func(b *testing.B) *window.Map {
		m, err := window.New(0, positions, window.MinBytes)
		if err != nil {
			b.Fatal(err)
		}
		m.Advance(1<<20, nil)
		return m
	}
	run("window.Map.Mark", func(b *testing.B) {
		m := slide(b)
		for i := uint64(0); b.Loop(); i++ {
			m.Mark(i%(1<<20), results.Open)
		}
	})
	run("window.Map.Get", func(b *testing.B) {
		m := slide(b)
		for i := uint64(0); b.Loop(); i++ {
			state, _ := m.Get(i % (1 << 20))
			hotSink += uint64(state)
		}
	})
	run("window.Map.Advance", func(b *testing.B) {
		m := slide(b)
		count := func(uint64) { hotSink++ }
		for to := uint64(1 << 21); b.Loop(); to += 64 {
			m.Advance(to, count)
		}
	})
	run("window.Map.Silent", func(b *testing.B) {
		m := slide(b)
		count := func(uint64) bool { hotSink++; return true }
		for i := uint64(0); b.Loop(); i += 64 {
			m.Silent(i%(1<<20), i%(1<<20)+64, count)
		}
	})
	run("results.Port.AppendJSON", func(b *testing.B) {
		p := results.Port{
			Time: 1_800_000_000e9, Addr: netip.MustParseAddr("10.77.1.2"), Port: 443, Reason: results.SYNACK, TTL: 64, RTT: time.Millisecond,
			HasRTT: true, Attempt: 1, Service: "https", Window: 64240, MSS: 1460, Source: laneSource, SourcePort: 61000, Iface: "eth0",
		}
		buf := make([]byte, 0, 4096)
		for b.Loop() {
			buf = p.AppendJSON(buf[:0], "0123456789abcdef0123456789abcdef")
		}
	})
}

// hotSending: what decides which probe goes when.
func hotSending(run hotRun, ph *Phase) {
	run("ratelimit.Limiter.Take", func(b *testing.B) {
		l, err := ratelimit.New(1e12, ratelimit.System())
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(b.Context())
		defer cancel()
		for b.Loop() {
			if _, err := l.Take(ctx, 64); err != nil {
				b.Fatal(err)
			}
		}
	})
	times := rtt.NewSendTimes(20e6, 1<<40)
	run("rtt.SendTimes.Set", func(b *testing.B) {
		for i := uint64(0); b.Loop(); i++ {
			if times.Holds(i) {
				times.Set(i, int64(i)*1000)
			}
			times.Sent(i + 1)
		}
	})
	run("rtt.SendTimes.RTT", func(b *testing.B) {
		for i := uint64(0); b.Loop(); i++ {
			took, _ := times.RTT(i%1024, int64(i)*2000)
			hotSink += uint64(took)
		}
	})
	run("schedule.Schedule", func(b *testing.B) {
		m, err := window.New(0, 1<<40, window.MinBytes)
		if err != nil {
			b.Fatal(err)
		}
		chunkLen := schedule.ChunkLen(ph.plan.Pace.Max, m.Reach(), false)
		loss := schedule.NewLoss(0, chunkLen, 1<<40, m.Reach(), m.CountSilent)
		s := schedule.New(schedule.Config{
			Positions: permute.Range{End: 1 << 40}, ChunkLen: chunkLen, Reach: m.Reach(), Policy: schedule.FixedRetries{Retries: 1, Loss: loss},
			Gap: func() time.Duration { return time.Millisecond }, Silent: func(begin, end uint64) uint64 { return m.CountSilent(begin, end, 0) },
		})
		now, due := time.Unix(0, 0), make([]uint64, 0, 64)
		for b.Loop() { // one pass over a chunk
			p, wait := s.Next(now)
			for ; p == nil; p, wait = s.Next(now) {
				now = now.Add(wait)
			}
			if p.First {
				loss.Open(p.Begin)
				m.Advance(p.End, nil)
			}
			for due = p.Collect(m, due[:0]); len(due) > 0; due = p.Collect(m, due[:0]) {
				p.Walked(due)
				now = now.Add(64 * time.Microsecond)
			}
			s.Finish(p, now)
		}
	})
}

// hotLanes: a reply's whole way to news, a probe's whole way to the kernel, and the system calls.
func hotLanes(run hotRun, ph *Phase, lane *txLane, tx *rawsock.Tx) {
	n := ph.id.space.Len()
	ph.results.Advance(n, nil)
	packets := make([]rawsock.Packet, 1<<12)
	for i := range packets {
		packets[i] = rawsock.Packet{Data: ph.reply(uint64(i), 0, 0x12), Time: 1}
	}
	run("engine.rxLane.packet/news", func(b *testing.B) {
		rx := newAnswers(ph, interfaceNames{})
		rx.news = make([]results.Port, 0, queueBatch)
		ph.ev.timesOf(0)
		news := 0
		for i := 0; b.Loop(); i++ {
			if i%len(packets) == 0 { // every position is news again
				b.StopTimer()
				fresh, err := window.New(0, n, 1<<20)
				if err != nil {
					b.Fatal(err)
				}
				fresh.Advance(n, nil)
				rx.results = fresh
				b.StartTimer()
			}
			rx.packet(&packets[i%len(packets)])
			if news += len(rx.news); len(rx.news) == cap(rx.news)-1 {
				rx.news = rx.news[:0]
			}
		}
		if news == 0 {
			b.Fatal("no news")
		}
	})
	run("engine.rxLane.packet/duplicate", func(b *testing.B) {
		rx := newAnswers(ph, interfaceNames{})
		rx.news = make([]results.Port, 0, queueBatch)
		for b.Loop() {
			rx.packet(&packets[0])
		}
	})
	run("engine.txLane.walk", func(b *testing.B) {
		lane.pace, lane.due = fast(b), make([]uint64, 0, 16)
		p := &schedule.Pass{First: true, Step: schedule.All}
		ctx := b.Context()
		for i := uint64(0); b.Loop(); i += 16 { // one batch
			p.Begin, p.Cursor, p.End = i%n, i%n, i%n+16
			if end, err := lane.walk(ctx, p); end != walked || err != nil {
				b.Fatal(end, err)
			}
		}
	})
	run("rawsock.Tx.Send", func(b *testing.B) {
		for b.Loop() {
			if _, err := tx.Send(0, 16); err != nil {
				b.Fatal(err)
			}
		}
	})
}
