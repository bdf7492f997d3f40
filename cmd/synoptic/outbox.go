package main

import (
	"bytes"
	"errors"
	"io"

	"synoptic/results"
	"synoptic/results/inventory"
	"synoptic/results/sink"
	"synoptic/results/sink/format"
)

// outbox hands the events of an inventory to outputs: those of now, and of earlier times that not every output has.
type outbox struct {
	db   *inventory.DB
	last int64 // the last that was given; 0: none
}

// mostEvents are given at a time.
const mostEvents = 1 << 16

// each gives all events that wait, in their order, as records of a scan, or as they are for "". It ends at the first error.
func (o *outbox) each(scanID string, give func([]results.Notice) error) error {
	for {
		waiting, err := o.db.Outbox(o.last, mostEvents)
		if err != nil || len(waiting) == 0 {
			return err
		}
		var lines bytes.Buffer
		for _, e := range waiting {
			lines.Write(e.Record)
			lines.WriteByte('\n')
		}
		o.last = waiting[len(waiting)-1].ID
		reader := results.NewReader(&lines)
		for into := new(results.Records); ; {
			err := reader.Read(into)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
			for _, n := range into.Notices {
				restate(n, scanID)
			}
			if err := give(into.Notices); err != nil {
				return err
			}
		}
	}
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

// delivered takes the events out that every output has which has a place for them. A table on a terminal has none.
func (o *outbox) delivered(outputs []results.Delivery) error {
	if o.last == 0 {
		return nil
	}
	took := false
	for i := range outputs {
		if outputs[i].Undelivered() > 0 {
			return nil
		}
		took = took || takesEvents(outputs[i].Output)
	}
	if !took {
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
