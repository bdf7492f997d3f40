// Command accuracy measures how much of what is open each scanner finds, and what that costs in
// packets and seconds, on networks that lose packets: synoptic at each number of retries and at a
// recall asked for, masscan at each number of retries, nmap at its defaults. They scan the same
// network in turns, and the network itself counts their probes.
//
//	go run ./bench/accuracy              the table, some ten minutes
//	go run ./bench/accuracy -quick       a smaller one, some two minutes
//	go run ./bench/accuracy -seeds 10    synoptic alone against what it promises, some two minutes
//	go run ./bench/accuracy -intervals 40  how often its intervals of missed ports hold the truth, some ten minutes
//
// With -write the result goes into docs/accuracy.md as well. The exit code is 1 where a run failed or
// a promise was not kept.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"synoptic/bench"
	"synoptic/bench/lab/testnet"
)

type options struct {
	bits  int // prefix length of the network
	rate  int // packets per second
	quick bool
	seeds int
	write bool

	intervals int // scans of each cell
}

func main() {
	log.SetFlags(0)
	var o options
	flag.IntVar(&o.bits, "size", 20, "prefix length of the network, 16 to 26; 20 is 4,096 addresses")
	flag.IntVar(&o.rate, "rate", 10_000, "packets per second for synoptic and masscan")
	flag.BoolVar(&o.quick, "quick", false, "a /22 at most, three networks, up to one retry")
	flag.IntVar(&o.seeds, "seeds", 0, "run synoptic alone with that many seeds and check what it promises")
	flag.IntVar(&o.intervals, "intervals", 0, "make that many scans of each kind and see whether their intervals hold the truth")
	flag.BoolVar(&o.write, "write", false, "put the result into "+document+" too")
	flag.Parse()
	if o.bits < 16 || o.bits > 26 || o.rate < 100 || o.rate > 1_000_000 || o.seeds < 0 || o.seeds > 1000 || o.intervals < 0 || o.intervals > 1000 || o.seeds > 0 && o.intervals > 0 || flag.NArg() > 0 {
		log.Print("want -size 16 to 26, -rate 100 to 1000000, -seeds or -intervals up to 1000, and no arguments")
		os.Exit(2)
	}
	if o.quick {
		o.bits = max(o.bits, 22)
	}
	if err := testnet.Enter(); err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

// run prints the result, and only then tells what went wrong.
func run(ctx context.Context, o options) error {
	program, err := bench.Build()
	if err != nil {
		return err
	}
	defer program.Close()
	us, err := newScanner(ctx, program)
	if err != nil {
		return err
	}
	var text strings.Builder
	var failed error
	name := "measured"
	switch {
	case o.seeds > 0:
		name = "promised"
		failed = promises(ctx, &text, us, o)
	case o.intervals > 0:
		name = "intervals"
		failed = intervals(ctx, &text, us, o)
	default:
		failed = compare(ctx, &text, us, o)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	fmt.Print(text.String())
	if o.write {
		failed = errors.Join(failed, writeDocument(name, text.String()))
	}
	return failed
}
