package main

import (
	"time"

	"synoptic/results"
)

// tally counts the records of a scan, for the end of one whose scan_end is missing.
type tally struct {
	start *results.ScanStart
	last  int64 // time of the last record, nanoseconds since the Unix epoch
	sum   results.ScanEnd
}

func newTally(start *results.ScanStart) *tally {
	return &tally{start: start, last: time.Time(start.Time).UnixNano()}
}

func (t *tally) note(p *results.Port) {
	t.last = max(t.last, p.Time)
	switch p.Reason.State() {
	case results.Open:
		t.sum.Open++
	case results.Closed:
		t.sum.Closed++
	case results.Filtered:
		t.sum.Filtered++
	}
	switch p.Reason {
	case results.NoResponse:
		t.sum.NoResponse++
	case results.NoARP:
		t.sum.NoARP++
	}
}

// end is what can be said of a scan from its records alone: at least so much was found.
func (t *tally) end(why string) *results.ScanEnd {
	e := t.sum
	e.Time, e.ScanID, e.Error = results.Time(time.Unix(0, t.last)), t.start.ScanID, why
	e.Probes, e.Backend, e.BackendReason = t.start.Probes, t.start.Backend, t.start.BackendReason
	e.Duration = time.Unix(0, t.last).Sub(time.Time(t.start.Time)).Seconds()
	if e.Probes > 0 {
		e.Coverage = min(1, float64(e.Open+e.Closed+e.Filtered)/float64(e.Probes))
	}
	return &e
}

// madeUpStart is what can be said of a scan of which only the rest is there.
func madeUpStart(r *results.Records) *results.ScanStart {
	s := &results.ScanStart{ScanID: r.ScanID, BackendReason: "not known: the record stream begins after scan_start"}
	switch {
	case len(r.Ports) > 0:
		s.Time = results.Time(time.Unix(0, r.Ports[0].Time))
	case len(r.Events) > 0:
		s.Time = results.Time(time.Unix(0, r.Events[0].Time))
	case len(r.Hosts) > 0:
		s.Time = results.Time(time.Unix(0, r.Hosts[0].First))
	case len(r.Notices) > 0:
		s.Time = r.Notices[0].When()
	case r.End != nil:
		s.Time, s.Probes, s.Backend = r.End.Time, r.End.Probes, r.End.Backend
	}
	return s
}
