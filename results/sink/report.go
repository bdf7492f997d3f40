package sink

import (
	"context"
	"slices"
	"time"

	"synoptic/results"
	"synoptic/results/sink/delivery"
	"synoptic/results/sink/format"
)

// report is what a Tee remembers for the record behind scan_end.
type report struct {
	wanted bool
	start  results.ScanStart
	over   bool // its scan_end has come
}

func (r *report) begin(s *results.ScanStart) { r.start, r.over = *s, false }

// Report has Finish write behind scan_end, in the files that are outputs of lines, what became of the records of every
// output (results.DeliveryReport): once all others are finished.
func (t *Tee) Report() { t.report.wanted = true }

// reporters are the files that get the report.
func (t *Tee) reporters() []*branch {
	if !t.report.wanted || !t.report.over {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(t.branches), func(b *branch) bool {
		o, ok := results.SinkAs[*Output](b.Sink)
		return !ok || b.broken.Load() || !o.Reopens() || !o.reports()
	})
}

// A file has so many steps to take its own records before it says how many; after an interrupt the first one.
const (
	ownStep  = 200 * time.Millisecond
	ownSteps = 50
)

// writeReport says it in these files, of which the counts are those before the report.
func (t *Tee) writeReport(ctx context.Context, files []*branch) {
	for _, b := range files {
		if o, ok := results.SinkAs[*Output](b.Sink); ok {
			_ = o.encode(o.w.Flush) // whose error comes again
			for n := 0; n < ownSteps && (n == 0 || ctx.Err() == nil && !o.queue.Idle() && o.delivery.Health() != delivery.Failing); n++ {
				o.Settle(ownStep)
			}
		}
	}
	start := &t.report.start
	r := results.NewDeliveryReport(results.Time(time.Now()), start.ScanID, t.Deliveries())
	r.Scanner, r.Tags = start.Scanner, start.Tags
	for _, b := range files {
		if o, ok := results.SinkAs[*Output](b.Sink); ok {
			_ = o.report(r) // whose error comes again
		}
	}
}

// Delivered hands on the report of an earlier scan to the outputs whose format has a place for it.
func (t *Tee) Delivered(r *results.DeliveryReport) error {
	return t.each(0, func(k results.Sink) error {
		if o, ok := results.SinkAs[*Output](k); ok {
			return o.report(r)
		}
		return nil
	})
}

// reports tells whether the format has a place for the report.
func (o *Output) reports() bool {
	_, ok := o.enc.(format.Reporter)
	return ok
}

// report encodes the report, where the format has a place for it.
func (o *Output) report(r *results.DeliveryReport) error {
	enc, ok := o.enc.(format.Reporter)
	if !ok {
		return nil
	}
	o.given.Add(1)
	return o.encode(func() error { return enc.Report(r) })
}
