package report

import (
	"cmp"
	"fmt"
	"slices"

	"synoptic/results"
)

// chart is the changes by day: what opened upwards, what is no longer open downwards.
type chart struct {
	Width              int
	Title, First, Last string
	Most               int
	Bars               []bar
}

type bar struct {
	Title         string
	X, W          float64
	UpY, Up, Down float64
}

const (
	maxDays   = 92 // in the chart, the newest
	chartWide = 720
	half      = 70.0 // the height of the highest bar
	middle    = 74.0
)

func (s *summary) sortedDays() (all []dayOfChanges) {
	for _, d := range s.days {
		all = append(all, *d)
	}
	slices.SortFunc(all, func(a, b dayOfChanges) int { return cmp.Compare(a.Day, b.Day) })
	return all
}

// newChart draws days, oldest first; nil where there is none.
func newChart(days []dayOfChanges) *chart {
	if len(days) == 0 {
		return nil
	}
	days = days[max(0, len(days)-maxDays):]
	step := min(chartWide/float64(len(days)), 48)
	c := &chart{Width: max(int(step*float64(len(days))), 200), First: days[0].Day, Last: days[len(days)-1].Day, Most: 1}
	for _, d := range days {
		c.Most = max(c.Most, d.Opened, d.Ended)
	}
	if len(days) == 1 {
		c.Last = ""
	}
	c.Title = fmt.Sprintf("Endpoints that opened, and that are no longer open, on %d days with changes", len(days))
	for i, d := range days {
		height := func(n int) float64 {
			if n == 0 {
				return 0
			}
			return max(1, half*float64(n)/float64(c.Most))
		}
		up := height(d.Opened)
		c.Bars = append(c.Bars, bar{
			Title: fmt.Sprintf("%s: %s opened, %s no longer open", d.Day, results.Grouped(d.Opened), results.Grouped(d.Ended)),
			X:     float64(i) * step, W: step * 0.8, UpY: middle - up, Up: up, Down: height(d.Ended),
		})
	}
	return c
}
