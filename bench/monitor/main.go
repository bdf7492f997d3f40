// Command monitor measures the planner of the monitor (scan/monitor) on a network whose ports open and close (bench/lab/drift): how late
// changes are seen, how old endpoints get, how even the rate is, over a week of a clock that is moved. The network is that of the design, a /8
// on ten ports, with 1.7 million of 168 million endpoints open and 5 million predicted, by a scale; the budget is scaled likewise.
//
//	go run ./bench/monitor                 the table at 1/64, some ten minutes of processor time
//	go run ./bench/monitor -scale 256      faster, and noisier
//	go run ./bench/monitor -only restart   the rows whose rate and name hold a text
//	go run ./bench/monitor -memory         what a planner of full size takes
//
// With -write the result goes into docs/monitor.md as well. The exit code is 1 where a row does not keep what it must.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"synoptic/bench"
	"synoptic/bench/lab/drift"
)

const document = "docs/monitor.md"

func main() {
	log.SetFlags(0)
	scale := flag.Uint64("scale", 64, "make the network and the budget that much smaller: a power of two up to 4096")
	days := flag.Float64("days", 7, "days of the moved clock")
	only := flag.String("only", "", "rows whose rate and name hold this, such as 3889 or restart")
	seed := flag.Uint64("seed", 1, "of the network and of the cycle")
	full := flag.Bool("memory", false, "measure a planner of full size instead")
	write := flag.Bool("write", false, "put the result into "+document+" too")
	flag.Parse()
	if *scale < 1 || *scale > 4096 || *scale&(*scale-1) != 0 || *days <= 0 || *days > 60 || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	var text string
	var err error
	section, ok := "memory", true
	if *full {
		text, err = size()
	} else {
		section = "week"
		text, ok, err = table(*scale, *days, *seed, *only)
	}
	if err == nil && *write {
		var file string
		if file, err = bench.ModuleFile(document); err == nil {
			err = bench.WriteSection(file, section, text)
		}
	}
	if err != nil {
		log.Fatal(err)
	}
	if !ok {
		os.Exit(1)
	}
}

// table runs the rows, prints each when it is there, and gives all.
func table(scale uint64, days float64, seed uint64, only string) (text string, ok bool, err error) {
	var b strings.Builder
	say := func(format string, args ...any) {
		line := fmt.Sprintf(format, args...)
		fmt.Print(line)
		b.WriteString(line)
	}
	ok = true
	begun := time.Now()
	say("| probes/s | how | changes | seen after, mean | confirmed after | oldest open | oldest other | any second, by the budget | false | |\n")
	say("|---:|---|---:|---:|---:|---:|---:|---|---:|---|\n")
	for _, r := range rows() {
		if !strings.Contains(fmt.Sprintf("%.0f %s", r.budget, r.name), only) {
			continue
		}
		c := r.config(scale)
		c.Days, c.Seed = days, seed
		if r.restart {
			c.Restart = time.Duration(days / 2 * float64(24*time.Hour))
		}
		result, err := drift.Run(c)
		if err != nil {
			return "", false, fmt.Errorf("%s: %w", r.name, err)
		}
		verdict := "as it must"
		if fault := r.fault(&result); fault != "" {
			ok, verdict = false, fault
		} else if r.free {
			verdict = ""
		}
		say("| %.0f | %s | %d | %s | %s | %s | %s | %.3f to %.3f | %d | %s |\n", r.budget, r.name, result.Changes, hours(result.Seen), hours(result.Detect),
			hours(result.OpenAge), hours(result.Age), result.Low, result.High, result.False, verdict)
	}
	say("\n1/%d of the network, %v days, seed %d; %s, Linux %s; it took %v.\n", scale, days, seed, bench.Processor(), bench.Kernel(), time.Since(begun).Round(time.Second))
	return b.String(), ok, nil
}

func hours(d time.Duration) string {
	if d < 90*time.Minute {
		return fmt.Sprintf("%.1f min", d.Minutes())
	}
	return fmt.Sprintf("%.2f h", d.Hours())
}
