package main

import (
	"fmt"
	"slices"
	"strings"

	"synoptic/bench/lab/ratesim"
)

// row is what the cases of a row came to.
type row struct {
	name   string
	tried  []ratesim.Tried
	failed int
}

// values are those of all runs.
func (r *row) values(f func(*ratesim.Score) float64) (all []float64) {
	for i := range r.tried {
		for j := range r.tried[i].Scores {
			all = append(all, f(&r.tried[i].Scores[j]))
		}
	}
	return all
}

// grid runs all cases that hold a text, and reports false where one has not reached what is asked of it.
func grid(seeds int, only string) (ok bool) {
	var rows []*row
	for _, c := range ratesim.Grid() {
		if !strings.Contains(c.Row+" "+c.String(), only) {
			continue
		}
		i := slices.IndexFunc(rows, func(r *row) bool { return r.name == c.Row })
		if i < 0 {
			i = len(rows)
			rows = append(rows, &row{name: c.Row})
		}
		t := c.Try(seeds)
		rows[i].tried = append(rows[i].tried, t)
		if faults := t.Faults(); len(faults) > 0 {
			rows[i].failed++
			fmt.Printf("   %v: %s\n", &c.Cell, strings.Join(faults, "; "))
		}
	}
	fmt.Println("\nrow | cells failed | time ÷ ideal: median, worst cell, worst run | converged s: median, worst | dropped | queue ms | beacons | least recall")
	ok = true
	for _, r := range rows {
		ratio := ratesim.Median(r.values(ratesim.Ratio))
		want := r.tried[0].Want.RowRatio
		ok = ok && r.failed == 0 && (want == 0 || ratio <= want)
		worst := 0.0
		for i := range r.tried {
			worst = max(worst, r.tried[i].Of(ratesim.Ratio))
		}
		fmt.Printf("%s | %d of %d | %.3f, %.3f, %.3f | %.2f, %.2f | %.4f | %.1f | %.4f | %.5f\n", r.name, r.failed, len(r.tried),
			ratio, worst, slices.Max(r.values(ratesim.Ratio)), ratesim.Median(r.values(ratesim.Converged)), slices.Max(r.values(ratesim.Converged)),
			ratesim.Median(r.values(ratesim.Drops)), 1000*ratesim.Median(r.values(ratesim.Queue)), ratesim.Median(r.values(ratesim.Beacons)), slices.Min(r.values(ratesim.Recall)))
	}
	return ok
}
