package beacon

import (
	"slices"
	"time"
)

// DelayBounds are the upper bounds of the buckets of Delays.
var DelayBounds = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond,
}

// Delays counts how long answers to beacons took.
type Delays struct {
	Counts [len(DelayBounds) + 1]uint64 // by the first bound that is not below the delay; the last: above all
	Sum    time.Duration
}

func (d *Delays) add(delay time.Duration) {
	i, _ := slices.BinarySearch(DelayBounds[:], delay)
	d.Counts[i]++
	d.Sum += delay
}

// Add adds those of another set.
func (d *Delays) Add(o *Delays) {
	for i := range d.Counts {
		d.Counts[i] += o.Counts[i]
	}
	d.Sum += o.Sum
}

// Delays are those of all beacons answered so far.
func (s *Set) Delays() Delays {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.delays
}
