package format

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"synoptic/results"
	"synoptic/results/sink/batch"
)

// What ecs and ocsf have in common: the scan's own records, of which both keep the native fields.

// nativeStart is the record's own fields as one JSON object, without those that a schema has a place for:
// the version and type of the record, its ID, its time, the scanner and the tags.
func nativeStart(s *results.ScanStart) ([]byte, error) {
	type body results.ScanStart
	own := body(*s)
	own.Scanner, own.Tags = "", ""
	object, err := marshal(struct {
		*body
		Time *results.Time `json:"ts,omitempty"`
	}{body: &own})
	if err != nil {
		return nil, fmt.Errorf("encode scan_start: %w", err)
	}
	return object, nil
}

// nativeEnd is what nativeStart is, of the closing record, and without the positions that are covered: nobody looks them up there.
func nativeEnd(s *results.ScanEnd) ([]byte, error) {
	type body results.ScanEnd
	own := body(*s)
	own.Scanner, own.Tags, own.Covered = "", "", nil
	object, err := marshal(struct {
		*body
		Time *results.Time `json:"ts,omitempty"`
	}{body: &own})
	if err != nil {
		return nil, fmt.Errorf("encode scan_end: %w", err)
	}
	return object, nil
}

func marshal(v any) ([]byte, error) {
	encoded, err := json.Marshal(v)
	return results.Harmless(encoded), err
}

// nativeReport is what nativeStart is, of the report of deliveries.
func nativeReport(r *results.DeliveryReport) ([]byte, error) {
	type body results.DeliveryReport
	own := body(*r)
	own.Scanner, own.Tags = "", ""
	return marshal(struct {
		*body
		Time *results.Time `json:"ts,omitempty"`
	}{body: &own})
}

// sourceAddrs are the addresses that the scan sends from.
func sourceAddrs(s *results.ScanStart) (all []netip.Addr) {
	for word := range strings.SplitSeq(s.Source, ",") {
		if a, err := netip.ParseAddr(word); err == nil {
			all = append(all, a.WithZone(""))
		}
	}
	return all
}

// endMessage says in words how the scan ended.
func endMessage(s *results.ScanEnd) string {
	switch {
	case s.Complete:
		return "scan completed"
	case s.Error != "":
		return "scan failed"
	case lostEvidence(s):
		return "scan ended, and evidence was lost for a part of it"
	}
	return "scan stopped before its end"
}

// lostEvidence tells that a scan went to its end, and that for some ports silence said nothing.
func lostEvidence(s *results.ScanEnd) bool {
	return !s.Complete && s.Evidence != nil && s.Evidence.State == results.EvidenceStateLost
}

// shortfall says why a scan is not complete.
func shortfall(s *results.ScanEnd) string {
	switch {
	case s.Error != "":
		return s.Error
	case lostEvidence(s):
		return "evidence was lost: the state of " + strconv.FormatUint(s.Evidence.Unknown, 10) + " ports is unknown"
	}
	return "stopped before the end"
}

func scanDuration(s *results.ScanEnd) time.Duration {
	return time.Duration(s.Duration * float64(time.Second))
}

// commitStart is commitEnd of the event of a scan's start.
func commitStart(w *Writer, s *results.ScanStart, appendStart func([]byte, *results.ScanStart) ([]byte, error)) error {
	return commitSqueezed(w, batch.Event{Time: time.Time(s.Time).UnixNano(), ID: s.EventID(), Records: 1}, func(b []byte, step int) ([]byte, error) {
		return appendStart(b, s.Squeezed(step))
	})
}

// commitEnd commits the event of a scan's end, which appendEnd makes of the record, with so much left out as it takes to stay
// shorter than maxEvent.
func commitEnd(w *Writer, s *results.ScanEnd, records int, appendEnd func([]byte, *results.ScanEnd) ([]byte, error)) error {
	return commitSqueezed(w, batch.Event{Time: time.Time(s.Time).UnixNano(), ID: s.EventID(), Records: records}, func(b []byte, step int) ([]byte, error) {
		return appendEnd(b, s.Squeezed(step))
	})
}

// commitSqueezed commits the first line that is shorter than maxEvent, or the last.
func commitSqueezed(w *Writer, e batch.Event, line func(b []byte, step int) ([]byte, error)) error {
	for step := 0; ; step++ {
		b, err := line(w.Buf(), step)
		if err != nil {
			return err
		}
		if len(b)-len(w.Buf()) < maxEvent || step == results.MaxSqueeze {
			return w.Commit(b, e)
		}
	}
}
