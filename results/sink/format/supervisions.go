package format

import (
	"time"

	"synoptic/results"
)

// What ecs and ocsf make of the record supervision: a metric, and a scan activity without a name in the schema.

const ecsMetric = `","kind":"metric","category":["network"],"type":["info"]` + ecsSource

// actionSupervision is what both call it.
const actionSupervision = "inventory-supervised"

// nativeSupervision is what nativeStart is, of a supervision.
func nativeSupervision(s *results.Supervision) ([]byte, error) {
	type body results.Supervision
	own := body(*s)
	own.Tags = ""
	return marshal(struct {
		*body
		Time *results.Time `json:"ts,omitempty"`
	}{body: &own})
}

// appendSupervision appends the event of one that fits, with its line end.
func (e *ecs) appendSupervision(s *results.Supervision) ([]byte, error) {
	fields, err := nativeSupervision(s)
	if err != nil {
		return nil, err
	}
	b := append(e.appendScan(e.w.Buf(), unixNano(&s.Time), s.Message(), actionSupervision, s.EventID()), ecsMetric...)
	return e.appendNative(s.Tags.AppendField(b, ecsTags), fields), nil
}

// appendSupervision appends the event of one that fits, with its line end. Its severity is low, not informational, where ports are overdue.
func (o *ocsf) appendSupervision(s *results.Supervision) ([]byte, error) {
	fields, err := nativeSupervision(s)
	if err != nil {
		return nil, err
	}
	severity := 1
	if s.Overdue > 0 {
		severity = 2
	}
	b := o.appendActivity(o.w.Buf(), ocsfOther, severity, time.Time(s.Time), s.EventID(), s.Message())
	b = append(b, `,"activity_name":"`+actionSupervision+`","unmapped":{`...)
	return append(append(b, fields[1:]...), "}\n"...), nil
}
