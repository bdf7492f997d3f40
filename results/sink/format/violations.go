package format

import (
	"strconv"
	"time"

	"synoptic/results"
)

// What ecs and ocsf make of violations: an alert, and a Compliance Finding.

// ecsAlert ends the object "event" of a violation. The schema has the category "network" for whatever includes an address, and
// "configuration" for what checks settings; "info" goes with both.
const ecsAlert = `,"kind":"alert","category":["configuration","network"],"type":["info"]` + ecsSource

// appendViolation appends the event of a violation that fits, with its line end.
func (e *ecs) appendViolation(b []byte, v *results.Violation) []byte {
	b = append(b, `{"@timestamp":"`...)
	b = results.AppendTime(b, v.Time)
	b = append(b, `","message":`...)
	b = results.AppendString(b, v.Message)
	b = append(b, `,"event":{"id":"`...)
	b = v.EventID().AppendTo(b)
	b = append(b, `","action":"`...)
	b = append(b, v.Action()...)
	b = append(b, `","severity":`...)
	b = strconv.AppendUint(b, uint64(v.Severity), 10)
	b = append(b, `,"start":"`...)
	b = append(results.AppendTime(b, v.First), '"')
	if v.Status == results.ViolationClosed {
		b = append(b, `,"end":"`...)
		b = append(results.AppendTime(b, v.Time), '"')
	}
	b = append(b, ecsAlert...)
	b = append(b, `,"rule":{"name":`...)
	b = results.AppendString(b, v.Rule)
	if v.Policy != "" {
		b = append(b, `,"ruleset":`...)
		b = results.AppendString(b, v.Policy)
	}
	b = append(b, '}')
	addr := v.Addr.WithZone("").AppendTo(nil)
	b = appendECSDestination(b, addr, "", results.MAC{})
	if v.Port != 0 {
		b = append(b, `,"port":`...)
		b = strconv.AppendUint(b, uint64(v.Port), 10)
	}
	b = appendECSNetwork(append(b, '}'), v.Addr)
	b = append(b, `,"related":{"ip":["`...)
	b = append(append(b, addr...), `"]}`...)
	b = v.Tags.AppendField(b, ecsTags)
	b = append(b, `,"synoptic":{"scan_id":`...)
	b = results.AppendString(b, v.ScanID)
	return append(v.AppendFields(b), e.tail...)
}

// ocsfFinding begins an event of class 2003 Compliance Finding.
const ocsfFinding = `{"category_uid":2,"class_uid":2003,"activity_id":`

// ocsfFindingStatus are activity_id, status_id and status of the class, and status_id and status of its object compliance
// (finding.json and compliance.json of the schema), by the status of a violation.
var ocsfFindingStatus = map[string]struct {
	activity, id int
	status       string
	compliance   string
}{
	results.ViolationOpened:  {1, 1, "New", `"status_id":3,"status":"Fail"`},
	results.ViolationOngoing: {2, 2, "In Progress", `"status_id":3,"status":"Fail"`},
	results.ViolationClosed:  {3, 4, "Resolved", `"status_id":1,"status":"Pass"`},
}

// appendViolation appends the event of a violation that fits, with its line end. severity_id has the numbers that severities have here.
func (o *ocsf) appendViolation(b []byte, v *results.Violation) []byte {
	s := ocsfFindingStatus[v.Status]
	b = append(b, ocsfFinding...)
	b = strconv.AppendInt(b, int64(s.activity), 10)
	b = append(b, `,"type_uid":`...)
	b = strconv.AppendInt(b, int64(2003*100+s.activity), 10)
	b = append(b, `,"severity_id":`...)
	b = strconv.AppendUint(b, uint64(v.Severity), 10)
	b = append(b, `,"time":`...)
	b = appendMillis(b, v.Time)
	b = append(b, `,"message":`...)
	b = results.AppendString(b, v.Message)
	b = append(b, `,"status_id":`...)
	b = strconv.AppendInt(b, int64(s.id), 10)
	b = append(append(append(b, `,"status":"`...), s.status...), '"')
	b = append(b, o.metadata...)
	b = v.EventID().AppendTo(b)
	b = append(append(b, '"'), appendOCSFTags(nil, v.Tags)...)
	b = append(b, `},"finding_info":{"uid":"`...)
	b = v.ID().AppendTo(b)
	b = append(b, `","title":`...)
	b = results.AppendString(b, v.Rule)
	b = append(b, `,"first_seen_time":`...)
	b = appendMillis(b, v.First)
	b = append(b, `,"last_seen_time":`...)
	b = appendMillis(b, v.Time)
	b = append(b, `},"compliance":{"control":`...)
	b = results.AppendString(b, v.Rule)
	if v.Policy != "" {
		b = append(b, `,"standards":[`...)
		b = append(results.AppendString(b, v.Policy), ']')
	}
	b = append(append(append(b, ','), s.compliance...), '}')
	kind := "TCP port"
	if v.Port == 0 {
		kind = "host"
	}
	b = append(append(append(b, `,"resources":[{"type":"`...), kind...), `","name":"`...)
	begin := len(b)
	b = v.Addr.WithZone("").AppendTo(b)
	addr := b[begin:]
	if v.Port != 0 {
		b = append(b, ' ')
		b = append(strconv.AppendUint(b, uint64(v.Port), 10), "/tcp"...)
	}
	b = append(b, `","ip":"`...)
	b = append(append(b, addr...), `"}],"unmapped":{"scan_id":`...)
	b = results.AppendString(b, v.ScanID)
	if v.Port != 0 {
		b = append(b, `,"port":`...)
		b = append(strconv.AppendUint(b, uint64(v.Port), 10), `,"proto":"tcp"`...)
	}
	return append(v.AppendFields(b), "}}\n"...)
}

func appendMillis(b []byte, unixNano int64) []byte {
	return strconv.AppendInt(b, time.Unix(0, unixNano).UnixMilli(), 10)
}
