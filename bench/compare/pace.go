package main

import "time"

// point is how many probes had come at a time.
type point struct {
	at    time.Duration
	count uint64
}

// pace follows the far end's counter until the function that it returns is called, which tells the
// probes that came and their rate while they came, for every tool alike.
func pace(read func() (uint64, error)) (stop func() (probes uint64, pps float64, err error), err error) {
	first, err := read()
	if err != nil {
		return nil, err
	}
	done, result := make(chan struct{}), make(chan error)
	points := []point{{0, 0}}
	begun := time.Now()
	go func() {
		// Reading takes some ten to a hundred microseconds: under 2 % of one processor.
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			now, err := read()
			if err != nil {
				result <- err
				return
			}
			points = append(points, point{time.Since(begun), now - first})
			select {
			case <-done:
				result <- nil
				return
			case <-tick.C:
			}
		}
	}()
	return func() (uint64, float64, error) {
		close(done)
		if err := <-result; err != nil {
			return 0, 0, err
		}
		// The last reading may have been before the last probe.
		now, err := read()
		points = append(points, point{time.Since(begun), now - first})
		return now - first, rate(points), err
	}, nil
}

// rate is the probes per second from the first reading that saw any to the last before it saw all: it
// knows no better when sending began and ended. Where these two are less than four readings apart, it
// is 0: that says nothing.
func rate(points []point) float64 {
	total := points[len(points)-1].count
	first, last := -1, -1
	for i, p := range points {
		if p.count > 0 && first < 0 {
			first = i
		}
		if p.count < total {
			last = i
		}
	}
	if first < 0 || last-first < 3 {
		return 0
	}
	return float64(points[last].count-points[first].count) / (points[last].at - points[first].at).Seconds()
}
