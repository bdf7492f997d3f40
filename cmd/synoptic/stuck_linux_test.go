package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"synoptic/bench/lab/stall"
)

// stuckPipe is a named pipe with a reader that reads only when it is told to.
func stuckPipe(t *testing.T) (name string, read func() []byte) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return name, func() []byte { // until the writer has closed it
		data, err := io.ReadAll(r)
		if err != nil {
			t.Error(err)
		}
		return data
	}
}

// eventIDs adds the events of whole lines to a set.
func eventIDs(t *testing.T, set map[string]bool, data []byte) (lines int) {
	t.Helper()
	for line := range bytes.Lines(data) {
		var r record
		if err := json.Unmarshal(line, &r); err != nil || !bytes.HasSuffix(line, []byte("\n")) {
			t.Fatalf("not a whole record: %q: %v", line, err)
		}
		set[r.EventID] = true
		lines++
	}
	return lines
}

// An output that is stuck costs the others nothing: an interrupt ends the scan within a second, they have
// the end, and who has no spool is told how much is lost.
func TestInterruptWhileStuck(t *testing.T) {
	small(t, "10.77.0.0/16") // of which it sees a part
	stall.Judge(t, playsHere, func() error { return interruptWhileStuck(t) })
}

func interruptWhileStuck(t *testing.T) error {
	pipe, _ := stuckPipe(t)
	healthy := filepath.Join(t.TempDir(), "out.jsonl")
	s := start(t, "scan", "10.77.0.0/16", "-p", "80", "-q", "--rate", "2k", "-o", pipe, "-o", healthy)
	eventually(t, func() bool { // far more than the pipe holds
		info, err := os.Stat(healthy)
		return err == nil && info.Size() > 500<<10
	})
	told := time.Now()
	s.Process.Signal(os.Interrupt)
	code := s.end()
	took := time.Since(told)
	if code != 1 {
		t.Errorf("exit %d after %v", code, took)
	}
	if said := s.said.String(); !regexp.MustCompile(`^synoptic: \d+ records were not delivered to output ".*pipe" and are lost\nhint: .*--spool.*\n$`).MatchString(said) {
		t.Errorf("stderr %q", said)
	}
	data, err := os.ReadFile(healthy)
	if err != nil {
		t.Fatal(err)
	}
	st := parseStream(t, string(data))
	if st.end.Complete || uint64(len(st.ports)) != st.end.Open {
		t.Errorf("%d records, scan_end %+v", len(st.ports), st.end)
	}
	d := outputsOf(t, string(data))
	if len(d) != 2 || d[0].Queued == 0 || d[1].Queued != 0 || d[1].Delivered != uint64(len(st.ports))+2 || d[0].Queued+d[0].Delivered != d[1].Delivered {
		t.Errorf("counts %+v", d)
	}
	return prompt(took)
}

// With a spool nothing is lost: after a complete scan an interrupt ends the wait for the stuck output, and
// the next scan with the same output delivers what was left, first.
func TestSpoolAfterInterrupt(t *testing.T) {
	_, want := small(t, "10.77.0.0/21")
	var pipe, spool string
	var read func() []byte
	stall.Judge(t, playsHere, func() error {
		pipe, read = stuckPipe(t)
		spool = filepath.Join(t.TempDir(), "spool")
		healthy := filepath.Join(t.TempDir(), "out.jsonl")
		s := start(t, "scan", "10.77.0.0/21", "-p", "80", "-q", "--rate", "5k", "-o", pipe, "-o", healthy, "--spool", spool)
		eventually(t, func() bool {
			data, _ := os.ReadFile(healthy)
			return bytes.Contains(data, []byte(`"scan_end"`))
		})
		told := time.Now()
		s.Process.Signal(os.Interrupt)
		code := s.end()
		took := time.Since(told)
		if code != 3 || !strings.Contains(s.said.String(), "stay in the spool") {
			t.Errorf("exit %d after %v, stderr %q", code, took, s.said.String())
		}
		return prompt(took)
	})
	first := map[string]bool{}
	got := read()
	eventIDs(t, first, got[:bytes.LastIndexByte(got, '\n')+1]) // the write that was under way may be cut short
	next := start(t, "scan", "10.77.0.0/30", "-p", "80", "-q", "-o", pipe, "--spool", spool)
	if line := next.line(t); !strings.Contains(line, "from an earlier scan") {
		t.Errorf("stderr %q", line)
	}
	data := read()
	if code := next.end(); code != 0 {
		t.Errorf("exit %d, stderr %q", code, next.said.String())
	}
	own := bytes.Index(data, []byte(`{"v":1,"type":"scan_start"`))
	if own <= 0 {
		t.Fatalf("the next scan wrote %.300q", data)
	}
	eventIDs(t, first, data[:own])
	if len(first) != len(want)+3 {
		t.Errorf("%d events of the first scan, want %d", len(first), len(want)+3)
	}
	if st := parseStream(t, string(data[own:])); !st.end.Complete || len(st.ports) != 4 {
		t.Errorf("%d records, scan_end %+v", len(st.ports), st.end)
	}
	if left, err := os.ReadDir(spool); err != nil || len(left) > 0 {
		t.Errorf("left in the spool: %v, %v", left, err)
	}
}

// A scan that is killed has left in the spool what did not fit into memory, and the next one delivers it.
func TestSpoolAfterKill(t *testing.T) {
	small(t, "10.77.0.0/16")
	pipe, read := stuckPipe(t)
	spool := filepath.Join(t.TempDir(), "spool")
	s := start(t, "scan", "10.77.0.0/16", "-p", "80", "-q", "--rate", "50k", "-o", pipe, "--spool", spool)
	eventually(t, func() bool {
		names, _ := filepath.Glob(filepath.Join(spool, "*", "*.spool"))
		for _, name := range names {
			if info, err := os.Stat(name); err == nil && info.Size() > 1<<20 {
				return true
			}
		}
		return false
	})
	s.Process.Kill()
	s.end()
	read()
	next := start(t, "scan", "10.77.0.0/30", "-p", "80", "-q", "-o", pipe, "--spool", spool)
	line := next.line(t)
	m := regexp.MustCompile(`synoptic: ([0-9,]+) records for output ".*" from an earlier scan`).FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("stderr %q", line)
	}
	data := read()
	if code := next.end(); code != 0 {
		t.Errorf("exit %d, stderr %q", code, next.said.String())
	}
	own := bytes.Index(data, []byte(`{"v":1,"type":"scan_start"`))
	set := map[string]bool{}
	lines := eventIDs(t, set, data[:max(own, 0)])
	if len(set) != lines || fmt.Sprint(lines) != strings.ReplaceAll(m[1], ",", "") || lines < 1000 {
		t.Errorf("%d events, %d of them different; %s were announced", lines, len(set), m[1])
	}
	parseStream(t, string(data[own:]))
}
