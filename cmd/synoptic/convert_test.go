package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"synoptic/bench/lab/testnet"
	"synoptic/results"
	"synoptic/results/sink/format"
)

// native is a scan's record stream: so many ports, of all states, some with a banner.
func native(t testing.TB, id string, ports int) string {
	t.Helper()
	start := results.ScanStart{Time: results.Time(time.Unix(1795255933, 0)), ScanID: id, Version: version, Ports: ports, Probes: uint64(2 * ports), Backend: "afpacket"}
	b, err := start.AppendJSON(nil)
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, '\n')
	for i := range ports {
		p := results.Port{
			Time: 1795255933_000000001 + int64(i)*1e6, Addr: netip.AddrFrom4([4]byte{10, 77, byte(i >> 8), byte(i)}), Port: uint16(1 + i%65535),
			Reason: []results.Reason{results.SYNACK, results.RST, results.NoResponse, results.ICMPHostUnreachable}[i%4], TTL: 64, Iface: "eth0",
		}
		if i%3 == 0 {
			p.Banner = fmt.Appendf(nil, "server %d\xff", i)
		}
		b = append(p.AppendJSON(b, id), '\n')
	}
	end := results.ScanEnd{Time: results.Time(time.Unix(1795255934, 0)), ScanID: id, Complete: true}
	if b, err = end.AppendJSON(b); err != nil {
		t.Fatal(err)
	}
	return string(b) + "\n"
}

// withoutLines leaves out the lines that hold the words.
func withoutLines(stream string, words ...string) string {
	var kept []string
	for line := range strings.Lines(stream) {
		drop := false
		for _, w := range words {
			drop = drop || strings.Contains(line, w)
		}
		if !drop {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// converted runs the command with the stream as standard input.
func converted(t testing.TB, stream string, args ...string) outcome {
	t.Helper()
	cmd := exec.Command(program(t), append([]string{"convert"}, args...)...)
	cmd.Stdin = strings.NewReader(stream)
	return finish(t, cmd)
}

// equal compares streams by their first line that differs.
func equal(t *testing.T, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, w := strings.SplitAfter(got, "\n"), strings.SplitAfter(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Fatalf("line %d:\ngot  %s\nwant %s", i+1, g[i], w[i])
		}
	}
	t.Fatalf("%d lines, want %d", len(g)-1, len(w)-1)
}

// What real scans have written comes back byte by byte, by every way in.
func TestConvertReproduces(t *testing.T) {
	n := beside(t, testnet.Config{Alive: []netip.Prefix{netip.MustParsePrefix("10.77.0.0/28")}})
	populate(t, n, netip.MustParsePrefix("10.77.0.0/28"))
	if err := n.Reject(testnet.Match{Port: 8080}, 13); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "scans.jsonl")
	for _, extra := range [][]string{{"--backend", "afpacket"}, {"--backend", "connect"}} {
		o := synoptic(t, append([]string{"scan", "10.77.0.0/27", "-p", "80,443,8080,9", "--show", "all", "--show-hosts", "--verify", "--retries", "0", "--wait", "1s", "-o", file}, extra...)...)
		if o.code != 0 {
			t.Fatalf("exit %d: %s", o.code, o.stderr)
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"host"`, `"scan_end"`, `"no-arp"`, `"timeout"`, `"icmp-admin-prohibited"`, `"verified":true`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("the scans have no %s: the test lost its reach", want)
		}
	}
	packed := filepath.Join(dir, "scans.jsonl.1.gz")
	var z bytes.Buffer
	zip := gzip.NewWriter(&z)
	zip.Write(data)
	zip.Close()
	if err := os.WriteFile(packed, z.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(dir, "copy.jsonl")
	for name, o := range map[string]outcome{
		"file":      synoptic(t, "convert", file),
		"gzip":      synoptic(t, "convert", packed, "-o", "jsonl:-"),
		"stdin":     converted(t, string(data), "-"),
		"zip stdin": converted(t, z.String(), "-o", copied, "-o", "-"),
	} {
		t.Run(name, func(t *testing.T) {
			if o.code != 0 || o.stderr != "" {
				t.Errorf("exit %d: %s", o.code, o.stderr)
			}
			equal(t, o.stdout, string(data))
		})
	}
	again, err := os.ReadFile(copied)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, string(again), string(data))
}

// A scan that runs over several files is one scan; which states come over is asked by --show.
func TestConvertFiles(t *testing.T) {
	t.Parallel()
	stream := native(t, "aa", 2000)
	dir := t.TempDir()
	var files []string
	lines := strings.SplitAfter(stream, "\n")
	for i, part := range []string{strings.Join(lines[:700], ""), "", strings.Join(lines[700:], "")} {
		files = append(files, filepath.Join(dir, fmt.Sprint(i)))
		if err := os.WriteFile(files[i], []byte(part), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := synoptic(t, append([]string{"convert"}, files...)...)
	if o.code != 0 || o.stderr != "" {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
	equal(t, o.stdout, stream)
	o = converted(t, stream, "--show", "closed,filtered")
	equal(t, o.stdout, withoutLines(stream, `"state":"open"`))
	o = converted(t, stream, "--show", "open")
	equal(t, o.stdout, withoutLines(stream, `"state":"closed"`, `"state":"filtered"`, `"state":"unreachable"`))
}

// What the input lacks is said, by words and by the exit code, and everything else comes over.
func TestConvertBrokenInput(t *testing.T) {
	t.Parallel()
	whole, next := native(t, "aa", 1000), native(t, "bb", 10)
	noEnd := withoutLines(whole, "scan_end")
	port := strings.SplitAfter(whole, "\n")[1]
	for name, c := range map[string]struct {
		in     string
		args   []string
		code   int
		stderr []string // a line each, or its beginning
		want   string   // the lines that come over, or "" for any
	}{
		"cut off":            {in: noEnd, code: 3, stderr: []string{"synoptic: scan aa: the record stream ends before scan_end"}, want: noEnd},
		"cut off in a line":  {in: noEnd[:len(noEnd)-9], code: 1, stderr: []string{"synoptic: standard input: line 1001: ", "synoptic: scan aa: the record", "synoptic: 1 line was not understood and left out"}},
		"then another":       {in: noEnd + next, code: 3, stderr: []string{"synoptic: scan aa: the record stream ends before scan_end"}, want: noEnd + next},
		"no start":           {in: withoutLines(whole, "scan_start"), code: 3, stderr: []string{"synoptic: scan aa: the record stream begins after its scan_start", "hint: "}, want: withoutLines(whole, "scan_start")},
		"a torn line":        {in: port[:100] + "\n" + whole, code: 1, stderr: []string{"synoptic: standard input: line 1: not valid JSON", "synoptic: 1 line was"}, want: whole},
		"a start that is":    {in: `{"v":1,"type":"scan_start","ports":"x","scan_id":"aa"}` + "\n" + whole, code: 1, stderr: []string{"synoptic: standard input: line 1: field \"ports\"", "synoptic: 1 line was"}, want: whole},
		"twice the start":    {in: strings.SplitAfter(whole, "\n")[0] + whole, want: whole},
		"a newer type":       {in: `{"v":1,"type":"service"}` + "\n" + whole, stderr: []string{"synoptic: 1 record left out, of a type that"}, want: whole},
		"a newer version":    {in: whole + `{"v":2,"type":"port"}` + "\n" + next, code: 1, stderr: []string{"synoptic: standard input: line 1003: the record has schema version 2", "hint: use a synoptic as new"}, want: whole},
		"mixed":              {in: noEnd + next + port, code: 1, stderr: []string{"synoptic: scan aa: the record stream ends", "synoptic: the records of scan aa are mixed", "hint: convert one scan at a time: --scan-id aa"}, want: noEnd + next},
		"mixed, one chosen":  {in: noEnd + next + port, args: []string{"--scan-id", "bb"}, want: next},
		"mixed, the other":   {in: noEnd + next + port, args: []string{"--scan-id", "aa"}, code: 3, stderr: []string{"synoptic: scan aa: the record stream ends"}, want: noEnd + port},
		"ports without scan": {in: whole + strings.SplitAfter(next, "\n")[1], code: 3, stderr: []string{"synoptic: scan bb: the record stream begins", "hint: ", "synoptic: scan bb: the record stream ends"}, want: whole + strings.SplitAfter(next, "\n")[1]},
		"behind the end":     {in: whole + port, args: []string{"--scan-id", "a"}, code: 1, stderr: []string{"synoptic: scan aa has records after its scan_end", "hint: "}, want: whole},
	} {
		t.Run(name, func(t *testing.T) {
			o := converted(t, c.in, c.args...)
			said := strings.SplitAfter(o.stderr, "\n")
			said = said[:len(said)-1]
			for i := range max(len(said), len(c.stderr)) {
				if i >= len(said) || i >= len(c.stderr) || !strings.HasPrefix(said[i], c.stderr[i]) {
					t.Errorf("stderr %q, want %q", said, c.stderr)
					break
				}
			}
			if o.code != c.code {
				t.Errorf("exit %d, want %d", o.code, c.code)
			}
			// Of what was made up, only that it says so.
			var kept []string
			for line := range strings.Lines(o.stdout) {
				var e struct {
					Type, Backend, Error string
					Complete             bool
				}
				if err := json.Unmarshal([]byte(line), &e); err != nil {
					t.Fatalf("%v: %s", err, line)
				}
				switch {
				case e.Type == "scan_end" && !e.Complete && e.Error == cutOff:
				case e.Type == "scan_start" && e.Backend == "":
				default:
					kept = append(kept, line)
				}
			}
			if c.want != "" {
				equal(t, strings.Join(kept, ""), c.want)
			}
		})
	}
}

// A scan without its end gets one that has counted.
func TestConvertMakesUpTheEnd(t *testing.T) {
	t.Parallel()
	o := converted(t, withoutLines(native(t, "aa", 1000), "scan_end"), "--show", "open")
	s := parseStream(t, o.stdout)
	e := s.end
	if len(s.ports) != 250 || e.Complete || e.Open != 250 || e.Closed != 250 || e.Filtered != 500 || e.Silent != 250 || e.Probes != 2000 || e.Coverage != 0.5 || e.Backend != "afpacket" || e.Duration < 0.9 {
		t.Errorf("%d records, scan_end %+v", len(s.ports), e)
	}
}

// A gzip file that ends too early, or is none, costs what is missing and no more.
func TestConvertTornGzip(t *testing.T) {
	t.Parallel()
	whole := native(t, "aa", 3000)
	var z bytes.Buffer
	zip := gzip.NewWriter(&z)
	io.WriteString(zip, whole)
	zip.Close()
	file := filepath.Join(t.TempDir(), "torn.gz")
	if err := os.WriteFile(file, z.Bytes()[:z.Len()/2], 0o600); err != nil {
		t.Fatal(err)
	}
	o := synoptic(t, "convert", file)
	if o.code != 1 || !strings.Contains(o.stderr, "torn.gz: cannot be read to its end: the file is compressed by gzip, and damaged or cut off: unexpected EOF\n") {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
	s := parseStream(t, o.stdout)
	if len(s.ports) < 500 || s.end.Complete {
		t.Errorf("%d records, scan_end %+v", len(s.ports), s.end)
	}
	if o := converted(t, "\x1f\x8bnonsense that is no gzip"); o.code != 1 || !strings.Contains(o.stderr, "read standard input: the file is compressed by gzip, and damaged or cut off: gzip: invalid header") {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
}

// Formats of packets are refused, and those of one scan are known.
func TestCheckFormats(t *testing.T) {
	lookup := func(name string) (format.Format, bool) {
		f, ok := map[string]format.Format{"packets": {Frames: true, Document: true}, "paper": {Document: true}, "jsonl": {}}[name]
		return f, ok
	}
	if single, err := checkFormats([]string{"jsonl:a", "b"}, lookup); single || err != nil {
		t.Errorf("lines: single %v, error %v", single, err)
	}
	if single, err := checkFormats([]string{"paper:a", "b"}, lookup); !single || err != nil {
		t.Errorf("a document: single %v, error %v", single, err)
	}
	if _, err := checkFormats([]string{"b", "packets:x.pcapng"}, lookup); err == nil || hintOf(err) == "" || !strings.Contains(err.Error(), "packets") {
		t.Errorf("packets: error %v", err)
	}
}

// A document holds one scan: several are refused before it is written, or where that can be seen only
// late, then.
func TestConvertDocuments(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "two.jsonl")
	a, b := native(t, "aa", 10), native(t, "ab", 10)
	if err := os.WriteFile(file, []byte(a+b), 0o600); err != nil {
		t.Fatal(err)
	}
	for words, want := range map[string]string{"": "", "a": "", "ab": "ab", "aa": "aa", "last": "ab", "b": ""} {
		in, err := newInput([]string{file}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := choose(in, words, true); got != want || (err != nil) != (want == "") || err != nil && hintOf(err) == "" {
			t.Errorf("--scan-id %q chooses %q, error %v, want %q", words, got, err, want)
		}
	}
	c := converter{sink: &endSink{}, show: results.Open, seen: map[string]bool{}, single: true, log: logText.logger(io.Discard)}
	r := results.NewReader(strings.NewReader(a + b))
	var err error
	for into := new(results.Records); err == nil && r.Read(into) == nil; {
		err = c.take(into)
	}
	if err == nil || !strings.Contains(hintOf(err), "--scan-id last") {
		t.Errorf("a second scan: error %v", err)
	}
	if s := c.sink.(*endSink); s.ended != 1 {
		t.Errorf("the first scan was ended %d times", s.ended)
	}
}

// endSink counts the scans that are ended.
type endSink struct{ ended int }

func (*endSink) Start(*results.ScanStart) error { return nil }
func (*endSink) Ports([]results.Port) error     { return nil }
func (*endSink) Events([]results.Event) error   { return nil }
func (*endSink) Notices([]results.Notice) error { return nil }
func (*endSink) Hosts([]results.Host) error     { return nil }
func (*endSink) Flush() error                   { return nil }
func (s *endSink) End(*results.ScanEnd) error   { s.ended++; return nil }
func (*endSink) Close() error                   { return nil }
