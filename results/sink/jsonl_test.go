package sink

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"synoptic/results"
)

// writes records every write apart.
type writes struct {
	all []string
	err error
}

func (w *writes) Write(p []byte) (int, error) {
	w.all = append(w.all, string(p))
	return len(p), w.err
}
func (w *writes) Close() error { return nil }

func batch(n int) []results.Port {
	all := make([]results.Port, n)
	for i := range all {
		all[i] = results.Port{Addr: netip.AddrFrom4([4]byte{10, 77, byte(i >> 8), byte(i)}), Port: 80, Reason: results.SYNACK}
	}
	return all
}

// A reader of a pipe must never see a torn line: each write holds whole lines, and a batch is few writes.
func TestJSONLinesWritesWholeLines(t *testing.T) {
	var w writes
	j := NewJSONLines(&w)
	must(t, j.Start(&results.ScanStart{ScanID: "s"}))
	must(t, j.Ports(batch(5000)))
	must(t, j.Flush())
	must(t, j.Flush()) // nothing left: no empty write
	must(t, j.End(&results.ScanEnd{ScanID: "s"}))
	var lines int
	for i, s := range w.all {
		if s == "" || !strings.HasSuffix(s, "\n") {
			t.Fatalf("write %d of %d bytes does not end a line", i, len(s))
		}
		for _, line := range strings.Split(strings.TrimSuffix(s, "\n"), "\n") {
			if !json.Valid([]byte(line)) || len(line) > 4096 {
				t.Fatalf("not a record of under 4 KB: %q", line)
			}
			lines++
		}
	}
	if lines != 5002 {
		t.Errorf("%d lines, want 5002", lines)
	}
	if len(w.all) > 30 {
		t.Errorf("%d writes for 5002 lines: a batch should be few writes", len(w.all))
	}
}

func TestJSONLinesReportsWriteErrors(t *testing.T) {
	w := writes{err: fs.ErrClosed}
	j := NewJSONLines(&w)
	if err := j.Start(&results.ScanStart{}); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("error %v, want it to wrap the writer's", err)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	for _, spec := range []string{filepath.Join(dir, "a.jsonl"), "jsonl:" + filepath.Join(dir, "a.jsonl")} {
		s, err := Open(spec, nil)
		must(t, err)
		must(t, s.End(&results.ScanEnd{}))
		must(t, s.Close())
	}
	data, err := os.ReadFile(filepath.Join(dir, "a.jsonl"))
	must(t, err)
	if n := bytes.Count(data, []byte("scan_end")); n != 2 {
		t.Errorf("%d records in the file, want the second run's appended to the first's", n)
	}
	for _, spec := range []string{"", "jsonl:", ":x", "yaml:x", filepath.Join(dir, "no", "x")} {
		_, err := Open(spec, nil)
		var e *Error
		if !errors.As(err, &e) || e.Hint() == "" {
			t.Errorf("Open(%q): error %v without a hint", spec, err)
		}
	}
}

func TestSplitSpec(t *testing.T) {
	for spec, want := range map[string][2]string{
		"x": {"jsonl", "x"}, "jsonl:x": {"jsonl", "x"}, "csv:x:y": {"csv", "x:y"}, "./a:b": {"jsonl", "./a:b"}, "-": {"jsonl", "-"},
		`C:\x`: {"jsonl", `C:\x`}, "C:x": {"jsonl", "C:x"}, `jsonl:C:\x`: {"jsonl", `C:\x`}, `a\b:c`: {"jsonl", `a\b:c`}, ":x": {"", "x"},
	} {
		if format, dest := splitSpec(spec); format != want[0] || dest != want[1] {
			t.Errorf("%q is format %q, destination %q; want %q", spec, format, dest, want)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
