package watch

import (
	"io"
	"net/netip"
	"time"

	"synoptic/results"
	"synoptic/scan"
	"synoptic/scan/monitor"
)

// Request has endpoints asked before all others, and tells how many of them are watched.
func (m *Monitor) Request(endpoints ...netip.AddrPort) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock.at(time.Now())
	for _, ap := range endpoints {
		if m.planner.Request(ap, now) {
			n++
		}
	}
	return n
}

// Predict chooses anew what is likely to open.
func (m *Monitor) Predict() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.planner.Predict()
}

// Supervise gives the figures of the moment.
func (m *Monitor) Supervise() results.Supervision {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.planner.Supervise(m.clock.at(time.Now()))
}

// Snapshot writes where the planner stands. It may know of changes that the Keeper does not have: who goes on by it tells the planner what the Keeper
// knows, by Track and Shut, so that they are found again.
func (m *Monitor) Snapshot(w io.Writer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.planner.Snapshot(w)
}

// Status is how a monitor does.
type Status struct {
	Counts  monitor.Counts
	Feed    scan.FeedStatus // of the last one; the zero value before the first
	Stopped bool            // by the stop file
	Held    int             // changes that the Keeper does not have yet
	Dark    int             // networks, much of which is silent
}

// Status is that of the moment.
func (m *Monitor) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := Status{Counts: m.planner.Counts(), Stopped: m.stopped, Held: len(m.held), Dark: len(m.dark)}
	if m.feed != nil {
		s.Feed = m.feed.Status()
	}
	return s
}
