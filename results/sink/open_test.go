package sink

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"synoptic/results"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	for _, spec := range []string{filepath.Join(dir, "a.jsonl"), "jsonl:" + filepath.Join(dir, "a.jsonl")} {
		s, err := Open(spec, Config{})
		must(t, err)
		must(t, s.End(&results.ScanEnd{}))
		must(t, s.Close())
	}
	data, err := os.ReadFile(filepath.Join(dir, "a.jsonl"))
	must(t, err)
	if n := bytes.Count(data, []byte("scan_end")); n != 2 {
		t.Errorf("%d records in the file, want the second run's appended to the first's", n)
	}
	for _, spec := range []string{"", "jsonl:", ":x", "yaml:x", filepath.Join(dir, "no", "x"), "gopher://user:hunter2@host", "jsonl:gopher://user:hunter2@host/?x=hunter2"} {
		_, err := Open(spec, Config{})
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Hint() == "" {
			t.Errorf("Open(%q): error %v without a hint", spec, err)
			continue
		}
		if strings.Contains(err.Error()+e.Hint(), "hunter2") {
			t.Errorf("Open(%q) repeats the secret: %v", spec, err)
		}
	}
	if _, err := Open(filepath.Join(dir, "b"), Config{Spool: filepath.Join(dir, "a.jsonl")}); err == nil {
		t.Error("a spool in a file")
	}
}

func TestSplitSpec(t *testing.T) {
	for spec, want := range map[string][2]string{
		"x": {"jsonl", "x"}, "jsonl:x": {"jsonl", "x"}, "csv:x:y": {"csv", "x:y"}, "./a:b": {"jsonl", "./a:b"}, "-": {"jsonl", "-"},
		`C:\x`: {"jsonl", `C:\x`}, "C:x": {"jsonl", "C:x"}, `jsonl:C:\x`: {"jsonl", `C:\x`}, `a\b:c`: {"jsonl", `a\b:c`}, ":x": {"", "x"},
		"what+ever://h:1": {"jsonl", "what+ever://h:1"}, "ecs:what+ever://h:1": {"ecs", "what+ever://h:1"},
	} {
		if format, dest := Split(spec); format != want[0] || dest != want[1] {
			t.Errorf("%q is format %q, destination %q; want %q", spec, format, dest, want)
		}
	}
}
