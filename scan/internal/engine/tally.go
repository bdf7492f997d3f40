package engine

import (
	"sync/atomic"

	"synoptic/results"
)

// tally holds the scan's counters. Packet lanes add to those that move with every packet once per batch
// or wake-up, so that their cache lines stay quiet; the states move with news only.
type tally struct {
	sent, retransmitted                  atomic.Uint64
	txErrors, txRetries, unsent          atomic.Uint64 // unsent: positions whose first probe failed
	starved                              atomic.Uint64 // times that a lane had nothing to send, for nothing was due
	pressed                              atomic.Uint64 // times that the own interface had no room: while the phase runs, what txRetries will be
	open, closed, filtered               atomic.Int64  // positions by best state; filtered without the silent ones
	begun                                atomic.Uint64 // connects, of which sent counts those that have ended
	left                                 atomic.Uint64 // positions that left the window silent
	noARP, timeouts                      atomic.Int64  // of the filtered
	replies, duplicates, outranked, late atomic.Uint64
	invalid, rxDrops                     atomic.Uint64
	overruns                             atomic.Uint64 // of the programs in the kernel
	unknown                              atomic.Uint64 // of the unsent: asked, but not while evidence held
	again                                atomic.Uint64 // positions asked again, for what was sent had not travelled
	excluded                             atomic.Uint64 // of the unsent: their addresses were excluded meanwhile
}

// count moves a position from its old best state to the reason's.
func (t *tally) count(old results.State, reason results.Reason) {
	if s := t.of(old.Best()); s != nil {
		s.Add(-1)
	}
	t.of(reason.State()).Add(1)
}

// settled is how many positions have a state, those included of which it is known that nothing is.
func (t *tally) settled() uint64 {
	return uint64(t.open.Load()+t.closed.Load()+t.filtered.Load()) + t.unsent.Load()
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
