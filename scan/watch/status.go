package watch

import (
	"fmt"
	"io"
	"iter"
	"math"
	"net/netip"
	"time"

	"synoptic/results"
	"synoptic/scan"
	"synoptic/scan/monitor"
)

// Target is what is to be asked at once: the ports of a prefix that are watched, or one of them.
type Target struct {
	Prefix netip.Prefix
	Port   uint16 // 0: all
}

// MostRequested is how many endpoints one call may ask for.
const MostRequested = 1 << 16

// ErrTooMany says that more were asked for.
var ErrTooMany = fmt.Errorf("more than %d ports cannot be asked at once", MostRequested)

// Request has endpoints asked before all others, and tells how many of those that it was given are watched.
func (m *Monitor) Request(targets ...Target) (n int, err error) {
	ports := 0
	for range m.planner.Ports() { // which never change
		ports++
	}
	total := 0.0
	for _, t := range targets {
		each := float64(ports)
		if t.Port != 0 {
			each = 1
		}
		if total += each * math.Exp2(float64(t.Prefix.Addr().BitLen()-t.Prefix.Bits())); total > MostRequested {
			return 0, ErrTooMany
		}
	}
	for _, t := range targets {
		for a := t.Prefix.Masked().Addr(); t.Prefix.Contains(a); a = a.Next() {
			n += m.requestOne(a, t.Port)
		}
	}
	return n, nil
}

// requestOne has the ports of an address asked, or one of them.
func (m *Monitor) requestOne(a netip.Addr, port uint16) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock.at(time.Now())
	for port := range m.ports(port) {
		if m.planner.Request(netip.AddrPortFrom(a, port), now) {
			n++
		}
	}
	return n
}

// ports are those that are watched somewhere, or one of them.
func (m *Monitor) ports(one uint16) iter.Seq[uint16] {
	if one != 0 {
		return func(yield func(uint16) bool) { yield(one) }
	}
	return m.planner.Ports()
}

// Pause has nothing leave any more, until Resume.
func (m *Monitor) Pause() { m.setPaused(true) }

// Resume goes on.
func (m *Monitor) Resume() { m.setPaused(false) }

func (m *Monitor) setPaused(paused bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.paused = paused
	m.pause()
}

// Cycle is how many whole cycles over all endpoints were made.
func (m *Monitor) Cycle() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.planner.Cycle()
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
	Counts  monitor.Counts // since the first start of all
	Sent    uint64         // by this monitor
	Figures results.Supervision
	Feed    scan.FeedStatus // of the last one; the zero value before the first
	Asking  bool            // it runs
	Paused  bool            // by Pause
	Stopped bool            // by the stop file
	Held    int             // changes that the Keeper does not have yet
	Dark    int             // networks, much of which is silent
}

// Status is that of the moment.
func (m *Monitor) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := Status{Counts: m.planner.Counts(), Sent: m.sent, Figures: m.planner.Figures(m.clock.at(time.Now())), Asking: m.asking, Paused: m.paused, Stopped: m.stopped, Held: len(m.held), Dark: len(m.dark)}
	if m.feed != nil {
		s.Feed = m.feed.Status()
	}
	return s
}
