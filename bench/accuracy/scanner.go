package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"synoptic/bench"
	"synoptic/results"
)

const (
	recallAsked = 0.999
	runBound    = 3 * time.Minute // of any one run
)

// scanner is the program under test.
type scanner struct {
	program *bench.Program
	help    string
}

func newScanner(ctx context.Context, program *bench.Program) (scanner, error) {
	out, err := program.Command(ctx, "scan", "--help").Output()
	if err != nil {
		return scanner{}, fmt.Errorf("synoptic scan --help: %w", err)
	}
	return scanner{program, string(out)}, nil
}

// has tells whether this build knows a flag.
func (s scanner) has(name string) bool { return strings.Contains(s.help, " "+name+" ") }

// found is what a run of any scanner gave.
type found struct {
	command  string
	open     map[netip.AddrPort]bool
	seconds  float64
	stopped  bool
	warnings []string
	end      *end // synoptic's own account
}

// end holds what is wanted of scan_end.
type end struct {
	Sent         uint64            `json:"sent"`
	RxDrops      uint64            `json:"rx_drops"`
	LossEstimate *results.Estimate `json:"loss_estimate"`
	MissedOpen   *results.Estimate `json:"missed_open_estimate"`
	Complete     bool              `json:"complete"`
}

// scan runs synoptic over targets.
func (s scanner) scan(ctx context.Context, targets netip.Prefix, ports string, rate int, flags ...string) (r found, err error) {
	args := append([]string{"scan", targets.String(), "-p", ports, "--rate", strconv.Itoa(rate)}, flags...)
	r.command = strings.Join(append([]string{"synoptic"}, args...), " ")
	ctx, cancel := context.WithTimeout(ctx, runBound)
	defer cancel()
	cmd := s.program.Command(ctx, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begun := time.Now()
	if err := cmd.Run(); err != nil {
		return r, fmt.Errorf("%s: %w: %.2000s", r.command, err, stderr.Bytes())
	}
	r.seconds = time.Since(begun).Seconds()
	if err := r.read(stdout.Bytes()); err != nil {
		return r, fmt.Errorf("%s: %w", r.command, err)
	}
	return r, nil
}

// read takes a record stream. A scan that did not run to its end, and a port told twice, are errors.
func (r *found) read(stream []byte) error {
	r.open = map[netip.AddrPort]bool{}
	for line := range bytes.Lines(stream) {
		var record struct {
			Type  string     `json:"type"`
			IP    netip.Addr `json:"ip"`
			Port  uint16     `json:"port"`
			State string     `json:"state"`
		}
		if err := json.Unmarshal(line, &record); err != nil {
			return fmt.Errorf("read %.200q: %w", line, err)
		}
		switch record.Type {
		case "port":
			e := netip.AddrPortFrom(record.IP, record.Port)
			if record.State != "open" {
				continue
			}
			if r.open[e] {
				return fmt.Errorf("%v was reported twice", e)
			}
			r.open[e] = true
		case "scan_end":
			r.end = new(end)
			if err := json.Unmarshal(line, r.end); err != nil {
				return fmt.Errorf("read scan_end: %w", err)
			}
		}
	}
	if r.end == nil || !r.end.Complete {
		return errors.New("the scan did not run to its end")
	}
	if r.end.RxDrops > 0 {
		r.warnings = append(r.warnings, fmt.Sprintf("the kernel dropped %d replies before they were read", r.end.RxDrops))
	}
	return nil
}
