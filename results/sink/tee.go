// Package sink takes the record stream to where it is wanted: call OpenAll for the outputs of a command line, give
// them to NewTee, and end with Tee.Finish. Barrier says when what was put so far is durable.
//
// An Output is an encoder (package format), a queue (package queue) and the delivery from there to a
// destination (packages delivery and dest); what they hand each other are batches (package batch).
package sink

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"synoptic/results"
	"synoptic/results/crash"
)

// Tee hands every record to all of its sinks, in order. One that fails says so once and gets nothing
// more; the others go on.
type Tee struct {
	branches []*branch
	failed   func(error)
	report   report
}

// branch is a sink and whether it has failed: an atomic, because Close may have to come while another
// call is stuck in a sink that takes no more.
type branch struct {
	results.Sink
	broken atomic.Bool
	missed atomic.Uint64 // records that came after that
}

// NewTee joins sinks.
func NewTee(sinks ...results.Sink) *Tee {
	t := &Tee{}
	for _, s := range sinks {
		t.branches = append(t.branches, &branch{Sink: s})
	}
	return t
}

// OnFailure makes the failure of a sink no error as long as another one works: f is told instead, at once. It is for before
// the first record.
func (t *Tee) OnFailure(f func(error)) { t.failed = f }

// each calls the sinks that work with something of so many records, and joins the errors of those that fail now, unless
// OnFailure takes them.
func (t *Tee) each(records int, f func(results.Sink) error) error {
	var errs []error
	works := false
	for _, b := range t.branches {
		if b.broken.Load() {
			b.missed.Add(uint64(records))
			continue
		}
		err := f(b.Sink)
		if works = works || err == nil; err != nil {
			b.broken.Store(true)
			errs = append(errs, err)
		}
	}
	if !works || t.failed == nil {
		return errors.Join(errs...)
	}
	for _, err := range errs {
		t.failed(err)
	}
	return nil
}

// Broken tells whether a sink has failed.
func (t *Tee) Broken() bool {
	return slices.ContainsFunc(t.branches, func(b *branch) bool { return b.broken.Load() })
}

// Start hands on the scan_start record.
func (t *Tee) Start(s *results.ScanStart) error {
	t.report.begin(s)
	return t.each(1, func(k results.Sink) error { return k.Start(s) })
}

// Continue has what follows be of a scan whose opening record, and whose end, are elsewhere: see Output.Continue.
func (t *Tee) Continue(s *results.ScanStart) error {
	return t.each(0, func(k results.Sink) error {
		if o, ok := results.SinkAs[*Output](k); ok {
			return o.Continue(s)
		}
		return nil
	})
}

// Ports hands on a batch.
func (t *Tee) Ports(ports []results.Port) error {
	return t.each(len(ports), func(k results.Sink) error { return k.Ports(ports) })
}

// Events hands on a batch.
func (t *Tee) Events(events []results.Event) error {
	return t.each(len(events), func(k results.Sink) error { return k.Events(events) })
}

// Hosts hands on a batch.
func (t *Tee) Hosts(hosts []results.Host) error {
	return t.each(len(hosts), func(k results.Sink) error { return k.Hosts(hosts) })
}

// Notices hands on a batch.
func (t *Tee) Notices(notices []results.Notice) error {
	return t.each(len(notices), func(k results.Sink) error { return k.Notices(notices) })
}

// Flush flushes all.
func (t *Tee) Flush() error { return t.each(0, results.Sink.Flush) }

// End hands on the scan_end record.
func (t *Tee) End(s *results.ScanEnd) error {
	t.report.over = true
	return t.each(1, func(k results.Sink) error { return k.End(s) })
}

// Close closes all, the failed ones too: how that goes for these is no news. It waits for delivery without
// limit.
func (t *Tee) Close() error { return t.Finish(context.Background()) }

// Finish is Close that waits until ctx ends: see Output.Finish.
func (t *Tee) Finish(ctx context.Context) error {
	files := t.reporters()
	err := finishAll(ctx, slices.DeleteFunc(slices.Clone(t.branches), func(b *branch) bool { return slices.Contains(files, b) }))
	t.writeReport(ctx, files)
	return errors.Join(err, finishAll(ctx, files))
}

// finishAll finishes sinks at the same time: one that is stuck takes no time from the others.
func finishAll(ctx context.Context, branches []*branch) error {
	errs := make([]error, len(branches))
	var wg sync.WaitGroup
	for i, b := range branches {
		wg.Go(crash.Guarded(func() {
			err := finish(ctx, b.Sink)
			if err != nil && !b.broken.Swap(true) {
				errs[i] = err
			}
		}))
	}
	wg.Wait()
	return errors.Join(errs...)
}

// finish closes a sink, and waits no longer than until ctx ends where it has such a method, or one behind it.
func finish(ctx context.Context, s results.Sink) error {
	type finisher interface{ Finish(context.Context) error }
	f, ok := results.SinkAs[finisher](s)
	if !ok {
		return s.Close()
	}
	err := f.Finish(ctx)
	if _, itself := s.(finisher); !itself {
		err = errors.Join(err, s.Close())
	}
	return err
}

// outputs are the sinks that deliver by themselves.
func (t *Tee) outputs(yield func(*Output) bool) {
	for _, b := range t.branches {
		if o, ok := results.SinkAs[*Output](b.Sink); ok && !yield(o) {
			return
		}
	}
}

// Stop says that nobody waits for the destinations any more: see Output.Stop.
func (t *Tee) Stop() {
	for o := range t.outputs {
		o.Stop()
	}
}

// Settle gives the destinations some time, all together, to take what they were given.
func (t *Tee) Settle(limit time.Duration) {
	until := time.Now().Add(limit)
	for o := range t.outputs {
		o.Settle(time.Until(until))
	}
}

// Deliveries are the counts of those sinks that keep any.
func (t *Tee) Deliveries() (all []results.Delivery) {
	for _, b := range t.branches {
		if o, ok := results.SinkAs[*Output](b.Sink); ok {
			d := o.Delivery()
			d.Lost += b.missed.Load()
			all = append(all, d)
		}
	}
	return all
}

// Reopens tells whether there is a file: SIGHUP is for it, and must not end the scan.
func (t *Tee) Reopens() bool {
	for o := range t.outputs {
		if o.Reopens() {
			return true
		}
	}
	return false
}

// Reopen reopens the files that were renamed: see Output.Reopen.
func (t *Tee) Reopen() {
	for o := range t.outputs {
		o.Reopen()
	}
}
