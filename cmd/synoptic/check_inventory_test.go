package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"synoptic/bench/lab/need"
)

const inventoryPolicy = `version: 1
rules:
  - {name: web, to: 10.0.0.0/24, allow: {ports: 80, service: http}}
  - {name: must, to: 10.0.0.9, require: {ports: 443}}
  - {name: never, to: any, deny: {ports: 23, severity: critical}, owner: soc}
  - {name: unused, to: 10.9.0.0/16, allow: {ports: 22}}
`

// toldIn are the violations of a file of records, in words.
func toldIn(t *testing.T, name string) (all []string) {
	t.Helper()
	if _, err := os.Stat(name); err != nil {
		return nil // a file that gets no record is not made
	}
	for line := range strings.Lines(read1(t, name)) {
		var v struct {
			Type, Status, Rule, IP string
			Port                   int
			Scan                   string `json:"scan_id"`
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err, line)
		}
		if v.Type == "violation" {
			all = append(all, fmt.Sprintf("%s %s %s:%d %.1s", v.Status, v.Rule, v.IP, v.Port, v.Scan))
		}
	}
	return all
}

// What an inventory knows is judged; outputs are told once of each violation that begins and ends.
func TestCheckOfInventory(t *testing.T) {
	schema := recordSchema(t)
	clean(t)
	write(t, "p.yaml", inventoryPolicy)
	writeScan(t, "a.jsonl", "a", "lab", "10.0.0.2:80 open http", "10.0.0.3:80 open ssh", "10.0.0.4:23 open", "10.0.0.5:9 open")
	writeScan(t, "b.jsonl", "b", "lab", "10.0.0.2:23 open", "10.0.0.6:1 open suspect")
	says := func(all ...saying) {
		t.Helper()
		for _, s := range all {
			s.check(t)
		}
	}
	says(
		saying{"inventory import i.db a.jsonl", 0, ""},
		saying{"check p.yaml --inventory i.db", 5, `"status":"opened","severity":"critical".*1 required port was not judged|1 required port was not judged.*"rule":"never".*"rule":"web".*"rule":"default"`},
		saying{"check p.yaml --inventory i.db --vantage lab", 5, `"rule":"never"`},
		saying{"check p.yaml --inventory i.db --vantage moon", exitUsage, `no scan from a vantage of this name`},
		saying{"check p.yaml a.jsonl --inventory i.db", exitUsage, `--inventory and files are both given\nhint: give one of them`},
		saying{"check p.yaml a.jsonl -o x.jsonl", exitUsage, `-o without --inventory\nhint: give --inventory FILE too`},
		saying{"check p.yaml --inventory i.db -o csv:x", exitUsage, `csv has no place for violations\nhint: use jsonl, ecs or ocsf`},
		saying{"check p.yaml --inventory i.db -o x.jsonl --at 2027-01-01", exitUsage, `--at with -o`},
		saying{"check p.yaml --inventory no.db -o x.jsonl", exitUsage, `no such file`},
		saying{"check p.yaml --inventory p.yaml -o x.jsonl", exitUsage, `not a database`},
		saying{"check p.yaml --inventory i.db --explain 10.0.0.3:80", 0, `"state":"open","service":"ssh","allowed":false`},
		saying{"check p.yaml --inventory i.db --explain 10.0.0.77:80", 0, `the inventory does not have 10.0.0.77:80.*"allowed":true`},
		saying{"policy lint p.yaml --inventory i.db --since 1y", 0, `"kind":"unused","rule":"unused"[^\n]*\n$`},
		saying{"policy lint p.yaml --inventory i.db --since ever", exitUsage, `--since: "ever" is no age`},
		saying{"policy lint p.yaml a.jsonl --inventory i.db", exitUsage, `both given`},
		saying{"policy init --inventory i.db", 0, `(?s)^version: 1.*10.0.0.4.*ports: 23`},
		saying{"policy init --inventory no.db", exitUsage, `no such file`},
	)
	if _, err := os.Stat("x.jsonl"); err == nil {
		t.Error("an output was opened")
	}
	check := func(want ...string) {
		t.Helper()
		_ = os.Remove("out.jsonl")
		says(saying{"check p.yaml --inventory i.db -o out.jsonl -o ecs:ecs.jsonl -o ocsf:ocsf.jsonl", 5, "not judged"})
		if got := toldIn(t, "out.jsonl"); !slices.Equal(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	}
	check("opened never 10.0.0.4:23 a", "opened web 10.0.0.3:80 a", "opened default 10.0.0.5:9 a")
	for line := range strings.Lines(read1(t, "out.jsonl")) {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err == nil {
			err = schema.Validate(v)
		}
		if err != nil {
			t.Errorf("%v: %s", err, line)
		}
	}
	check() // nothing is told again
	says(saying{"check p.yaml --inventory i.db", 5, `"status":"ongoing"`}, saying{"inventory import i.db b.jsonl", 0, ""})
	check("opened never 10.0.0.2:23 b", "opened suspect-host 10.0.0.6:0 b")
	write(t, "p.yaml", strings.Replace(inventoryPolicy, "ports: 23,", "ports: 24,", 1))
	check("opened default 10.0.0.2:23 b", "opened default 10.0.0.4:23 a", "closed never 10.0.0.2:23 b", "closed never 10.0.0.4:23 a")
	if ecs, ocsf := read1(t, "ecs.jsonl"), read1(t, "ocsf.jsonl"); strings.Count(ecs, `"kind":"alert"`) != 9 || strings.Count(ocsf, `"class_uid":2003`) != 9 {
		t.Errorf("%s\n%s", ecs, ocsf)
	}
	t.Setenv("SYNOPTIC_INVENTORY", "i.db") // which files on the command line go before
	says(saying{"check p.yaml a.jsonl", 5, `"status":"opened"`})
}

// What somebody has acknowledged is marked, wherever it is shown, and nothing else can be.
func TestAcknowledgedIsMarked(t *testing.T) {
	clean(t)
	write(t, "p.yaml", inventoryPolicy)
	writeScan(t, "a.jsonl", "a", "lab", "10.0.0.4:23 open", "10.0.0.5:9 open")
	writeScan(t, "b.jsonl", "b", "lab", "10.0.0.4:23 open", "10.0.0.2:80 open")
	saying{"inventory import i.db a.jsonl b.jsonl", 0, ""}.check(t)
	id := func(line, name string) string {
		t.Helper()
		_, rest, found := strings.Cut(line, `"`+name+`":"`)
		if !found {
			t.Fatalf("no %s in %s", name, line)
		}
		return rest[:32]
	}
	o := answer(t, "check", "p.yaml", "--inventory", "i.db")
	violation := id(o.stdout, "violation_id")
	saying{"inventory ack i.db " + violation, exitUsage, `no finding`}.check(t) // nothing was told of it
	o = answer(t, "diff", "--inventory", "i.db")
	change := id(o.stdout, "event_id")
	for _, s := range []saying{
		{"check p.yaml --inventory i.db -o out.jsonl", 5, ""},
		{"inventory ack i.db " + violation + " 1234 --note x", exitUsage, `no finding "1234"`},
		{"inventory ack i.db", 0, "^$"}, // all or none
		{"inventory ack i.db " + violation + " " + change + " --note SEC-1 --who alice", 0, ""},
		{"check p.yaml --inventory i.db", 5, `"violation_id":"` + violation + `"[^\n]*"acked_by":"alice","ack_note":"SEC-1"`},
		{"diff --inventory i.db", 0, `"event_id":"` + change + `"[^\n]*"acked_by":"alice","ack_note":"SEC-1"`},
		{"inventory ack i.db " + violation + " " + change + " --undo", 0, ""},
	} {
		s.check(t)
	}
	for _, line := range []string{"check p.yaml --inventory i.db", "diff --inventory i.db"} {
		if o := answer(t, strings.Fields(line)...); strings.Contains(o.stdout, "acked") || o.stdout == "" {
			t.Errorf("%s: %s", line, o.stdout)
		}
	}
}

// A scan with an inventory and a policy tells of violations behind its changes, and a later one that they are over.
func TestScanWithPolicy(t *testing.T) {
	need.Long(t)
	ports, listeners := listening(t, 2)
	dir := t.TempDir()
	db, file, p := filepath.Join(dir, "i.db"), filepath.Join(dir, "scans.jsonl"), filepath.Join(dir, "p.yaml")
	write(t, p, "version: 1\nrules:\n  - {name: a, to: any, allow: {ports: "+ports[0]+"}}\n")
	scan := func(more ...string) outcome {
		t.Helper()
		return synoptic(t, append([]string{"scan", "127.0.0.1", "-p", strings.Join(ports, ","), "--backend", "connect", "--show", "open,closed", "-o", file, "--vantage", "here", "--confirm", "none"}, more...)...)
	}
	if o := scan("--policy", p); o.code != exitUsage || !strings.Contains(o.stderr, "--policy without --inventory") {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
	if o := scan("--policy", file+"x", "--inventory", db); o.code != exitUsage || !strings.Contains(o.stderr, "no such file") {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
	if _, err := os.Stat(db); err == nil {
		t.Error("the inventory was made without a policy")
	}
	for i, want := range []int{1, 1, 2} {
		if i == 2 {
			listeners[1].Close()
		}
		o := scan("--policy", p, "--inventory", db)
		if o.code != 0 || !strings.Contains(o.stderr, "policy: ") {
			t.Fatalf("exit %d: %s", o.code, o.stderr)
		}
		if told := toldIn(t, file); len(told) != want {
			t.Fatalf("scan %d: %v", i, told)
		}
	}
	told := toldIn(t, file)
	if !strings.HasPrefix(told[0], "opened default 127.0.0.1:"+ports[1]) || !strings.HasPrefix(told[1], "closed default 127.0.0.1:"+ports[1]) {
		t.Error(told)
	}
	if o := synoptic(t, "convert", file, "-o", "ecs:-"); o.code != 0 || strings.Count(o.stdout, `"kind":"alert"`) != 2 { // each is in its scan's records
		t.Errorf("exit %d: %s%s", o.code, o.stdout, o.stderr)
	}
}
