package main

import (
	"math"
	"time"
)

// sample is the far side's count at a time.
type sample struct {
	at     time.Time
	probes uint64
}

// sure is how long a reading may take whose time is known well enough: a thousandth of 100 ms. One that lost its processor takes longer.
const sure = 100 * time.Microsecond

// watch reads a counter until it is told that all is done.
func watch(counter func() (uint64, error), done <-chan struct{}) (all []sample) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return all
		case <-tick.C:
			before := time.Now()
			n, err := counter()
			took := time.Since(before)
			if err != nil || took > sure {
				continue // the next one tells
			}
			all = append(all, sample{before.Add(took / 2), n})
		}
	}
}

// steady is what lies between the first probe and the last; the readings next to them are left out, as they may lie outside.
func steady(all []sample) []sample {
	for len(all) > 1 && all[1].probes == all[0].probes {
		all = all[1:]
	}
	for n := len(all); n > 1 && all[n-1].probes == all[n-2].probes; n = len(all) {
		all = all[:n-1]
	}
	return all[min(2, len(all)):max(len(all)-2, min(2, len(all)))]
}

// spread is what was seen over many windows, in packets per second.
type spread struct {
	lowest, highest float64
	n               int
}

// off is the worst error, as a share of the rate.
func (s spread) off(rate float64) float64 {
	return max(math.Abs(s.highest-rate), math.Abs(s.lowest-rate)) / rate
}

// rates looks at the windows that begin at each reading and end at the first one that makes them as long as asked.
func rates(all []sample, window time.Duration) spread {
	s := spread{lowest: math.Inf(1)}
	each(all, window, func(a, b sample) {
		pps := float64(b.probes-a.probes) / b.at.Sub(a.at).Seconds()
		s.lowest, s.highest, s.n = min(s.lowest, pps), max(s.highest, pps), s.n+1
	})
	return s
}

// most is the largest count in such windows.
func most(all []sample, window time.Duration) (n uint64) {
	each(all, window, func(a, b sample) { n = max(n, b.probes-a.probes) })
	return n
}

func each(all []sample, window time.Duration, f func(first, last sample)) {
	end := 0
	for _, a := range all {
		for end < len(all) && all[end].at.Sub(a.at) < window {
			end++
		}
		if end == len(all) {
			return
		}
		f(a, all[end])
	}
}

// between are the samples from a time up to another.
func between(all []sample, from, to time.Time) (some []sample) {
	for _, s := range all {
		if !s.at.Before(from) && s.at.Before(to) {
			some = append(some, s)
		}
	}
	return some
}

// count is how many probes came in while samples were taken.
func count(all []sample) uint64 {
	if len(all) == 0 {
		return 0
	}
	return all[len(all)-1].probes - all[0].probes
}

// arrivals are when probes came in.
func arrivals(all []sample) (times []time.Time) {
	for i := 1; i < len(all); i++ {
		for range all[i].probes - all[i-1].probes {
			times = append(times, all[i].at)
		}
	}
	return times
}
