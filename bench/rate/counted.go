package main

import (
	"fmt"
	"math"
	"net/netip"
	"time"

	"synoptic/bench"
	"synoptic/bench/lab/responder"
	"synoptic/bench/lab/testnet"
)

// counted are the backends and rates that a program on the far side counts.
var counted = []struct {
	backend string
	rates   []int
}{
	{"xdp", []int{100_000, 300_000}},
	{"ebpf", []int{100_000, 200_000, 500_000, 1_000_000, 2_000_000, 3_000_000}},
}

// pollEvery is how often the far side's counter is read: any second is known to this grain.
const pollEvery = 50 * time.Millisecond

// sample is the far side's count at a time.
type sample struct {
	at     time.Time
	probes uint64
}

func runCounted(program *bench.Program, network *testnet.Network, seconds int) error {
	sink, err := responder.Attach(network, responder.Config{LocalNet: netip.PrefixFrom(network.Source, 24).Masked()})
	if err != nil {
		return err
	}
	defer sink.Close()
	fmt.Println("\n| backend | rate asked for, pps | seconds looked at | lowest | highest | largest error |")
	fmt.Println("|---|---:|---:|---:|---:|---:|")
	for _, c := range counted {
		for _, rate := range c.rates {
			done := make(chan struct{})
			watched := make(chan []sample)
			go func() { watched <- watch(sink, done) }()
			_, err := program.Run("scan", "10.77.0.0/16", "-p", fmt.Sprintf("1-%d", max(rate*seconds>>16, 1)), "--backend", c.backend,
				"--rate", fmt.Sprint(rate), "--retries", "0", "--wait", "500ms")
			close(done)
			samples := <-watched
			if err != nil {
				return err
			}
			reportCounted(c.backend, rate, samples)
		}
	}
	return nil
}

func watch(sink *responder.Responder, done <-chan struct{}) (all []sample) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return all
		case <-tick.C:
			before := time.Now()
			n, err := sink.SYNs()
			if err != nil {
				continue // the next one tells
			}
			all = append(all, sample{before.Add(time.Since(before) / 2), n})
		}
	}
}

// reportCounted looks at every second that lies between the first probe and the last, from each
// reading on.
func reportCounted(backend string, rate int, all []sample) {
	for len(all) > 1 && all[1].probes == all[0].probes {
		all = all[1:]
	}
	for n := len(all); n > 1 && all[n-1].probes == all[n-2].probes; n = len(all) {
		all = all[:n-1]
	}
	// The readings around the begin and the end lie outside, or next to it.
	all = all[min(2, len(all)):max(len(all)-2, min(2, len(all)))]
	lowest, highest, n := math.Inf(1), 0.0, 0
	for i, a := range all {
		for _, b := range all[i:] {
			if d := b.at.Sub(a.at); d >= time.Second {
				pps := float64(b.probes-a.probes) / d.Seconds()
				lowest, highest, n = min(lowest, pps), max(highest, pps), n+1
				break
			}
		}
	}
	worst := max(math.Abs(highest-float64(rate)), math.Abs(lowest-float64(rate))) / float64(rate)
	fmt.Printf("| %s | %d | %d | %.0f | %.0f | %.2f %% |\n", backend, rate, n, lowest, highest, 100*worst)
}
