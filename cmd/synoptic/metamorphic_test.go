package main

import (
	"fmt"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"synoptic/bench/lab/need"
	"synoptic/bench/lab/testnet"
)

// How a scan is done never changes what it finds: on a loss-free network the backend, the seed, the retries, the
// rate, the lanes, the batch, the window's memory, the shards and the TCP options leave the result as it is. The real
// program over the real network path, with settings drawn at random.
func TestSettingsDoNotChangeTheResult(t *testing.T) {
	eachBackendBeside(t, settingsDoNotChangeTheResult, afpacket, xdp, ebpf)
}

func settingsDoNotChangeTheResult(t *testing.T, b backend) {
	prefix := netip.MustParsePrefix("10.77.0.0/23")
	n := b.beside(t, testnet.Config{Prefix: prefix, Gateway: true})
	want := populate(t, n, prefix)
	check := func(rt *rapid.T) {
		args := append(b.scan(rapid.IntRange(3_000, 60_000).Draw(rt, "rate")+b.least),
			prefix.String(), "-p", "80,443,8080,9", "--show", "all",
			"--seed", fmt.Sprint(rapid.Uint64Range(0, 1<<53-1).Draw(rt, "seed")),
			"--retry-gap", rapid.SampledFrom([]string{"100ms", "300ms", "1s"}).Draw(rt, "gap"),
			"--batch", fmt.Sprint(rapid.IntRange(1, 64).Draw(rt, "batch")),
			"--lanes", b.lanes(rapid.IntRange(1, 4).Draw(rt, "lanes")),
			"--max-memory", rapid.SampledFrom([]string{"1M", "256M"}).Draw(rt, "memory"),
			"--syn-profile", rapid.SampledFrom([]string{"mss", "linux", "windows", "none"}).Draw(rt, "profile"),
		)
		if rapid.Bool().Draw(rt, "target recall") {
			args = append(args, "--target-recall", "0.99")
		} else {
			args = append(args, "--retries", fmt.Sprint(rapid.IntRange(0, 3).Draw(rt, "retries")))
		}
		shards := rapid.IntRange(1, 3).Draw(rt, "shards")
		got := truth{map[endpoint]bool{}, map[endpoint]bool{}, map[endpoint]bool{}}
		for i := range shards {
			s := parseStream(t, synoptic(t, append(args, "--shard", fmt.Sprintf("%d/%d", i+1, shards))...).stdout)
			for state, set := range map[string]map[endpoint]bool{"open": got.open, "closed": got.closed, "filtered": got.silent} {
				for e := range s.found(t, state) {
					set[e] = true
				}
			}
			b.used(t, s)
			if !s.end.Complete || s.end.RxDrops != 0 || s.end.Invalid != 0 {
				rt.Fatalf("scan_end %+v", s.end)
			}
		}
		sameSet(t, "open", got.open, want.open)
		sameSet(t, "closed", got.closed, want.closed)
		sameSet(t, "silent", got.silent, want.silent)
		if t.Failed() {
			rt.Fatalf("with %v", args)
		}
	}
	draws := need.Seeds(t)
	if b.kernel {
		draws = b.seeds(t)
	}
	for i := range draws { // rapid's own hundred runs would take minutes
		rapid.Custom(func(rt *rapid.T) int { check(rt); return 0 }).Example(i)
	}
}
