package scan

import (
	"sync/atomic"
	"time"

	"synoptic/results"
)

// tally holds the scan's counters. Lanes add to them once per batch or wake-up, not per packet,
// so that their cache lines stay quiet.
type tally struct {
	sent, retransmitted                  atomic.Uint64
	txErrors, txRetries, unsent          atomic.Uint64 // unsent: positions whose first probe failed
	open, closed, filtered               atomic.Int64  // positions by best state; filtered without the silent ones
	noARP, timeouts                      atomic.Int64  // of the filtered
	replies, duplicates, outranked, late atomic.Uint64
	invalid, rxDrops                     atomic.Uint64
}

// count moves a position from its old best state to the reason's.
func (t *tally) count(old results.State, reason results.Reason) {
	if s := t.of(old.Best()); s != nil {
		s.Add(-1)
	}
	t.of(reason.State()).Add(1)
}

func (t *tally) of(s results.State) *atomic.Int64 {
	switch s {
	case results.Open:
		return &t.open
	case results.Closed:
		return &t.closed
	case results.Filtered:
		return &t.filtered
	}
	return nil
}

// Progress is a snapshot of a running scan.
type Progress struct {
	Total    uint64 // positions to probe
	Done     uint64 // positions probed or settled without a probe
	Sent     uint64 // packets
	Open     uint64
	Closed   uint64
	Filtered uint64 // answered so, the silent ones not included
	RxDrops  uint64
	Paused   bool // the outputs are behind
	Elapsed  time.Duration
}

// Progress may be called at any time from any goroutine.
func (s *Scan) Progress() Progress {
	p := Progress{
		Total:    s.Probes(),
		Done:     s.cursor.Load() - s.Positions.Begin,
		Sent:     s.tally.sent.Load(),
		Open:     uint64(s.tally.open.Load()),
		Closed:   uint64(s.tally.closed.Load()),
		Filtered: uint64(s.tally.filtered.Load()),
		RxDrops:  s.tally.rxDrops.Load(),
		Paused:   s.queue.full.Load(),
	}
	if t := s.started.Load(); t != 0 {
		p.Elapsed = time.Since(time.Unix(0, t))
	}
	return p
}
