package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"synoptic/bench"
	"synoptic/bench/chart"
	"synoptic/bench/lab/ratesim"
)

// What -plots writes, relative to the module: the pictures, and the part of the document that shows them.
const (
	document = "docs/rate.md"
	pictures = "docs/rate"
)

// plotSeed is that of all plots: the same ones each time.
const plotSeed = 1

// picture is a plot of the document.
type picture struct {
	name, title, says string
	views             []view
}

// view is a column of a picture: scans over a path, as far as is shown.
type view struct {
	title  string
	path   ratesim.Path
	hit    float64
	until  time.Duration
	begins []time.Duration // when each scan does
}

// mostRate is the maximum of all scans shown.
const mostRate = 1e6

var pictured = []picture{
	queued(20 * time.Millisecond), queued(200 * time.Millisecond),
	{
		"open", "No bottleneck: the rate doubles until it is the maximum",
		"Nothing on the way is narrower than `--max-rate`, which is 1M here. A train of twice the rate that meets no queue shows that the path carries as much, and becomes the rate.",
		[]view{{"", ratesim.Path{RTT: 50 * time.Millisecond}, 0.01, 3 * time.Second, alone}},
	},
	{
		"policer", "A policer of 20k, which drops instead of queueing: losses tell",
		"No round trip grows, so only losses tell. The rate creeps up until more is lost than before, and what is not lost then is the capacity; each time some probes are dropped, whose ports are probed once more.",
		[]view{{"", ratesim.Path{Capacity: 20_000, Queue: 50 * time.Millisecond, Policer: true, RTT: 50 * time.Millisecond}, 0.01, 20 * time.Second, alone}},
	},
	{
		"jitter", "Jitter of 20 ms before 20k: a queue as short as the jitter is not seen",
		"A queue that grows far longer than the jitter is seen, though later; one that does not shows by losses only, and the rate errs in both directions.",
		[]view{
			{"queue of 20 ms", jittery(20 * time.Millisecond), 0.01, 10 * time.Second, alone},
			{"queue of 200 ms", jittery(200 * time.Millisecond), 0.01, 10 * time.Second, alone},
		},
	},
	{
		"step", "A capacity that falls from 100k to 10k and comes back: followed both ways",
		"At 6 s the queue fills and drops; hardly anything is sent until it is empty, and what was probed meanwhile is probed again. At 14 s a train meets no queue any more, and the next ones are faster.",
		[]view{{"", ratesim.SteppedPath(50 * time.Millisecond), 0.3, 18 * time.Second, alone}},
	},
	{
		"sharing", "Two scans through one bottleneck of 100k: the second begins at 5 s",
		"Each measures what the other leaves it. Nothing draws their shares together, so one may have up to twice as much as the other, but none starves, and the queue stays short.",
		[]view{{"", ratesim.SharedPath(100_000), 0.3, 20 * time.Second, []time.Duration{0, 5 * time.Second}}},
	},
}

var alone = []time.Duration{0}

// queued is a bottleneck with a queue of a length, at three capacities.
func queued(queue time.Duration) picture {
	ms := queue.Milliseconds()
	p := picture{
		name:  fmt.Sprintf("queue-%dms", ms),
		title: fmt.Sprintf("Behind a queue of %d ms: the capacity is found, the queue stays short", ms),
		says: fmt.Sprintf("The spikes of the rate are trains, by which the capacity is measured; the queue that one makes is gone before the next. "+
			"The bottleneck takes %d ms to send what it can hold, and drops what comes beyond that.", ms),
	}
	for _, c := range []float64{5_000, 20_000, 100_000} {
		p.views = append(p.views, view{fmt.Sprintf("capacity %gk", c/1000), ratesim.Path{Capacity: c, Queue: queue, RTT: 50 * time.Millisecond}, 0.01, 6 * time.Second, alone})
	}
	return p
}

func jittery(queue time.Duration) ratesim.Path {
	return ratesim.Path{Capacity: 20_000, Queue: queue, RTT: 50 * time.Millisecond, Jitter: 20 * time.Millisecond}
}

// draw runs what a picture shows.
func (p *picture) draw() string {
	columns := make([]chart.Column, len(p.views))
	queue, drops := 10.0, 5.0 // of the scales, at least
	for i := range p.views {
		columns[i] = p.views[i].column()
		queue = max(queue, highest(&columns[i].Panels[1]))
		drops = max(drops, highest(&columns[i].Panels[2]))
	}
	for i := range columns {
		columns[i].Panels[1].Top, columns[i].Panels[2].Top = queue*1.05, drops*1.05
	}
	return chart.Lines(p.title, columns)
}

func highest(p *chart.LinePanel) (top float64) {
	for _, l := range p.Lines {
		for _, at := range l.Points {
			top = max(top, at.Y)
		}
	}
	return top
}

// column runs the scans of a view.
func (v *view) column() chart.Column {
	scans := make([]ratesim.Scan, len(v.begins))
	for i, begin := range v.begins {
		// More positions than can be probed in this time: no end is shown.
		scans[i] = ratesim.Scan{Positions: int(mostRate * v.until.Seconds()), Hit: v.hit, Retries: 2, Start: begin, Rater: ratesim.Automatic(mostRate, begin)}
	}
	results := ratesim.Run(v.path, plotSeed, v.until, scans...)
	rate := chart.LinePanel{Title: "Rate, packets per second", Lines: []chart.Line{{Kind: chart.Bound, Label: "what the path carries", Points: v.bound()}}}
	if v.path.Capacity == 0 {
		rate.Lines[0].Label = "the maximum"
	}
	kinds := []chart.Kind{chart.Ours, chart.Second}
	labels := []string{"the rate"}
	if len(scans) > 1 {
		labels = []string{"the first scan", "the second"}
	}
	for i := range results {
		rate.Lines = append(rate.Lines, chart.Line{Kind: kinds[i], Label: labels[i], Points: points(results[i].Trace, func(p *ratesim.Point) float64 { return p.Rate })})
	}
	rate.Top = highest(&rate) * 1.05
	return chart.Column{Title: v.title, Until: v.until.Seconds(), Panels: []chart.LinePanel{
		rate,
		{Title: "Queue before the bottleneck, ms", Lines: []chart.Line{{Kind: chart.Ours, Points: points(results[0].Trace, func(p *ratesim.Point) float64 { return 1000 * p.Queue.Seconds() })}}},
		{Title: "Dropped there, % of what was sent in 100 ms", Lines: []chart.Line{{Kind: chart.Ours, Points: dropped(results)}}},
	}}
}

// bound is what the path carries over time.
func (v *view) bound() (all []chart.Point) {
	c := v.path.Capacity
	if c == 0 {
		c = mostRate
	}
	all = append(all, chart.Point{Y: c})
	for _, s := range v.path.Steps {
		all = append(all, chart.Point{X: s.At.Seconds(), Y: c}, chart.Point{X: s.At.Seconds(), Y: s.Capacity})
		c = s.Capacity
	}
	return append(all, chart.Point{X: v.until.Seconds(), Y: c})
}

func points(trace []ratesim.Point, value func(*ratesim.Point) float64) []chart.Point {
	all := make([]chart.Point, len(trace))
	for i := range trace {
		all[i] = chart.Point{X: trace[i].At.Seconds(), Y: value(&trace[i])}
	}
	return all
}

// dropped is the share of what all scans sent that was dropped, in per cent, by tenths of a second.
func dropped(results []ratesim.Result) (all []chart.Point) {
	const span = 10 // ticks
	trace := results[0].Trace
	all = append(all, chart.Point{})
	for i := span; i < len(trace); i += span {
		a, b := &trace[i-span], &trace[i]
		sent := 0
		for j := range results {
			sent += sentBy(results[j].Trace, b.At) - sentBy(results[j].Trace, a.At)
		}
		all = append(all, chart.Point{X: b.At.Seconds(), Y: 100 * float64(b.Dropped-a.Dropped) / float64(max(sent, 1))})
	}
	return all
}

// sentBy is how much a scan had sent at a time.
func sentBy(trace []ratesim.Point, at time.Duration) (sent int) {
	for i := range trace {
		if trace[i].At > at {
			break
		}
		sent = trace[i].Sent
	}
	return sent
}

// section is the generated part of the document.
func section() string {
	var w strings.Builder
	for i := range pictured {
		p := &pictured[i]
		fmt.Fprintf(&w, "![%s](rate/%s.svg)\n\n%s\n\n", p.title, p.name, p.says)
	}
	return w.String()
}

// plots writes all pictures and shows them in the module's document.
func plots() error {
	folder, err := bench.ModuleFile(pictures)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for i := range pictured {
		p := &pictured[i]
		if err := os.WriteFile(filepath.Join(folder, p.name+".svg"), []byte(p.draw()), 0o644); err != nil {
			return err
		}
	}
	path, err := bench.ModuleFile(document)
	if err != nil {
		return err
	}
	return bench.WriteSection(path, "plots", section())
}
