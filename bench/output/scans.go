package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"synoptic/bench"
	"synoptic/bench/lab/responder"
	"synoptic/bench/lab/testnet"
)

// Half of all ports answer; with records, one reply in ten is of an open port.
const (
	answering  = 0.5
	openShare  = 0.1
	scanBound  = 5 * time.Minute
	scannedOn  = "443"
	simulation = 1 // its seed
)

// scanRun is one scan.
type scanRun struct {
	pps     float64
	records int
	drops   uint64
}

// pair is a scan whose replies are no records, and one of which one reply in ten is.
type pair struct{ without, with scanRun }

// cost is the share of the speed that records have taken.
func (p pair) cost() float64 { return 1 - p.with.pps/p.without.pps }

// backendCost is what records cost with one backend.
type backendCost struct {
	backend string
	pairs   []pair
}

func measureScans(dir string, o options) (all []backendCost, err error) {
	program, err := bench.Build()
	if err != nil {
		return nil, err
	}
	defer program.Close()
	link := netip.MustParsePrefix("10.76.0.0/24")
	if o.prefix.Overlaps(link) {
		link = netip.MustParsePrefix("198.18.76.0/24") // RFC 2544: for benchmarks
	}
	network, err := testnet.Open(testnet.Config{Prefix: o.prefix, Subnet: link, Gateway: true})
	if err != nil {
		return nil, err
	}
	defer network.Close()
	for _, backend := range o.backends {
		c := backendCost{backend: backend}
		scan := func(open float64) (scanRun, error) {
			return runScan(program, network, filepath.Join(dir, "scan.jsonl"), o, backend,
				responder.Config{Seed: simulation, Open: open, Closed: answering - open, Alive: 1, LocalNet: link})
		}
		if _, err := scan(answering * openShare); err != nil { // the first of all is slower, whatever it does
			return nil, fmt.Errorf("backend %s: %w", backend, err)
		}
		for i := range o.runs {
			var p pair
			var errWith, errWithout error
			if i%2 == 0 {
				p.without, errWithout = scan(0)
				p.with, errWith = scan(answering * openShare)
			} else {
				p.with, errWith = scan(answering * openShare)
				p.without, errWithout = scan(0)
			}
			if err := errors.Join(errWith, errWithout); err != nil {
				return nil, fmt.Errorf("backend %s: %w", backend, err)
			}
			c.pairs = append(c.pairs, p)
		}
		all = append(all, c)
	}
	return all, nil
}

// runScan makes an internet, scans it, and takes it down.
func runScan(program *bench.Program, network *testnet.Network, file string, o options, backend string, internet responder.Config) (r scanRun, err error) {
	answers, err := responder.Attach(network, internet)
	if err != nil {
		return r, err
	}
	defer answers.Close()
	if backend != "xdp" && backend != "ebpf" { // these have a program of their own on this end
		pass, err := responder.AttachPass(network)
		if err != nil {
			return r, err
		}
		defer pass.Close()
	}
	defer os.Remove(file)
	ctx, cancel := context.WithTimeout(context.Background(), scanBound)
	defer cancel()
	out, err := program.Command(ctx, "scan", o.prefix.String(), "-p", scannedOn, "--backend", backend, "--rate", o.rate,
		"--retries", "0", "--wait", "500ms", "--quiet", "-o", "jsonl:"+file).CombinedOutput()
	if err != nil {
		return r, fmt.Errorf("%w: %s", err, out)
	}
	return readScan(file)
}

// readScan counts a scan's port records and takes its closing one.
func readScan(file string) (r scanRun, err error) {
	f, err := os.Open(file)
	if err != nil {
		return r, err
	}
	defer f.Close()
	var end bench.End
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var line struct{ Type string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return r, err
		}
		switch line.Type {
		case "port":
			r.records++
		case "scan_end":
			if err := json.Unmarshal(lines.Bytes(), &end); err != nil {
				return r, err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return r, err
	}
	if !end.Complete || int(end.Open) != r.records {
		return r, fmt.Errorf("%d records of %d open ports, complete: %v", r.records, end.Open, end.Complete)
	}
	r.pps, r.drops = end.PPS, end.RxDrops
	return r, nil
}

func writeScans(w io.Writer, o options, all []backendCost) {
	fmt.Fprintf(w, "A scan of %s, asked for %s pps, half of whose probes are answered; medians of %d pairs of runs:\n\n", o.prefix, o.rate, o.runs)
	fmt.Fprintln(w, "| backend | pps, no records | pps, one reply in ten a record | records | replies dropped, without / with | cost of records | lowest | highest |")
	fmt.Fprintln(w, "|---|---:|---:|---:|---:|---:|---:|---:|")
	for _, c := range all {
		of := func(value func(pair) float64) (values []float64) {
			for _, p := range c.pairs {
				values = append(values, value(p))
			}
			return values
		}
		costs := of(pair.cost)
		fmt.Fprintf(w, "| %s | %.0f | %.0f | %.0f | %.0f / %.0f | %.1f %% | %.1f %% | %.1f %% |\n", c.backend,
			median(of(func(p pair) float64 { return p.without.pps })), median(of(func(p pair) float64 { return p.with.pps })),
			median(of(func(p pair) float64 { return float64(p.with.records) })),
			median(of(func(p pair) float64 { return float64(p.without.drops) })), median(of(func(p pair) float64 { return float64(p.with.drops) })),
			100*median(costs), 100*slices.Min(costs), 100*slices.Max(costs))
	}
	fmt.Fprintln(w)
}
