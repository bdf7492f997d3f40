package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"

	"synoptic/bench/lab/need"
)

// Real scans with --inventory, shards and an import of the same records: the same is known of all ports.
func TestInventoryOfScans(t *testing.T) {
	need.Long(t)
	ports, listeners := listening(t, 4)
	dir := t.TempDir()
	db, other := filepath.Join(dir, "inventory.db"), filepath.Join(dir, "other.db")
	file := filepath.Join(dir, "scans.jsonl")
	scan := func(more ...string) outcome {
		t.Helper()
		return synoptic(t, append([]string{"scan", "127.0.0.1", "-p", strings.Join(ports, ","), "--backend", "connect", "--show", "open,closed", "-q", "-o", file, "--inventory", db, "--vantage", "here", "--confirm", "none"}, more...)...)
	}
	for range 2 {
		if o := scan(); o.code != 0 {
			t.Fatalf("exit %d: %s", o.code, o.stderr)
		}
	}
	listeners[1].Close()
	for _, shard := range []string{"1/2", "2/2"} {
		if o := scan("--shard", shard, "--seed", "5"); o.code != 0 {
			t.Fatalf("exit %d: %s", o.code, o.stderr)
		}
	}
	if o := synoptic(t, "inventory", "import", other, file, "--vantage", "here"); o.code != 0 || strings.Count(o.stdout, "\n") != 4 {
		t.Fatalf("exit %d: %s%s", o.code, o.stdout, o.stderr)
	}
	for _, path := range []string{db, other} {
		o := synoptic(t, "history", path, "127.0.0.1")
		states := map[string]int{}
		for line := range strings.Lines(o.stdout) {
			var i struct{ State, Vantage string }
			if err := json.Unmarshal([]byte(line), &i); err != nil || i.Vantage != "here" {
				t.Fatal(err, line)
			}
			states[i.State]++
		}
		if o.code != 0 || states["open"] != 3 || states["closed"] != 1 {
			t.Errorf("%s: exit %d, %v: %s", path, o.code, states, o.stderr)
		}
		if o := synoptic(t, "inventory", "stats", path, "--check"); o.code != 0 || !strings.Contains(o.stdout, `"sweeps":3,"scans":4,"open":3`) {
			t.Errorf("%s: exit %d: %s%s", path, o.code, o.stdout, o.stderr)
		}
	}
	if o := synoptic(t, "inventory", "export", db, "-o", "csv:-"); o.code != 0 || strings.Count(o.stdout, ",open,") != 3 {
		t.Errorf("exit %d: %s%s", o.code, o.stdout, o.stderr)
	}
}

// A database that cannot be used is refused before the first probe, and one that breaks while the scan runs ends nothing else.
func TestInventoryFails(t *testing.T) {
	need.Long(t)
	ports, _ := listening(t, 1)
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.db")
	if err := os.WriteFile(bad, []byte(strings.Repeat("no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"scan", "127.0.0.1", "-p", ports[0], "--backend", "connect", "-q", "-o", filepath.Join(dir, "scan.jsonl"), "--inventory"}
	if o := synoptic(t, append(args, bad)...); o.code != exitUsage || !strings.Contains(o.stderr, "not a database") {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, "scan.jsonl")); err == nil {
		t.Error("the scan began")
	}
}

// What people write wrong.
func TestInventoryRefuses(t *testing.T) {
	clean(t)
	write(t, "scan.jsonl", `{"v":1,"type":"scan_start","ts":"2026-11-25T01:00:00Z","scan_id":"aaaa","args":[]}
{"v":1,"type":"port","ts":"2026-11-25T01:00:01Z","scan_id":"aaaa","ip":"10.0.0.1","port":80,"proto":"tcp","state":"open","reason":"syn-ack"}
{"v":1,"type":"scan_end","ts":"2026-11-25T01:00:02Z","scan_id":"aaaa","complete":true}
`)
	write(t, "cut.jsonl", `{"v":1,"type":"scan_start","ts":"2026-11-26T01:00:00Z","scan_id":"bbbb","args":[]}
{"v":1,"type":"port","ts":"2026-11-26T01:00:01Z","scan_id":"bbbb","ip":"10.0.0.1","port":81,"proto":"tcp","state":"open","reason":"syn-ack"}
`)
	write(t, "empty", "")
	write(t, "text", "hello\n")
	write(t, "newer", `{"v":9,"type":"port"}`+"\n")
	for _, s := range []saying{
		{"inventory", 0, "Commands:\n"},
		{"inventory import", exitUsage, "DB is missing"},
		{"inventory imporr", exitUsage, "did you mean: synoptic inventory import"},
		{"inventory import x.db none.jsonl", exitUsage, `none.jsonl.*no such file`},
		{"inventory import x.db empty", exitFailure, "no scan in the input"},
		{"inventory import x.db text", exitFailure, "no scan in the input: 1 line was not understood"},
		{"inventory import x.db newer", exitFailure, "schema version 9"},
		{"inventory stats x.db", exitUsage, "no such file"}, // nothing was made
		{"inventory import none/x.db scan.jsonl", exitUsage, "make the folder first"},
		{"inventory import i.db scan.jsonl", 0, `"scan_id":"aaaa".*"opened":1`},
		{"inventory import i.db scan.jsonl", 0, `"already":true`},
		{"inventory import i.db empty", exitFailure, "no scan in the input"},
		{"inventory import i.db cut.jsonl", exitStopped, `ends before scan_end.*"opened":1`},
		{"inventory import i.db i.db", exitUsage, "is the inventory itself"},
		{"inventory stats none.db", exitUsage, "no such file"},
		{"inventory stats text", exitUsage, "not a database"},
		{"inventory stats empty", exitUsage, "it is empty"},
		{"inventory stats i.db --check", 0, `"open":2`},
		{"inventory export i.db -o csv:-", 0, "ip,port.*10.0.0.1,80"},
		{"inventory export i.db -o nmap-xml:x", exitUsage, "formats are csv and jsonl"},
		{"inventory export i.db -o jsonl:i.db", exitUsage, "the inventory itself"},
		{"inventory export i.db --vantage moon", exitFailure, "no scan from a vantage"},
		{"inventory baseline i.db", exitUsage, "SCAN is missing"},
		{"inventory baseline i.db zz", exitUsage, "no scan of the inventory"},
		{"inventory baseline i.db aa", 0, `"baseline":"aaaa"`},
		{"inventory prune i.db --keep soon", exitUsage, "--keep.*no age"},
		{"inventory prune i.db --keep 0d", exitUsage, "--keep.*no age"},
		{"inventory prune i.db --keep 400d", 0, `"pruned":0`},
		{"inventory ack i.db 1234 --note SEC-1 --who me", exitUsage, `no finding "1234"\nhint: give the event_id of a change, or the violation_id`},
		{"inventory ack i.db", 0, "^$"},
		{"inventory ack i.db 1234 --undo", exitUsage, "nobody has acknowledged"},
		{"history i.db", exitUsage, `ADDRESS\[:PORT\]\|PREFIX is missing`},
		{"history i.db here", exitUsage, "neither an address nor a prefix"},
		{"history i.db 10.0.0.1:80", 0, `"port":80.*"state":"open"`},
		{"history i.db 10.0.0.0/24 --since yesterday", exitUsage, "give an age such as 12h"},
		{"history i.db 10.0.0.0/24 --since 2020-01-01", 0, `"port":80`},
		{"history i.db ::/0", 0, "^$"},
		{"scan 127.0.0.1 -p 1 --vantage here", exitUsage, "--vantage without --inventory"},
		{"scan 127.0.0.1 -p 1 --backend connect --inventory i.db -o jsonl:./i.db", exitUsage, "is the inventory itself"},
		{"scan 127.0.0.1 -p 1 --backend connect --inventory z.db -o jsonl:z.db", exitUsage, "is the inventory itself"},
	} {
		s.check(t)
	}
}

// A file of an older version is refused by what only reads, with a hint that does what it says.
func TestInventoryUpgrade(t *testing.T) {
	clean(t)
	write(t, "scan.jsonl", `{"v":1,"type":"scan_start","ts":"2026-11-25T01:00:00Z","scan_id":"aaaa","args":[]}
{"v":1,"type":"port","ts":"2026-11-25T01:00:01Z","scan_id":"aaaa","ip":"10.0.0.1","port":80,"proto":"tcp","state":"open","reason":"syn-ack"}
{"v":1,"type":"scan_end","ts":"2026-11-25T01:00:02Z","scan_id":"aaaa","complete":true}
`)
	saying{"inventory import i.db scan.jsonl", 0, `"opened":1`}.check(t)
	c, err := sqlite3.Open("i.db")
	if err == nil {
		err = errors.Join(c.Exec(`DROP VIEW violation; DROP TABLE finding; DROP TABLE told; PRAGMA user_version = 2`), c.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []saying{
		{"inventory stats none.db --upgrade", exitUsage, "no such file"},
		{"history i.db 10.0.0.1", exitUsage, "its schema has version 2, and this program reads 3\nhint: synoptic inventory stats DB --upgrade brings it up to date"},
		{"report --inventory i.db -o r.html", exitUsage, "hint: synoptic inventory stats DB --upgrade"},
		{"inventory stats i.db", exitUsage, "version 2"},
		{"inventory stats i.db --upgrade --check", 0, `"schema":3,"scans":1,"open":1`},
		{"inventory stats i.db --upgrade", 0, `"schema":3,"scans":1,"open":1`},
		{"history i.db 10.0.0.1", 0, `"port":80`},
	} {
		s.check(t)
	}
}
