package scan

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
)

// BenchmarkHot times every function that runs for each probe, reply or batch, from where the engine
// calls it. .ci/allocations knows the names, and fails where one is missing or allocates.
func BenchmarkHot(b *testing.B) {
	n := testnet.New(b, testnet.Config{Gateway: true})
	e := laneEngine(b, 1<<20)
	var err error
	if e.Routes, err = route.New(e.Space.Addrs().Ranges(), route.Options{}); err != nil {
		b.Fatal(err)
	}
	tmpl, err := e.template(&e.Routes.Paths[0], n.PeerHardwareAddr)
	if err != nil {
		b.Fatal(err)
	}
	run := func(name string, f func(b *testing.B)) {
		b.Run(name, func(b *testing.B) { b.ReportAllocs(); f(b) })
	}
	hotIdentity(run, e)
	hotProbe(run, e, tmpl)
	hotResults(run, e)
	hotSending(run, e)
	hotLanes(run, e, tmpl)
}

// hotSink keeps results that the compiler would otherwise do without.
var hotSink uint64

type hotRun func(name string, f func(b *testing.B))

// hotIdentity: position ↔ index ↔ (address, port) → path.
func hotIdentity(run hotRun, e *engine) {
	n := e.Space.Len()
	run("permute.Permutation.Index", func(b *testing.B) {
		for i := uint64(0); b.Loop(); i++ {
			hotSink += e.Permutation.Index(i % n)
		}
	})
	run("permute.Permutation.Position", func(b *testing.B) {
		for i := uint64(0); b.Loop(); i++ {
			hotSink += e.Permutation.Position(i % n)
		}
	})
	run("target.Space.At", func(b *testing.B) {
		for i := uint64(0); b.Loop(); i += 7919 {
			_, port := e.Space.At(i % n)
			hotSink += uint64(port)
		}
	})
	run("target.Space.Index", func(b *testing.B) {
		for i := uint32(0); b.Loop(); i += 7919 {
			index, ok := e.Space.Index(netip.AddrFrom4([4]byte{10, 77, byte(i >> 8), byte(i)}), 80)
			if !ok {
				b.Fatal(i)
			}
			hotSink += index
		}
	})
	run("route.Plan.Lookup", func(b *testing.B) {
		for i := uint32(0); b.Loop(); i += 7919 {
			if e.Routes.Lookup(netip.AddrFrom4([4]byte{10, 77, byte(i >> 8), byte(i)})) != 0 {
				b.Fatal(i)
			}
		}
	})
	run("route.Table.MAC", func(b *testing.B) {
		link := e.Routes.Paths[0].Link
		link.NoARP = true // filled without asking anybody
		table, err := route.Resolve(b.Context(), link, e.Routes.Paths[0].Src, onLink(e.Routes, 0), route.ResolveOptions{})
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
func hotProbe(run hotRun, e *engine, tmpl *probe.Template) {
	target := netip.MustParseAddr("10.77.1.2")
	frame := make([]byte, tmpl.Len())
	tmpl.Fill(frame)
	run("probe.Key.Hash", func(b *testing.B) {
		for i := uint16(0); b.Loop(); i++ {
			hotSink += e.key.Hash(laneSource, target, 61000, i)
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
	run("probe.Parse/TCP", parse(e.reply(5, 0, 0x12)))
	probe.Parse(e.reply(5, 0, 0x12), &r)
	run("probe.Key.Genuine", func(b *testing.B) {
		for b.Loop() {
			if !e.key.Genuine(&r) {
				b.Fatal("refused")
			}
		}
	})
}

// hotResults: the map, and a record's way to its bytes.
func hotResults(run hotRun, e *engine) {
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
func hotSending(run hotRun, e *engine) {
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
	times := newSendTimes(20e6, 1<<40)
	run("scan.sendTimes.set", func(b *testing.B) {
		for i := uint64(0); b.Loop(); i++ {
			if times.holds(i) {
				times.set(i, int64(i)*1000)
			}
			times.sent(i + 1)
		}
	})
	run("scan.sendTimes.rtt", func(b *testing.B) {
		for i := uint64(0); b.Loop(); i++ {
			rtt, _ := times.rtt(i%1024, int64(i)*2000)
			hotSink += uint64(rtt)
		}
	})
	run("scan.schedule", func(b *testing.B) {
		m, err := window.New(0, 1<<40, window.MinBytes)
		if err != nil {
			b.Fatal(err)
		}
		endless := *e.Plan
		endless.Positions, endless.Attempts, endless.RetryGap = permute.Range{End: 1 << 40}, 2, time.Millisecond
		e := &engine{Plan: &endless, results: m}
		e.loss = newLossStats(0, e.chunkLen(), 1<<40)
		s := e.newSchedule(e.Positions)
		now, due := time.Unix(0, 0), make([]uint64, 0, 64)
		for b.Loop() { // one pass over a chunk
			p, wait := s.next(now)
			for ; p == nil; p, wait = s.next(now) {
				now = now.Add(wait)
			}
			if p.first {
				e.loss.open(p.begin)
				m.Advance(p.end, nil)
			}
			for due = p.collect(m, due[:0]); len(due) > 0; due = p.collect(m, due[:0]) {
				p.cursor = due[len(due)-1] + 1
				now = now.Add(64 * time.Microsecond)
			}
			s.finish(p, now)
		}
	})
}

// hotLanes: a reply's whole way to news, a probe's whole way to the kernel, and the system calls.
func hotLanes(run hotRun, e *engine, tmpl *probe.Template) {
	n := e.Space.Len()
	e.results.Advance(n, nil)
	packets := make([][]byte, 1<<12)
	for i := range packets {
		packets[i] = e.reply(uint64(i), 0, 0x12)
	}
	run("scan.rxLane.packet/news", func(b *testing.B) {
		rx := &rxLane{engine: e, news: make([]results.Port, 0, newsBatch)}
		e.timesOf(0)
		news := 0
		for i := 0; b.Loop(); i++ {
			if i%len(packets) == 0 { // every position is news again
				b.StopTimer()
				fresh, err := window.New(0, n, 1<<20)
				if err != nil {
					b.Fatal(err)
				}
				fresh.Advance(n, nil)
				e.results = fresh
				b.StartTimer()
			}
			rx.packet(packets[i%len(packets)], 1)
			if news += len(rx.news); len(rx.news) == cap(rx.news)-1 {
				rx.news = rx.news[:0]
			}
		}
		if news == 0 {
			b.Fatal("no news")
		}
	})
	run("scan.rxLane.packet/duplicate", func(b *testing.B) {
		rx := &rxLane{engine: e, news: make([]results.Port, 0, newsBatch)}
		for b.Loop() {
			rx.packet(packets[0], 1)
		}
	})
	tx, err := rawsock.NewTx(rawsock.TxConfig{Interface: e.Routes.Paths[0].Link.Index, FrameLen: tmpl.Len()})
	run("scan.txLane.walk", func(b *testing.B) {
		if err != nil {
			b.Fatal(err)
		}
		tx.Prepare(tmpl.Fill)
		out := &egress{hop: &hop{path: &e.Routes.Paths[0], tmpl: tmpl}, tx: tx, positions: make([]uint64, tx.Batch())}
		limiter, err := ratelimit.New(1e12, ratelimit.System())
		if err != nil {
			b.Fatal(err)
		}
		lane := &txLane{engine: e, egress: []*egress{out}, limiter: limiter, due: make([]uint64, 0, 16)}
		p := &pass{first: true, step: stepAll}
		ctx := b.Context()
		for i := uint64(0); b.Loop(); i += 16 { // one batch
			p.begin, p.cursor, p.end = i%n, i%n, i%n+16
			if ended, err := lane.walk(ctx, p); !ended || err != nil {
				b.Fatal(err)
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
	if err == nil {
		tx.Close()
	}
}
