package engine

import (
	"time"

	"synoptic/scan/beacon"
	"synoptic/scan/plan"
)

// Counts are a snapshot of what a phase has counted. The fields are those of results.ScanEnd.
type Counts struct {
	Sent, Retransmitted                  uint64
	TxErrors, TxRetries, Unsent          uint64 // Unsent: positions whose first probe was not sent
	Open, Closed, Filtered               uint64 // positions by best state; Filtered without the silent ones
	Silent                               uint64 // positions probed and not answered
	Left                                 uint64 // positions that left the window silent
	NoARP, Timeouts                      uint64 // of the filtered
	Replies, Duplicates, Outranked, Late uint64
	Invalid, RxDrops                     uint64
	Unknown                              uint64 // of Unsent: asked, but not while evidence held
	Again                                uint64 // positions asked again, for what was sent had not travelled
	Excluded                             uint64 // of Unsent: their addresses were excluded meanwhile
}

// Add adds those of another phase.
func (c *Counts) Add(o Counts) {
	c.Sent += o.Sent
	c.Retransmitted += o.Retransmitted
	c.TxErrors += o.TxErrors
	c.TxRetries += o.TxRetries
	c.Unsent += o.Unsent
	c.Open += o.Open
	c.Closed += o.Closed
	c.Filtered += o.Filtered
	c.Silent += o.Silent
	c.Left += o.Left
	c.NoARP += o.NoARP
	c.Timeouts += o.Timeouts
	c.Replies += o.Replies
	c.Duplicates += o.Duplicates
	c.Outranked += o.Outranked
	c.Late += o.Late
	c.Invalid += o.Invalid
	c.RxDrops += o.RxDrops
	c.Unknown += o.Unknown
	c.Again += o.Again
	c.Excluded += o.Excluded
}

// Counts may be called at any time, from any goroutine.
func (ph *Phase) Counts() Counts {
	t := &ph.tally
	return Counts{
		Sent: t.sent.Load(), Retransmitted: t.retransmitted.Load(),
		TxErrors: t.txErrors.Load(), TxRetries: t.txRetries.Load(), Unsent: t.unsent.Load(),
		Open: uint64(t.open.Load()), Closed: uint64(t.closed.Load()), Filtered: uint64(t.filtered.Load()),
		Silent: ph.silent(), Left: t.left.Load(), NoARP: uint64(t.noARP.Load()), Timeouts: uint64(t.timeouts.Load()),
		Replies: t.replies.Load(), Duplicates: t.duplicates.Load(), Outranked: t.outranked.Load(), Late: t.late.Load(),
		Invalid: t.invalid.Load(), RxDrops: t.rxDrops.Load(), Unknown: t.unknown.Load(), Again: t.again.Load(), Excluded: t.excluded.Load(),
	}
}

// BeaconCounts are what a session knows of its beacons: those sent, answered and lost, and how long answers took.
type BeaconCounts struct {
	Sent, Answered, Lost uint64
	Delays               beacon.Delays
}

// Beacons may be called at any time, from any goroutine.
func (s *Session) Beacons() (c BeaconCounts) {
	c.Sent, c.Answered, c.Lost = s.beacons.set.Totals()
	c.Delays = s.beacons.set.Delays()
	return c
}

// Name is what people know the phase by.
func (ph *Phase) Name() string { return ph.name }

// Plan is what the phase does.
func (ph *Phase) Plan() *plan.Plan { return ph.plan }

// Done is the number of positions probed, or settled without a probe.
func (ph *Phase) Done() uint64 { return ph.cur.done() }

// Complete tells whether Run ended it, and neither a stop nor a failure did.
func (ph *Phase) Complete() bool { return ph.complete.Load() }

// Sending is the time from the first probe to the last, 0 before that.
func (ph *Phase) Sending() time.Duration { return time.Duration(ph.sending.Load()) }

// Took is how long the phase has run, to its end or so far; 0 before it runs.
func (ph *Phase) Took() time.Duration {
	begun, ended := ph.begun.Load(), ph.ended.Load()
	switch {
	case begun == 0:
		return 0
	case ended == 0:
		return time.Since(time.Unix(0, begun))
	}
	return time.Duration(ended - begun)
}

// Paused tells whether senders wait for the outputs.
func (ph *Phase) Paused() bool { return ph.rec.queue.full.Load() }

// SendError is the first error of a send that was given up; nil where there was none.
func (ph *Phase) SendError() error { return ph.errors.get() }
