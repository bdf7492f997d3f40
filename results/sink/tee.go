// Package sink takes the record stream to where it is wanted: call OpenAll for the outputs of a command line, give
// them to NewTee, and end with Tee.Finish. Barrier says when what was put so far is durable.
//
// An Output is an encoder (package format), a queue (package queue) and the delivery from there to a
// destination (packages delivery and dest); what they hand each other are batches (package batch).
package sink

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"synoptic/results"
)

// Tee hands every record to all of its sinks, in order. One that fails says so once and gets nothing
// more; the others go on.
type Tee struct{ branches []*branch }

// branch is a sink and whether it has failed: an atomic, because Close may have to come while another
// call is stuck in a sink that takes no more.
type branch struct {
	results.Sink
	broken atomic.Bool
}

// NewTee joins sinks.
func NewTee(sinks ...results.Sink) *Tee {
	t := &Tee{}
	for _, s := range sinks {
		t.branches = append(t.branches, &branch{Sink: s})
	}
	return t
}

// each calls the sinks that work, and joins the errors of those that fail now.
func (t *Tee) each(f func(results.Sink) error) error {
	var errs []error
	for _, b := range t.branches {
		if b.broken.Load() {
			continue
		}
		if err := f(b.Sink); err != nil {
			b.broken.Store(true)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Start hands on the scan_start record.
func (t *Tee) Start(s *results.ScanStart) error {
	return t.each(func(k results.Sink) error { return k.Start(s) })
}

// Ports hands on a batch.
func (t *Tee) Ports(ports []results.Port) error {
	return t.each(func(k results.Sink) error { return k.Ports(ports) })
}

// Events hands on a batch.
func (t *Tee) Events(events []results.Event) error {
	return t.each(func(k results.Sink) error { return k.Events(events) })
}

// Hosts hands on a batch.
func (t *Tee) Hosts(hosts []results.Host) error {
	return t.each(func(k results.Sink) error { return k.Hosts(hosts) })
}

// Flush flushes all.
func (t *Tee) Flush() error { return t.each(results.Sink.Flush) }

// End hands on the scan_end record.
func (t *Tee) End(s *results.ScanEnd) error {
	return t.each(func(k results.Sink) error { return k.End(s) })
}

// Close closes all, the failed ones too: how that goes for these is no news. It waits for delivery without
// limit.
func (t *Tee) Close() error { return t.Finish(context.Background()) }

// Finish is Close that waits until ctx ends: see Output.Finish.
func (t *Tee) Finish(ctx context.Context) error {
	errs := make([]error, len(t.branches))
	var wg sync.WaitGroup // a stuck output takes no time from the others
	for i, b := range t.branches {
		wg.Go(func() {
			err := finish(ctx, b.Sink)
			if !b.broken.Load() {
				errs[i] = err
			}
		})
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
	for o := range t.outputs {
		all = append(all, o.Delivery())
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
