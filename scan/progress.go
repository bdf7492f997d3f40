package scan

import (
	"time"

	"synoptic/results"
)

// Progress is a snapshot of a running scan.
type Progress struct {
	Total    uint64 // positions to probe
	Done     uint64 // positions probed or settled without a probe
	Sent     uint64 // packets
	Open     uint64
	Closed   uint64
	Filtered uint64 // answered so, the silent ones not included
	// Loss and Missed are as in the closing record; nil where nothing can be said yet.
	Loss, Missed *results.Estimate
	RxDrops      uint64
	Paused       bool // the outputs are behind
	Elapsed      time.Duration
}

// Progress may be called at any time from any goroutine.
func (s *Scan) Progress() Progress {
	e := s.e
	p := Progress{
		Total:    e.Probes(),
		Done:     e.done(),
		Sent:     e.tally.sent.Load(),
		Open:     uint64(e.tally.open.Load()),
		Closed:   uint64(e.tally.closed.Load()),
		Filtered: uint64(e.tally.filtered.Load()),
		RxDrops:  e.tally.rxDrops.Load(),
		Paused:   e.queue.full.Load(),
	}
	p.Loss, p.Missed = e.estimates()
	if t := e.started.Load(); t != 0 {
		p.Elapsed = time.Since(time.Unix(0, t))
	}
	return p
}
