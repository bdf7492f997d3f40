package sim

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"synoptic/results"
)

// Records is a results.Sink that keeps what it is given, and holds the engine to the contract of sinks: one
// Start, one End, calls one at a time, and a Flush at least every 200 ms in between.
type Records struct {
	// Begun is when the network began, from which the log counts.
	Begun     time.Time
	Opening   *results.ScanStart
	All       []results.Port
	Times     []time.Time // when each record was given
	Told      []results.Event
	ToldAfter []int // so many of All
	Summaries []results.Host
	Noticed   []results.Notice
	NoticedAt [][2]int         // so many of All and Summaries, and of Told, came before
	Asked     results.Assembly // what notices and the closing record say
	Closing   *results.ScanEnd
	Broken    []error // the contract

	// Slow makes every batch take so long: the engine has to wait for its outputs.
	Slow time.Duration

	busy    atomic.Bool
	flushed time.Time
}

// flushWithin is how long records may wait for their Flush.
const flushWithin = 200 * time.Millisecond

// enter begins a call; leave ends it.
func (r *Records) enter(what string, begun, ended bool) (leave func()) {
	if !r.busy.CompareAndSwap(false, true) {
		r.Broken = append(r.Broken, fmt.Errorf("%s: two calls at a time", what))
	}
	if (r.Opening != nil) != begun || (r.Closing != nil) != ended {
		r.Broken = append(r.Broken, fmt.Errorf("%s: started %v, ended %v", what, r.Opening != nil, r.Closing != nil))
	}
	return func() { r.busy.Store(false) }
}

// Start takes the opening record.
func (r *Records) Start(s *results.ScanStart) error {
	defer r.enter("Start", false, false)()
	r.Opening, r.flushed = s, time.Now()
	return nil
}

// Ports takes a batch.
func (r *Records) Ports(batch []results.Port) error {
	defer r.enter("Ports", true, false)()
	now := time.Now()
	for _, p := range batch {
		p.Frame, p.Banner = slices.Clone(p.Frame), slices.Clone(p.Banner)
		r.All, r.Times = append(r.All, p), append(r.Times, now)
	}
	time.Sleep(r.Slow)
	return nil
}

// Events takes a batch. Between Start and End they come in the order of what they tell.
func (r *Records) Events(batch []results.Event) error {
	defer r.enter("Events", true, false)()
	for _, e := range batch {
		if n := len(r.Told); n > 0 && r.Told[n-1].Time > e.Time {
			r.Broken = append(r.Broken, fmt.Errorf("Events: %v of %v comes after %v of %v", e.Kind, e.Time, r.Told[n-1].Kind, r.Told[n-1].Time))
		}
		r.Told, r.ToldAfter = append(r.Told, e), append(r.ToldAfter, len(r.All))
	}
	return nil
}

// Hosts takes summaries.
func (r *Records) Hosts(batch []results.Host) error {
	defer r.enter("Hosts", true, false)()
	for _, h := range batch {
		h.Open = slices.Clone(h.Open)
		r.Summaries = append(r.Summaries, h)
	}
	return nil
}

// Notices takes what else is said.
func (r *Records) Notices(batch []results.Notice) error {
	defer r.enter("Notices", true, false)()
	for _, n := range batch {
		r.Asked.Add(n)
		r.Noticed, r.NoticedAt = append(r.Noticed, n), append(r.NoticedAt, [2]int{len(r.All) + len(r.Summaries), len(r.Told)})
	}
	return nil
}

// Flush notes the time.
func (r *Records) Flush() error {
	defer r.enter("Flush", true, false)()
	now := time.Now()
	if late := now.Sub(r.flushed) - flushWithin - r.Slow; late > 0 {
		r.Broken = append(r.Broken, fmt.Errorf("Flush came %v late", late))
	}
	r.flushed = now
	return nil
}

// End takes the closing record.
func (r *Records) End(e *results.ScanEnd) error {
	defer r.enter("End", true, false)()
	r.Closing = e
	r.Asked.End(e)
	return nil
}

// Close is not for the engine to call.
func (r *Records) Close() error {
	r.Broken = append(r.Broken, errors.New("Close: the sink is its owner's to close"))
	return nil
}
