package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"synoptic/results"
)

// cell is a kind of scan, of which many are made to see how often the interval of missed open ports holds the truth.
type cell struct {
	flags   []string
	percent float64 // loss each way
	ports   string
	bits    int
	rate    int
}

// cells span what makes a difference: the policy, the loss, who is there (all open, nearly all silent or closed), how many, how fast.
var cells = []cell{
	{[]string{"--retries", "0"}, 1, "80", 20, 10_000},
	{[]string{"--retries", "1"}, 5, "80", 20, 10_000},
	{[]string{"--retries", "2"}, 20, "80", 20, 60_000},
	{[]string{"--retries", "3"}, 20, "80", 20, 10_000},
	{[]string{"--retries", "1"}, 5, "443,8080,9", 20, 10_000},
	{[]string{"--retries", "3"}, 20, "443,8080,9", 20, 60_000},
	{[]string{"--retries", "2"}, 20, "80", 23, 1_000},
	{[]string{"--target-recall", "0.99"}, 5, "80", 20, 1_000},
	{[]string{"--target-recall", "0.999"}, 5, "80", 20, 10_000},
	{[]string{"--target-recall", "0.999"}, 20, "80", 20, 60_000},
	{[]string{"--target-recall", "0.99"}, 20, "443,8080,9", 20, 60_000},
	{[]string{"--target-recall", "0.999"}, 5, "80", 23, 10_000},
}

const (
	// beside are the scans that run at a time, each with source ports of its own.
	beside = 4
	// held is the share of the scans of a cell whose interval is to hold the truth.
	held = 0.93
)

func (c cell) String() string {
	return fmt.Sprintf("%s | %g %% | %s | %s | %s", strings.Join(c.flags, " "), c.percent, c.ports, thousands(addresses(targetsOf(c.bits))), thousands(c.rate))
}

// interval is what one scan said, and the truth.
type interval struct {
	missed int
	said   *results.Estimate // nil: nothing
}

func (i interval) holds() bool {
	return i.said.Low <= float64(i.missed) && float64(i.missed) <= i.said.High
}

// intervals makes so many scans of each cell, and writes how many of those that gave an interval held the truth.
func intervals(ctx context.Context, text *strings.Builder, us scanner, o options) error {
	fmt.Fprintf(text, "Produced by `%s` on %s.\n\n", o.command(), machine())
	fmt.Fprintln(text, "| policy | loss each way | ports | addresses | pps | held of | no interval | missed, median | width, median |")
	fmt.Fprintln(text, "|---|---:|---|---:|---:|---:|---:|---:|---:|")
	var failed []error
	for _, c := range cells {
		all, err := c.scans(ctx, us, o.intervals)
		if err != nil {
			return err
		}
		inside, said := 0, []interval{}
		for _, i := range all {
			if i.said == nil {
				continue
			}
			if said = append(said, i); i.holds() {
				inside++
			}
		}
		missed := median(all, func(i interval) float64 { return float64(i.missed) })
		width := median(said, func(i interval) float64 { return i.said.High - i.said.Low })
		log.Printf("%v: %d of %d", c, inside, len(said))
		fmt.Fprintf(text, "| %v | %d of %d | %d | %.0f | %.0f |\n", c, inside, len(said), len(all)-len(said), missed, width)
		if float64(inside) < held*float64(len(said)) {
			failed = append(failed, fmt.Errorf("%v: the truth in %d of %d intervals, want %v", c, inside, len(said), held))
		}
	}
	return errors.Join(failed...)
}

// median of a figure of each.
func median(all []interval, figure func(interval) float64) float64 {
	if len(all) == 0 {
		return 0
	}
	figures := make([]float64, 0, len(all))
	for _, i := range all {
		figures = append(figures, figure(i))
	}
	slices.Sort(figures)
	return figures[len(figures)/2]
}

// scans makes so many of a cell, some beside each other.
func (c cell) scans(ctx context.Context, us scanner, n int) ([]interval, error) {
	f, err := newField(c.bits, condition{percent: c.percent})
	if err != nil {
		return nil, err
	}
	defer f.Close()
	open := map[netip.AddrPort]bool{}
	for e := range f.open {
		if slices.Contains(strings.Split(c.ports, ","), fmt.Sprint(e.Port())) {
			open[e] = true
		}
	}
	all, errs := make([]interval, n), make([]error, beside)
	var running sync.WaitGroup
	for lane := range beside {
		running.Go(func() {
			for i := lane; i < n && errs[lane] == nil; i += beside {
				flags := append(slices.Clone(c.flags), "--seed", fmt.Sprint(i+1), "--source-port", fmt.Sprint(61000+16*lane))
				var r found
				if r, errs[lane] = us.scan(ctx, f.targets, c.ports, c.rate, flags...); errs[lane] == nil {
					all[i] = interval{scored(r.open, open).missed(), r.end.MissedOpen}
				}
			}
		})
	}
	running.Wait()
	return all, errors.Join(errs...)
}
