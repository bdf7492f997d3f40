package ratesim

import (
	"fmt"
	"math"
	"time"
)

// Cell is a case of the grid: a path, and what share of the positions answers.
type Cell struct {
	Path    Path
	Hit     float64
	Seconds float64 // how long an ideal scan takes
	Max     float64 // packets per second
	Retries int
}

// Score is how well a scan did in a cell.
type Score struct {
	Ratio     float64 // its time over that of an ideal scan
	Recall    float64 // share of the responsive positions found
	Missed    int
	Drops     float64       // share of what was sent that the bottleneck dropped
	Queue     time.Duration // mean
	Converged time.Duration // until the rate was right for the first time, and stayed so for half a second
	Beacons   float64       // share of what was sent
	Extra     int
}

// speed is what an ideal scan sends at.
func (c *Cell) speed() float64 {
	if c.Path.Capacity > 0 {
		return min(c.Path.Capacity, c.Max)
	}
	return c.Max
}

// perPosition is how many probes an ideal scan sends for each position: one, the retries of each silent one, and those of answers that were lost
// beside the bottleneck.
func (c *Cell) perPosition() float64 {
	n, p := 1+float64(c.Retries)*(1-c.Hit), c.Path.Loss()
	for k := 1; k <= c.Retries; k++ {
		n += c.Hit * math.Pow(p, float64(k))
	}
	return n
}

// Positions is how many the cell has.
func (c *Cell) Positions() int { return int(c.Seconds * c.speed() / c.perPosition()) }

// ideal is how long an ideal scan of so many positions takes, of which some respond.
func (c *Cell) ideal(positions, responsive int) time.Duration {
	probes := float64(positions) + float64(c.Retries)*float64(positions-responsive)
	p := c.Path.Loss()
	for k := 1; k <= c.Retries; k++ {
		probes += float64(responsive) * math.Pow(p, float64(k))
	}
	return time.Duration(probes / c.speed() * 1e9)
}

// Run runs a cell.
func (c *Cell) Run(seed uint64) (Score, Result) {
	return c.With(seed, Automatic(c.Max, 0))
}

// With runs a cell with something else that decides on the rate.
func (c *Cell) With(seed uint64, r Rater) (Score, Result) {
	n := c.Positions()
	limit := time.Duration(5 * c.Seconds * 1e9)
	res := Run(c.Path, seed, limit, Scan{Positions: n, Hit: c.Hit, Retries: c.Retries, Rater: r})[0]
	s := Score{
		Ratio:  res.Time.Seconds() / c.ideal(n, res.Responsive).Seconds(),
		Missed: res.Responsive - res.Found, Recall: float64(res.Found) / float64(max(res.Responsive, 1)),
		Drops: float64(res.Dropped) / float64(res.Sent), Queue: res.Queue, Extra: res.Extra,
		Beacons: float64(res.Beacons) / float64(res.Sent), Converged: converged(res.Trace, c.speed()),
	}
	return s, res
}

// near is how far from right a rate may be to be right.
const near = 0.15

// converged is when the rate asked for became right for half a second, on average over tenths of a second, so that a train does not count.
func converged(trace []Point, speed float64) time.Duration {
	const span, spans = 10, 5 // ticks
	good := 0
	for i := 0; i+span <= len(trace); i += span {
		sum := 0.0
		for _, p := range trace[i : i+span] {
			sum += p.Rate
		}
		if math.Abs(sum/span/speed-1) > near {
			good = 0
			continue
		}
		if good++; good == spans {
			return trace[i+span-1-(spans-1)*span].At - time.Duration(span-1)*10*time.Millisecond
		}
	}
	return time.Hour
}

func (c *Cell) String() string {
	kind := ""
	if c.Path.Policer {
		kind = " policer"
	}
	if c.Path.Jitter > 0 {
		kind += fmt.Sprintf(" jitter %v", c.Path.Jitter)
	}
	return fmt.Sprintf("C %gk Q %v RTT %v loss %g %% h %g %%%s", c.Path.Capacity/1000, c.Path.Queue, c.Path.RTT, 100*c.Path.LossOut, 100*c.Hit, kind)
}
