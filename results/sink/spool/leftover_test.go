package spool

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"synoptic/results/sink/batch"
	"synoptic/results/sink/vfs"
	"synoptic/results/sink/vfs/errorfs"
)

// A leftover that cannot be read keeps its name, and stops nothing: what comes before it and behind it is
// put under other names, and it is there still in the end.
func TestUnreadableLeftovers(t *testing.T) {
	dir := errorfs.Private(t)
	s := open(t, dir, 1<<20, 0)
	foreign := []byte(strings.Repeat("not a segment", 10))
	damaged := []string{s.name(firstNumber - 1), s.name(firstNumber), s.name(firstNumber + 1), s.name(firstNumber + 3)}
	for _, name := range damaged {
		must(t, os.WriteFile(name, foreign, 0o600))
	}
	kill(s)
	reopen := func(records uint64) {
		t.Helper()
		var found uint64
		var err error
		s, found, err = Open(vfs.OS, dir, "jsonl:x", 1<<20)
		must(t, err)
		if found != records || len(s.Lost()) != len(damaged) {
			t.Fatalf("found %d records, want %d; lost %v", found, records, s.Lost())
		}
	}
	reopen(0)
	if n, err := s.Prepend([]*batch.Batch{numbered(3, 10)}); n != 1 || err != nil {
		t.Fatalf("prepended %d to nothing, %v", n, err)
	}
	if n, err := s.Prepend([]*batch.Batch{numbered(1, 10), numbered(2, 10)}); n != 2 || err != nil {
		t.Fatalf("prepended %d, %v", n, err)
	}
	s.max = 1 << 30
	for n := 4; n <= 7; n++ { // a segment each
		must(t, s.Put(numbered(n, 300_000)))
	}
	must(t, s.Close())
	reopen(28)
	for want := 1; want <= 7; want++ {
		if n := take(t, s); n != want {
			t.Fatalf("batch %d, want %d", n, want)
		}
		s.Done()
	}
	must(t, s.Put(numbered(9, 10))) // where nothing was left
	must(t, s.Close())
	for _, name := range damaged {
		if data, err := os.ReadFile(name); err != nil || string(data) != string(foreign) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Nor is an unreadable leftover written over by what another process has left beside it.
func TestAdoptionBesideUnreadable(t *testing.T) {
	dir := errorfs.Private(t)
	a, b := open(t, dir, 1<<20, 0), open(t, dir, 1<<20, 0)
	name := a.name(firstNumber)
	must(t, os.WriteFile(name, []byte("not a segment, but 24 bytes"), 0o600))
	must(t, b.Put(numbered(2, 10)))
	kill(a)
	kill(b)
	s, found, err := Open(vfs.OS, dir, "jsonl:x", 1<<20)
	if must(t, err); found != 2 {
		t.Fatalf("%d records", found)
	}
	if n := take(t, s); n != 2 {
		t.Errorf("batch %d", n)
	}
	if data, err := os.ReadFile(name); err != nil || !strings.HasPrefix(string(data), "not a segment") {
		t.Errorf("%q, %v", data, err)
	}
	kill(s)
}

// A segment that cannot be removed when it is done with stands in nobody's way.
func TestSegmentThatStays(t *testing.T) {
	s := open(t, errorfs.Private(t), 1<<20, 0)
	must(t, s.Put(numbered(1, 10)))
	take(t, s)
	name := s.segments[0].name
	s.segments[0].name = filepath.Join(s.dir, "no", "such") // so that remove fails
	s.Done()
	if _, err := os.Stat(name); err != nil {
		t.Fatal(err)
	}
	must(t, s.Put(numbered(2, 10)))
	if n := take(t, s); n != 2 {
		t.Errorf("batch %d", n)
	}
	s.Done()
	must(t, s.Close())
	if err := s.Put(numbered(3, 10)); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// However many segments there are, two of them are open: the one that is read and the one that is written.
func TestDescriptors(t *testing.T) {
	dir := errorfs.Private(t)
	s := open(t, dir, 100_000, 0)
	opened := func() (n int) {
		for _, g := range s.segments {
			if g.f != nil {
				n++
			}
		}
		return n
	}
	s.max = 1 << 30
	records := 0
	put := func(first, last int) {
		for n := first; n <= last; n++ {
			must(t, s.Put(numbered(n, 10_000)))
			records += n
			if opened() > 2 {
				t.Fatalf("%d of %d segments are open", opened(), len(s.segments))
			}
		}
	}
	put(1, 60)
	if len(s.segments) < 10 {
		t.Fatalf("%d segments: no test of many", len(s.segments))
	}
	must(t, s.Close())
	s = open(t, dir, 100_000, records)
	if n := opened(); n > 2 {
		t.Errorf("%d segments are open after the adoption", n)
	}
	s.max = 1 << 30
	put(61, 70)
	for want := 1; want <= 70; want++ {
		if n := take(t, s); n != want {
			t.Fatalf("batch %d, want %d", n, want)
		}
		s.Done()
		if opened() > 2 {
			t.Fatalf("%d segments are open", opened())
		}
	}
	must(t, s.Close())
}

// Where no file can be opened for the moment, nothing is given up.
func TestTakeWithoutDescriptors(t *testing.T) {
	dir := errorfs.Private(t)
	s := open(t, dir, 1<<20, 0)
	must(t, s.Put(numbered(1, 10)))
	must(t, s.Close())
	s = open(t, dir, 1<<20, 1)
	name := s.segments[0].name
	must(t, os.Rename(name, name+"x"))
	var b batch.Batch
	ok, err := s.Take(&b)
	if _, lost := errors.AsType[*LostError](err); ok || err == nil || lost || s.Empty() {
		t.Errorf("%v, %v; empty: %v", ok, err, s.Empty())
	}
	must(t, os.Rename(name+"x", name))
	if n := take(t, s); n != 1 {
		t.Errorf("batch %d", n)
	}
	s.Done()
	must(t, s.Close())
}

// Who asks whether there is anything does not wait for the disk.
func TestEmptyWaitsForNothing(t *testing.T) {
	s := open(t, errorfs.Private(t), 1<<20, 0)
	s.mu.Lock() // as a Put that hangs
	empty := s.Empty()
	s.mu.Unlock()
	if !empty {
		t.Error("there is something in it")
	}
	must(t, s.Put(numbered(1, 10)))
	if s.Empty() {
		t.Error("there is nothing in it")
	}
	must(t, s.Close())
}
