// Command rate measures how well the program holds its rate: it scans a test network at each rate
// for some seconds, captures the probes on the far side of the wire, and compares the count of
// every full second with what was asked for.
//
//	go run ./bench/rate
package main

import (
	"flag"
	"fmt"
	"log"
	"math"
	"net/netip"

	"synoptic/bench"
	"synoptic/bench/testnet"
)

func main() {
	log.SetFlags(0)
	seconds := flag.Int("seconds", 6, "seconds per rate, 2 to 60")
	flag.Parse()
	if err := run(min(max(*seconds, 2), 60)); err != nil {
		log.Fatal(err)
	}
}

// prefix × ports is enough for ten seconds at the highest rate.
var prefix = netip.MustParsePrefix("10.77.0.0/16")

const ports = 16

func run(seconds int) error {
	if err := testnet.Enter(); err != nil {
		return err
	}
	program, err := bench.Build()
	if err != nil {
		return err
	}
	defer program.Close()
	network, err := testnet.Open(testnet.Config{Gateway: true})
	if err != nil {
		return err
	}
	defer network.Close()
	// Silent targets: the wire carries probes only, and the far side's kernel is out of the picture.
	if err := network.DropPrefix(prefix); err != nil {
		return err
	}
	fmt.Println("| rate asked for, pps | full seconds | lowest | highest | largest error |")
	fmt.Println("|---:|---:|---:|---:|---:|")
	for _, rate := range []int{1_000, 10_000, 100_000} {
		capture, err := network.StartCapture()
		if err != nil {
			return err
		}
		_, err = program.Run("scan", targets(rate*seconds/ports), "-p", fmt.Sprintf("1-%d", ports), "--rate", fmt.Sprint(rate), "--retries", "0", "--wait", "500ms")
		frames := capture.Stop()
		if err != nil {
			return err
		}
		if capture.Err() != nil || capture.Lost() > 0 {
			return fmt.Errorf("capture: %d frames lost, %w", capture.Lost(), capture.Err())
		}
		report(rate, frames)
	}
	return nil
}

// targets is a range of n addresses of the test network, or all of its 65,536 where n is more.
func targets(n int) string {
	last := min(n, 1<<16) - 1
	return fmt.Sprintf("10.77.0.0-10.77.%d.%d", last>>8, last&0xff)
}

func report(rate int, frames []testnet.Frame) {
	var counts []int
	var first int64
	for _, f := range frames {
		if f.Outgoing || len(f.Data) < 34 || f.Data[12] != 8 || f.Data[13] != 0 || f.Data[23] != 6 {
			continue // no TCP over IPv4 over Ethernet
		}
		at := f.Time.UnixNano()
		if first == 0 {
			first = at
		}
		second := int((at - first) / 1e9)
		for len(counts) <= second {
			counts = append(counts, 0)
		}
		counts[second]++
	}
	counts = counts[:max(len(counts)-1, 0)] // the last second is not full
	lowest, highest := math.MaxInt, 0
	for _, c := range counts {
		lowest, highest = min(lowest, c), max(highest, c)
	}
	worst := max(math.Abs(float64(highest-rate)), math.Abs(float64(lowest-rate))) / float64(rate)
	fmt.Printf("| %d | %d | %d | %d | %.2f %% |\n", rate, len(counts), lowest, highest, 100*worst)
}
