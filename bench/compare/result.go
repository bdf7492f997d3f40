package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Result is a job's raw figures: one JSON file in the results folder, from which the document is
// written. Units: seconds, bytes, packets; of figures that are not known the comment says which value
// stands for that.
type Result struct {
	Job     string
	Command string // that made it
	When    string // RFC 3339, UTC
	Runs    int
	Machine Machine
	// Idle is how many processors' worth of other work the machine did during a second in which
	// nothing ran, before the job.
	Idle  float64
	Cases []Case
}

// Case is one network with what ran on it in turns.
type Case struct {
	Name      string // as a heading
	Text      string // what the network is
	Metric    Metric
	Positions uint64
	MapBytes  uint64 // size of synoptic's result map for that many positions
	Runs      int
	Rows      []Row
}

// Metric is what the ratios of a case compare besides processor time.
type Metric string

// The metrics.
const (
	ByRate Metric = "pps"     // packets per second while sending
	ByTime Metric = "seconds" // from the start of the process to its end
)

// Row is one tool in one setting.
type Row struct {
	Label   string
	Tool    string
	Backend string // synoptic's
	Command string
	Missing string // why there is nothing, else ""
	// Positions and Open are what this row scans and what of it is open: less than the case has where
	// the tool would take minutes.
	Positions, Open uint64
	Samples         []Sample
}

// Sample is one run.
type Sample struct {
	Round              int
	Error              string // why there is nothing else, else ""
	Wall, User, System float64
	Busy               float64 // processor seconds of the whole machine during the run
	Probes             uint64  // SYNs that came to the far end
	Firsts             uint64  // probes that were a position's first; 0: not known, as nmap retransmits as it sees fit
	PPS                float64 // while sending, by the far end's count; 0: too short to say
	OwnPPS             float64 // as the tool states it; 0: it does not
	PeakRSS            int64
	Maps               int64  // peak of the kernel's memory for the process' BPF maps
	Found, False       uint64 // of what is open, and of what is not
	SocketDrops        int64  // replies dropped before the tool read them, as it states; -1: it does not
	LinkDrops          uint64 // replies that the link dropped
	ProbesDropped      uint64 // frames that the link dropped on the way to the far end: probes, and RSTs of the kernel
	Stopped            bool   // at the bound of time
	Warnings           []string
}

func (r *Row) good() (all []Sample) {
	for _, s := range r.Samples {
		if s.Error == "" {
			all = append(all, s)
		}
	}
	return all
}

// over takes a figure of every good run, leaving out those for which it is not known.
func (r *Row) over(f func(Sample) (float64, bool)) (v values) {
	for _, s := range r.good() {
		if x, ok := f(s); ok {
			v = append(v, x)
		}
	}
	return v
}

// perMillion is seconds per million probes at the far end.
func perMillion(seconds float64, s Sample) (float64, bool) {
	return seconds / float64(s.Probes) * 1e6, s.Probes > 0
}

func (r *Row) wall() values {
	return r.over(func(s Sample) (float64, bool) { return s.Wall, true })
}

func (r *Row) pps() values {
	return r.over(func(s Sample) (float64, bool) { return s.PPS, s.PPS > 0 })
}

func (r *Row) ownPPS() values {
	return r.over(func(s Sample) (float64, bool) { return s.OwnPPS, s.OwnPPS > 0 })
}

func (r *Row) ownCPU() values {
	return r.over(func(s Sample) (float64, bool) { return perMillion(s.User+s.System, s) })
}

func (r *Row) machineCPU() values {
	return r.over(func(s Sample) (float64, bool) { return perMillion(s.Busy, s) })
}

func (r *Row) memory() values {
	return r.over(func(s Sample) (float64, bool) { return float64(s.PeakRSS), s.PeakRSS > 0 })
}

func (r *Row) maps() values {
	return r.over(func(s Sample) (float64, bool) { return float64(s.Maps), true })
}

// recall is the share of what is open that was found. Of a run that was stopped it is the share of what
// it must have found by then: of a random part of the positions, as large as the part it had probed, where
// that is known.
func (r *Row) recall() values {
	return r.over(func(s Sample) (float64, bool) {
		open := float64(r.Open)
		if s.Stopped && s.Firsts > 0 {
			open *= min(1, float64(s.Firsts)/float64(r.Positions))
		}
		return float64(s.Found) / open, r.Open > 0 && open > 0
	})
}

func (r *Row) count(f func(Sample) float64) values {
	return r.over(func(s Sample) (float64, bool) { x := f(s); return x, x >= 0 })
}

func (r *Row) stopped() (n int) {
	for _, s := range r.good() {
		if s.Stopped {
			n++
		}
	}
	return n
}

// save replaces the file of the job's earlier figures.
func (r *Result) save(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, r.Job+".json"), append(b, '\n'), 0o644)
}

// load reads what a folder holds, in the order of the jobs.
func load(folder string) (all []*Result, err error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		r := new(Result)
		if err := json.Unmarshal(b, r); err != nil {
			return nil, fmt.Errorf("read %s: %w", f, err)
		}
		if slices.Index(jobNames, r.Job) < 0 || r.Job+".json" != filepath.Base(f) {
			return nil, fmt.Errorf("read %s: job %q is none of %s", f, r.Job, strings.Join(jobNames, ", "))
		}
		all = append(all, r)
	}
	if len(all) == 0 {
		return nil, errors.New("no results in " + folder)
	}
	slices.SortFunc(all, func(a, b *Result) int {
		return slices.Index(jobNames, a.Job) - slices.Index(jobNames, b.Job)
	})
	return all, nil
}
