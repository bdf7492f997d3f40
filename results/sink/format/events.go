package format

import (
	"strconv"
	"time"

	"synoptic/results"
	"synoptic/results/sink/batch"
)

// What ecs and ocsf make of events. Those of nmap, masscan and zmap know ports and hosts only, and a packet capture
// packets: there events are left out.

// appendEventNative appends the native fields of an event as one JSON object, without those that a schema has a
// place for: the version and type of the record, its ID, its time and the words for people.
func appendEventNative(b []byte, e *results.Event, scanID string) []byte {
	b = append(b, `{"scan_id":`...)
	b = results.AppendString(b, scanID)
	b = append(b, `,"event":"`...)
	b = append(b, e.Kind.String()...)
	b = append(b, '"')
	return append(e.AppendFields(b), '}')
}

// Events writes what happened to the evidence of a scan: event.kind is event and not alert, for it is up to a rule on
// event.action what is one.
func (e *ecs) Events(events []results.Event) error {
	for i := range events {
		v := &events[i]
		id := v.EventID(e.scanID)
		if err := e.w.Commit(e.appendEvent(e.w.Buf(), v, id), batch.Event{Time: v.Time, ID: id, Records: 1}); err != nil {
			return err
		}
	}
	return nil
}

// appendEvent appends the event, with its line end.
func (e *ecs) appendEvent(b []byte, v *results.Event, id results.EventID) []byte {
	v = v.Fit()
	b = append(b, `{"@timestamp":"`...)
	b = results.AppendTime(b, v.Time)
	b = append(b, `","message":`...)
	b = results.AppendString(b, v.Message)
	b = append(b, `,"event":{"id":"`...)
	b = id.AppendTo(b)
	b = append(b, `","action":"`...)
	b = append(b, v.Kind.Action()...)
	if v.Cause != "" {
		b = append(b, `","reason":`...)
		b = results.AppendString(b, v.Cause)
		b = b[:len(b)-1] // what follows has the quote
	}
	if v.Begin != 0 {
		b = append(b, `","start":"`...)
		b = results.AppendTime(b, v.Begin)
	}
	if v.End != 0 {
		b = append(b, `","end":"`...)
		b = results.AppendTime(b, v.End)
	}
	b = append(b, ecsScan...)
	if v.NextHop.IsValid() {
		b = append(b, `,"related":{"ip":["`...)
		b = v.NextHop.WithZone("").AppendTo(b)
		b = append(b, `"]}`...)
	}
	b = v.Tags.AppendField(b, ecsTags)
	b = append(b, `,"synoptic":`...)
	b = appendEventNative(b, v, e.scanID)
	return append(b[:len(b)-1], e.tail...) // the tail has the bracket
}

// Values of activity_id in class 6007 that events have: scan_activity.json of the schema.
const (
	ocsfPaused  = 7
	ocsfResumed = 8
	ocsfOther   = 99
)

// ocsfSeverity is how bad it is: 1 informational, 2 low, 3 medium. Another MAC address of a next hop may be a fault
// or an attack.
func ocsfSeverity(k results.EventKind) int {
	switch k {
	case results.EventLost, results.EventNextHopChanged:
		return 3
	case results.EventOutage, results.EventLimited, results.EventBackoff:
		return 2
	}
	return 1
}

// Events writes class 6007 too: the scan pauses and resumes where an event is about all of it, and for what is about
// a part the class has no activity of its own. They come before the hosts, when they happen.
func (o *ocsf) Events(events []results.Event) error {
	for i := range events {
		v := &events[i]
		id := v.EventID(o.scanID)
		if err := o.w.Commit(o.appendEvent(v, id), batch.Event{Time: v.Time, ID: id, Records: 1}); err != nil {
			return err
		}
	}
	return nil
}

func (o *ocsf) appendEvent(v *results.Event, id results.EventID) []byte {
	v = v.Fit()
	activity := ocsfOther
	switch {
	case v.Scope != results.ScopeAll:
	case v.Kind == results.EventOutage, v.Kind == results.EventPaused:
		activity = ocsfPaused
	case v.Kind == results.EventResumed, v.Kind == results.EventContinued:
		activity = ocsfResumed
	}
	b := o.appendActivity(o.w.Buf(), activity, ocsfSeverity(v.Kind), time.Unix(0, v.Time), id, v.Message)
	if activity == ocsfOther {
		b = append(b, `,"activity_name":"`...)
		b = append(b, v.Kind.Action()...)
		b = append(b, '"')
	}
	if v.Begin != 0 {
		b = append(b, `,"start_time":`...)
		b = strconv.AppendInt(b, time.Unix(0, v.Begin).UnixMilli(), 10)
	}
	if v.End != 0 {
		b = append(b, `,"end_time":`...)
		b = strconv.AppendInt(b, time.Unix(0, v.End).UnixMilli(), 10)
	}
	if v.Cause != "" {
		b = append(b, `,"status_detail":`...)
		b = results.AppendString(b, v.Cause)
	}
	b = append(b, `,"unmapped":`...)
	return append(appendEventNative(b, v, o.scanID), "}\n"...)
}
