package results

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func sampleViolation() Violation {
	return Violation{
		Time: 1795342333123456789, ScanID: testScan, Status: ViolationOpened, Rule: "db-only-from-app", Severity: SeverityHigh, Want: WantShut,
		Addr: netip.MustParseAddr("10.20.3.4"), Port: 5432, Vantage: "office", Service: "ssh", Unit: "sshd.service", Exe: "/usr/sbin/sshd",
		Owner: "team-db", Ticket: "SEC-1", First: 1795342300000000001, Suspect: Win0NoOpts, Message: "5432 is open",
		Opener: strings.Repeat("ab", 16), Again: 2, Policy: "policy.yaml", AckedBy: "alice", AckNote: "SEC-2", Tags: `{"zone":"dmz"}`,
	}
}

// The record, as its readers see it.
func TestViolationJSON(t *testing.T) {
	v := sampleViolation()
	want := `{"v":1,"type":"violation","ts":"2026-11-22T10:12:13.123456789Z","scan_id":"` + testScan + `","event_id":"` + v.EventID().String() + `","rule":"db-only-from-app","policy":"policy.yaml","first_scan_id":"` + v.Opener + `","violation_id":"` + v.ID().String() +
		`","status":"opened","severity":"high","want":"shut","vantage":"office","service":"ssh",` +
		`"unit":"sshd.service","exe":"/usr/sbin/sshd","owner":"team-db","ticket":"SEC-1","again":2,"age_s":33,"suspect":["win0-noopts"],"acked_by":"alice","ack_note":"SEC-2",` +
		`"ip":"10.20.3.4","port":5432,"proto":"tcp","first":"2026-11-22T10:11:40.000000001Z","message":"5432 is open","tags":{"zone":"dmz"}}`
	if got := lineOf(t, &v); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	host := Violation{Time: v.Time, First: v.Time, Status: ViolationClosed, Rule: "x", Severity: SeverityInfo, Want: WantShut, Addr: v.Addr, Suspect: SYNACKAll, Ports: 7}
	if got := lineOf(t, &host); !strings.HasSuffix(got, `"want":"shut","age_s":0,"suspect":["synack-all"],"ports":7,"ip":"10.20.3.4","first":"2026-11-22T10:12:13.123456789Z"}`) || strings.Contains(got, "scan_id") {
		t.Errorf("what is zero is not left out: %s", got)
	}
}

func lineOf(t interface{ Fatal(...any) }, v *Violation) string {
	line, err := v.AppendJSON(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(line)
}

// What was written comes back as it was, and an event_id does not depend on the records that a violation stands in.
func TestViolationsAreRead(t *testing.T) {
	v := sampleViolation()
	least := Violation{Time: 1, First: 1, ScanID: "a", Status: ViolationClosed, Rule: "r", Severity: SeverityInfo, Want: WantOpen, Addr: netip.MustParseAddr("::1")}
	reader := NewReader(strings.NewReader(lineOf(t, &v) + "\n" + strings.Replace(lineOf(t, &least), `"scan_id":"a",`, "", 1) + "\n" + lineOf(t, &least) + "\n"))
	for _, want := range []*Violation{&v, &least} {
		var into Records
		if err := reader.Read(&into); err != nil {
			t.Fatal(err)
		}
		if got, ok := into.Notices[0].(*Violation); !ok || *got != *want || into.ScanID != want.ScanID || got.EventID() != want.EventID() {
			t.Errorf("got  %+v\nwant %+v", into.Notices[0], want)
		}
	}
	if reader.Unknown() != 1 {
		t.Errorf("%d records passed over: one is of no scan", reader.Unknown())
	}
	moved, first := v, v
	moved.ScanID = "later"
	first.ScanID, first.Opener = v.Opener, ""
	if moved.EventID() != v.EventID() || first.EventID() != v.EventID() {
		t.Error("the event_id depends on the scan whose records tell it")
	}
	for old, wrong := range map[string]string{`"high"`: `"grave"`, `"opened"`: `"reopened"`, `"win0-noopts"`: `"evil"`, `"ip"`: `"pi"`, `5432,`: `70000,`} {
		line := strings.Replace(lineOf(t, &v), old, wrong, 1) + "\n"
		if err := NewReader(strings.NewReader(line)).Read(new(Records)); err == nil {
			t.Errorf("%s is taken", wrong)
		}
	}
}

// violation_id goes by rule, endpoint and vantage point alone; event_id by scan and status besides.
func TestViolationIDs(t *testing.T) {
	first := sampleViolation()
	same := first
	same.AckedBy, same.Policy, same.Tags = "", "", ""
	same.Time, same.First, same.Severity, same.Message, same.Owner, same.Ticket, same.Want, same.Service = 1, 2, SeverityLow, "other", "o", "t", WantOpen, ""
	if same.ID() != first.ID() || same.EventID() != first.EventID() {
		t.Error("an ID depends on what may be said otherwise")
	}
	ids, events := map[EventID]string{first.ID(): "itself"}, map[EventID]string{first.EventID(): "itself"}
	for name, change := range map[string]func(*Violation){
		"rule": func(v *Violation) { v.Rule = "other" }, "address": func(v *Violation) { v.Addr = v.Addr.Next() }, "port": func(v *Violation) { v.Port++ },
		"host": func(v *Violation) { v.Port = 0 }, "vantage": func(v *Violation) { v.Vantage = "dmz" },
		"shifted words": func(v *Violation) { v.Vantage, v.Rule = "", "db-only-from-app|10.20.3.4|5432|office" },
	} {
		v := sampleViolation()
		change(&v)
		if ids[v.ID()] != "" || events[v.EventID()] != "" {
			t.Errorf("%s changed, and an ID did not", name)
		}
		ids[v.ID()], events[v.EventID()] = name, name
	}
	for name, change := range map[string]func(*Violation){"status": func(v *Violation) { v.Status = ViolationClosed }, "scan": func(v *Violation) { v.Opener = "other" }, "again": func(v *Violation) { v.Again++ }} {
		v := sampleViolation()
		change(&v)
		if v.ID() != first.ID() || events[v.EventID()] != "" {
			t.Errorf("%s: the violation is another one, or the event the same", name)
		}
		events[v.EventID()] = name
	}
}

// However long and hostile its texts are, a violation fits into its line, which a terminal can show.
func TestViolationsFit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := sampleViolation()
		v.Addr = drawAddr(t, "address")
		for _, text := range []*string{&v.ScanID, &v.Rule, &v.Vantage, &v.Service, &v.Unit, &v.Exe, &v.Owner, &v.Ticket, &v.Message, &v.Opener, &v.Policy, &v.AckedBy, &v.AckNote} {
			*text = strings.Repeat(rapid.SampledFrom([]string{"", "x", "\x1b[31m", "\x00", "\u009b", "é", "\"\\", "\xff", "</script>", "\u2028"}).Draw(t, "text"), rapid.SampledFrom([]int{1, 30, 5000}).Draw(t, "times"))
		}
		line := lineOf(t, &v)
		if len(line)+1 >= maxRecord || !json.Valid([]byte(line)) {
			t.Fatalf("%d bytes: %s", len(line), line)
		}
		if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r >= 0x7f && r <= 0x9f }) {
			t.Fatalf("a control character in %q", line)
		}
	})
}

// Names and severities are each other's inverse, and the graver is the greater.
func TestSeverities(t *testing.T) {
	names := SeverityNames()
	for i, name := range names {
		if s := ParseSeverity(name); s.String() != name || int(s) != i+1 {
			t.Errorf("%s is %d", name, s)
		}
	}
	if len(names) != 5 || ParseSeverity("") != SeverityNone || ParseSeverity("grave") != SeverityNone || numSeverities.String() != "" {
		t.Error("what is no severity has a name")
	}
}
