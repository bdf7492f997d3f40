package spool

import (
	"fmt"
	"os"
	"testing"

	"synoptic/results/sink/batch"
	"synoptic/results/sink/vfs/errorfs"
)

// more takes what comes behind the batch that was taken, and gives its number, or 0 where there is none.
func more(s *Spool, want bool) (n int) {
	var b batch.Batch
	if s.TakeMore(&b, func(*batch.Batch) bool { return want }) {
		fmt.Sscanf(string(b.Data), "%d:", &n)
	}
	return n
}

// Batches that are taken together are done with together; until then all of them are there.
func TestTakeMore(t *testing.T) {
	dir := errorfs.Private(t)
	s := open(t, dir, 1<<20, 0)
	if more(s, true) != 0 {
		t.Error("there is more without a first one")
	}
	for n := 1; n <= 5; n++ {
		must(t, s.Put(numbered(n, 100)))
	}
	if got := []int{take(t, s), more(s, true), more(s, false), more(s, true)}; got[0] != 1 || got[1] != 2 || got[2] != 0 || got[3] != 3 {
		t.Fatalf("took %v", got)
	}
	kill(s)
	s = open(t, dir, 1<<20, 1+2+3+4+5)
	if got := []int{take(t, s), more(s, true), more(s, true)}; got[0] != 1 || got[1] != 2 || got[2] != 3 {
		t.Fatalf("took %v", got)
	}
	must(t, s.Put(numbered(6, 100))) // beside what is under way
	s.Done()
	kill(s)
	s = open(t, dir, 1<<20, 4+5+6)
	if got := []int{take(t, s), more(s, true), more(s, true), more(s, true)}; got[0] != 4 || got[1] != 5 || got[2] != 6 || got[3] != 0 {
		t.Fatalf("took %v", got)
	}
	s.Done()
	if !s.Empty() {
		t.Error("something is left")
	}
	must(t, s.Close())
}

// The end of a segment, and what cannot be read, are for Take.
func TestTakeMoreStops(t *testing.T) {
	dir := errorfs.Private(t)
	s := open(t, dir, 4000, 0) // segments of 1000
	for n := 1; n <= 3; n++ {
		must(t, s.Put(numbered(n, 600)))
	}
	if take(t, s) != 1 || more(s, true) != 2 || more(s, true) != 0 {
		t.Error("a segment has no end")
	}
	s.Done()
	if take(t, s) != 3 {
		t.Error("the next segment does not follow")
	}
	must(t, s.Put(numbered(4, 200)))
	f, err := os.OpenFile(s.segments[0].name, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte("?"), s.segments[0].size-1)
	must(t, err)
	if more(s, true) != 0 {
		t.Error("a damaged batch is taken")
	}
	s.Done()
	if _, err := s.Take(&batch.Batch{}); err == nil {
		t.Error("nobody was told of the damaged batch")
	}
	must(t, s.Close())
}
