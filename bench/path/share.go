package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// shareRow is one run of two scans.
type shareRow struct {
	Queue, Trip time.Duration
	Later       time.Duration // that the second begins
	First       []float64     // the first one's share of each half second in which both sent
	Median      float64
	Least, Most float64
	Found, Open int
	Dropped     float64 // share
}

const shareLook = 500 * time.Millisecond

// share is two scans through one bottleneck.
func share(ctx context.Context, o *options) (result, error) {
	var rows []shareRow
	var lines [][]string
	bits := 15
	if o.quick {
		bits = 17
	}
	for name, p := range paths {
		queue, trip := p.Queue, p.Trip
		for _, later := range []time.Duration{0, 3 * time.Second} {
			name := name // of both scans
			if later > 0 {
				name += fmt.Sprintf(", the second %v later", later)
			}
			if !o.wants(name) || o.quick && len(rows) > 0 {
				continue
			}
			row := shareRow{Queue: queue, Trip: trip, Later: later}
			if err := row.run(ctx, o, bits); err != nil {
				return result{}, err
			}
			rows = append(rows, row)
			lines = append(lines, []string{
				name, fmt.Sprintf("%.0f %% (%.0f–%.0f)", 100*row.Median, 100*row.Least, 100*row.Most), fmt.Sprintf("%d of %d", row.Open-row.Found, row.Open),
				fmt.Sprintf("%.2f %%", 100*row.Dropped),
			})
		}
	}
	text := fmt.Sprintf(`## Two scans through one bottleneck

Two of `+"`--rate auto`"+` through 20k, each with half of the addresses. The share is the first one's of the probes that came to the router, by %v, median (least–most), from two seconds
after both have begun until one ends.

`, shareLook)
	return result{Rows: rows, text: text + grid([]string{"path", "share of the first", "open ports missed", "dropped"}, lines)}, nil
}

func (row *shareRow) run(ctx context.Context, o *options, bits int) (err error) {
	c := cell{Capacity: 20_000, Queue: row.Queue, Trip: row.Trip, Bits: bits}
	w := c.way(synFrame)
	parts := [2]way{w, w}
	parts[0].targets, parts[1].targets = halves(w.targets)
	r, err := build(w)
	if err != nil {
		return err
	}
	defer r.Close()
	m, err := follow(r, parts[0].targets, parts[1].targets)
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	var out [2]outcome
	var errs [2]error
	for i := range parts {
		running.Go(func() {
			if i == 1 && row.Later > 0 {
				if errs[i] = wait(ctx, row.Later); errs[i] != nil {
					return
				}
			}
			s := ours(o.program, "--rate", "auto")
			out[i], errs[i] = s.run(ctx, r, &parts[i], 2*time.Minute)
		})
	}
	running.Wait()
	for _, e := range []error{errs[0], errs[1], m.stop()} {
		if e != nil {
			return e
		}
	}
	_, first0, last0 := m.span(0)
	_, first1, last1 := m.span(1)
	from, to := later(first0, first1).Add(2*time.Second), last0
	if last1.Before(to) {
		to = last1
	}
	a, b := m.rates(0, from, to, shareLook), m.rates(1, from, to, shareLook)
	for i := range a {
		if a[i]+b[i] > 0 {
			row.First = append(row.First, a[i]/(a[i]+b[i]))
		}
	}
	if len(row.First) == 0 {
		return fmt.Errorf("the two scans were not under way together for long enough")
	}
	sorted := slices.Sorted(slices.Values(row.First))
	row.Least, row.Median, row.Most = sorted[0], sorted[len(sorted)/2], sorted[len(sorted)-1]
	row.Open = len(r.open)
	for i := range out {
		found, _ := r.found(out[i].open)
		row.Found += found
	}
	p, err := r.hosts.Passed()
	row.Dropped = float64(p.Dropped) / max(1, float64(p.Dropped+p.Packets))
	return err
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
