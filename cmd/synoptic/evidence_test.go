package main

import (
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"synoptic/results"
	"synoptic/results/sink"
)

// someEvents are an outage that ends and a part that is lost, with and without words of their own.
func someEvents() []results.Event {
	at := time.Date(2026, 11, 22, 12, 1, 7, 0, time.Local).UnixNano()
	return []results.Event{
		{Time: at, Kind: results.EventOutage, Scope: results.ScopeAll, Cause: results.CauseNoCarrier, Iface: "eth0", Message: "no carrier on \x1beth0"},
		{Time: at + 1, Kind: results.EventResumed, Scope: results.ScopeAll, Cause: results.CauseNoCarrier, Iface: "eth0", Again: 30112},
		{Time: at + 2, Kind: results.EventNextHopChanged, Scope: results.ScopeNextHop, Cause: results.CauseNextHopMoved, NextHop: netip.MustParseAddr("10.0.0.254"), MAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, OldMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}},
		{Time: at + 1e9, Begin: at, Kind: results.EventLost, Scope: results.ScopePrefix, Cause: results.CausePath, Prefix: netip.MustParsePrefix("10.0.3.0/24"), Unknown: 214},
		{Time: at, Kind: results.EventLost, Scope: results.ScopeHost, Prefix: netip.MustParsePrefix("10.0.4.9/32"), Unknown: 1},
	}
}

// tell gives events to the one who says them, and returns what was said and what was handed on.
func tell(t *testing.T, quiet bool, logs logFormat, events []results.Event, sumUp *results.ScanEnd) (said string, handed []results.Event) {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := newView(streams{out: f, err: f}, &scanFlags{quiet: quiet}, logs)
	told := &teller{Tee: sink.NewTee(results.SinkFuncs{OnEvents: func(b []results.Event) error { handed = append(handed, b...); return nil }}), log: s.Log()}
	if err := told.Events(events); err != nil {
		t.Fatal(err)
	}
	if sumUp != nil {
		told.sumUp(sumUp.Evidence, sumUp.NoResponse)
		s.Finish(sumUp, nil)
	}
	data, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(data), handed
}

// An event is one line as it happens, quiet or not, and goes on to the outputs.
func TestEventsAreTold(t *testing.T) {
	want := "synoptic: no carrier on \ufffdeth0\n" +
		"synoptic: resumed (no-carrier), 30,112 ports are probed again\n" +
		"synoptic: next hop changed: next hop 10.0.0.254 (next-hop-moved)\n" +
		"synoptic: lost: 10.0.3.0/24 (path), 214 ports are unknown\n" +
		"synoptic: lost: 10.0.4.9, 1 port is unknown\n"
	for _, quiet := range []bool{false, true} {
		said, handed := tell(t, quiet, logText, someEvents(), nil)
		if said != want {
			t.Errorf("quiet %v:\ngot  %q\nwant %q", quiet, said, want)
		}
		if len(handed) != len(someEvents()) || handed[1].Again != 30112 {
			t.Errorf("quiet %v: %d events were handed on", quiet, len(handed))
		}
	}
	said, _ := tell(t, true, logJSON, someEvents(), nil)
	m := messages(t, said)
	if len(m) != 5 || m[0]["level"] != "WARN" || m[0]["msg"] != "no carrier on \ufffdeth0" || m[0]["event"] != "outage" || m[0]["cause"] != "no-carrier" || m[0]["iface"] != "eth0" {
		t.Fatalf("%d messages: %s", len(m), said)
	}
	if m[1]["again"] != 30112.0 || m[2]["next_hop"] != "10.0.0.254" || m[2]["mac"] != "02:00:00:00:00:02" || m[2]["old_mac"] != "02:00:00:00:00:01" {
		t.Errorf("%v\n%v", m[1], m[2])
	}
	if _, empty := m[4]["iface"]; empty || m[3]["unknown"] != 214.0 || m[3]["prefix"] != "10.0.3.0/24" || m[4]["extent"] != "host" {
		t.Errorf("%v\n%v", m[3], m[4])
	}
}

// The summary says whether silence is to be trusted; what is not to be trusted is said to the quiet as well.
func TestEvidenceIsSummedUp(t *testing.T) {
	lost := &results.ScanEnd{NoResponse: 100, Evidence: &results.Evidence{State: results.EvidenceStateLost, Asked: 40, Answered: 28, Unknown: 215}}
	none := &results.ScanEnd{NoResponse: 100, Complete: true, Evidence: &results.Evidence{State: results.EvidenceStateNone}}
	held := &results.ScanEnd{NoResponse: 100, Complete: true, Evidence: &results.Evidence{State: results.EvidenceStateHeld, Asked: 12}}
	many := make([]results.Event, 0, 12)
	for range 12 {
		many = append(many, results.Event{Kind: results.EventLost, Scope: results.ScopeAll, Message: "gone"})
	}
	const lastLine = "synoptic: evidence was lost: 215 ports without a response are not known to be filtered, for nothing showed that an answer could have come\n"
	for name, c := range map[string]struct {
		events []results.Event
		end    *results.ScanEnd
		want   string
	}{
		"lost": {someEvents(), lost, "synoptic: 10.0.3.0/24 stopped answering at 12:01:07: 214 ports are unknown, not filtered\n" +
			"synoptic: 10.0.4.9 stopped answering at 12:01:07: 1 port is unknown, not filtered\n" + lastLine},
		"many":   {many, lost, "synoptic: 4 more parts stopped answering\n" + lastLine},
		"none":   {nil, none, "synoptic: nothing has answered at all: silence proves nothing here (evidence: none)\nhint: name a port that answers with --beacon\n"},
		"silent": {nil, &results.ScanEnd{Complete: true, Evidence: none.Evidence}, ""}, // nothing was silent either
		"held":   {nil, held, ""},
		"kept":   {nil, &results.ScanEnd{NoResponse: 100, Complete: true}, ""},
	} {
		for _, quiet := range []bool{false, true} {
			said, _ := tell(t, quiet, logText, c.events, c.end)
			before, summary := said, ""
			if !quiet { // the summary stands behind it, in one line
				at := strings.LastIndex(strings.TrimSuffix(said, "\n"), "\n") + 1
				before, summary = said[:at], said[at:]
			}
			if !strings.HasSuffix(before, c.want) || c.want == "" && before != "" {
				t.Errorf("%s, quiet %v:\ngot  %q\nwant %q at its end", name, quiet, before, c.want)
			}
			if begin := "synoptic: " + map[bool]string{false: "not complete: ", true: "complete: "}[c.end.Complete]; !quiet && !strings.HasPrefix(summary, begin) {
				t.Errorf("%s: summary %q, want %q", name, summary, begin)
			}
			if n := strings.Count(said, ": what was probed there since is unknown, not filtered\n"); name == "many" && n != maxLost {
				t.Errorf("%d parts are named", n)
			}
		}
	}
	var out strings.Builder
	(&teller{log: logText.logger(&out), named: true}).sumUp(none.Evidence, 1)
	if !strings.HasPrefix(out.String(), "synoptic: nothing has answered at all, no beacon either: ") || !strings.Contains(out.String(), "\nhint: check the path to the targets, and that the ports named with --beacon are open") {
		t.Errorf("with beacons: %q", out.String())
	}
	said, _ := tell(t, false, logJSON, nil, lost)
	m := messages(t, said)
	if e, _ := m[len(m)-1]["evidence"].(map[string]any); len(m) != 2 || m[1]["msg"] != "not complete" || e["state"] != "lost" || e["unknown"] != 215.0 {
		t.Errorf("%s", said)
	}
}

// Lost evidence is no success, and not the same as having been stopped.
func TestExitCodes(t *testing.T) {
	lost := &results.ScanEnd{Coverage: 0.9, Evidence: &results.Evidence{State: results.EvidenceStateLost}}
	none := &results.ScanEnd{Coverage: 1, Complete: true, Evidence: &results.Evidence{State: results.EvidenceStateNone}}
	whole := &results.ScanEnd{Coverage: 1, Complete: true}
	for name, c := range map[string]struct {
		end                  *results.ScanEnd
		stopped, undelivered bool
		minCoverage          float64
		want                 int
	}{
		"complete":                      {whole, false, false, 0, exitComplete},
		"nothing answered":              {none, false, false, 1, exitComplete},
		"stopped when it was over":      {whole, true, false, 0, exitComplete},
		"stopped before it was written": {whole, true, true, 0, exitStopped},
		"stopped":                       {&results.ScanEnd{}, true, false, 0, exitStopped},
		"not begun":                     {nil, true, false, 0, exitStopped},
		"not complete":                  {&results.ScanEnd{Coverage: 1}, false, false, 0, exitStopped},
		"lost":                          {lost, false, false, 0, exitCoverage},
		"lost, and stopped":             {lost, true, false, 0, exitStopped},
		"coverage":                      {&results.ScanEnd{Coverage: 0.5, Complete: true}, false, false, 0.6, exitCoverage},
	} {
		if got := exitCode(c.end, c.stopped, c.undelivered, c.minCoverage); got != c.want {
			t.Errorf("%s: exit %d, want %d", name, got, c.want)
		}
	}
}
