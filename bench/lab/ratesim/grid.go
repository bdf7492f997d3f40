package ratesim

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Case is a cell with what is asked of it.
type Case struct {
	Cell
	Row  string // cases of one row are judged together by their median
	Want Want
}

// Want is what a case must reach; what is 0 is not asked for.
type Want struct {
	Ratio     float64       // in each cell, as the median over its seeds
	RowRatio  float64       // as the median over all runs of the row
	Recall    float64       // in each cell; or at most one is missed where fewer than 1,000 are to be found
	Drops     float64       // over all seeds of a cell
	Queue     time.Duration // mean
	Converged time.Duration // in each cell, as the median over its seeds
	Beacons   float64
}

// gridSeconds is how long an ideal scan at a capacity takes in the grid: long enough for what is learned at the start to be worth
// something, and shorter where it is fast.
func gridSeconds(capacity float64) float64 {
	switch {
	case capacity < 10_000:
		return 40
	case capacity < 100_000:
		return 30
	}
	return 20
}

// Grid is the full grid: every capacity, queue, round trip, loss and hit share, then no bottleneck, policers and jitter.
func Grid() (all []Case) {
	for _, capacity := range []float64{5_000, 20_000, 100_000} {
		for _, hit := range []float64{0.001, 0.01, 0.3} {
			for _, queue := range []time.Duration{20 * time.Millisecond, 200 * time.Millisecond} {
				for _, rtt := range []time.Duration{time.Millisecond, 50 * time.Millisecond, 200 * time.Millisecond} {
					for _, loss := range []float64{0, 0.01} {
						all = append(all, bottlenecked(Path{Capacity: capacity, Queue: queue, RTT: rtt, LossOut: loss, LossBack: loss}, hit))
					}
				}
			}
		}
	}
	return append(all, others()...)
}

func bottlenecked(p Path, hit float64) Case {
	c := Case{
		Cell: Cell{Path: p, Hit: hit, Seconds: gridSeconds(p.Capacity), Max: 1e6, Retries: 2},
		Row:  fmt.Sprintf("C %gk, h %g %%", p.Capacity/1000, hit*100),
		Want: Want{Ratio: 1.20, RowRatio: 1.10, Recall: 0.999, Beacons: 0.025, Converged: soon(hit, 3500*time.Millisecond)},
	}
	if p.Capacity >= 10_000 {
		c.Want.Drops = 0.01
	}
	if p.Capacity >= 20_000 {
		c.Want.Queue = 5 * time.Millisecond
	}
	return c
}

func soon(hit float64, few time.Duration) time.Duration {
	if hit < 0.01 {
		return few
	}
	return 1500 * time.Millisecond
}

// others are no bottleneck, policers, and jitter.
func others() (all []Case) {
	rtts := []time.Duration{time.Millisecond, 50 * time.Millisecond, 200 * time.Millisecond}
	for _, hit := range []float64{0.001, 0.01, 0.3} {
		for _, rtt := range rtts {
			all = append(all, Case{
				Cell: Cell{Path: Path{RTT: rtt}, Hit: hit, Seconds: 4, Max: 1e6, Retries: 2}, Row: fmt.Sprintf("no bottleneck, h %g %%", hit*100),
				Want: Want{Recall: 0.999, Beacons: 0.025, Converged: soon(hit, 3*time.Second)},
			})
		}
	}
	for _, capacity := range []float64{5_000, 20_000, 100_000} {
		for _, hit := range []float64{0.001, 0.01, 0.3} {
			for _, bucket := range []time.Duration{5 * time.Millisecond, 50 * time.Millisecond} {
				for _, rtt := range rtts[:2] {
					for _, loss := range []float64{0, 0.01} {
						all = append(all, Case{
							Cell: Cell{Path: Path{Capacity: capacity, Queue: bucket, Policer: true, RTT: rtt, LossOut: loss, LossBack: loss}, Hit: hit, Seconds: gridSeconds(capacity), Max: 1e6, Retries: 2},
							Row:  fmt.Sprintf("policer %gk, h %g %%", capacity/1000, hit*100), Want: Want{Ratio: 1.4, Recall: 0.995, Beacons: 0.025},
						})
					}
				}
			}
			for _, queue := range []time.Duration{20 * time.Millisecond, 200 * time.Millisecond} {
				for _, rtt := range rtts[:2] {
					all = append(all, Case{
						Cell: Cell{Path: Path{Capacity: capacity, Queue: queue, RTT: rtt, Jitter: 20 * time.Millisecond}, Hit: hit, Seconds: gridSeconds(capacity), Max: 1e6, Retries: 2},
						Row:  fmt.Sprintf("jitter %gk, h %g %%", capacity/1000, hit*100), Want: Want{Ratio: 1.5, Recall: 0.999, Beacons: 0.025},
					})
				}
			}
		}
	}
	return all
}

// Tried is a case with what came of it, by seed.
type Tried struct {
	Case
	Scores []Score
}

// Try runs a case with seeds from 1.
func (c *Case) Try(seeds int) Tried {
	t := Tried{Case: *c}
	for seed := range seeds {
		s, _ := c.Run(uint64(seed) + 1)
		t.Scores = append(t.Scores, s)
	}
	return t
}

// Of is the median of something over the seeds.
func (t *Tried) Of(f func(*Score) float64) float64 {
	var all []float64
	for i := range t.Scores {
		all = append(all, f(&t.Scores[i]))
	}
	return Median(all)
}

// Median is the middle of values, 0 of none.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// Ratio is the time that a scan took over the ideal one.
func Ratio(s *Score) float64 { return s.Ratio }

// Drops is the share of probes that the bottleneck dropped.
func Drops(s *Score) float64 { return s.Drops }

// Queue is the mean standing queue, in seconds.
func Queue(s *Score) float64 { return s.Queue.Seconds() }

// Converged is when the rate was found, in seconds.
func Converged(s *Score) float64 { return s.Converged.Seconds() }

// Beacons is the share of beacons in what was sent.
func Beacons(s *Score) float64 { return s.Beacons }

// Recall is the share of the open ports that were found.
func Recall(s *Score) float64 { return s.Recall }

// Faults says what of its want a case has not reached.
func (t *Tried) Faults() (faults []string) {
	w := t.Want
	over := func(name string, got, want float64) {
		if want > 0 && got > want {
			faults = append(faults, fmt.Sprintf("%s %.4g > %.4g", name, got, want))
		}
	}
	over("ratio", t.Of(Ratio), w.Ratio)
	over("drops", t.Of(Drops), w.Drops)
	over("queue", t.Of(Queue), w.Queue.Seconds())
	over("converged", t.Of(Converged), w.Converged.Seconds())
	over("beacons", t.Of(Beacons), w.Beacons)
	missed := 0
	for _, s := range t.Scores {
		missed += s.Missed
	}
	if t.recall() < w.Recall && float64(missed) > float64(len(t.Scores)) {
		faults = append(faults, fmt.Sprintf("recall %.5f, %d missed", t.recall(), missed))
	}
	return faults
}

// recall is that of all seeds together.
func (t *Tried) recall() float64 {
	sum := 0.0
	for _, s := range t.Scores {
		sum += s.Recall
	}
	return sum / math.Max(float64(len(t.Scores)), 1)
}
