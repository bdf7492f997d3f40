package screen

import (
	"net/netip"
	"strings"
	"testing"

	"synoptic/results"
	"synoptic/results/diff"
	"synoptic/results/policy"
)

func aReport(vantages ...string) *policy.Report {
	v := results.Violation{
		Time: 1795342333e9, First: 1795255933e9, Status: results.ViolationOpened, Rule: "never", Severity: results.SeverityCritical, Want: results.WantShut,
		Addr: netip.MustParseAddr("10.0.0.1"), Port: 23, Vantage: "dmz", Owner: "soc", Message: "23 is open",
	}
	host, closed := v, v
	host.Port, host.Rule, host.Severity = 0, policy.RuleSuspect, results.SeverityLow
	closed.Status, closed.Addr = results.ViolationClosed, netip.MustParseAddr("2001:db8::1")
	return &policy.Report{Violations: []results.Violation{v, host, closed}, Open: 1234, Excepted: 1, NotJudged: 2, Vantages: vantages}
}

func TestViolationTable(t *testing.T) {
	const want = `SEVERITY  ADDRESS      PORT  SINCE       RULE          OWNER  WHAT
critical  10.0.0.1     23    2026-11-21  never         soc    23 is open
low       10.0.0.1     all   2026-11-21  suspect-host  soc    23 is open
closed    2001:db8::1  23    2026-11-21  never         soc    23 is open
2 violations (1 critical, 1 low) among 1,234 open ports, 1 allowed by an exception, 1 closed, 2 required and not judged
`
	var b strings.Builder
	if err := WriteViolations(&b, 0, aReport("dmz")); err != nil || b.String() != want {
		t.Errorf("%v\ngot\n%s\nwant\n%s", err, b.String(), want)
	}
	b.Reset()
	if err := WriteViolations(&b, 0, aReport("dmz", "office")); err != nil || !strings.HasPrefix(b.String(), "VANTAGE  SEVERITY") || !strings.Contains(b.String(), "\ndmz      critical") {
		t.Errorf("%v\n%s", err, b.String())
	}
	b.Reset()
	if err := WriteViolations(&b, 0, &policy.Report{Open: 1}); err != nil || b.String() != "0 violations among 1 open port\n" {
		t.Errorf("%v\n%s", err, b.String())
	}
}

// What somebody knows of is marked.
func TestAcknowledgedOnATerminal(t *testing.T) {
	r := aReport("dmz")
	r.Violations[0].AckedBy, r.Violations[0].AckNote, r.Violations[1].AckedBy = "alice", "SEC-1", "bob"
	var b strings.Builder
	if err := WriteViolations(&b, 0, r); err != nil || !strings.Contains(b.String(), "23 is open (acknowledged by alice: SEC-1)\n") || strings.Count(b.String(), "acknowledged by") != 2 {
		t.Errorf("%v\n%s", err, b.String())
	}
	b.Reset()
	changes := &diff.Result{Changes: []results.Change{{Change: results.ChangeOpened, Addr: netip.MustParseAddr("10.0.0.1"), Port: 1, Service: "ssh", AckedBy: "al\x1bice"}}}
	if err := WriteDiff(&b, "a", "b", changes); err != nil || !strings.Contains(b.String(), "ssh (acknowledged by al") || strings.Contains(b.String(), "\x1b") {
		t.Errorf("%v\n%s", err, b.String())
	}
}

// Rows fit the terminal, and names from files, hosts and records have nothing in them that it would obey.
func TestPolicyOnATerminal(t *testing.T) {
	const hostile = "\x1b[31m\r\n\u009b2J\u202e<b>名前\x00"
	r := aReport("dmz", hostile)
	for i := range r.Violations {
		v := &r.Violations[i]
		v.AckedBy, v.AckNote = hostile, hostile
		v.Rule, v.Owner, v.Vantage, v.Message = hostile, strings.Repeat(hostile, 20), hostile, hostile
	}
	var b strings.Builder
	if err := WriteViolations(&b, 60, r); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if n := width(strings.TrimSuffix(line, "\n")); n > 60 && !strings.Contains(line, "violations") {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	x := policy.Explanation{Endpoint: policy.Endpoint{Addr: netip.MustParseAddr("10.0.0.1"), Port: 23, Vantage: hostile}, Message: hostile, Decides: &policy.Match{Kind: "deny", Rule: hostile, Line: 3, Outcome: "decides"}}
	WriteExplanation(&b, &x, hostile)
	WriteFinding(&b, hostile, &policy.Finding{Kind: policy.LintUnused, Rule: hostile, Line: 7, Message: hostile})
	WriteFinding(&b, "p.yaml", &policy.Finding{Kind: policy.LintExpired, Ticket: hostile, Line: 7})
	if i := strings.IndexFunc(b.String(), func(c rune) bool { return c < ' ' && c != '\n' || c >= 0x7f && c <= 0x9f || c == '\u202e' }); i >= 0 {
		t.Errorf("%q", b.String())
	}
	if n := strings.Count(b.String(), "\n"); n != 4+1+2+2 {
		t.Errorf("%d lines:\n%s", n, b.String())
	}
}
