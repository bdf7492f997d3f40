// Command autorate measures the controller behind the automatic rate (ratelimit/auto) on simulated paths, packet by packet
// (bench/lab/ratesim): how long a scan takes by an ideal one, what it misses, what it drops and how long a queue it keeps.
//
//	go run ./bench/autorate -grid             every case with five seeds, some three minutes
//	go run ./bench/autorate -grid -only "C 5k, h 1 %"   the cases whose row or name holds a text
//	go run ./bench/autorate -others           steps of capacity, two scans through one bottleneck, loss that is not ours
//	go run ./bench/autorate -plots            what docs/rate.md shows, written there: seconds
//	go run ./bench/autorate -trace 10 -c 20000 -rtt 50ms -hit 0.01   one case, every tenth tick
//
// The exit code is 1 where a case of the grid has not reached what is asked of it.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"synoptic/bench/lab/ratesim"
)

func main() {
	var (
		all     = flag.Bool("grid", false, "run the grid of cases")
		others  = flag.Bool("others", false, "run steps, sharing and loss")
		draw    = flag.Bool("plots", false, "write the plots of "+document)
		seeds   = flag.Int("seeds", 5, "seeds for each case")
		only    = flag.String("only", "", "cases of the grid whose row or name holds this")
		trace   = flag.Int("trace", 0, "of one case, print every so many ticks")
		seed    = flag.Uint64("seed", 1, "of one case")
		fixed   = flag.Float64("fixed", 0, "of one case, a fixed rate in packets per second instead of the controller")
		c       = flag.Float64("c", 20_000, "capacity in packets per second; 0: no bottleneck")
		queue   = flag.Duration("q", 20*time.Millisecond, "queue of the bottleneck, or bucket of the policer")
		rtt     = flag.Duration("rtt", 50*time.Millisecond, "round trip")
		jitter  = flag.Duration("jitter", 0, "more that a round trip takes, uniform")
		loss    = flag.Float64("loss", 0, "share lost each way")
		hit     = flag.Float64("hit", 0.01, "share of positions that answer")
		policer = flag.Bool("policer", false, "a policer instead of a queue")
		length  = flag.Float64("seconds", 20, "how long an ideal scan takes")
	)
	flag.Parse()
	if *seeds < 1 || *trace < 0 || *length <= 0 || *hit <= 0 || *hit > 1 || *loss < 0 || *loss >= 1 || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	switch {
	case *all:
		if !grid(*seeds, *only) {
			os.Exit(1)
		}
	case *others:
		special(*seeds)
	case *draw:
		if err := plots(); err != nil {
			fmt.Fprintln(os.Stderr, "autorate:", err)
			os.Exit(1)
		}
	default:
		cell := ratesim.Cell{
			Path: ratesim.Path{Capacity: *c, Queue: *queue, RTT: *rtt, LossOut: *loss, LossBack: *loss, Jitter: *jitter, Policer: *policer},
			Hit:  *hit, Seconds: *length, Max: 1e6, Retries: 2,
		}
		one(&cell, *seed, *fixed, *trace)
	}
}

// one runs a case and prints it, and every so many ticks of it.
func one(cell *ratesim.Cell, seed uint64, fixed float64, every int) {
	run := cell.Run
	if fixed > 0 {
		run = func(seed uint64) (ratesim.Score, ratesim.Result) { return cell.With(seed, ratesim.Fixed{Rate: fixed}) }
	}
	s, r := run(seed)
	for i, p := range r.Trace {
		if every > 0 && i%every == 0 {
			fmt.Printf("%8.3f s  rate %8.0f  sent %9d  dropped %8d  queue %7.2f ms  capacity %8.0f  %v, limited by %v\n",
				p.At.Seconds(), p.Rate, p.Sent, p.Dropped, 1000*p.Queue.Seconds(), p.Known, p.Phase, p.Why)
		}
	}
	fmt.Printf("%v: ratio %.3f, missed %d of %d, dropped %.4f, queue %.1f ms, converged %.2f s, beacons %.4f, passes added %d\n",
		cell, s.Ratio, s.Missed, r.Responsive, s.Drops, 1000*s.Queue.Seconds(), s.Converged.Seconds(), s.Beacons, s.Extra)
}

// special runs what is no case of the grid.
func special(seeds int) {
	for seed := range uint64(seeds) {
		seed++
		for _, rtt := range []time.Duration{time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond} {
			down, up, missed, all := ratesim.Stepped(seed, rtt)
			fmt.Printf("seed %d: 100k, 10k, 100k, RTT %v: followed in %.2f and %.2f s, missed %d of %d\n", seed, rtt, down.Seconds(), up.Seconds(), missed, all)
		}
		for _, later := range []time.Duration{0, 5 * time.Second} {
			for _, c := range []float64{20e3, 100e3} {
				fmt.Printf("seed %d: two through %.0fk, the second %v later: the first has %.0f %%\n", seed, c/1000, later, 100*ratesim.Shared(seed, c, later))
			}
		}
		s, _ := ratesim.Lossy(seed, 0.2)
		fmt.Printf("seed %d: 20 %% lost each way, maximum 100k: ratio %.3f, reached in %.2f s, missed %d\n", seed, s.Ratio, s.Converged.Seconds(), s.Missed)
	}
}
