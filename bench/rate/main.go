// Command rate measures how well the program holds its rate: it scans a test network at each rate
// for some seconds, counts the probes on the far side of the wire, and compares every second with what
// was asked for. Packet sockets are watched by a capture; the backends xdp and ebpf, at rates that no
// capture holds, by the counters of a program there.
//
//	go run ./bench/rate [-seconds N] [-kernel-only]
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"math"
	"net/netip"
	"os"

	"synoptic/bench"
	"synoptic/bench/lab/packet"
	"synoptic/bench/lab/testnet"
)

func main() {
	log.SetFlags(0)
	seconds := flag.Int("seconds", 6, fmt.Sprintf("seconds per rate, 2 to %d", maxSeconds))
	kernelOnly := flag.Bool("kernel-only", false, "only the backends xdp and ebpf")
	flag.Parse()
	if *seconds < 2 || *seconds > maxSeconds || flag.NArg() > 0 {
		log.Printf("want -seconds from 2 to %d, and no arguments", maxSeconds)
		os.Exit(2)
	}
	if err := run(*seconds, *kernelOnly); err != nil {
		log.Fatal(err)
	}
}

var (
	rates  = []int{1_000, 10_000, 100_000}
	prefix = netip.MustParsePrefix("10.77.0.0/16")
)

const (
	ports = 16
	// maxSeconds at the highest rate are as many probes as prefix × ports has, and the frames
	// captured fill some 200 MB.
	maxSeconds = 10
)

func run(seconds int, kernelOnly bool) error {
	program, network, teardown, err := bench.Setup()
	if err != nil {
		return err
	}
	defer teardown()
	if !kernelOnly {
		if err := runCaptured(program, network, seconds); err != nil {
			return err
		}
	}
	return runCounted(program, network, seconds)
}

func runCaptured(program *bench.Program, network *testnet.Network, seconds int) error {
	// Silent targets: the wire carries probes only, and the far side's kernel is out of the picture.
	if err := network.DropPrefix(prefix); err != nil {
		return err
	}
	fmt.Println("| rate asked for, pps | full seconds | lowest | highest | largest error |")
	fmt.Println("|---:|---:|---:|---:|---:|")
	for _, rate := range rates {
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
			return errors.Join(capture.Err(), fmt.Errorf("the capture lost %d frames", capture.Lost()))
		}
		report(rate, frames)
	}
	return nil
}

// targets is a range of n addresses of the test network, of its 65,536 at most.
func targets(n int) string {
	last := n - 1
	return fmt.Sprintf("10.77.0.0-10.77.%d.%d", last>>8, last&0xff)
}

func report(rate int, frames []testnet.Frame) {
	var counts []int
	var first int64
	for _, f := range frames {
		if f.Outgoing || packet.CheckEthernet(f.Data, packet.TCP()) != nil {
			continue
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
