package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"os/exec"
	"strings"
	"time"

	"synoptic/bench/lab/peers"
)

// contender is one row of every table.
type contender struct {
	label   string
	missing string // why there is nothing to run
	targets netip.Prefix
	run     func(context.Context, *field) (found, error)
}

// row is what a contender did on one network.
type row struct {
	contender
	found
	score
	probes
	err error
}

// contenders in the order in which they run: in turns, so that what disturbs the machine for a while
// disturbs all of them.
func contenders(us scanner, o options, c condition) (all []contender) {
	targets := targetsOf(o.bits)
	rate := c.rate(o.rate, portCount*addresses(targets))
	ours := func(flag, value string) {
		c := contender{label: fmt.Sprintf("synoptic %s %s", flag, value), targets: targets}
		if !us.has(flag) {
			c.missing = "this build has no " + flag
		}
		c.run = func(ctx context.Context, f *field) (found, error) {
			return us.scan(ctx, targets, portList, rate, flag, value)
		}
		all = append(all, c)
	}
	theirs := func(label string, tool peers.Tool, job peers.Job) {
		c := contender{label: label, targets: job.Targets}
		if _, err := tool.Path(); errors.Is(err, exec.ErrNotFound) {
			c.missing = "not installed"
		}
		c.run = func(ctx context.Context, f *field) (found, error) {
			job.Network, job.Ports, job.Bound = f.Network, portList, runBound
			r, err := tool.Scan(ctx, job)
			return found{command: r.Command, open: r.Open, seconds: r.Wall.Seconds(), stopped: r.Stopped, warnings: r.Warnings}, err
		}
		all = append(all, c)
	}
	most := 3
	if o.quick {
		most = 1
	}
	for retries := range most + 1 {
		ours("--retries", fmt.Sprint(retries))
		theirs(fmt.Sprintf("masscan --retries %d", retries), peers.Masscan, peers.Job{Targets: targets, Rate: rate, Retries: retries})
	}
	ours("--target-recall", fmt.Sprint(recallAsked))
	part := targetsOf(c.nmapBits(o.bits))
	theirs(fmt.Sprintf("nmap (%s of the addresses)", thousands(addresses(part))), peers.Nmap, peers.Job{Targets: part})
	return all
}

// compare lets all contenders scan all networks. The failure of one is told in its row, and returned
// when everything else is done.
func compare(ctx context.Context, text *strings.Builder, us scanner, o options) error {
	chosen := conditions
	if o.quick {
		chosen = []condition{conditions[0], conditions[2], conditions[4]}
	}
	var failed []error
	var sections strings.Builder
	var commands []string
	begun := time.Now()
	for _, c := range chosen {
		f, err := newField(o.bits, c)
		if err != nil {
			return err
		}
		var rows []row
		for _, k := range contenders(us, o, c) {
			r := k.on(ctx, f)
			if ctx.Err() != nil {
				f.Close()
				return ctx.Err()
			}
			if r.err != nil {
				failed = append(failed, fmt.Errorf("%s: %w", c.name, r.err))
			}
			log.Printf("%4.0f s  %s: %s", time.Since(begun).Seconds(), c.name, r.summary())
			rows = append(rows, r)
		}
		for _, w := range f.Warnings {
			rows[0].warnings = append(rows[0].warnings, "network: "+w)
		}
		if err := f.Close(); err != nil {
			return err
		}
		if commands == nil {
			for _, r := range rows {
				if r.command != "" {
					commands = append(commands, r.command)
				}
			}
		}
		writeSection(&sections, o, c, f, rows)
	}
	fmt.Fprintf(text, "Produced by `%s` on %s.\n\n", o.command(), machine(peers.Nmap, peers.Masscan))
	writePreface(text, o)
	text.WriteString(sections.String())
	fmt.Fprintf(text, "\nCommand lines, on the first of the networks:\n\n```text\n%s\n```\n", strings.Join(commands, "\n"))
	return errors.Join(failed...)
}

// on runs a contender on a network.
func (k contender) on(ctx context.Context, f *field) (r row) {
	r.contender = k
	if k.missing != "" {
		return r
	}
	r.probes, r.err = f.during(func() (err error) {
		r.found, err = k.run(ctx, f)
		return err
	})
	if r.err != nil {
		return r
	}
	r.score = scored(r.found.open, within(f.open, k.targets))
	if r.end != nil && r.end.Sent != r.total() {
		r.warnings = append(r.warnings, fmt.Sprintf("says that it sent %d probes", r.end.Sent))
	}
	return r
}
