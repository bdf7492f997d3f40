package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"

	"synoptic/cmd/synoptic/screen"
	"synoptic/results"
	"synoptic/results/inventory"
	"synoptic/results/sink"
	"synoptic/results/sink/format"
)

// outbox hands the events of an inventory to outputs: those of now, and of earlier times that not every output has.
type outbox struct {
	db   *inventory.DB
	last int64       // the last that was given; 0: none
	lost uint64      // records that outputs had lost when it was looked last
	warn func(error) // is told of events that cannot be read: they are passed over
}

// mostEvents are given at a time: they are read at once.
const mostEvents = 1 << 10

// each gives all events that wait, in their order, as records of a scan, or as they are for "". It ends at the first error.
func (o *outbox) each(scanID string, give func([]results.Notice) error) error {
	for {
		last := o.last
		events, err := o.next(scanID)
		if err != nil || o.last == last {
			return err
		}
		if err := give(events); err != nil {
			o.last = last
			return err
		}
	}
}

// next are the next ones of those that wait, which it takes for given.
func (o *outbox) next(scanID string) (all []results.Notice, err error) {
	waiting, err := o.db.Outbox(o.last, mostEvents)
	if err != nil {
		return nil, err
	}
	var lines []byte
	for _, e := range waiting {
		lines = append(append(lines, bytes.ReplaceAll(e.Record, []byte{'\n'}, []byte{' '})...), '\n')
	}
	in := results.NewReader(bytes.NewReader(lines))
	var bad error // of the first that cannot be read
	for into := (results.Records{}); ; {
		err := in.Read(&into)
		if errors.Is(err, io.EOF) {
			break
		}
		if line, ok := errors.AsType[*results.LineError](err); ok {
			bad = cmp.Or(bad, fmt.Errorf("event %d of the inventory is passed over: %w", waiting[line.Line-1].ID, line.Err))
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, n := range into.Notices {
			restate(n, scanID)
		}
		all = append(all, into.Notices...)
	}
	if n := in.Unknown(); n > 0 && bad == nil {
		bad = fmt.Errorf("%s of the inventory of a kind that this program does not know: passed over", screen.Count(n, "event", "events"))
	}
	if bad != nil {
		o.warn(bad)
	}
	if len(waiting) > 0 {
		o.last = waiting[len(waiting)-1].ID
	}
	return all, nil
}

// restate makes an event one of another scan's records, and keeps which one it is of.
func restate(n results.Notice, scanID string) {
	switch n := n.(type) {
	case *results.Change:
		if scanID != "" && n.ScanID != scanID {
			n.First, n.ScanID = n.ScanID, scanID
		}
	case *results.Violation:
		if scanID != "" && n.ScanID != scanID {
			n.Opener, n.ScanID = n.ScanID, scanID
		}
	}
}

// delivered takes the events out that every output has which has a place for them: a table on a terminal has none, and what a receiver has refused for good
// stands among its dead letters. Where an output has lost records, all that wait are given again.
func (o *outbox) delivered(outputs []results.Delivery) error {
	if o.last == 0 {
		return nil
	}
	took, waits, lost := false, false, uint64(0)
	for i := range outputs {
		d := &outputs[i]
		waits = waits || d.Queued+d.Held > 0
		lost += d.Lost
		took = took || takesEvents(d.Output)
	}
	switch {
	case lost != o.lost:
		o.last, o.lost = 0, lost
		return nil
	case waits || !took:
		return nil
	}
	return o.db.Delivered(o.last)
}

// takesEvents tells whether an output has a place for events.
func takesEvents(spec string) bool {
	name, _ := sink.Split(spec)
	f, known := format.Lookup(name)
	return known && f.Messages
}
