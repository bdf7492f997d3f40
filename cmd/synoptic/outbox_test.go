package main

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"

	"synoptic/results"
)

// plantEvents puts events behind those that wait in an inventory, as they are.
func plantEvents(t *testing.T, path string, records ...string) {
	t.Helper()
	c, err := sqlite3.Open(path)
	must(t, err)
	must(t, c.Exec(`BEGIN`))
	s, _, err := c.Prepare(`INSERT INTO outbox (event_id, record) VALUES (randomblob(16), ?)`)
	must(t, err)
	for _, r := range records {
		must(t, errors.Join(s.BindBlob(1, []byte(r)), s.Exec()))
	}
	must(t, errors.Join(s.Close(), c.Exec(`COMMIT`), c.Close()))
}

// An event that cannot be read holds up none of the others, be there many of it, and is said.
func TestSpoiltEvents(t *testing.T) {
	program(t) // built in this folder
	clean(t)
	const scan = `{"v":1,"type":"scan_start","ts":"2026-11-25T01:00:00Z","scan_id":"aaaa","args":[]}
{"v":1,"type":"port","ts":"2026-11-25T01:00:01Z","scan_id":"aaaa","ip":"10.0.0.1","port":80,"proto":"tcp","state":"open","reason":"syn-ack"}
{"v":1,"type":"scan_end","ts":"2026-11-25T01:00:02Z","scan_id":"aaaa","complete":true}
`
	write(t, "scan.jsonl", scan)
	saying{"inventory import i.db scan.jsonl", 0, `"opened":1`}.check(t)
	bad := make([]string, mostEvents+1)
	for i := range bad {
		bad[i] = []string{"", "null", "{", `{"type":"change"}x`, `{"v":1,"type":"change","ts":5}`}[i%5]
	}
	plantEvents(t, "i.db", bad...)
	write(t, "policy.yaml", "version: 1\nrules:\n  - {name: none, to: any, deny: {ports: 80}}\n")
	o := synoptic(t, "check", "policy.yaml", "--inventory", "i.db", "-o", "v.jsonl")
	if got := strings.Count(o.stderr, "is passed over"); o.code != exitFound || got != 2 { // of each lot the first
		t.Errorf("exit %d, said %d times: %s", o.code, got, o.stderr)
	}
	records, err := os.ReadFile("v.jsonl")
	if err != nil || !strings.Contains(string(records), `"type":"violation"`) {
		t.Errorf("%v, written: %s", err, records)
	}
	saying{"inventory stats i.db --check", 0, `"outbox":0`}.check(t)
	// A monitor gives what waits by lots: one without an event is not the last.
	plantEvents(t, "i.db", bad...)
	db, err := openInventory("i.db")
	must(t, err)
	defer db.Close()
	var said bytes.Buffer
	box := outbox{db: db, warn: func(err error) { said.WriteString(err.Error()) }}
	given := 0
	must(t, box.each("", func(events []results.Notice) error { given += len(events); return nil }))
	if n, err := db.Waiting(); given != 0 || err != nil || n != int64(len(bad)) || box.last == 0 || said.Len() == 0 {
		t.Errorf("given %d, waiting %d, %v, last %d: %s", given, n, err, box.last, said.String())
	}
}
