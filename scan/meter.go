package scan

import (
	"sync"
	"time"

	"synoptic/results/crash"
)

// meter remembers how much was sent by when, over a second.
type meter struct {
	mu   sync.Mutex
	ring [meterKept]sent
	n    int
}

type sent struct {
	at     time.Time
	probes uint64
}

const (
	meterEvery = 200 * time.Millisecond
	meterKept  = int(time.Second/meterEvery) + 1
)

// rate is how many probes and beacons a second have left over the last second, or since there was less; 0 where nothing can be said.
func (m *meter) rate() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.n < 2 {
		return 0
	}
	last, first := m.ring[(m.n-1)%meterKept], m.ring[max(m.n-meterKept, 0)%meterKept]
	return float64(last.probes-min(last.probes, first.probes)) / last.at.Sub(first.at).Seconds()
}

func (m *meter) note(now time.Time, probes uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ring[m.n%meterKept] = sent{now, probes}
	m.n++
}

// measure keeps the meter until stop is called.
func (s *Scan) measure() (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	crash.Go(func() {
		defer close(ended)
		tick := time.NewTicker(meterEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case now := <-tick.C:
				s.meter.note(now, s.sent())
			}
		}
	})
	return func() {
		close(done)
		<-ended
	}
}

// sent is how many probes have left, of all phases, and beacons, which the rate holds for, too.
func (s *Scan) sent() (n uint64) {
	for _, p := range s.all() {
		n += p.session.Beacons().Sent
		for _, ph := range p.session.Phases() {
			n += ph.Counts().Sent
		}
	}
	return n
}
