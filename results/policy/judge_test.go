package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"synoptic/results"
)

// ep is an open endpoint from words: "10.0.0.1:80 vantage service".
func ep(text string) *Endpoint {
	words := append(strings.Fields(text), "", "")
	a := netip.MustParseAddrPort(words[0])
	return &Endpoint{Addr: a.Addr(), Port: a.Port(), State: results.Open, Vantage: strings.TrimPrefix(words[1], "-"), Service: words[2]}
}

// said is a verdict in words.
func said(v Verdict) string {
	words := []string{"allowed"}
	if v.Violation {
		words = []string{v.Severity.String(), v.Want}
	}
	if v.Rule != nil {
		words = append(words, v.Rule.Name)
	}
	if v.Exception != nil {
		words = append(words, v.Exception.Ticket)
	}
	return strings.Join(words, " ")
}

// What the documentation says of the example.
func TestExample(t *testing.T) {
	p := mustLoad(t, example)
	for text, want := range map[string]string{
		"10.30.7.7:443":               "allowed web-servers",
		"10.30.7.7:443 office tls":    "allowed web-servers",
		"10.30.7.7:443 office ssh":    "medium service web-servers",
		"10.30.7.7:444":               "medium shut",
		"10.30.1.10:443 office ssh":   "allowed must-answer", // narrower, and of no service
		"10.20.0.0:5432 app":          "allowed db-only-from-app",
		"10.20.255.255:5432 app":      "allowed db-only-from-app",
		"10.20.0.0:5432 office":       "high shut db-only-from-app",
		"10.21.0.0:5432 app":          "medium shut",
		"10.19.255.255:5432 app":      "medium shut",
		"10.30.1.1:23":                "critical shut never",
		"[2001:db8::1]:513":           "critical shut never",
		"[2001:db8::1]:515":           "medium shut",
		"10.20.9.9:8080":              "allowed SEC-1234",
		"10.20.9.8:8080":              "medium shut",
		"255.255.255.255:6379 office": "critical shut never",
	} {
		if got := said(p.Judge(ep(text), day)); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	shut := ep("10.30.1.10:443")
	for state, want := range map[results.State]string{results.Closed: "high open must-answer", results.Filtered: "high open must-answer", results.Unknown: "allowed", 0: "allowed"} {
		shut.State = state
		if v := p.Judge(shut, day); said(v) != want || !v.Required {
			t.Errorf("%v: %s, required %v", state, said(v), v.Required)
		}
	}
}

// An exception holds to the end of its last day in UTC, wherever the clock stands, and wins over a deny.
func TestExceptions(t *testing.T) {
	p := mustLoad(t, `version: 1
rules:
  - {name: never, to: any, deny: {ports: 23}}
exceptions:
  - {to: 10.0.0.1, ports: [23, 24], from: office, until: 2027-01-31, owner: o, ticket: A}
  - {to: 10.0.0.1, ports: 24, until: 2027-01-30, owner: o, ticket: B}
`)
	end := time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)
	east := time.FixedZone("UTC+14", 14*3600)
	for _, c := range []struct {
		ep   string
		at   time.Time
		want string
	}{
		{"10.0.0.1:23 office", end.Add(-1), "allowed A"},
		{"10.0.0.1:23 office", end.Add(-1).In(east), "allowed A"},
		{"10.0.0.1:23 office", end, "high shut never A"},
		{"10.0.0.1:23 dmz", end.Add(-1), "high shut never"},
		{"10.0.0.2:23 office", end.Add(-1), "high shut never"},
		{"10.0.0.1:24 office", end.Add(-25 * time.Hour), "allowed A"}, // of two the one that ends later
		{"10.0.0.1:24 dmz", end.Add(-25 * time.Hour), "allowed B"},
		{"10.0.0.1:24 dmz", end.Add(-24 * time.Hour), "medium shut B"},
	} {
		if got := said(p.Judge(ep(c.ep), c.at)); got != c.want {
			t.Errorf("%s at %v: %s, want %s", c.ep, c.at, got, c.want)
		}
	}
}

// The narrower wins, by addresses before ports; from decides only whether a rule is for somebody.
func TestNarrower(t *testing.T) {
	p := mustLoad(t, `version: 1
rules:
  - {name: all, to: 10.0.0.0/8, allow: {ports: any}}
  - {name: net, to: 10.0.1.0/24, allow: {ports: 1-1024, service: tls}}
  - {name: port, to: 10.0.1.0/24, allow: {ports: 22, service: ssh}}
  - {name: also, to: 10.0.1.0/24, allow: {ports: 22, service: telnet, severity: low}}
  - {name: mine, to: 10.0.1.7, from: app, allow: {ports: 5432, exe: /usr/lib/postgresql/*/bin/postgres, unit: "postgresql@*.service"}}
  - {name: first, to: 10.9.0.0/16, deny: {ports: 1-9}}
  - {name: graver, to: 10.0.0.0/8, deny: {ports: 9, severity: critical}}
  - {name: wide, to: "2001:db8::/32", allow: {ports: 80, service: tls}}
  - {name: across, to: "2001:db8::ffff:ffff:ffff:fff0-2001:db8:0:1::f", allow: {ports: 80}}
  - {name: half, to: "2001:db8:0:0:8000::-2001:db8:0:0:ffff:ffff:ffff:ffff", allow: {ports: 80, service: http}}
  - {name: else1, to: 198.51.100.0/24, from: app, allow: {ports: 80}}
  - {name: else2, to: 198.51.100.0/24, from: lab, allow: {ports: 80}}
  - {name: must1, to: 203.0.113.1, require: {ports: 80, severity: low}}
  - {name: must2, to: 203.0.113.1, require: {ports: 80, severity: critical}}
  - {name: telnet, to: any, deny: {ports: any, service: telnet, severity: info}}
`)
	for text, want := range map[string]string{
		"10.0.2.1:22 - ssh":                        "allowed all",
		"10.0.1.1:22 - ssh":                        "allowed port",
		"10.0.1.1:22":                              "allowed port",
		"10.0.1.1:22 - telnet":                     "info shut telnet",
		"10.0.1.1:22 - http":                       "medium service port",
		"10.0.1.1:23 - http":                       "medium service net",
		"10.0.1.1:1025 - http":                     "allowed all",
		"10.0.1.7:5432 app":                        "allowed mine",
		"10.0.1.7:5432 office":                     "allowed all",
		"10.9.0.1:8":                               "high shut first",
		"10.9.0.1:9":                               "critical shut graver",
		"[2001:db8::8000:0:0:1]:80 - ssh":          "medium service half",
		"[2001:db8::ffff:ffff:ffff:ffff]:80 - ssh": "allowed across",
		"[2001:db8:0:1::1]:80 - ssh":               "allowed across",
		"[2001:db8:0:1::10]:80 - ssh":              "medium service wide",
		"198.51.100.1:80":                          "high shut else1",
		"198.51.100.1:80 lab":                      "allowed else2",
		"203.0.113.1:80":                           "allowed must1",
		"192.0.2.1:9":                              "medium shut",
		"192.0.2.1:9 - telnet":                     "info shut telnet",
		"10.0.2.1:9999 - telnet":                   "info shut telnet",
	} {
		if got := said(p.Judge(ep(text), day)); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	e := ep("203.0.113.1:80")
	e.State = results.Closed
	if got := said(p.Judge(e, day)); got != "critical open must2" {
		t.Errorf("of two that require it: %s", got)
	}
	e = ep("10.0.1.7:5432 app")
	for _, c := range []struct{ unit, exe, want string }{
		{"postgresql@16-main.service", "/usr/lib/postgresql/16/bin/postgres", "allowed mine"},
		{"nc.service", "/usr/lib/postgresql/16/bin/postgres", "medium unit mine"},
		{"", "/usr/bin/nc", "medium exe mine"},
		{"", "", "allowed mine"},
	} {
		e.Unit, e.Exe = c.unit, c.exe
		if got := said(p.Judge(e, day)); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.unit, c.exe, got, c.want)
		}
	}
}

// Explain names the rule that decides, with its line, and what comes of the others.
func TestExplain(t *testing.T) {
	p := mustLoad(t, example)
	for text, want := range map[string]string{
		"10.20.3.4:5432 office": "violation: 5432 is open, and rule \"db-only-from-app\" allows it from app only; decides db-only-from-app 10",
		"10.20.3.4:5432 app":    "allowed: may be open by rule \"db-only-from-app\"; decides db-only-from-app 10",
		"10.30.1.10:443":        "allowed: may be open by rule \"must-answer\"; decides must-answer 15; web-servers 7 gives way to a narrower or earlier rule",
		"10.20.9.9:8080":        "allowed: may be open until 2027-01-31 by an exception, ticket SEC-1234; decides  22",
		"10.20.3.4:23":          "violation: 23 is open, and rule \"never\" denies it; decides never 18",
		"10.99.0.1:1":           "violation: 1 is open, and no rule allows it",
	} {
		x := p.Explain(ep(text), day)
		got := "violation: " + x.Message
		if x.Allowed {
			got = "allowed: " + x.Message
		}
		if x.Decides != nil {
			got += fmt.Sprintf("; decides %s %d", x.Decides.Rule, x.Decides.Line)
		}
		for _, o := range x.Others {
			got += fmt.Sprintf("; %s %d %s", o.Rule, o.Line, o.Outcome)
		}
		if got != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
	if x := p.Explain(ep("10.20.9.9:8080"), day.AddDate(1, 0, 0)); x.Allowed || !strings.HasSuffix(x.Message, "an exception ended on 2027-01-31") || x.Others[0].Outcome != "has ended" {
		t.Errorf("%+v", x)
	}
	if all := Assumed(netip.MustParseAddrPort("10.0.0.1:1"), p, ""); len(all) != 3 || all[0].Vantage != "app" {
		t.Errorf("as everybody sees it: %+v", all)
	}
}

// largePolicy has so many rules of all kinds, some for every address.
func largePolicy(t testing.TB, rules int) *Policy {
	var b strings.Builder
	b.WriteString("version: 1\nvantage: [office, dmz]\nrules:\n  - {name: never, to: any, deny: {ports: [23, 512-514, 2375, 6379], severity: critical}}\n  - {name: ssh, to: 10.0.0.0/8, allow: {ports: 22, service: ssh}}\n")
	for i := range rules {
		from := []string{"", ", from: office", ", from: [office, dmz]"}[i%3]
		fmt.Fprintf(&b, "  - {name: r%d, to: 10.%d.%d.0/24%s, allow: {ports: [80, 443, %d, 8000-8100]}}\n", i, i/256, i%256, from, 1024+i%1000)
	}
	return mustLoad(t, b.String())
}

func TestJudgeDoesNotAllocate(t *testing.T) {
	p := largePolicy(t, 1000)
	e := ep("10.1.2.3:443 office")
	if n := testing.AllocsPerRun(100, func() { p.Judge(e, day) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// I6: at least a million endpoints a second.
func BenchmarkJudge(b *testing.B) {
	for _, rules := range []int{10, 1000, 10_000} {
		b.Run(fmt.Sprintf("rules=%d", rules), func(b *testing.B) {
			p := largePolicy(b, rules)
			var eps [4096]Endpoint
			x := uint32(1)
			for i := range eps {
				x = x*1664525 + 1013904223
				eps[i] = Endpoint{Addr: netip.AddrFrom4([4]byte{10, byte(x>>24) % byte(1+rules/257), byte(x >> 16), byte(x >> 8)}), Port: []uint16{22, 443, 8080, 9}[x>>6&3], State: results.Open, Vantage: "office"}
			}
			violations := 0
			b.ResetTimer()
			for i := range b.N {
				if p.Judge(&eps[i&4095], day).Violation {
					violations++
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "M/s")
			b.ReportMetric(float64(violations)/float64(b.N), "violations/op")
		})
	}
}
