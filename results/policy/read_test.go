package policy

import (
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"synoptic/results"
)

// mustLoad reads a policy that is right.
func mustLoad(t testing.TB, text string) *Policy {
	t.Helper()
	p, err := Load("p.yaml", strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v\n%.2000s", err, text)
	}
	return p
}

// The policy of the documentation is read as it is meant.
const example = `version: 1
vantage: [dmz-scan01, office]
sets:
  web: [80, 443]
  databases: 10.20.0.0/16
rules:                                  # shut unless allowed; deny wins over allow; the narrower wins among allows
  - name: web-servers
    to: 10.30.0.0/16
    allow: {ports: web, service: tls}   # service: only where identified
  - name: db-only-from-app
    to: databases
    from: app                           # from office this is a violation
    allow: {ports: [5432]}
    owner: team-db
  - name: must-answer
    to: 10.30.1.10
    require: {ports: [443]}             # shut is the violation
  - name: never
    to: any
    deny: {ports: [23, 512-514, 2375, 6379], severity: critical}
exceptions:
  - {to: 10.20.9.9, ports: [8080], until: 2027-01-31, owner: team-x, ticket: SEC-1234}
`

func TestLoad(t *testing.T) {
	p := mustLoad(t, example)
	got := fmt.Sprintln(p.Vantages, len(p.Rules), p.Rules[0].To, p.Rules[0].Allow.Ports, p.Rules[0].Allow.Services, p.Rules[1].To, p.Rules[1].From, p.Rules[1].Line, p.Rules[1].Owner,
		p.Rules[2].Require.Ports, p.Rules[3].To, p.Rules[3].Deny.Ports, p.Rules[3].Deny.Severity, p.Exceptions[0].End().Format("2006-01-02T15:04"), p.Exceptions[0].Ticket)
	const want = "[dmz-scan01 office] 4 [10.30.0.0/16] [80 443] [tls] [10.20.0.0/16] [app] 10 team-db [443] [0.0.0.0/0 ::/0] [23 512-514 2375 6379] critical 2027-02-01T00:00 SEC-1234"
	if got != want+"\n" {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for text, want := range map[string]string{
		`{version: 1, rules: []}`: "",
		"version: 1\nrules:\n- {name: a, to: [2001:db8::, \"::1\", fe80::1-fe80::9], allow: {ports: 1}, deny: {ports: 2}}":                                             "[::1 2001:db8:: fe80::1-fe80::9] [1] []",
		"version: 1\nrules:\n- {name: a, to: [10.0.0.1-10.0.0.9, \"2001:db8::/32\", \"::1\"], severity: LOW, allow: {ports: any}, deny: {ports: 23, service: TELNET}}": "[10.0.0.1-10.0.0.9 ::1 2001:db8::/32] [any] low [telnet]",
		"version: 1\nsets: {a: 10.0.0.1, b: [a, 10.0.0.3], p: [22, 80-90], q: [p, 443]}\nrules:\n- {name: a, to: b, allow: {ports: q}, deny: {ports: 1, service: x}}":  "[10.0.0.1 10.0.0.3] [22 80-90 443]  [x]",
	} {
		p, got := mustLoad(t, text), ""
		for _, r := range p.Rules {
			got += fmt.Sprint(r.To, r.Allow.Ports, " ", r.Allow.Severity, " ", r.Deny.Services)
		}
		if strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(want), " ") {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
}

// What is wrong is refused, with the place and what to write.
func TestErrors(t *testing.T) {
	rule := func(s string) string {
		return "version: 1\nvantage: [office]\nsets: {web: [80, 443], db: 10.20.0.0/16}\nrules:\n  - " + s + "\n"
	}
	except := func(s string) string { return "version: 1\nrules: []\nexceptions:\n  - " + s + "\n" }
	for _, c := range []struct{ text, want, hint string }{
		{"", `^p.yaml: the policy is empty`, "version: 1"},
		{"- a\n", `^p.yaml:1:1: the policy is no mapping`, "version, vantage, sets, rules, exceptions"},
		{"rules: []\n", `^p.yaml:1:1: version is missing`, "version: 1"},
		{"version: 1\n", `rules are missing`, `rules: \[\]`},
		{"version: 2\nrules: []\n", `^p.yaml:1:10: version 2 is not known`, "newer synoptic"},
		{"version: 1\nrules: []\nrulez: []\n", `^p.yaml:3:1: unknown key "rulez" of the policy`, "did you mean rules"},
		{"version: 1\nversion: 1\nrules: []\n", `^p.yaml:2:1: version is already in line 1`, "once"},
		{"version: 1\nrules: []\n---\nversion: 1\n", `a second document`, "one policy"},
		{"version: 1\nrules: [\n", `^p.yaml:\d+: not YAML`, "quotes"},
		{"version: 1\nrules: {a: b}\n", `rules are no list`, "- name"},
		{`{"v":1,"type":"scan_start"}`, `it has records`, "policy first"},
		{"version: 1\nrules: [\xff]", `not UTF-8`, "UTF-8"},
		{rule("{name: a, to: any, alow: {ports: 1}}"), `^p.yaml:5:24: unknown key "alow" of a rule`, "did you mean allow"},
		{rule("{name: a, to: any, allow: {port: 1}}"), `unknown key "port" of allow`, "did you mean ports"},
		{rule("{name: a, to: any, allow: {zzz: 1}}"), `unknown key "zzz" of allow`, "allow has the keys ports, service"},
		{rule("{to: any, allow: {ports: 1}}"), `^p.yaml:5:5: a rule without a name`, "a rule has a name"},
		{rule("{name: a, allow: {ports: 1}}"), `rule "a" does not say to which addresses`, "to: any"},
		{rule("{name: a, to: any}"), `neither allows, denies nor requires`, "allow"},
		{rule("{name: a, to: any, allow: {service: tls}}"), `allow does not say which ports`, "ports: any"},
		{rule("{name: a, to: any, allow: 80}"), `allow is no mapping`, "ports"},
		{rule("{name: default, to: any, allow: {ports: 1}}"), `where no rule decides`, "another name"},
		{rule("{name: suspect-host, to: any, allow: {ports: 1}}"), `where no rule decides`, "another name"},
		{rule("{name: a, to: any, allow: {ports: 1}}\n  - {name: a, to: any, allow: {ports: 2}}"), `^p.yaml:6:12: rule "a" is already in line 5`, "of its own"},
		{rule("{name: a, to: [], allow: {ports: 1}}"), `to is empty`, "leave the key out"},
		{rule("{name: a, to: any, allow: {ports: []}}"), `ports is empty`, "leave the key out"},
		{rule("{name: ~, to: any, allow: {ports: 1}}"), `name is empty`, "quotes"},
		{rule("{name: [a], to: any, allow: {ports: 1}}"), `name: one value`, "one value"},
		{rule("{name: " + strings.Repeat("x", 101) + ", to: any, allow: {ports: 1}}"), `longer than 100`, "shorten"},
		{rule("{name: &x a, to: any, allow: {ports: 1}}"), `anchors and aliases`, "set"},
		{rule("{name: !!str a, to: any, allow: {ports: 1}}"), `tags are not supported`, "leave the tag out"},
		{rule("{name: a, to: any, <<: {allow: {ports: 1}}}"), `unknown key "<<"`, ""},
		{rule("{name: a, to: web, allow: {ports: 1}}"), `set "web" has ports, and addresses are wanted`, "addresses are"},
		{rule("{name: a, to: any, allow: {ports: db}}"), `set "db" has addresses, and ports are wanted`, "ports are"},
		{rule("{name: a, to: any, allow: {ports: wbe}}"), `^p.yaml:5:39: "wbe" is neither a port nor the name of a set`, "did you mean web"},
		{rule("{name: a, to: any, allow: {ports: https}}"), `"https" is neither`, "the sets so far are web, db; ports are 443"},
		{rule("{name: a, to: 10.0.0.1/24, allow: {ports: 1}}"), `10.0.0.1/24 has bits behind its length`, "write 10.0.0.0/24, or 10.0.0.1"},
		{rule("{name: a, to: 10.0.0.0/33, allow: {ports: 1}}"), `is no prefix`, "addresses are"},
		{rule("{name: a, to: 10.0.0.9-10.0.0.1, allow: {ports: 1}}"), `is reversed`, "write 10.0.0.1-10.0.0.9"},
		{rule("{name: a, to: \"10.0.0.1-::1\", allow: {ports: 1}}"), `no range of addresses`, "addresses are"},
		{rule("{name: a, to: \"fe80::1%eth0\", allow: {ports: 1}}"), `no address`, "addresses are"},
		{rule("{name: a, to: \"::ffff:10.0.0.1\", allow: {ports: 1}}"), `no address`, "addresses are"},
		{rule("{name: a, to: [{x: y}], allow: {ports: 1}}"), `one value is wanted`, "one value"},
		{rule("{name: a, to: [10.0.0.0/8, 10.1.0.0/16], allow: {ports: 1}}"), `10.0.0.0/8 and 10.1.0.0/16 overlap`, "leave one"},
		{rule("{name: a, to: [any, \"::1\"], allow: {ports: 1}}"), `overlap`, "leave one"},
		{rule("{name: a, to: any, allow: {ports: [80-90, 85]}}"), `ports 80-90 and 85 overlap`, "leave one"},
		{rule("{name: a, to: any, allow: {ports: [web, 443]}}"), `ports 443 and 443 overlap`, "leave one"},
		{rule("{name: a, to: any, allow: {ports: 0}}"), `"0" is neither a port`, "ports are"},
		{rule("{name: a, to: any, allow: {ports: 65536}}"), `neither a port`, "ports are"},
		{rule("{name: a, to: any, allow: {ports: 080}}"), `neither a port`, "ports are"},
		{rule("{name: a, to: any, allow: {ports: 90-80}}"), `neither a port`, "write 80-90"},
		{rule("{name: a, to: any, allow: {ports: 1.5}}"), `neither a port`, "ports are"},
		{rule("{name: a, to: any, allow: {ports: 1, severity: sever}}"), `unknown severity "sever"`, "info, low, medium, high, critical|did you mean"},
		{rule("{name: a, to: any, deny: {ports: 1, severity: critcal}}"), `unknown severity`, "did you mean critical"},
		{rule("{name: a, to: any, allow: {ports: 1, exe: \"[\"}}"), `no pattern`, `\[`},
		{rule("{name: a, to: any, allow: {ports: 1, service: [a, a]}}"), `service has "a" twice`, "once"},
		{rule("{name: a, to: any, from: ofice, allow: {ports: 1}}"), `unknown vantage point "ofice"`, "did you mean office"},
		{rule("{name: a, to: any, allow: {ports: 1-9}, deny: {ports: 5}}"), `denies port 5, which it allows`, "leave it out"},
		{rule("{name: a, to: 10.0.0.0/8, require: {ports: 443}}"), `^p.yaml:5: rule "a": more than 1048576 endpoints are required`, "host by host"},
		{rule("{name: a, to: \"2001:db8::/32\", require: {ports: 443}}"), `endpoints are required`, "host by host"},
		{"version: 1\nsets: {any: 1}\nrules: []\n", `"any" cannot be the name`, "letters"},
		{"version: 1\nsets: {a b: 1}\nrules: []\n", `"a b" cannot be the name`, "letters"},
		{"version: 1\nsets: {a: 1, a: 2}\nrules: []\n", `set "a" is already`, "of its own"},
		{"version: 1\nsets: {a: []}\nrules: []\n", `set a is empty`, "leave"},
		{"version: 1\nsets: {a: [1, 10.0.0.1]}\nrules: []\n", `"10.0.0.1" is neither a port`, "ports are"},
		{"version: 1\nsets: {a: b, b: 10.0.0.1}\nrules: []\n", `"b" is neither an address nor the name of a set`, "addresses are"},
		{"version: 1\nsets: {a: a}\nrules: []\n", `"a" is neither`, "addresses are"},
		{except("{to: 10.0.0.1, ports: 1, owner: o, ticket: t}"), `^p.yaml:4:5: an exception without until`, "until: 2027"},
		{except("{to: 10.0.0.1, ports: 1, until: 2027-01-31, ticket: t}"), `without owner`, "owner"},
		{except("{to: 10.0.0.1, ports: 1, until: 2027-01-31, owner: o}"), `without ticket`, "ticket"},
		{except("{ports: 1, until: 2027-01-31, owner: o, ticket: t}"), `without to`, "to:"},
		{except("{to: 10.0.0.1, until: 2027-01-31, owner: o, ticket: t}"), `without ports`, "ports:"},
		{except("{to: 10.0.0.1, ports: 1, until: 31.1.2027, owner: o, ticket: t}"), `"31.1.2027" is no date`, "2027-01-31"},
		{except("{to: 10.0.0.1, ports: 1, until: 2027-02-30, owner: o, ticket: t}"), `is no date`, "2027-01-31"},
		{except("{to: 10.0.0.1, ports: 1, until: 2027-01-31T00:00:00Z, owner: o, ticket: t}"), `is no date`, "UTC"},
		{except("{to: 10.0.0.1, ports: 1, until: 2027-01-31, owner: o, ticket: t, tickt: u}"), `unknown key "tickt"`, "did you mean ticket"},
	} {
		_, err := Load("p.yaml", strings.NewReader(c.text))
		bad, ok := errors.AsType[*Error](err)
		switch {
		case !ok:
			t.Errorf("%s\nno *Error but %v", c.text, err)
		case !regexp.MustCompile(c.want).MatchString(err.Error()):
			t.Errorf("%s\n%v\nwant %s", c.text, err, c.want)
		case bad.Hint() == "" || !regexp.MustCompile(c.hint).MatchString(bad.Hint()):
			t.Errorf("%s\n%v\nhint %s, want %s", c.text, err, bad.Hint(), c.hint)
		}
	}
}

// What a small file could be made large by ends with an error, or takes bounded memory.
func TestHostileFiles(t *testing.T) {
	bomb := "a: &a [x, x]\n"
	for c := 'b'; c < 'z'; c++ {
		bomb += fmt.Sprintf("%c: &%c [*%c, *%c]\n", c, c, c-1, c-1)
	}
	manySets := "version: 1\nsets:\n  big: [" + strings.Repeat("1,", 0) + numbers(1, 60000, 2) + "]\nrules:\n"
	for i := range 100 {
		manySets += fmt.Sprintf("  - {name: r%d, to: any, allow: {ports: big}}\n", i)
	}
	overlapping := "version: 1\nrules:\n"
	for i := range 4000 {
		overlapping += fmt.Sprintf("  - {name: r%d, to: 10.0.0.0-10.%d.%d.1, allow: {ports: 80}}\n", i, i/250, i%250)
	}
	for name, c := range map[string]struct{ text, want string }{
		"alias bomb":        {bomb, "unknown key|anchors"},
		"bomb in rules":     {"version: 1\nrules: &r [*r]\n", "not YAML|anchors"},
		"deep nesting":      {strings.Repeat("[", 200_000), "not YAML"},
		"deep mappings":     {"version: 1\nrules: " + strings.Repeat("{a: ", 9_000) + "1" + strings.Repeat("}", 9_000), "no list"},
		"too many pieces":   {"version: 1\nrules: [" + strings.Repeat("1,", maxPieces+1) + "]", "more than 1048576 lines"},
		"too large":         {"version: 1\n# " + strings.Repeat("x", MaxFile), "larger than"},
		"sets again, again": {manySets, "more than 1048576 ranges"},
		"overlapping rules": {overlapping, "too many rules are about the same addresses"},
		"one long line":     {"version: 1\nrules: " + strings.Repeat("x", 1<<20), "no list"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Load("p.yaml", strings.NewReader(c.text))
			runtime.ReadMemStats(&after)
			if err == nil || !regexp.MustCompile(c.want).MatchString(err.Error()) || len(err.Error()) > 500 {
				t.Errorf("%.600v, want %s", err, c.want)
			}
			if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 1024 {
				t.Errorf("%d MB were allocated", used)
			} else {
				t.Logf("%d MB allocated for %d KB", used, len(c.text)>>10)
			}
		})
	}
}

// Lists of rules that come again and again are kept once: else these would take 16 million entries.
func TestListsAreShared(t *testing.T) {
	var text strings.Builder
	text.WriteString("version: 1\nrules:\n  - {name: some, to: [")
	for i := range 2000 {
		fmt.Fprintf(&text, "10.0.%d.%d, ", i/100, i%100*2)
	}
	text.WriteString("10.1.0.0], allow: {ports: 80}}\n")
	for i := range 4000 {
		fmt.Fprintf(&text, "  - {name: r%d, to: any, deny: {ports: %d}}\n", i, 1000+i)
	}
	p := mustLoad(t, text.String())
	if v := p.Judge(ep("10.0.3.4:80"), day); v.Violation || !p.Judge(ep("10.0.3.5:80"), day).Violation {
		t.Errorf("%+v", v)
	}
}

// numbers are every step-th from first on.
func numbers(first, last, step int) string {
	var b strings.Builder
	for i := first; i <= last; i += step {
		fmt.Fprintf(&b, "%d,", i)
	}
	return strings.TrimSuffix(b.String(), ",")
}

// A policy of a megabyte of rules is read.
func TestLargePolicy(t *testing.T) {
	var text strings.Builder
	text.WriteString("version: 1\nrules:\n")
	for i := 0; text.Len() < 1<<20; i++ {
		fmt.Fprintf(&text, "  - {name: r%d, to: 10.%d.%d.0/24, allow: {ports: [80, 443]}}\n", i, i/256, i%256)
	}
	p := mustLoad(t, text.String())
	if v := p.Judge(&Endpoint{Addr: worldAddr(1), Port: 443, State: results.Open}, day); v.Rule == nil || v.Rule.Name != "r0" {
		t.Errorf("%+v", v)
	}
}
