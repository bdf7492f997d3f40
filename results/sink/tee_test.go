package sink

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"synoptic/results"
)

var errFull = errors.New("no space left on device")

// disk is a file on a disk with room for so many bytes, which it fills to the last one.
type disk struct {
	*os.File
	room int
}

func (d *disk) Write(p []byte) (int, error) {
	n, err := d.File.Write(p[:min(len(p), d.room)])
	if d.room -= n; err == nil && n < len(p) {
		err = errFull
	}
	return n, err
}

// Close fails where data was lost, as it may on a network file system.
func (d *disk) Close() error {
	if err := d.File.Close(); err != nil || d.room > 0 {
		return err
	}
	return errFull
}

func newDisk(t *testing.T, room int) *disk {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(t.TempDir(), "out.jsonl"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return &disk{f, room}
}

// wholeLines are the lines of a file, each of which must be a record.
func wholeLines(t *testing.T, name string) [][]byte {
	t.Helper()
	data, err := os.ReadFile(name)
	must(t, err)
	if len(data) == 0 {
		return nil
	}
	if !bytes.HasSuffix(data, []byte("\n")) {
		t.Errorf("the file ends with a torn line: …%q", data[max(0, len(data)-40):])
	}
	lines := bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
	for _, l := range lines {
		if !json.Valid(l) {
			t.Errorf("not a record: %q", l)
		}
	}
	return lines
}

// A full disk leaves whole lines behind, as many as had room, and nothing after them, even where
// there is room again.
func TestJSONLinesOnAFullDisk(t *testing.T) {
	for _, room := range []int{1, 300, 10_000, 100_000} {
		d := newDisk(t, room)
		j := NewJSONLines(d)
		err := errors.Join(j.Start(&results.ScanStart{ScanID: "s"}), j.Ports(batch(1000)), j.Flush())
		if !errors.Is(err, errFull) {
			t.Fatalf("room %d: error %v", room, err)
		}
		lines := wholeLines(t, d.Name())
		if size, err := d.Seek(0, 2); err != nil || room > 1 && int(size) < room-400 {
			t.Errorf("room %d: only %d bytes are left of whole lines", room, size)
		}
		d.room = 1 << 20
		for what, err := range map[string]error{"Ports": j.Ports(batch(1000)), "Flush": j.Flush(), "End": j.End(&results.ScanEnd{})} {
			if !errors.Is(err, errFull) {
				t.Errorf("room %d: %s returns %v after the error", room, what, err)
			}
		}
		if after := wholeLines(t, d.Name()); len(after) != len(lines) {
			t.Errorf("room %d: %d lines were written after the error", room, len(after)-len(lines))
		}
	}
}

// Another process's lines behind ours are not cut.
func TestJSONLinesLeavesOthersAlone(t *testing.T) {
	d := newDisk(t, 5000)
	j := NewJSONLines(&shared{d, t})
	if err := errors.Join(j.Ports(batch(1000)), j.Flush()); !errors.Is(err, errFull) {
		t.Fatal(err)
	}
	data, err := os.ReadFile(d.Name())
	must(t, err)
	if !strings.HasSuffix(string(data), "theirs\n") {
		t.Errorf("the file ends with %q", data[len(data)-20:])
	}
}

// shared is a disk that another process appends to after each of our writes.
type shared struct {
	*disk
	t *testing.T
}

func (s *shared) Write(p []byte) (int, error) {
	n, err := s.disk.Write(p)
	other, openErr := os.OpenFile(s.Name(), os.O_APPEND|os.O_WRONLY, 0)
	must(s.t, openErr)
	fmt.Fprintln(other, "theirs")
	must(s.t, other.Close())
	return n, err
}

// One output that fails says so once, and the others get everything.
func TestTeeGoesOnWithoutABrokenSink(t *testing.T) {
	for at := range 4 {
		broken, healthy := newDisk(t, []int{0, 300, 5000, 20_000}[at]), newDisk(t, 1<<20)
		tee := NewTee(NewJSONLines(broken), NewJSONLines(healthy))
		var failures int
		for _, err := range []error{
			tee.Start(&results.ScanStart{ScanID: "s"}), tee.Ports(batch(10)), tee.Flush(),
			tee.Ports(batch(100)), tee.Hosts(make([]results.Host, 2)), tee.Flush(), tee.End(&results.ScanEnd{ScanID: "s"}), tee.Close(),
		} {
			if err != nil {
				failures++
				if !errors.Is(err, errFull) || strings.Count(err.Error(), errFull.Error()) != 1 {
					t.Errorf("error %v", err)
				}
			}
		}
		if failures != 1 {
			t.Errorf("a disk that is full is reported %d times", failures)
		}
		wholeLines(t, broken.Name())
		lines := wholeLines(t, healthy.Name())
		if len(lines) != 1+110+2+1 || !bytes.Contains(lines[len(lines)-1], []byte("scan_end")) {
			t.Errorf("the healthy output has %d lines, the last %q", len(lines), lines[len(lines)-1])
		}
		if err := broken.Close(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("the broken output was left open: %v", err)
		}
	}
	if err := NewTee(NewJSONLines(newDisk(t, 0))).Close(); !errors.Is(err, errFull) {
		t.Errorf("what only closing shows is not told: %v", err)
	}
}
