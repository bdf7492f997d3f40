package main

import (
	"net/netip"
	"sync"
	"time"

	"synoptic/bench/lab/testnet"
)

// meter follows counters in the router, of probes that have come, until stop. It takes under 2 % of a processor.
type meter struct {
	counters []*testnet.Counter
	mu       sync.Mutex
	points   []point
	end      chan struct{}
	done     chan error
}

// point is how many probes had come at a time, by counter.
type point struct {
	at    time.Time
	count [2]uint64
}

// follow counts the probes that come over the road, to two prefixes where so many are given, else to any.
func follow(r *road, prefixes ...netip.Prefix) (*meter, error) {
	m := &meter{end: make(chan struct{}), done: make(chan error, 1)}
	if len(prefixes) == 0 {
		prefixes = []netip.Prefix{{}}
	}
	for _, p := range prefixes {
		c, err := r.net.CountSYN(testnet.Match{Prefix: p})
		if err != nil {
			return nil, err
		}
		m.counters = append(m.counters, c)
	}
	if err := m.read(); err != nil {
		return nil, err
	}
	go func() { m.done <- m.run() }()
	return m, nil
}

const meterStep = 5 * time.Millisecond

func (m *meter) run() error {
	tick := time.NewTicker(meterStep)
	defer tick.Stop()
	for {
		select {
		case <-m.end:
			return m.read()
		case <-tick.C:
			if err := m.read(); err != nil {
				return err
			}
		}
	}
}

func (m *meter) read() error {
	p := point{}
	for i, c := range m.counters {
		v, err := c.Value()
		if err != nil {
			return err
		}
		p.count[i] = v
	}
	p.at = time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.points = append(m.points, p)
	return nil
}

// stop ends it.
func (m *meter) stop() error {
	close(m.end)
	return <-m.done
}

// span tells how many probes a counter has seen, the last reading before the first of them, and the first after the last.
func (m *meter) span(counter int) (probes uint64, first, last time.Time) {
	n := len(m.points)
	begin, end := m.points[0].count[counter], m.points[n-1].count[counter]
	for i, p := range m.points {
		if p.count[counter] == begin {
			first = p.at
		}
		if p.count[counter] < end && i+1 < n {
			last = m.points[i+1].at
		}
	}
	return end - begin, first, last
}

// rates are the packets per second in steps from a time to another.
func (m *meter) rates(counter int, from, to time.Time, step time.Duration) (rates []float64) {
	before := m.at(counter, from)
	for t := from.Add(step); !t.After(to); t = t.Add(step) {
		now := m.at(counter, t)
		rates = append(rates, (now-before)/step.Seconds())
		before = now
	}
	return rates
}

// at is the count at a time, between two readings in proportion.
func (m *meter) at(counter int, t time.Time) float64 {
	for i, p := range m.points {
		if p.at.Before(t) {
			continue
		}
		count := float64(p.count[counter])
		if i == 0 {
			return count
		}
		before := m.points[i-1]
		part := t.Sub(before.at).Seconds() / p.at.Sub(before.at).Seconds()
		return float64(before.count[counter]) + part*(count-float64(before.count[counter]))
	}
	return float64(m.points[len(m.points)-1].count[counter])
}

// now is the first counter's newest reading.
func (m *meter) now() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.points[len(m.points)-1].count[0]
}
