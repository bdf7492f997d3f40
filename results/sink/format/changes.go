package format

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"synoptic/results"
	"synoptic/results/sink/batch"
)

// What ecs and ocsf make of notices: of changes here, of violations in violations.go, of the record supervision in supervisions.go. Plans and coverage they leave out: those are for
// programs that compare scans, which read the native records.

// commitNotices commits the events of those notices that a schema has a place for; the others are appended as nothing.
func commitNotices(w *Writer, notices []results.Notice, appendNotice func(results.Notice) ([]byte, error)) error {
	omitted := 0
	for _, n := range notices {
		b, err := appendNotice(n)
		switch {
		case err != nil:
			return fmt.Errorf("encode %s: %w", n.Kind(), err)
		case b == nil:
			omitted++
			continue
		}
		if err := w.Commit(b, batch.Event{Time: time.Time(n.When()).UnixNano(), ID: n.EventID(), Records: 1}); err != nil {
			return err
		}
	}
	return w.omit(omitted)
}

// nativeChange is what nativeStart is, of a change: without what both schemas have a place for.
func nativeChange(c *results.Change) ([]byte, error) {
	type body results.Change
	own := body(*c)
	own.Tags, own.Addr, own.Port, own.Proto, own.Hostname, own.Reason, own.NotBefore, own.NotAfter = "", netip.Addr{}, 0, "", "", "", nil, nil
	return marshal(struct {
		*body
		Time *results.Time `json:"ts,omitempty"`
	}{body: &own})
}

func unixNano(t *results.Time) int64 { return time.Time(*t).UnixNano() }

// Notices writes the changes and the violations.
func (e *ecs) Notices(notices []results.Notice) error {
	return commitNotices(e.w, notices, func(n results.Notice) ([]byte, error) {
		switch n := n.(type) {
		case *results.Change:
			return e.appendChange(e.w.Buf(), n.Fit())
		case *results.Violation:
			return e.appendViolation(e.w.Buf(), n.Fit()), nil
		case *results.Supervision:
			return e.appendSupervision(n.Fit())
		}
		return nil, nil
	})
}

// appendChange appends the event of a change, with its line end.
func (e *ecs) appendChange(b []byte, c *results.Change) ([]byte, error) {
	fields, err := nativeChange(c)
	if err != nil {
		return nil, err
	}
	b = append(b, `{"@timestamp":"`...)
	b = results.AppendTime(b, unixNano(&c.Time))
	b = append(b, `","message":`...)
	b = results.AppendString(b, c.Message())
	b = append(b, `,"event":{"id":"`...)
	b = c.EventID().AppendTo(b)
	b = append(b, `","action":"`...)
	b = append(b, c.Change.Action()...)
	if c.Reason != "" {
		b = append(b, `","reason":`...)
		b = results.AppendString(b, c.Reason)
		b = b[:len(b)-1] // what follows has the quote
	}
	if c.NotBefore != nil {
		b = append(b, `","start":"`...)
		b = results.AppendTime(b, unixNano(c.NotBefore))
	}
	if c.NotAfter != nil {
		b = append(b, `","end":"`...)
		b = results.AppendTime(b, unixNano(c.NotAfter))
	}
	b = append(b, ecsScan...)
	if c.Addr.IsValid() {
		addr := c.Addr.WithZone("").AppendTo(nil)
		b = appendECSDestination(b, addr, c.Hostname, results.MAC{})
		if c.Port != 0 {
			b = append(b, `,"port":`...)
			b = strconv.AppendUint(b, uint64(c.Port), 10)
		}
		b = appendECSNetwork(append(b, '}'), c.Addr)
		b = append(b, `,"related":{"ip":["`...)
		b = append(append(b, addr...), `"]`...)
		b = append(appendECSHosts(b, c.Hostname, nil), '}')
	}
	b = c.Tags.AppendField(b, ecsTags)
	return e.appendNative(b, fields), nil
}

// Notices writes the changes as class 6007, whose activities have none for them, and the violations as class 2003.
func (o *ocsf) Notices(notices []results.Notice) error {
	return commitNotices(o.w, notices, func(n results.Notice) ([]byte, error) {
		switch n := n.(type) {
		case *results.Change:
			o.alone(n.ScanID)
			return o.appendChange(n.Fit())
		case *results.Violation:
			n = n.Fit()
			o.alone(n.ScanID)
			return o.appendViolation(o.w.Buf(), n), nil
		case *results.Supervision:
			return o.appendSupervision(n.Fit())
		}
		return nil, nil
	})
}

// ocsfChangeSeverity is 2, low, where something is there that was not, or is not any more as it was: a rule knows which of these are
// worse. What went away, or is not known, is informational.
func ocsfChangeSeverity(k results.ChangeKind) int {
	switch k {
	case results.ChangeOpened, results.ChangeReopened, results.ChangeFound, results.ChangeService, results.ChangeHostUp, results.ChangeNetDark:
		return 2
	}
	return 1
}

func (o *ocsf) appendChange(c *results.Change) ([]byte, error) {
	fields, err := nativeChange(c)
	if err != nil {
		return nil, err
	}
	b := o.appendActivity(o.w.Buf(), ocsfOther, ocsfChangeSeverity(c.Change), time.Time(c.Time), c.EventID(), c.Message())
	b = append(b, `,"activity_name":"`...)
	b = append(append(b, c.Change.Action()...), '"')
	if c.NotBefore != nil {
		b = append(b, `,"start_time":`...)
		b = strconv.AppendInt(b, time.Time(*c.NotBefore).UnixMilli(), 10)
	}
	if c.NotAfter != nil {
		b = append(b, `,"end_time":`...)
		b = strconv.AppendInt(b, time.Time(*c.NotAfter).UnixMilli(), 10)
	}
	if c.Reason != "" {
		b = append(b, `,"status_detail":`...)
		b = results.AppendString(b, c.Reason)
	}
	b = append(b, `,"unmapped":{`...)
	if c.Addr.IsValid() { // the device is the scanner
		b = append(b, `"ip":"`...)
		b = append(c.Addr.WithZone("").AppendTo(b), `",`...)
	}
	if c.Port != 0 {
		b = append(b, `"port":`...)
		b = append(strconv.AppendUint(b, uint64(c.Port), 10), `,"proto":"tcp",`...)
	}
	if c.Hostname != "" {
		b = append(b, `"hostname":`...)
		b = append(results.AppendString(b, c.Hostname), ',')
	}
	if len(c.Tags) > 0 { // of the address; those in metadata are the scan's
		b = append(b, `"tags":`...)
		b = append(append(b, c.Tags...), ',')
	}
	return append(append(b, fields[1:]...), "}\n"...), nil
}
