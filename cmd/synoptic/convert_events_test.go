package main

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"synoptic/results"
)

// withEvents is a scan that lost its evidence: an outage that ended, one that did not, and a port of each state.
func withEvents(t testing.TB, id string) string {
	t.Helper()
	const at = 1795255933_000000000
	add := func(b []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return append(b, '\n')
	}
	start := results.ScanStart{Time: results.Time(time.Unix(0, at)), ScanID: id, Version: version, Ports: 1, Targets: 4, Probes: 4, Backend: "afpacket"}
	b := add(start.AppendJSON(nil))
	port := func(last byte, reason results.Reason) {
		p := results.Port{Time: at + int64(last), Addr: netip.AddrFrom4([4]byte{10, 0, 3, last}), Port: 80, Reason: reason}
		b = add(p.AppendJSON(b, id), nil)
	}
	event := func(e results.Event) { b = add(e.AppendJSON(b, id), nil) }
	port(1, results.SYNACK)
	event(results.Event{Time: at + 10, Kind: results.EventOutage, Scope: results.ScopeAll, Cause: results.CauseNoCarrier, Iface: "eth0", Message: "eth0 has no carrier"})
	event(results.Event{Time: at + 20, Kind: results.EventResumed, Scope: results.ScopeAll, Cause: results.CauseNoCarrier, Iface: "eth0", Again: 2, Begin: at + 10, End: at + 20, Message: "eth0 has a carrier again"})
	port(2, results.NoResponse)
	event(results.Event{Time: at + 30, Kind: results.EventLost, Scope: results.ScopePrefix, Cause: results.CausePath, Prefix: netip.MustParsePrefix("10.0.3.0/24"), Unknown: 2, Message: "10.0.3.0/24 stopped answering"})
	port(3, results.EvidenceLost)
	port(4, results.EvidenceLost)
	end := results.ScanEnd{
		Time: results.Time(time.Unix(0, at+40)), ScanID: id, Probes: 4, Open: 1, Filtered: 1, Coverage: 0.5, Backend: "afpacket",
		Evidence: &results.Evidence{
			State: results.EvidenceStateLost, Asked: 40, Answered: 28, Without: 1e-8, Outages: 2, Again: 2, Unknown: 2,
			Paths: []results.PathEvidence{{Iface: "eth0", NextHop: netip.MustParseAddr("10.0.0.254"), Asked: 40, Answered: 28}},
		},
	}
	return string(add(end.AppendJSON(b)))
}

// Events go from format to format with the ports, in their order, where the format has a place for them; whichever
// states are wanted. Every record counts once.
func TestConvertEvents(t *testing.T) {
	t.Parallel()
	id := results.NewScanID()
	stream := withEvents(t, id)
	reasons := map[string]bool{}
	followsSchema(t, recordSchema(t), stream, reasons)
	if !reasons["evidence-lost"] {
		t.Error("no port of the stream is unknown")
	}

	o := converted(t, stream, "--log-format", "json")
	equal(t, o.stdout, stream)
	if o.code != 0 || !strings.Contains(o.stderr, `"records":9,`) || !strings.Contains(o.stderr, `"unknown_records":0`) {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
	equal(t, converted(t, stream, "--show", "open").stdout, withoutLines(stream, `"filtered","reason"`, `"unknown","reason"`))
	equal(t, converted(t, stream, "--show", "unknown").stdout, withoutLines(stream, `"open","reason"`, `"filtered","reason"`))
	equal(t, converted(t, stream, "--show", "filtered").stdout, withoutLines(stream, `"open","reason"`))

	for format, want := range map[string][]string{
		"ecs": {
			`"action":"port-open"`, `"action":"evidence-outage","reason":"no-carrier"`, `"action":"evidence-resumed"`, `"action":"port-filtered"`,
			`"action":"evidence-lost"`, `"action":"port-unknown","reason":"evidence-lost"`, `"evidence":{"state":"lost","asked":40`,
		},
		"ocsf":         {`"activity_id":7`, `"activity_id":8`, `"activity_name":"evidence-lost"`, `"open_ports":[{"port":80`, `"evidence":{"state":"lost"`},
		"csv":          {"10.0.3.1,", "filtered,no-response", "unknown,evidence-lost"},
		"nmap-xml":     {`<state state="open"`, `<state state="filtered"`, `<state state="unknown" reason="no-response"`, `exit="error"`},
		"grepable":     {"80/open/tcp", "80/filtered/tcp", "80/unknown/tcp"},
		"masscan-json": {`"port": 80`},
		"masscan-list": {"open tcp 80 10.0.3.1"},
	} {
		o := converted(t, stream, "-o", format+":-", "--log-format", "json")
		if o.code != 0 || !strings.Contains(o.stderr, `"records":9,`) {
			t.Errorf("%s: exit %d: %s", format, o.code, o.stderr)
		}
		rest := o.stdout
		for _, w := range want {
			_, after, found := strings.Cut(rest, w)
			if !found {
				t.Errorf("%s: no %s, or not in this order:\n%s", format, w, o.stdout)
				break
			}
			rest = after
		}
	}
}

// A stream that ends within an outage, or begins with an event, is still one scan.
func TestConvertEventsCutOff(t *testing.T) {
	t.Parallel()
	lines := strings.SplitAfter(withEvents(t, results.NewScanID()), "\n")
	o := converted(t, strings.Join(lines[2:4], "")) // without its start and its end
	got := strings.SplitAfter(o.stdout, "\n")
	if o.code != exitStopped || len(got) != 5 || strings.Join(got[1:3], "") != strings.Join(lines[2:4], "") {
		t.Fatalf("exit %d: %s", o.code, o.stdout)
	}
	for i, want := range map[int]string{0: `"type":"scan_start","ts":"2026-11-21T10:12:13.000000010Z"`, 3: `"type":"scan_end","ts":"2026-11-21T10:12:13.000000020Z"`} {
		if !strings.Contains(got[i], want) {
			t.Errorf("%s is not in %s", want, got[i])
		}
	}
}
