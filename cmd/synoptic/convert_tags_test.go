package main

import (
	"bufio"
	"encoding/json"
	"maps"
	"os"
	"strings"
	"testing"
)

// Records of an earlier scan get tags when they are converted: of one key the new one holds, who has scanned stays, and an
// ID of a record is the same.
func TestConvertTags(t *testing.T) {
	clean(t)
	write(t, "networks.csv", "10.0.0.0/8,zone=lan,owner=noc\n10.0.0.7,owner=web\n")
	write(t, "old.jsonl", `{"v":1,"type":"scan_start","ts":"2026-11-22T10:12:13.000000000Z","scan_id":"aa","scanner":"probe1","tags":{"owner":"old","ticket":"1"},"args":[]}
{"v":1,"type":"port","ts":"2026-11-22T10:12:13.100000000Z","scan_id":"aa","ip":"10.0.0.7","port":22,"reason":"syn-ack","tags":{"owner":"old","ticket":"1"}}
{"v":1,"type":"port","ts":"2026-11-22T10:12:13.200000000Z","scan_id":"aa","ip":"192.0.2.1","port":22,"reason":"syn-ack","tags":{"owner":"old","ticket":"1"}}
{"v":1,"type":"event","ts":"2026-11-22T10:12:13.300000000Z","scan_id":"aa","event":"outage"}
{"v":1,"type":"host","ts":"2026-11-22T10:12:13.400000000Z","scan_id":"aa","ip":"10.1.0.1","first":"2026-11-22T10:12:13.100000000Z","last":"2026-11-22T10:12:13.200000000Z"}
{"v":1,"type":"scan_end","ts":"2026-11-22T10:12:14.000000000Z","scan_id":"aa","scanner":"probe1","tags":{"owner":"old","ticket":"1"},"complete":true}
{"v":1,"type":"delivery","ts":"2026-11-22T10:12:15.000000000Z","scan_id":"aa","scanner":"probe1","tags":{"owner":"old","ticket":"1"}}
`)
	type tagged struct {
		Type, Scanner string
		Event         string `json:"event_id"`
		Tags          map[string]string
	}
	read := func(out string) (all []tagged) {
		for lines := bufio.NewScanner(strings.NewReader(out)); lines.Scan(); {
			var r tagged
			if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
				t.Fatal(err)
			}
			all = append(all, r)
		}
		return all
	}
	plain := read(answer(t, "convert", "old.jsonl").stdout)
	o := answer(t, "convert", "old.jsonl", "--tag", "ticket=2", "--tag", "site=b", "--tags-file", "networks.csv")
	got := read(o.stdout)
	scan := map[string]string{"owner": "old", "ticket": "2", "site": "b"}
	want := []map[string]string{
		scan, {"owner": "web", "zone": "lan", "ticket": "2", "site": "b"}, scan, {"ticket": "2", "site": "b"},
		{"owner": "noc", "zone": "lan", "ticket": "2", "site": "b"}, scan, scan,
	}
	if o.code != 0 || len(got) != len(want) || len(plain) != len(want) {
		t.Fatalf("exit %d, %d records, %d without tags: %s\n%s", o.code, len(got), len(plain), o.stderr, o.stdout)
	}
	for i, r := range got {
		if !maps.Equal(r.Tags, want[i]) {
			t.Errorf("%s %d has %v, want %v", r.Type, i, r.Tags, want[i])
		}
		if r.Event != plain[i].Event || r.Scanner != plain[i].Scanner {
			t.Errorf("%s %d: event %q, scanner %q; without tags %q, %q", r.Type, i, r.Event, r.Scanner, plain[i].Event, plain[i].Scanner)
		}
	}
	for _, s := range []saying{
		{"convert old.jsonl --tag bad", 2, `--tag: "bad"`},
		{"convert old.jsonl --tags-file nosuch.csv", 2, `nosuch.csv`},
		{"convert old.jsonl --tags-file networks.csv --tags-file networks.csv", 2, `given twice`},
	} {
		s.check(t)
	}
	// Formats with a place for tags have them, and what is refused leaves no file.
	for format, part := range map[string]string{"ecs": `"labels":{"owner":"web"`, "csv": `""owner"":""web""`, "ocsf": `{"name":"owner","value":"web"}`} {
		if o := answer(t, "convert", "old.jsonl", "-o", format+":-", "--tags-file", "networks.csv"); o.code != 0 || !strings.Contains(o.stdout, part) {
			t.Errorf("%s: exit %d, no %s in %s", format, o.code, part, o.stdout)
		}
	}
	if o := answer(t, "convert", "old.jsonl", "-o", "new.jsonl", "--tag", "bad"); o.code != 2 {
		t.Errorf("exit %d", o.code)
	}
	if _, err := os.Stat("new.jsonl"); err == nil {
		t.Error("a refused conversion has left a file")
	}
}
