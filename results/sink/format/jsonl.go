package format

import (
	"fmt"
	"time"

	"synoptic/results"
	"synoptic/results/sink/batch"
)

// jsonLines is the native format: one JSON object per line (NDJSON), of under 4 KB.
type jsonLines struct {
	w      *Writer
	scanID string
}

// newJSONLines encodes records as docs/records.schema.json describes them.
func newJSONLines(w *Writer, _ Options) Encoder { return &jsonLines{w: w} }

func (j *jsonLines) Start(s *results.ScanStart) error {
	j.scanID = s.ScanID
	line, err := s.AppendJSON(j.w.Buf())
	if err != nil {
		return fmt.Errorf("encode scan_start: %w", err)
	}
	return j.w.Commit(append(line, '\n'), batch.Event{Time: time.Time(s.Time).UnixNano(), ID: s.EventID(), Records: 1})
}

func (j *jsonLines) Ports(ports []results.Port) error {
	for i := range ports {
		p := &ports[i]
		id := p.EventID(j.scanID)
		if err := j.w.Commit(append(p.AppendJSONAs(j.w.Buf(), j.scanID, id), '\n'), batch.Event{Time: p.Time, ID: id, Records: 1}); err != nil {
			return err
		}
	}
	return nil
}

func (j *jsonLines) Events(events []results.Event) error {
	for i := range events {
		e := &events[i]
		id := e.EventID(j.scanID)
		if err := j.w.Commit(append(e.AppendJSONAs(j.w.Buf(), j.scanID, id), '\n'), batch.Event{Time: e.Time, ID: id, Records: 1}); err != nil {
			return err
		}
	}
	return nil
}

func (j *jsonLines) Hosts(hosts []results.Host) error {
	for i := range hosts {
		h := &hosts[i]
		if err := j.w.Commit(append(h.AppendJSON(j.w.Buf(), j.scanID), '\n'), batch.Event{Time: h.Last, ID: h.EventID(j.scanID), Records: 1}); err != nil {
			return err
		}
	}
	return nil
}

func (j *jsonLines) Notices(notices []results.Notice) error {
	for _, n := range notices {
		line, err := n.AppendJSON(j.w.Buf())
		if err != nil {
			return fmt.Errorf("encode %s: %w", n.Kind(), err)
		}
		if err := j.w.Commit(append(line, '\n'), batch.Event{Time: time.Time(n.When()).UnixNano(), ID: n.EventID(), Records: 1}); err != nil {
			return err
		}
	}
	return nil
}

func (j *jsonLines) End(s *results.ScanEnd) error {
	line, err := s.AppendJSON(j.w.Buf())
	if err != nil {
		return fmt.Errorf("encode scan_end: %w", err)
	}
	return j.w.Commit(append(line, '\n'), batch.Event{Time: time.Time(s.Time).UnixNano(), ID: s.EventID(), Records: 1})
}

// Report is for Reporter.
func (j *jsonLines) Report(r *results.DeliveryReport) error {
	line, err := r.AppendJSON(j.w.Buf())
	if err != nil {
		return fmt.Errorf("encode delivery: %w", err)
	}
	return j.w.Commit(append(line, '\n'), batch.Event{Time: time.Time(r.Time).UnixNano(), ID: r.EventID(), Records: 1})
}

func (*jsonLines) Close() error { return nil }
