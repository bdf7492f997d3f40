package format

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"synoptic/results"
)

// sampleChange has every field.
var sampleChange = results.Change{
	Time: results.Time(time.Unix(1795342333, 123456789)), ScanID: testScanID, First: strings.Repeat("ab", 16), Change: results.ChangeOpened,
	Addr: netip.MustParseAddr("10.20.3.7"), Port: 8443, Proto: "tcp", Vantage: "dmz-scan01", Hostname: "app.example", Before: "closed", After: "open",
	NotBefore: new(results.Time(time.Unix(1795255933, 5))), NotAfter: new(results.Time(time.Unix(1795342333, 123456789))),
	Reason: "handshake", Confirmed: true, Asked: 4, PFalse: new(1e-12), Service: "ssh SSH-2.0-OpenSSH_9.3", Tags: sampleTags,
}

// sampleSupervision has every field.
var sampleSupervision = results.Supervision{
	Time: sampleChange.Time, ScanID: testScanID, Vantage: "dmz-scan01", Endpoints: 1000, Ages: results.Ages{P50: 10, P99: 20, Max: 30}, Overdue: 1, BudgetPPS: 100, UsedPPS: 99.5,
	Tiers: []results.SupervisedTier{{Tier: "open", Endpoints: 10, Ages: results.Ages{P50: 1, P99: 2, Max: 3}, Overdue: 1}}, Unconfirmed: 4, Unknown: 5, Changes: 6, Cycle: 7, CycleDone: 0.25,
	Tags: sampleTags,
}

// everyTold are notices that other schemas have, too: everyChange, everyViolation and supervisions.
func everyTold() []results.Notice {
	return append(append(everyChange(), everyViolation()...), &sampleSupervision, &results.Supervision{Time: sampleChange.Time, ScanID: testScanID})
}

// everyNotice is everyTold, a plan and coverage.
func everyNotice() []results.Notice {
	return append(
		everyTold(), &results.PlanPiece{ScanID: testScanID, Part: 1, Parts: 1, Piece: 1, Pieces: 1, Text: "synoptic plan 1\n"},
		&results.CoveragePiece{ScanID: testScanID, Part: 1, Piece: 1, Pieces: 1, Ranges: []byte{0, 1}},
	)
}

// everyChange is a change of every kind, and changes with as much and as little in them as can be.
func everyChange() (all []results.Notice) {
	for k := results.ChangeNone + 1; k < results.NumChangeKinds; k++ {
		c := sampleChange
		c.Change = k
		switch k {
		case results.ChangeService:
			c.ServiceBefore = "ssh SSH-2.0-OpenSSH_9.2"
		case results.ChangeHostUp, results.ChangeHostDown:
			c.Port, c.Proto, c.Ports = 0, "", 12
		case results.ChangeNetDark:
			c.Addr, c.Port, c.Proto, c.Ports, c.Prefix = netip.Addr{}, 0, "", 300, netip.MustParsePrefix("10.20.3.0/24")
		}
		all = append(all, &c)
	}
	most := sampleChange
	most.Addr, most.Port = netip.MustParseAddr("2001:db8:1111:2222:3333:4444:5555:6666"), 65535
	for _, text := range []*string{&most.Vantage, &most.Hostname, &most.Before, &most.After, &most.Reason, &most.Service, &most.ServiceBefore} {
		*text = strings.Repeat("<\"&>\x00", 1000)
	}
	most.Tags = longestTags()
	return append(all, &most, &results.Change{Time: sampleChange.Time, ScanID: testScanID, Change: results.ChangeFound})
}

// noticed writes a scan that has only notices.
func noticed(notices []results.Notice) func(Encoder) error {
	return func(e Encoder) error {
		if err := e.Start(&results.ScanStart{Time: sampleChange.Time, ScanID: testScanID}); err != nil {
			return err
		}
		if err := e.Notices(notices); err != nil {
			return err
		}
		return e.End(&results.ScanEnd{Time: sampleChange.Time, ScanID: testScanID})
	}
}

// The event of a change, as SIEM operators see it.
func TestECSChange(t *testing.T) {
	lines, events := encode(t, newECS, noticed([]results.Notice{&sampleChange}))
	want := `{"@timestamp":"2026-11-22T10:12:13.123456789Z","message":"10.20.3.7 8443/tcp opened: open, before closed",` +
		`"event":{"id":"` + sampleChange.EventID().String() + `","action":"port-opened","reason":"handshake","start":"2026-11-21T10:12:13.000000005Z","end":"2026-11-22T10:12:13.123456789Z",` +
		`"kind":"event","category":["network"],"type":["info"],"module":"synoptic","dataset":"synoptic.result","provider":"synoptic"},` +
		`"destination":{"address":"10.20.3.7","ip":"10.20.3.7","domain":"app.example","port":8443},"network":{"type":"ipv4","transport":"tcp","iana_number":"6"},` +
		`"related":{"ip":["10.20.3.7"],"hosts":["app.example"]},"labels":` + string(sampleTags) + `,` +
		`"synoptic":{"scan_id":"` + testScanID + `","first_scan_id":"` + sampleChange.First + `","change":"opened","vantage":"dmz-scan01","before":"closed","after":"open","confirmed":true,"asked":4,"p_false":1e-12,"service":"ssh SSH-2.0-OpenSSH_9.3"},` +
		`"ecs":{"version":"9.4.0"},"observer":{"vendor":"Synoptic","product":"Synoptic","type":"scanner","hostname":"scan01"}}` + "\n"
	if lines[1] != want || events[1].ID != sampleChange.EventID() || events[1].Records != 1 {
		t.Errorf("got  %s\nwant %s", lines[1], want)
	}
}

func TestOCSFChange(t *testing.T) {
	lines, _ := encode(t, newOCSF, noticed([]results.Notice{&sampleChange}))
	for _, want := range []string{
		`"class_uid":6007`, `"severity_id":2`, `"activity_id":99,"type_uid":600799`, `"activity_name":"port-opened"`, `"time":1795342333123`, `"start_time":1795255933000`, `"end_time":1795342333123`,
		`"status_detail":"handshake"`, `"uid":"` + sampleChange.EventID().String() + `"`,
		`"unmapped":{"ip":"10.20.3.7","port":8443,"proto":"tcp","hostname":"app.example","tags":` + string(sampleTags) + `,"scan_id":"` + testScanID + `","first_scan_id":"` + sampleChange.First + `","change":"opened"`,
	} {
		if !strings.Contains(lines[1], want) {
			t.Errorf("no %s in %s", want, lines[1])
		}
	}
}

// The event of a supervision, as SIEM operators see it.
func TestSupervision(t *testing.T) {
	lines, events := encode(t, newECS, noticed([]results.Notice{&sampleSupervision}))
	want := `{"@timestamp":"2026-11-22T10:12:13.123456789Z","message":"1000 ports are watched, 1 of them asked too long ago; the oldest 30 s ago",` +
		`"event":{"id":"` + sampleSupervision.EventID().String() + `","action":"inventory-supervised","kind":"metric","category":["network"],"type":["info"],` +
		`"module":"synoptic","dataset":"synoptic.result","provider":"synoptic"},"labels":` + string(sampleTags) + `,"synoptic":{"scan_id":"` + testScanID + `","vantage":"dmz-scan01","endpoints":1000,` +
		`"ages_s":{"p50":10,"p99":20,"max":30},"overdue":1,`
	if !strings.HasPrefix(lines[1], want) || events[1].ID != sampleSupervision.EventID() {
		t.Errorf("got  %s\nwant %s", lines[1], want)
	}
	lines, _ = encode(t, newOCSF, noticed([]results.Notice{&sampleSupervision}))
	for _, want := range []string{`"class_uid":6007`, `"severity_id":2`, `"activity_name":"inventory-supervised"`, `"unmapped":{"scan_id":"` + testScanID + `","vantage":"dmz-scan01","endpoints":1000`} {
		if !strings.Contains(lines[1], want) {
			t.Errorf("no %s in %s", want, lines[1])
		}
	}
}
