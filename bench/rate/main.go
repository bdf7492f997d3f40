// Command rate measures how well the program holds a fixed rate. It scans a test network, reads every millisecond how many probes a BPF
// program at the far side of the wire has counted, and holds every second and every 100 ms between the first probe and the last against
// what was asked for. Then it looks at half a packet a second, and at what comes after five seconds in which the process was stopped.
//
//	go run ./bench/rate                        everything, three minutes
//	go run ./bench/rate -write                 and put the tables into docs/rate.md, in the module's root
//	go run ./bench/rate -only ebpf -seconds 3  the rows whose text holds this
//
// Run it as root, on a machine that does nothing else: a run that misses what is asked of it while the machine stood still is void, and
// repeated three times at most. The exit code is 1 where a run has missed that was not void.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"time"

	"synoptic/bench"
	"synoptic/bench/lab/responder"
	"synoptic/bench/lab/stall"
)

// document takes the tables, relative to the module.
const document = "docs/rate.md"

const leastSeconds, mostSeconds = 2, 30

type options struct {
	seconds int
	only    string
	write   bool
}

func main() {
	log.SetFlags(0)
	var o options
	flag.IntVar(&o.seconds, "seconds", 10, fmt.Sprintf("seconds per rate, %d to %d", leastSeconds, mostSeconds))
	flag.StringVar(&o.only, "only", "", "the rows that hold this text, as it is printed")
	flag.BoolVar(&o.write, "write", false, "write the tables into "+document)
	flag.Parse()
	if o.seconds < leastSeconds || o.seconds > mostSeconds || flag.NArg() > 0 || o.write && o.only != "" {
		log.Printf("want -seconds from %d to %d, not both -only and -write, and no arguments", leastSeconds, mostSeconds)
		os.Exit(2)
	}
	if err := run(o); err != nil {
		log.Fatal(err)
	}
}

func run(o options) error {
	program, network, teardown, err := bench.Setup()
	if err != nil {
		return err
	}
	defer teardown()
	sink, err := responder.Attach(network, responder.Config{LocalNet: netip.PrefixFrom(network.Source, 24).Masked()})
	if err != nil {
		return err
	}
	defer sink.Close()
	text, missed := measure(&scanner{program, sink}, o)
	fmt.Print(text)
	if o.write {
		missed = errors.Join(missed, write(text))
	}
	return missed
}

func write(text string) error {
	path, err := bench.ModuleFile(document)
	if err != nil {
		return err
	}
	return bench.WriteSection(path, "fixed", text)
}

// held are the rates that are looked at, by the backends that reach them.
var held = []struct {
	backend string
	rates   []int
}{
	{"afpacket", []int{1_000, 10_000, 100_000, 300_000}},
	{"xdp", []int{100_000, 300_000}},
	{"ebpf", []int{100_000, 300_000, 1_000_000}},
}

// What is asked of a run: how far a second and 100 ms may be from the rate, and packets at half a one a second from each other.
const (
	secondError, tenthError = 0.01, 0.05
	slowError               = 0.05
)

const preface = `## Fixed rates

Probes as a BPF program at the far side of the wire counts them, read every millisecond. "Any second" and "any 100 ms" are all that lie between the first
probe and the last, wherever they begin; the error is that of the worst. A run that is further off than 1 %% in a second or 5 %% in 100 ms while the machine stood
still for over %v is void, and repeated.

By %sgo run ./bench/rate%s: Linux %s, %s, %d cores (%s), %s.

| backend | rate asked for, pps | any second: lowest, highest | error | any 100 ms: lowest, highest, as pps | error | held |
|---|---:|---:|---:|---:|---:|---|
`

// measure runs everything and gives its tables, and an error where a run has missed that was not void.
func measure(s *scanner, o options) (text string, missed error) {
	var w strings.Builder
	fmt.Fprintf(&w, preface, bound.Gap, "`", "`", bench.Kernel(), runtime.GOARCH, runtime.NumCPU(), bench.Processor(), strings.Replace(runtime.Version(), "go", "Go ", 1))
	row := func(name string, run func() (cells string, err error)) {
		if strings.Contains(name, o.only) {
			cells, verdict, err := judged(name, run)
			fmt.Fprintf(&w, "| %s | %s | %s |\n", name, cells, verdict)
			missed = errors.Join(missed, err)
		}
	}
	for _, h := range held {
		for _, rate := range h.rates {
			row(fmt.Sprintf("%s | %d", h.backend, rate), func() (string, error) { return s.hold(h.backend, rate, time.Duration(o.seconds)*time.Second) })
		}
	}
	w.WriteString("\n| afpacket | packets | what was seen | held |\n|---|---:|---|---|\n")
	row("half a packet a second", s.slow)
	row("10000 pps, stopped for 5 s", s.stopped)
	return w.String() + "\n", missed
}

// bound is what a run that counts may stand still.
var bound = stall.Bound{Gap: 3 * time.Millisecond, Budget: 4}

// judged repeats a run that missed while the machine stood still.
func judged(name string, run func() (string, error)) (cells, verdict string, missed error) {
	for range bound.Budget {
		stop := stall.Watch()
		cells, missed = run()
		read := stop()
		if missed == nil {
			return cells, "yes", nil
		}
		why := read.Exceeds(bound)
		if why == "" {
			return cells, "no", fmt.Errorf("%s: %w (%v)", name, missed, read)
		}
		log.Printf("%s: void, %s: %v (%v)", name, why, missed, read)
	}
	return cells, "void", nil
}
