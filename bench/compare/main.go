// Command compare measures synoptic's backends against nmap, masscan and zmap: all scan the same
// network in the same run, in turns.
//
//	go run ./bench/compare                        everything, some 70 minutes
//	go run ./bench/compare -jobs loop,send        some of it
//	go run ./bench/compare -quick                 tiny sizes: shows that everything works
//	go run ./bench/compare -jobs none -write      docs/performance.md from the results kept
//
// Every job leaves its raw figures as a file in the -results folder, where the next run of the job
// replaces it; -write makes the document and the plot of all of them. A tool that is missing, refuses
// or fails has a row that says so; the exit code is 1 where a run failed.
//
// It needs root, for the simulated internet is made of XDP programs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"synoptic/bench"
	"synoptic/bench/lab/testnet"
)

type options struct {
	jobs     []string
	backends []string
	runs     int
	bound    time.Duration
	quick    bool
	write    bool
	results  string
}

func main() {
	log.SetFlags(log.Ltime)
	var o options
	jobs := flag.String("jobs", "all", "some of "+strings.Join(jobNames, ",")+", or all, or none")
	backends := flag.String("backends", "afpacket,xdp,ebpf", "synoptic's backends, separated by commas")
	flag.IntVar(&o.runs, "runs", 5, "rounds, 1 to 99; the longest scans run fewer")
	flag.DurationVar(&o.bound, "bound", time.Minute, "a run is interrupted after it, and counted for what it did by then; 1s to 10m")
	flag.BoolVar(&o.quick, "quick", false, "tiny sizes, one round; figures that mean nothing, in a folder of their own")
	flag.BoolVar(&o.write, "write", false, "write "+document+" and "+plotFile+" from the results folder")
	flag.StringVar(&o.results, "results", "", "folder of the raw figures (default "+resultsFolder+" in the module)")
	flag.Parse()
	var err error
	if o.jobs, err = chosenJobs(*jobs); err == nil && (o.runs < 1 || o.runs > 99 || o.bound < time.Second || o.bound > 10*time.Minute || flag.NArg() > 0) {
		err = errors.New("want -runs 1 to 99, -bound 1s to 10m, and no arguments")
	}
	if err != nil {
		log.Print(err)
		os.Exit(2)
	}
	o.backends = strings.Split(*backends, ",")
	if o.quick {
		o.runs = 1
	}
	if len(o.jobs) > 0 {
		if err := testnet.Enter(); err != nil {
			log.Fatal(err)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = run(ctx, o)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

// resultsFolder is relative to the module, as document and plotFile are.
const resultsFolder = "docs/performance"

func run(ctx context.Context, o options) (err error) {
	module, err := bench.ModuleFile("")
	if err != nil {
		return err
	}
	switch {
	case o.results == "" && o.quick && o.write:
		return errors.New("-quick with -write needs -results: its figures are none for the document")
	case o.results == "" && o.quick:
		if o.results, err = os.MkdirTemp("", "synoptic-compare-quick-"); err != nil {
			return err
		}
		defer os.RemoveAll(o.results)
	case o.results == "":
		o.results = filepath.Join(module, filepath.FromSlash(resultsFolder))
	}
	var failed error
	if len(o.jobs) > 0 {
		program, err := bench.Build()
		if err != nil {
			return err
		}
		defer program.Close()
		for _, name := range o.jobs {
			r, err := runJob(ctx, name, o, program)
			if err != nil {
				return err
			}
			failed = errors.Join(failed, r.failures())
			if err := r.save(o.results); err != nil {
				return err
			}
			var text strings.Builder
			writeResult(&text, r)
			fmt.Print(text.String())
		}
	}
	if o.write {
		all, err := load(o.results)
		if err != nil {
			return err
		}
		failed = errors.Join(failed, writeDocument(module, all))
	}
	return failed
}

// runJob runs all cases of a job.
func runJob(ctx context.Context, name string, o options, program *bench.Program) (*Result, error) {
	r := &Result{
		Job: name, Command: o.command(name), When: time.Now().UTC().Format(time.RFC3339), Runs: o.runs, Machine: thisMachine(),
	}
	var err error
	if r.Idle, err = background(time.Second); err != nil {
		return nil, err
	}
	for _, s := range scenes(name, o.quick) {
		c, err := measure(ctx, s, o, program)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		r.Cases = append(r.Cases, c)
	}
	return r, nil
}

// command is what measures a job again.
func (o options) command(job string) string {
	s := fmt.Sprintf("go run ./bench/compare -jobs %s -runs %d -bound %v", job, o.runs, o.bound)
	if b := strings.Join(o.backends, ","); b != "afpacket,xdp,ebpf" {
		s += " -backends " + b
	}
	if o.quick {
		s += " -quick"
	}
	return s
}

// failures are the runs that gave nothing. What is missing or refused is none.
func (r *Result) failures() (err error) {
	for _, c := range r.Cases {
		for _, row := range c.Rows {
			for _, s := range row.Samples {
				if s.Error != "" {
					err = errors.Join(err, fmt.Errorf("%s: %s: %s", c.Name, row.Label, s.Error))
				}
			}
		}
	}
	return err
}
