package sink

import (
	"errors"

	"synoptic/results"
)

// Tee hands every record to all of its sinks, in order; all are tried even where one fails.
type Tee []results.Sink

func (t Tee) each(f func(results.Sink) error) error {
	var errs []error
	for _, s := range t {
		errs = append(errs, f(s))
	}
	return errors.Join(errs...)
}

// Start hands on the scan_start record.
func (t Tee) Start(s *results.ScanStart) error {
	return t.each(func(k results.Sink) error { return k.Start(s) })
}

// Ports hands on a batch.
func (t Tee) Ports(batch []results.Port) error {
	return t.each(func(k results.Sink) error { return k.Ports(batch) })
}

// Flush flushes all.
func (t Tee) Flush() error { return t.each(results.Sink.Flush) }

// End hands on the scan_end record.
func (t Tee) End(s *results.ScanEnd) error {
	return t.each(func(k results.Sink) error { return k.End(s) })
}

// Close closes all.
func (t Tee) Close() error { return t.each(results.Sink.Close) }
