package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"time"

	"synoptic/bench"
	"synoptic/bench/lab/drift"
	"synoptic/results"
	"synoptic/scan/monitor"
)

// size builds a planner of full size, lets it run for ten minutes of the moved clock, and measures it.
func size() (string, error) {
	m := monitor.Default()
	m.MaxAge, m.OpenMaxAge, m.Budget = 24*time.Hour, time.Hour, 3889
	space, err := drift.Space(1)
	if err != nil {
		return "", err
	}
	before := heap()
	now := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC).UnixNano()
	p, err := monitor.New(m, space, 1, now)
	if err != nil {
		return "", err
	}
	rng := rand.New(rand.NewPCG(1, 1))
	track := func(n int, as monitor.Standing) {
		for range n {
			addr, port := space.At(rng.Uint64N(space.Len()))
			p.Track(netip.AddrPortFrom(addr, port), as, now)
		}
	}
	track(drift.WorldOpen, monitor.KnownOpen)
	track(drift.WorldPredicted, monitor.Likely)
	var batch []monitor.Endpoint
	probes, begun := 0, time.Now()
	for end := now + int64(10*time.Minute); now < end; now += 10e6 {
		batch = p.Next(now, 1<<20, batch[:0])
		for _, e := range batch {
			state := results.Closed
			if e.Tier == monitor.TierOpen {
				state = results.Open
			}
			p.Result(e.Addr, state, now)
		}
		probes += len(batch)
	}
	each := time.Since(begun) / time.Duration(probes)
	live := heap() - before
	var b strings.Builder
	line := func(what, figure string) { fmt.Fprintf(&b, "| %s | %s |\n", what, figure) }
	b.WriteString("| 1.7 million open, 5 million predicted, of 168 million | |\n|---|---:|\n")
	line("memory (live heap)", fmt.Sprintf("%.0f MB", float64(live)/1e6))
	line("Next and Result, a probe", each.String())
	begun = time.Now()
	p.Supervise(now)
	line("figures of the moment", time.Since(begun).Round(time.Millisecond).String())
	var snapshot bytes.Buffer
	begun = time.Now()
	if err := p.Snapshot(&snapshot); err != nil {
		return "", err
	}
	line("snapshot", fmt.Sprintf("%.0f MB, %v", float64(snapshot.Len())/1e6, time.Since(begun).Round(10*time.Millisecond)))
	begun = time.Now()
	if _, err := monitor.Restore(m, space, &snapshot); err != nil {
		return "", err
	}
	line("restored in", time.Since(begun).Round(10*time.Millisecond).String())
	begun = time.Now()
	named := p.Predict()
	line("a prediction", fmt.Sprintf("%v, %d named", time.Since(begun).Round(10*time.Millisecond), named))
	fmt.Fprintf(&b, "\n%s, Linux %s, load before %s.\n", bench.Processor(), bench.Kernel(), bench.Load())
	fmt.Print(b.String())
	return b.String(), nil
}

// heap is what is live, in bytes.
func heap() int64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}
