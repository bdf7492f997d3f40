// Command path measures the automatic rate on real packets: synoptic, masscan, zmap and nmap scan through a router whose link to the
// targets is the bottleneck, in network namespaces of their own.
//
//	go run ./bench/path                          every table
//	go run ./bench/path -table tbf -only "C 5k"  the cells of a table whose name holds a text
//	go run ./bench/path -quick                   a cell of each table, small: shows that everything works
//	go run ./bench/path -write                   docs/path.md as well, with the tables that were made in the place of the old ones
//
// The tables: tbf, capacities and queues; lasthop, a router whose table of neighbours is too small; step, a capacity that changes; share,
// two scans through one bottleneck; tcp, a TCP transfer beside a scan. lasthop fills the machine's table of neighbours, which all namespaces
// have in common: nothing that needs the network may run beside it. It needs root, and taskset for 50k.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"synoptic/bench"
	"synoptic/bench/lab/testnet"
)

const document = "docs/path.md"

// table is one of the program's tables.
type table struct {
	name string
	make func(ctx context.Context, o *options) (result, error)
}

var tables = []table{{"tbf", tbf}, {"lasthop", lasthop}, {"step", step}, {"share", share}, {"tcp", transfer}}

// result is what a table shows. It marshals: Rows are the raw figures.
type result struct {
	Name, Command, When string
	Rows                any
	text                string // Markdown
}

type options struct {
	program *bench.Program
	only    string
	bound   time.Duration // 0: by each table
	quick   bool
}

func main() {
	log.SetFlags(log.Ltime)
	var o options
	name := flag.String("table", "all", "tbf, lasthop, step, share, tcp or all")
	flag.StringVar(&o.only, "only", "", "cells, or tools, whose name holds this: \"C 5k\", \"RTT 1 ms\", \"nmap\"")
	flag.DurationVar(&o.bound, "bound", 0, "stop a run after it (default twice the ideal time and 10s, synoptic four times; 3m in lasthop)")
	flag.BoolVar(&o.quick, "quick", false, "one small cell of each table")
	write := flag.Bool("write", false, "write "+document)
	asJSON := flag.String("json", "", "write the raw figures to this file")
	flag.Parse()
	chosen := slices.DeleteFunc(slices.Clone(tables), func(t table) bool { return *name != "all" && t.name != *name })
	if len(chosen) == 0 || o.bound < 0 || flag.NArg() > 0 || *write && (o.quick || o.only != "") {
		log.Print("want -table tbf, lasthop, step, share, tcp or all, no negative -bound, no arguments, and -write without -quick and -only")
		os.Exit(2)
	}
	if err := testnet.Enter(); err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, &o, chosen, *write, *asJSON)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, o *options, chosen []table, write bool, file string) (err error) {
	if o.program, err = bench.Build(); err != nil {
		return err
	}
	defer o.program.Close()
	var all []result
	for _, t := range chosen {
		begun := time.Now()
		r, err := t.make(ctx, o)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		r.Name, r.When, r.Command = t.name, begun.UTC().Format(time.RFC3339), o.command(t.name)
		r.text += fmt.Sprintf("\n`%s`, %v.\n", r.Command, time.Since(begun).Round(time.Second))
		fmt.Println(r.text)
		all = append(all, r)
		if write { // what is made is kept where a later table fails
			if err := writeDocument(r); err != nil {
				return err
			}
		}
	}
	if file == "" {
		return nil
	}
	b, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}

// command makes a table again.
func (o *options) command(name string) string {
	s := "go run ./bench/path -table " + name
	if o.only != "" {
		s += fmt.Sprintf(" -only %q", o.only)
	}
	if o.bound > 0 {
		s += fmt.Sprintf(" -bound %v", o.bound)
	}
	if o.quick {
		s += " -quick"
	}
	return s
}

func (o *options) wants(name string) bool { return strings.Contains(name, o.only) }

const preface = `# The automatic rate on real packets

Every table is made by ` + "`go run ./bench/path -write`" + `: the real programs in network namespaces, scanner — router — targets, joined by veth. The router's link to the
targets is the bottleneck (tc-tbf), so the scanner's own interface takes whatever it is given.
`

func writeDocument(r result) error {
	path, err := bench.ModuleFile(document)
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		if err := os.WriteFile(path, []byte(preface), 0o644); err != nil {
			return err
		}
	}
	machine := fmt.Sprintf("%s, Linux %s, %s.\n", bench.Processor(), bench.Kernel(), r.When)
	return bench.WriteSection(path, r.Name, r.text+"\n"+machine)
}

// grid writes a Markdown table.
func grid(head []string, rows [][]string) string {
	var w strings.Builder
	line := func(cells []string) { fmt.Fprintf(&w, "| %s |\n", strings.Join(cells, " | ")) }
	line(head)
	rule := make([]string, len(head))
	for i := range rule {
		rule[i] = "---"
	}
	line(rule)
	for _, r := range rows {
		line(r)
	}
	return w.String()
}
