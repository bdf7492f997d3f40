package main

import (
	"encoding/json"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"synoptic/bench/lab/need"
)

// twoDays are an inventory of two sweeps, and a file of each.
func twoDays(t *testing.T) {
	t.Helper()
	clean(t)
	begin := time.Date(2026, 11, 20, 2, 0, 0, 0, time.UTC)
	scans := []planned{
		{id: "aa", vantage: "dmz", begin: begin, open: map[string]string{"10.0.0.1:22": "ssh", "10.0.0.2:80": ""}},
		{id: "bb", vantage: "dmz", begin: begin.Add(24 * time.Hour), open: map[string]string{"10.0.0.1:22": "tls", "10.0.0.3:443": ""}},
	}
	write(t, "a.jsonl", scans[0].records(t))
	write(t, "b.jsonl", scans[1].records(t))
	inventoryOf(t, "i.db", scans...)
}

// Changes go to the outputs as a scan that finds them gives them: the same event IDs, and no record of a scan around them.
func TestDiffToOutputs(t *testing.T) {
	twoDays(t)
	for _, what := range [][]string{{"a.jsonl", "b.jsonl"}, {"--inventory", "i.db"}} {
		o := answer(t, append([]string{"diff", "-o", "c.jsonl", "-o", "ecs:e.jsonl", "-o", "ocsf:o.jsonl", "--tag", "ticket=CHG-1", "--exit-code"}, what...)...)
		if o.code != exitFound || o.stdout != "" || !strings.Contains(o.stderr, "1 opened, 1 gone, 1 service") {
			t.Errorf("exit %d: %s%s", o.code, o.stdout, o.stderr)
		}
		plain := answer(t, append([]string{"diff", "-q"}, what...)...)
		if plain.code != 0 || plain.stderr != "" {
			t.Errorf("exit %d: %s", plain.code, plain.stderr)
		}
		written := pageOf(t, "c.jsonl")
		if n := strings.Count(written, `"type":"change"`); n != 3 || n != strings.Count(plain.stdout, "\n") {
			t.Errorf("%d changes:\n%s\n%s", n, written, plain.stdout)
		}
		if strings.Count(written, `"tags":{"ticket":"CHG-1"}`) != 3 {
			t.Errorf("tags: %s", written)
		}
		ids := func(text string, id func(line string) string) (all []string) {
			for line := range strings.Lines(text) {
				all = append(all, id(line))
			}
			slices.Sort(all)
			return all
		}
		native := func(line string) string {
			var r struct {
				ID string `json:"event_id"`
			}
			check(t, json.Unmarshal([]byte(line), &r))
			return r.ID
		}
		ecs := func(line string) string {
			var r struct{ Event struct{ ID, Kind string } }
			check(t, json.Unmarshal([]byte(line), &r))
			return r.Event.ID
		}
		ocsf := func(line string) string {
			var r struct{ Metadata struct{ UID string } }
			check(t, json.Unmarshal([]byte(line), &r))
			return r.Metadata.UID
		}
		want := ids(plain.stdout, native)
		for file, got := range map[string][]string{"jsonl": ids(written, native), "ecs": ids(pageOf(t, "e.jsonl"), ecs), "ocsf": ids(pageOf(t, "o.jsonl"), ocsf)} {
			if !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", file, got, want)
			}
		}
		for _, file := range []string{"c.jsonl", "e.jsonl", "o.jsonl"} { // the next is appended
			write(t, file, "")
		}
	}
	if o := answer(t, "diff", "a.jsonl", "b.jsonl", "-o", "ecs:-", "--show", "opened"); o.code != 0 || strings.Count(o.stdout, "\n") != 1 || !strings.Contains(o.stdout, `"action":"port-opened"`) {
		t.Errorf("exit %d: %s%s", o.code, o.stdout, o.stderr)
	}
	if o := answer(t, "diff", "a.jsonl", "b.jsonl", "-o", "c.jsonl", "--json"); o.code != 0 || strings.Count(o.stdout, "\n") != 3 || o.stdout != pageOf(t, "c.jsonl") {
		t.Errorf("exit %d: %s%s", o.code, o.stdout, o.stderr)
	}
}

// A receiver gets each change, and one that is down has them wait in the spool for the next.
func TestDiffToReceiver(t *testing.T) {
	need.Long(t)
	twoDays(t)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	check(t, err)
	to := "syslog+tcp://" + l.Addr().String()
	l.Close()
	if o := answer(t, "diff", "a.jsonl", "b.jsonl", "-o", to, "--spool", "spool", "--delivery-timeout", "100ms"); o.code != exitStopped || !strings.Contains(o.stderr, "3 records stay in the spool") {
		t.Errorf("exit %d: %s%s", o.code, o.stdout, o.stderr)
	}
	if l, err = net.Listen("tcp4", l.Addr().String()); err != nil {
		t.Skip("somebody else has the port by now: ", err)
	}
	defer l.Close()
	var mu sync.Mutex
	var got strings.Builder
	var reading sync.WaitGroup
	reading.Go(func() {
		for { // who delivers may connect again
			c, err := l.Accept()
			if err != nil {
				return
			}
			reading.Go(func() {
				all, _ := io.ReadAll(c) // as much as came
				mu.Lock()
				defer mu.Unlock()
				got.Write(all)
			})
		}
	})
	o := answer(t, "diff", "a.jsonl", "a.jsonl.none", "-o", to)
	if o.code != exitUsage {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
	if o := answer(t, "diff", "a.jsonl", "b.jsonl", "-o", to, "--spool", "spool", "--show", "gone"); o.code != 0 {
		t.Errorf("exit %d: %s%s", o.code, o.stdout, o.stderr)
	}
	l.Close()
	reading.Wait()
	if n := strings.Count(got.String(), `"type":"change"`); n != 4 {
		t.Errorf("%d changes came, want 3 of the spool and 1", n)
	}
}

func TestDiffOutputsRefused(t *testing.T) {
	twoDays(t)
	write(t, "p.yaml", "output: [csv:scan.csv, ecs:e.jsonl]\n")
	for _, s := range []saying{
		{"diff a.jsonl b.jsonl -o csv:x", exitUsage, "csv has no place for changes(?s:.*)formats for changes are .*ecs.*jsonl"},
		{"diff a.jsonl b.jsonl -o x.pcapng", exitUsage, "pcapng has no place"},
		{"diff a.jsonl b.jsonl -o nosuch/x.jsonl", exitUsage, "nosuch/x.jsonl"},
		{"diff a.jsonl b.jsonl -o a.jsonl", exitUsage, `output "a.jsonl" is input "a.jsonl"`},
		{"diff --inventory i.db -o jsonl:i.db", exitUsage, `output "jsonl:i.db" is input "i.db"`},
		{"diff a.jsonl b.jsonl -o - -o ecs:-", exitUsage, "two outputs write to standard output"},
		{"diff a.jsonl b.jsonl --profile ./p.yaml -q", 0, "^$"},
	} {
		s.check(t)
	}
	if n := strings.Count(pageOf(t, "e.jsonl"), "\n"); n != 3 {
		t.Errorf("by a profile: %d changes", n)
	}
}
