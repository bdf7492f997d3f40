package main

import (
	"flag"
	"fmt"
	"log"
	"time"

	"synoptic/bench/lab/ratesim"
)

func main() {
	c := flag.Float64("c", 20000, "")
	q := flag.Duration("q", 20*time.Millisecond, "")
	rtt := flag.Duration("rtt", 50*time.Millisecond, "")
	loss := flag.Float64("loss", 0, "")
	hit := flag.Float64("hit", 0.01, "")
	sec := flag.Float64("sec", 20, "")
	max := flag.Float64("max", 1e6, "")
	jit := flag.Duration("jitter", 0, "")
	pol := flag.Bool("policer", false, "")
	seed := flag.Uint64("seed", 1, "")
	fixed := flag.Float64("fixed", 0, "")
	trace := flag.Int("trace", 0, "")
	until := flag.Duration("until", time.Hour, "")
	g := flag.Bool("grid", false, "")
	step := flag.Bool("step", false, "")
	special := flag.Bool("special", false, "")
	seeds := flag.Int("seeds", 5, "")
	only := flag.String("only", "", "")
	verbose := flag.Bool("v", false, "")
	flag.Parse()
	if *step {
		d, u, m, n, r := ratesim.Stepped(*seed, *rtt)
		for i, p := range r.Trace {
			if i%20 == 0 {
				fmt.Printf("%8.3f rate %8.0f queue %7.2fms C %8.0f %v / %v\n", p.At.Seconds(), p.Rate, p.Queue.Seconds()*1000, p.Known, p.Phase, p.Why)
			}
		}
		fmt.Println(d, u, m, n)
		return
	}
	if *special {
		for seed := uint64(1); seed <= 5; seed++ {
			for _, rtt := range []time.Duration{time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond} {
				d, u, m, n, _ := ratesim.Stepped(seed, rtt)
				fmt.Println("step", rtt, "down", d, "up", u, "missed", m, "of", n)
			}
			for _, later := range []time.Duration{0, 5 * time.Second} {
				for _, c := range []float64{20e3, 100e3} {
					s, _ := ratesim.Shared(seed, c, 50*time.Millisecond, 20*time.Millisecond, later)
					fmt.Println("shared", c, "later", later, "share", s)
				}
			}
			s, _ := ratesim.Lossy(seed, 0.2)
			fmt.Printf("lossy %+v\n", s)
		}
		return
	}
	if *g {
		grid(*seeds, *only, *verbose)
		return
	}
	log.SetFlags(0)
	cell := ratesim.Cell{Path: ratesim.Path{Capacity: *c, Queue: *q, RTT: *rtt, LossOut: *loss, LossBack: *loss, Jitter: *jit, Policer: *pol}, Hit: *hit, Seconds: *sec, Max: *max, Retries: 2}
	begun := time.Now()
	var s ratesim.Score
	var r ratesim.Result
	if *fixed > 0 {
		s, r = cell.With(*seed, ratesim.Fixed{Rate: *fixed})
	} else {
		s, r = cell.Run(*seed)
	}
	if *trace > 0 {
		var last ratesim.Point
		for i, p := range r.Trace {
			if i%*trace != 0 || p.At > *until {
				continue
			}
			fmt.Printf("%8.3f rate %8.0f sent %8.0f drop %6d queue %7.2fms C %8.0f %v / %v\n", p.At.Seconds(), p.Rate, float64(p.Sent-last.Sent)/(p.At-last.At).Seconds(), p.Dropped-last.Dropped, p.Queue.Seconds()*1000, p.Known, p.Phase, p.Why)
			last = p
		}
	}
	fmt.Printf("%v: %+v sent %d time %v wall %v in %v\n", &cell, s, r.Sent, r.Time, r.Wall, time.Since(begun))
}
