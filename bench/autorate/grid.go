package main

import (
	"fmt"
	"math"
	"strings"

	"synoptic/bench/lab/ratesim"
)

func grid(seeds int, only string, verbose bool) {
	type row struct {
		name                                     string
		ratio, conv, drops, queue, beacon, found []float64
		worst                                    float64
		want                                     float64
		faults, cells                            int
	}
	var rows []*row
	byName := map[string]*row{}
	for _, c := range ratesim.Grid() {
		if !strings.Contains(c.Row+" "+c.Cell.String(), only) {
			continue
		}
		t := c.Try(seeds)
		r := byName[c.Row]
		if r == nil {
			r = &row{name: c.Row, want: c.Want.RowRatio}
			byName[c.Row] = r
			rows = append(rows, r)
		}
		r.cells++
		for _, s := range t.Scores {
			r.ratio = append(r.ratio, s.Ratio)
			r.conv = append(r.conv, s.Converged.Seconds())
			r.drops = append(r.drops, s.Drops)
			r.queue = append(r.queue, s.Queue.Seconds())
			r.beacon = append(r.beacon, s.Beacons)
			r.found = append(r.found, -s.Recall)
		}
		r.worst = max(r.worst, t.Of(ratesim.Ratio))
		f := t.Faults()
		if len(f) > 0 {
			r.faults++
		}
		if len(f) > 0 || verbose {
			fmt.Printf("   %v: ratio %.3f conv %.2f drops %.4f queue %.1f ms: %s\n", &c.Cell, t.Of(ratesim.Ratio), t.Of(ratesim.Converged), t.Of(ratesim.Drops), 1000*t.Of(ratesim.Queue), strings.Join(f, "; "))
		}
	}
	maxOf := func(v []float64) float64 {
		m := math.Inf(-1)
		for _, x := range v {
			m = max(m, x)
		}
		return m
	}
	for _, r := range rows {
		fmt.Printf("%-24s ratio %.3f (cell %.3f, run %.3f) conv %.2f (%.2f) drops %.4f (%.4f) queue %.1f (%.1f) ms beacons %.4f (%.4f) recall %.5f: %d of %d cells fail\n",
			r.name, ratesim.Median(r.ratio), r.worst, maxOf(r.ratio), ratesim.Median(r.conv), maxOf(r.conv), ratesim.Median(r.drops), maxOf(r.drops),
			1000*ratesim.Median(r.queue), 1000*maxOf(r.queue), ratesim.Median(r.beacon), maxOf(r.beacon), -maxOf(r.found), r.faults, r.cells)
	}
}
