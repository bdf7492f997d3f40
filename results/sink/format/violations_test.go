package format

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"synoptic/results"
)

// sampleViolation has every field.
var sampleViolation = results.Violation{
	Time: 1795342333123456789, ScanID: testScanID, Opener: strings.Repeat("ab", 16), Again: 1, Status: results.ViolationOpened, Rule: "db-only-from-app",
	Severity: results.SeverityHigh, Want: results.WantShut, Addr: netip.MustParseAddr("10.20.3.4"), Port: 5432, Vantage: "office", Service: "ssh", Unit: "sshd.service",
	Exe: "/usr/sbin/sshd", Owner: "team-db", Ticket: "SEC-1", First: 1795255933000000005, Suspect: results.Win0NoOpts, Ports: 3, Message: "5432 is open",
	Policy: "policy.yaml", AckedBy: "alice", AckNote: "SEC-2", Tags: sampleTags,
}

// everyViolation is a violation of every status and severity, and violations with as much and as little in them as can be.
func everyViolation() (all []results.Notice) {
	for _, status := range []string{results.ViolationOpened, results.ViolationOngoing, results.ViolationClosed} {
		for severity := range slices.Values(results.SeverityNames()) {
			v := sampleViolation
			v.Status, v.Severity = status, results.ParseSeverity(severity)
			all = append(all, &v)
		}
	}
	most := sampleViolation
	most.Addr, most.Port, most.Tags = netip.MustParseAddr("2001:db8:1111:2222:3333:4444:5555:6666"), 65535, longestTags()
	for _, text := range []*string{
		&most.Rule, &most.Vantage, &most.Service, &most.Unit, &most.Exe, &most.Owner, &most.Ticket, &most.Message, &most.Policy, &most.AckedBy, &most.AckNote, &most.ScanID, &most.Opener,
	} {
		*text = strings.Repeat("<\"&>\x00", 1000)
	}
	least := &results.Violation{
		Time: sampleViolation.Time, First: sampleViolation.Time, Status: results.ViolationOpened, Rule: "r", Severity: results.SeverityInfo, Want: results.WantOpen,
		Addr: sampleViolation.Addr, ScanID: testScanID,
	}
	return append(all, &most, least)
}

// unaccompanied writes notices without a scan around them.
func unaccompanied(notices []results.Notice) func(Encoder) error {
	return func(e Encoder) error { return e.Notices(notices) }
}

// The event of a violation, as SIEM operators see it.
func TestECSViolation(t *testing.T) {
	v := &sampleViolation
	lines, events := encode(t, newECS, noticed([]results.Notice{v}))
	want := `{"@timestamp":"2026-11-22T10:12:13.123456789Z","message":"5432 is open",` +
		`"event":{"id":"` + v.EventID().String() + `","action":"violation-opened","severity":4,"start":"2026-11-21T10:12:13.000000005Z",` +
		`"kind":"alert","category":["configuration","network"],"type":["info"],"module":"synoptic","dataset":"synoptic.result","provider":"synoptic"},` +
		`"rule":{"name":"db-only-from-app","ruleset":"policy.yaml"},` +
		`"destination":{"address":"10.20.3.4","ip":"10.20.3.4","port":5432},"network":{"type":"ipv4","transport":"tcp","iana_number":"6"},` +
		`"related":{"ip":["10.20.3.4"]},"labels":` + string(sampleTags) + `,` +
		`"synoptic":{"scan_id":"` + testScanID + `","first_scan_id":"` + v.Opener + `","violation_id":"` + v.ID().String() + `","status":"opened",` +
		`"severity":"high","want":"shut","vantage":"office","service":"ssh","unit":"sshd.service","exe":"/usr/sbin/sshd","owner":"team-db","ticket":"SEC-1","again":1,"age_s":86400,` +
		`"suspect":["win0-noopts"],"ports":3,"acked_by":"alice","ack_note":"SEC-2"},` +
		`"ecs":{"version":"9.4.0"},"observer":{"vendor":"Synoptic","product":"Synoptic","type":"scanner","hostname":"scan01"}}` + "\n"
	if lines[1] != want || events[1].ID != v.EventID() || events[1].Time != v.Time || events[1].Records != 1 {
		t.Errorf("got  %s\nwant %s", lines[1], want)
	}
	if alone, _ := encode(t, newECS, unaccompanied([]results.Notice{v})); len(alone) != 1 || alone[0] != want {
		t.Errorf("without a scan: %s", alone)
	}
}

func TestOCSFViolation(t *testing.T) {
	closed := sampleViolation
	closed.Status, closed.Severity = results.ViolationClosed, results.SeverityCritical
	lines, events := encode(t, newOCSF, noticed([]results.Notice{&sampleViolation, &closed}))
	want := `{"category_uid":2,"class_uid":2003,"activity_id":1,"type_uid":200301,"severity_id":4,"time":1795342333123,"message":"5432 is open","status_id":1,"status":"New",` +
		`"metadata":{"version":"1.6.0","product":{"name":"Synoptic","vendor_name":"Synoptic"},"correlation_uid":"` + testScanID + `","uid":"` + sampleViolation.EventID().String() + `",` +
		`"tags":[{"name":"owner","value":"network team"},{"name":"zone","value":"dmz"}]},` +
		`"finding_info":{"uid":"` + sampleViolation.ID().String() + `","title":"db-only-from-app","first_seen_time":1795255933000,"last_seen_time":1795342333123},` +
		`"compliance":{"control":"db-only-from-app","standards":["policy.yaml"],"status_id":3,"status":"Fail"},` +
		`"resources":[{"type":"TCP port","name":"10.20.3.4 5432/tcp","ip":"10.20.3.4"}],"unmapped":{"scan_id":"` + testScanID + `","port":5432,"proto":"tcp","first_scan_id":"`
	if !strings.HasPrefix(lines[1], want) || events[1].ID != sampleViolation.EventID() {
		t.Errorf("got  %s\nwant %s", lines[1], want)
	}
	for _, part := range []string{`"activity_id":3,"type_uid":200303,"severity_id":5`, `"status_id":4,"status":"Resolved"`, `"status_id":1,"status":"Pass"`, `"uid":"` + sampleViolation.ID().String()} {
		if !strings.Contains(lines[2], part) {
			t.Errorf("no %s in %s", part, lines[2])
		}
	}
	if alone, _ := encode(t, newOCSF, unaccompanied([]results.Notice{&sampleViolation})); len(alone) != 1 || alone[0] != lines[1] {
		t.Errorf("without a scan: %s", alone)
	}
}
