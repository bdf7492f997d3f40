package main

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"synoptic/bench/lab/need"
	"synoptic/results"
	"synoptic/results/report"
)

// reportDay is the stream of a scan of the same two ports on a day, of which these are open.
func reportDay(t *testing.T, number int, open ...uint16) string {
	t.Helper()
	begin := time.Date(2026, 11, 20+number, 2, 0, 0, 0, time.UTC)
	id := results.EventID{byte(number)}.String()
	start := results.ScanStart{Time: results.Time(begin), ScanID: id, Scanner: "dmz", Targets: 1, Ports: 2, Probes: 2, TargetsDigest: "t", PortsDigest: "p"}
	b, err := start.AppendJSON(nil)
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, '\n')
	for _, port := range open {
		p := results.Port{Time: begin.UnixNano() + 1e9, Addr: netip.MustParseAddr("10.0.0.1"), Port: port, Reason: results.SYNACK, Service: "svc-" + string(rune('a'+port%26))}
		b = append(p.AppendJSON(b, id), '\n')
	}
	end := results.ScanEnd{Time: results.Time(begin.Add(time.Minute)), ScanID: id, Probes: 2, Open: uint64(len(open)), Coverage: 1, Complete: true, Evidence: &results.Evidence{State: results.EvidenceStateHeld}}
	if b, err = end.AppendJSON(b); err != nil {
		t.Fatal(err)
	}
	return string(b) + "\n"
}

// A page is made of files in any order, of standard input, and put in its place when it is whole.
func TestReport(t *testing.T) {
	clean(t)
	write(t, "a.jsonl", reportDay(t, 1, 22, 80))
	write(t, "b.jsonl", reportDay(t, 2, 80, 443))
	for _, args := range [][]string{{"a.jsonl", "b.jsonl"}, {"b.jsonl", "a.jsonl"}} {
		os.Remove("r.html")
		if o := answer(t, append([]string{"report", "-o", "r.html", "--title", "Ours <b>"}, args...)...); o.code != 0 || o.stdout+o.stderr != "" {
			t.Fatalf("exit %d: %s%s", o.code, o.stdout, o.stderr)
		}
		page := pageOf(t, "r.html")
		for _, want := range []string{"<title>Ours &lt;b&gt;</title>", "by synoptic " + version, "2 scans from dmz", "<b>2</b><span>changes</span>", "<b>2</b><span>open endpoints</span>", "<b>1</b><span>endpoint not open</span>"} {
			if !strings.Contains(page, want) {
				t.Errorf("%v: not in the page: %q", args, want)
			}
		}
	}
	if info, err := os.Stat("r.html"); err != nil || runtime.GOOS != "windows" && info.Mode().Perm()&^0o640 != 0 {
		t.Error(info.Mode(), err)
	}
	write(t, "both.jsonl", reportDay(t, 1, 22)+reportDay(t, 2, 22))
	if o := answer(t, "report", "both.jsonl"); o.code != 0 || !strings.Contains(o.stdout, "2 scans from dmz") || !strings.HasSuffix(o.stdout, "</html>\n") || o.stderr != "" {
		t.Errorf("exit %d, %d bytes, %s", o.code, len(o.stdout), o.stderr)
	}
	write(t, "new.jsonl", reportDay(t, 1, 22)+`{"v":1,"type":"tomorrow"}`+"\n")
	if o := answer(t, "report", "new.jsonl", "-o", "r.html"); o.code != 0 || !strings.Contains(o.stderr, "1 record left out, of a type") {
		t.Errorf("exit %d, %s", o.code, o.stderr)
	}
	files, err := os.ReadDir(".")
	if err != nil || slices.ContainsFunc(files, func(f os.DirEntry) bool { return strings.Contains(f.Name(), "partial") }) {
		t.Error(files, err)
	}
}

// What cannot be is one clear error, and leaves the page that is there.
func TestReportRefuses(t *testing.T) {
	clean(t)
	write(t, "a.jsonl", reportDay(t, 1, 22))
	write(t, "text", "Nmap scan report\n")
	write(t, "empty", "")
	write(t, "mixed.jsonl", reportDay(t, 1, 22)+reportDay(t, 2, 22)+reportDay(t, 1, 22))
	write(t, "newer.jsonl", strings.ReplaceAll(reportDay(t, 1, 22), `"v":1`, `"v":9`))
	write(t, "r.html", "<!DOCTYPE html>the page before")
	for _, s := range []saying{
		{"report nosuch.jsonl -o r.html", exitUsage, `input "nosuch.jsonl": no such file`},
		{"report . -o r.html", exitUsage, `is a directory`},
		{"report a.jsonl a.jsonl -o r.html", exitUsage, `given twice`},
		{"report a.jsonl -o a.jsonl", exitUsage, `output "a.jsonl" is a file that is no page`},
		{"report a.jsonl -o hec+https://splunk.example", exitUsage, `goes to files only`},
		{"report a.jsonl -o csv:r.html", exitUsage, `a report is HTML`},
		{"report a.jsonl -o text", exitUsage, `output "text" is a file that is no page of HTML, and is not overwritten`},
		{"report a.jsonl -o nosuch/r.html", exitUsage, `nosuch/r.html`},
		{"report a.jsonl -o r.html --show opne", exitUsage, `--show`},
		{"report text -o r.html", exitFailure, `no record in the input: 1 line was not understood(?s:.*)hint: report reads the JSON lines`},
		{"report empty -o r.html", exitFailure, `no record in the input\n`},
		{"report mixed.jsonl -o r.html", exitFailure, `has records in two places(?s:.*)hint: give every scan's records once`},
		{"report newer.jsonl -o r.html", exitFailure, `schema version 9`},
	} {
		s.check(t)
	}
	if page := pageOf(t, "r.html"); page != "<!DOCTYPE html>the page before" {
		t.Errorf("the page has become %.60q", page)
	}
	if o := answer(t, "report", "a.jsonl", "-o", "html:empty"); o.code != 0 || !strings.Contains(pageOf(t, "empty"), "</html>") {
		t.Errorf("an empty file, with its format: exit %d, %s", o.code, o.stderr)
	}
	write(t, "cut.jsonl", reportDay(t, 1, 22)+`{"v":1,"type":"port","ts":"2026-`)
	if o := answer(t, "report", "cut.jsonl", "-o", "r.html"); o.code != exitFailure || !strings.Contains(o.stderr, "1 line was not understood and left out") || !strings.Contains(pageOf(t, "r.html"), "</html>") {
		t.Errorf("a cut line: exit %d, %s", o.code, o.stderr)
	}
}

func pageOf(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A terminal gets no HTML.
func TestReportOnTerminal(t *testing.T) {
	need.Long(t)
	program(t) // which is built from here
	clean(t)
	write(t, "a.jsonl", reportDay(t, 1, 22))
	for _, args := range [][]string{{"report", "a.jsonl"}, {"report", "a.jsonl", "-o", "-"}} {
		if said, code := onTerminal(t, args...); code != exitUsage || strings.Contains(said, "<html") || !strings.Contains(said, "give -o report.html") {
			t.Errorf("%v: exit %d, %.300s", args, code, said)
		}
	}
}

// A signal while the page is written leaves nothing of it.
func TestReportInterrupted(t *testing.T) {
	clean(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := new(reportFlags).writePage(&stopper{ctx: ctx}, "r.html", streams{}, report.Input{})
	if code, ok := errors.AsType[exit](err); !ok || code != exitStopped {
		t.Error(err)
	}
	if files, err := os.ReadDir("."); err != nil || len(files) > 0 {
		t.Error(files, err)
	}
}
