package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"synoptic/results"
)

// writeScan makes a file of a scan's records from endpoints in words: "10.0.0.1:80 syn-ack [service]".
func writeScan(t *testing.T, name, id, scanner string, endpoints ...string) {
	t.Helper()
	reasons := map[string]results.Reason{"open": results.SYNACK, "closed": results.RST, "silent": results.NoResponse, "unknown": results.EvidenceLost}
	start := results.ScanStart{Time: results.Time(time.Unix(1795255933, 0)), ScanID: strings.Repeat(id, 32), Scanner: scanner, Backend: "afpacket"}
	b, err := start.AppendJSON(nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range endpoints {
		w := append(strings.Fields(text), "")
		at := netip.MustParseAddrPort(w[0])
		p := results.Port{Time: (1795255933 + 86400*int64(id[0]-'a') + int64(i)) * 1e9, Addr: at.Addr(), Port: at.Port(), Reason: reasons[w[1]]}
		if w[2] == "suspect" {
			p.Suspect = results.SYNACKAll
		} else if w[2] != "" {
			p.Service, p.ServiceSource = w[2], results.ServiceBanner
		}
		b = p.AppendJSON(append(b, '\n'), start.ScanID)
	}
	end := results.ScanEnd{Time: results.Time(time.Unix(1795255999, 0)), ScanID: start.ScanID, Complete: true}
	if b, err = end.AppendJSON(append(b, '\n')); err != nil {
		t.Fatal(err)
	}
	write(t, name, string(b)+"\n")
}

const aPolicy = `version: 1
vantage: [dmz, office]
sets: {web: [80, 443]}
rules:
  - {name: web, to: 10.0.0.0/24, allow: {ports: web, service: http}}
  - {name: db, to: 10.0.1.0/24, from: app, allow: {ports: 5432}, owner: team-db}
  - {name: must, to: 10.0.0.1, require: {ports: [443, 444]}}
  - {name: "never\e[31m", to: any, deny: {ports: 23, severity: critical}}
exceptions:
  - {to: 10.0.0.9, ports: 8080, until: 2027-01-31, owner: team-x, ticket: SEC-1}
`

func TestCheckCommand(t *testing.T) {
	clean(t)
	write(t, "p.yaml", aPolicy)
	writeScan(t, "good.jsonl", "a", "office", "10.0.0.2:80 open", "10.0.0.3:443 open http", "10.0.0.9:8080 open", "10.0.0.1:443 open", "10.0.0.1:444 open")
	writeScan(t, "bad.jsonl", "b", "office", "10.0.0.2:80 open ssh", "10.0.1.2:5432 open", "10.0.0.4:23 open", "10.0.0.1:443 silent", "10.0.0.9:9 open", "10.0.0.9:8080 open")
	write(t, "empty.jsonl", "")
	write(t, "broken.jsonl", read1(t, "good.jsonl")+"{oops\n")
	write(t, "bad.yaml", "version: 1\nrules:\n  - {name: a, to: any, alow: {ports: 1}}\n")
	at := " --at 2026-11-27 "
	for _, s := range []saying{
		{"check p.yaml good.jsonl" + at, 0, `^$`},
		{"check p.yaml bad.jsonl" + at, 5, `"rule":"never\\u001b\[31m".*"severity":"critical".*"rule":"must".*"want":"open".*"rule":"db".*"owner":"team-db".*"rule":"web".*"want":"service".*"service":"ssh".*"rule":"default"[^\n]*"port":9,[^\n]*\n$`},
		{"check p.yaml bad.jsonl --json" + at, 5, `1 required port was not judged.*hint: let a scan ask them.*"rule":"must"`},
		{"check p.yaml bad.jsonl good.jsonl --at 2027-02-01", 5, `"ticket":"SEC-1"`},
		{"check p.yaml good.jsonl --at 2027-01-31T23:59:59Z", 0, `^$`},
		{"check p.yaml bad.jsonl --vantage app" + at, 5, `"rule":"must"`},
		{"check p.yaml bad.jsonl --vantage ofice" + at, 2, `--vantage ofice.*did you mean office\?`},
		{"check p.yaml bad.jsonl --at soon", 2, `--at soon is no date`},
		{"check p.yaml empty.jsonl", 1, `no record in the input\nhint: check reads the JSON lines`},
		{"check p.yaml", 1, `no record in the input`}, // standard input
		{"check p.yaml -", 1, `no record in the input`},
		{"check p.yaml broken.jsonl" + at, 1, `line 8.*1 line was not understood`},
		{"check p.yaml nosuch.jsonl", 2, `nosuch.jsonl`},
		{"check p.yaml good.jsonl good.jsonl", 2, `given twice`},
		{"check", 2, `which policy\?`},
		{"check nosuch.yaml good.jsonl", 2, `policy "nosuch.yaml": no such file`},
		{"check . good.jsonl", 2, `directory`},
		{"check good.jsonl p.yaml", 2, `it has records, and is no policy\nhint: give the policy first`},
		{"check bad.yaml good.jsonl", 2, `^synoptic: bad.yaml:3:24: unknown key "alow" of a rule\nhint: did you mean allow\?\n$`},
		{"check p.yaml good.jsonl --explian 10.0.0.1:1", 2, `did you mean --explain`},
		{"check p.yaml --explain 10.0.1.2:5432 --vantage office", 0, `"allowed":false,"severity":"high","want":"shut".*"decides":{"kind":"allow","rule":"db","line":6`},
		{"check p.yaml --explain 10.0.1.2:5432", 0, `"vantage":"app".*"allowed":true.*"vantage":"dmz".*"allowed":false`},
		{"check p.yaml --explain 10.0.0.1:443", 0, `"rule":"must","line":7,"outcome":"decides"},"others":\[{"kind":"allow","rule":"web","line":5,"outcome":"gives way`},
		{"check p.yaml bad.jsonl --explain 10.0.0.1:443" + at, 0, `"state":"filtered","allowed":false.*"want":"open"`},
		{"check p.yaml bad.jsonl --explain 10.0.0.77:443" + at, 0, `the records do not have 10.0.0.77:443.*"allowed":true`},
		{"check p.yaml --explain 10.0.0.1", 2, `no address and port`},
		{"check p.yaml --explain ::1", 2, `write \[ADDRESS\]:PORT: \[::1\]:443`},
		{"check --help", 0, `Policy file:.*exceptions:.*Exit codes:.*5 `},
	} {
		s.check(t)
	}
	whole := read1(t, "good.jsonl")
	write(t, "cut.jsonl", whole[:strings.Index(whole, `{"v":1,"type":"scan_end"`)])
	write(t, "incomplete.jsonl", strings.Replace(whole, `"complete":true`, `"complete":false`, 1))
	writeScan(t, "strange.jsonl", "c", "ofice", "10.0.0.2:80 open")
	writeScan(t, "nameless.jsonl", "c", "", "10.0.0.2:80 open")
	for _, s := range []saying{
		{"check p.yaml cut.jsonl" + at, 0, `^synoptic: scan a{32}: the record stream ends before scan_end: what comes behind is not judged\n$`},
		{"check p.yaml incomplete.jsonl" + at, 0, `^synoptic: scan a{32} is not complete \(coverage 0.00\): what it did not ask is not judged\n$`},
		{"check p.yaml strange.jsonl", 0, `does not know the vantage point "ofice".*did you mean --vantage office`},
		{"check p.yaml nameless.jsonl", 0, `do not say which scanner.*give --vantage NAME`},
	} {
		s.check(t)
	}
}

// read1 is a file of the current folder.
func read1(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Violations follow the schema, whatever their kind and status.
func TestViolationsFollowTheSchema(t *testing.T) {
	schema, seen := recordSchema(t), map[string]bool{}
	clean(t)
	write(t, "p.yaml", aPolicy)
	writeScan(t, "a.jsonl", "a", "office", "10.0.0.2:80 open ssh", "10.0.1.2:5432 open", "10.0.0.4:23 open", "10.0.0.1:443 silent", "10.0.0.7:1 open suspect", "10.0.0.7:2 open suspect", "10.0.0.9:8080 open", "[2001:db8::1]:7 open")
	writeScan(t, "b.jsonl", "b", "office", "10.0.0.2:80 open ssh", "10.0.0.4:23 closed")
	o := answer(t, "check", "p.yaml", "a.jsonl", "b.jsonl", "--at", "2027-02-01")
	for line := range strings.Lines(o.stdout) {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err == nil {
			err = schema.Validate(v)
		}
		var r struct{ Rule, Status, Want string }
		if err == nil {
			err = json.Unmarshal([]byte(line), &r)
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, line)
		}
		seen[r.Rule], seen[r.Status], seen[r.Want] = true, true, true
	}
	for _, want := range []string{"default", "suspect-host", "web", "db", "must", "opened", "ongoing", "closed", "shut", "open", "service"} {
		if !seen[want] {
			t.Errorf("no violation with %s was seen:\n%s", want, o.stdout)
		}
	}
}

func TestLintCommand(t *testing.T) {
	clean(t)
	write(t, "p.yaml", aPolicy)
	writeScan(t, "a.jsonl", "a", "office", "10.0.0.2:80 open")
	for _, s := range []saying{
		{"policy lint p.yaml --at 2026-11-27", 0, `^{"kind":"vantage","rule":"db","line":6,.*}\n$`},
		{"policy lint p.yaml --at 2027-01-31 --exit-code", 5, `"kind":"expiring","line":10,"ticket":"SEC-1","owner":"team-x"`},
		{"policy lint p.yaml a.jsonl --at 2026-11-27", 0, `"kind":"unused","line":10,"ticket":"SEC-1"`},
		{"policy lint", 2, `which policy\?`},
		{"policy lint p.yaml nosuch", 2, `nosuch`},
		{"policy lint p.yaml --exitcode", 2, `did you mean --exit-code\?`},
		{"policy lnt", 2, `did you mean: synoptic policy lint`},
		{"policy lint --help", 0, `Policy file:`},
		{"policy", 0, `Commands:\n  init .*\n  lint `},
		{"policy help", 0, `Commands:\n  init .*\n  lint `},
		{"help policy lint", 0, `lint \[flags\] POLICY`},
		{"man policy lint", 0, `\.TH "SYNOPTIC\\-POLICY\\-LINT"`},
	} {
		s.check(t)
	}
	write(t, "good.yaml", "version: 1\nrules: []\n")
	if o := answer(t, "policy", "lint", "good.yaml", "--exit-code"); o.code != 0 || o.stdout != "" {
		t.Errorf("exit %d: %s", o.code, o.stdout)
	}
}

// The baseline of a scan has nothing against it, and allows no more.
func TestInitCommand(t *testing.T) {
	clean(t)
	writeScan(t, "a.jsonl", "a", "office", "10.0.0.2:80 open", "10.0.0.3:80 open", "10.0.0.3:22 open ssh", "10.0.0.1:443 closed", "10.0.0.7:1 open suspect", "[2001:db8::1]:7 open")
	writeScan(t, "b.jsonl", "b", "dmz", "10.0.0.2:80 open")
	writeScan(t, "nameless.jsonl", "c", "", "10.0.0.2:80 open")
	o := answer(t, "policy", "init", "a.jsonl", "b.jsonl")
	if o.code != 0 || !regexp.MustCompile(`^synoptic: 1 host opens everything`).MatchString(o.stderr) {
		t.Fatalf("exit %d: %s", o.code, o.stderr)
	}
	write(t, "base.yaml", o.stdout)
	for _, s := range []saying{
		{"check base.yaml a.jsonl b.jsonl", 0, `^$`},
		{"check base.yaml b.jsonl --explain 10.0.0.2:80", 0, `"vantage":"dmz".*"allowed":true`},
		{"check base.yaml --explain 10.0.0.3:80 --vantage dmz", 0, `"allowed":false`},
		{"check base.yaml --explain 10.0.0.2:22 --vantage office", 0, `"allowed":false`},
		{"policy lint base.yaml a.jsonl b.jsonl --exit-code", 0, `^$`},
		{"policy init a.jsonl nameless.jsonl", 2, `others do not\nhint: give --vantage NAME`},
		{"policy init nosuch.jsonl", 2, `nosuch.jsonl`},
		{"policy init", 1, `no record in the input\nhint: init reads`},
		{"policy init base.yaml", 1, `no record in the input`},
	} {
		s.check(t)
	}
}

// What a real scan has asked is judged, though it has records of open ports only; a later scan that shows a port shut ends its violation.
func TestCheckByCoverage(t *testing.T) {
	ports, listeners := listening(t, 2)
	dir := t.TempDir()
	scans, rules := filepath.Join(dir, "scans.jsonl"), filepath.Join(dir, "p.yaml")
	text := fmt.Sprintf("version: 1\nrules:\n  - {name: must, to: 127.0.0.1, require: {ports: [%s]}}\n  - {name: elsewhere, to: 127.0.0.2, require: {ports: [%[1]s]}}\n", ports[0])
	if err := os.WriteFile(rules, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	scan := func() {
		t.Helper()
		if o := synoptic(t, "scan", "127.0.0.1", "-p", strings.Join(ports, ","), "--backend", "connect", "-q", "-o", scans); o.code != 0 {
			t.Fatal(o.stderr)
		}
	}
	judged := func() (all []string) {
		t.Helper()
		o := synoptic(t, "check", rules, scans, "--json")
		followsSchema(t, recordSchema(t), o.stdout, map[string]bool{})
		for line := range strings.Lines(o.stdout) {
			var v struct{ Status, Rule, IP, Want string }
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				t.Fatal(err)
			}
			all = append(all, v.Rule+" "+v.IP+" "+v.Want+" "+v.Status)
		}
		if !strings.Contains(o.stderr, "1 required port was not judged") { // of the other address
			t.Error(o.stderr)
		}
		slices.Sort(all)
		return all
	}
	scan()
	if got, want := judged(), []string{"default 127.0.0.1 shut opened"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	listeners[0].Close()
	listeners[1].Close()
	scan()
	if got, want := judged(), []string{"default 127.0.0.1 shut closed", "must 127.0.0.1 open opened"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
