// Command mainjob measures the main job: a /16 on four ports, answered by a kernel's own TCP stack,
// and all ports of the loopback address.
//
//	go run ./bench/mainjob
package main

import (
	"fmt"
	"log"
	"slices"
	"strings"
	"time"

	"synoptic/bench"
)

const runs = 5

func main() {
	log.SetFlags(0)
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	program, network, teardown, err := bench.Setup()
	if err != nil {
		return err
	}
	defer teardown()
	if _, err := network.Serve("0.0.0.0:80"); err != nil {
		return err
	}
	if err := network.DropPort(9); err != nil {
		return err
	}
	fmt.Printf("medians of %d runs\n\n", runs)
	fmt.Println("| job | probes | seconds | pps while sending | CPU s per million probes | peak memory, MiB | open | kernel drops |")
	fmt.Println("|---|---:|---:|---:|---:|---:|---:|---:|")
	for _, args := range [][]string{
		{"scan", "10.77.0.0/16", "-p", "80,443,8080,9", "--rate", "50k", "--retries", "0"},
		{"scan", "10.77.0.0/16", "-p", "80,443,8080,9", "--rate", "100k", "--retries", "0"},
		{"scan", "10.77.0.0/16", "-p", "9", "--rate", "10M", "--retries", "0"},
		{"scan", "127.0.0.1", "-p-"},
		{"scan", "127.0.0.1", "-p-", "--backend", "connect"},
	} {
		var all []bench.Run
		for range runs {
			r, err := program.Run(args...)
			if err != nil {
				return err
			}
			all = append(all, r)
		}
		fmt.Println(row(args, all))
	}
	return nil
}

// row is a job's medians.
func row(args []string, all []bench.Run) string {
	median := func(f func(bench.Run) float64) float64 {
		var v []float64
		for _, r := range all {
			v = append(v, f(r))
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	return fmt.Sprintf("| `synoptic %s` | %d | %.2f | %.0f | %.2f | %.0f | %d | %.0f |", strings.Join(args, " "), all[0].End.Sent,
		median(func(r bench.Run) float64 { return r.Wall.Seconds() }),
		median(func(r bench.Run) float64 { return r.End.PPS }),
		median(func(r bench.Run) float64 { return float64(r.CPUPerMillion()) / float64(time.Second) }),
		median(func(r bench.Run) float64 { return float64(r.PeakRSS) / (1 << 20) }),
		all[0].End.Open,
		median(func(r bench.Run) float64 { return float64(r.End.RxDrops) }))
}
