package spool

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"synoptic/bench/lab/need"
	"synoptic/results/sink/batch"
	"synoptic/results/sink/vfs"
	"synoptic/results/sink/vfs/errorfs"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// numbered is a batch of one event, which says its number and is so many bytes long.
func numbered(n, size int) *batch.Batch {
	data := []byte(fmt.Sprintf("%d:", n))
	data = append(data, strings.Repeat("x", max(0, size-len(data)))...)
	return &batch.Batch{Data: data, Events: []batch.Event{{End: len(data), Time: int64(n), ID: [16]byte{15: byte(n)}, Records: n}}}
}

// take takes the next batch and gives its number, or 0 where there is none.
func take(t *testing.T, s *Spool) int {
	t.Helper()
	var b batch.Batch
	ok, err := s.Take(&b)
	must(t, err)
	if !ok {
		return 0
	}
	var n int
	if _, err := fmt.Sscanf(string(b.Data), "%d:", &n); err != nil {
		t.Fatal(err)
	}
	if e := b.Events[0]; len(b.Events) != 1 || e.End != len(b.Data) || e.Time != int64(n) || e.Records != n || e.ID[15] != byte(n) {
		t.Fatalf("batch %d came back as %+v", n, e)
	}
	return n
}

func open(t *testing.T, dir string, most int64, records int) *Spool {
	t.Helper()
	s, found, err := Open(vfs.OS, dir, "jsonl:x", most)
	must(t, err)
	if found != uint64(records) || len(s.Lost()) > 0 {
		t.Fatalf("found %d records, want %d; lost: %v", found, records, s.Lost())
	}
	return s
}

// kill is the end of a process: its lock goes, and its files stay as they are.
func kill(s *Spool) {
	for _, g := range s.segments {
		g.f.Close()
	}
	s.locked.Release()
}

func files(t *testing.T, dir string) (all []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, path)
			info, err := d.Info()
			must(t, err)
			if info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %v", path, info.Mode())
			}
		}
		return err
	}))
	return all
}

// First in, first out, over many segments, with puts and takes in any order; and nothing is left on disk.
func TestQueue(t *testing.T) {
	dir := errorfs.Private(t)
	s := open(t, dir, 400_000, 0)
	rng := rand.New(rand.NewPCG(1, 2))
	put, got := 0, 0
	for put < 3000 {
		for range rng.IntN(40) {
			err := s.Put(numbered(put+1, rng.IntN(20_000)))
			if errors.Is(err, ErrFull) {
				break
			}
			must(t, err)
			put++
		}
		if s.bytes > 400_000 {
			t.Fatalf("%d bytes on disk", s.bytes)
		}
		for range rng.IntN(50) {
			n := take(t, s)
			if n == 0 {
				break
			}
			if got++; n != got {
				t.Fatalf("batch %d where %d is due", n, got)
			}
			s.Done()
		}
		if s.Empty() != (put == got) {
			t.Fatalf("empty: %v, with %d of %d taken", s.Empty(), got, put)
		}
	}
	if len(files(t, dir)) < 3 {
		t.Error("no test of several segments")
	}
	for n := take(t, s); n != 0; n = take(t, s) {
		got++
		s.Done()
	}
	if got != put {
		t.Errorf("%d of %d came out", got, put)
	}
	must(t, s.Close())
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("%v is left", entries)
	}
}

// Room comes back when something is delivered, and a batch that is larger than the spool goes in alone.
func TestFull(t *testing.T) {
	s := open(t, errorfs.Private(t), 10_000, 0)
	must(t, s.Put(numbered(1, 50_000)))
	if err := s.Put(numbered(2, 10)); !errors.Is(err, ErrFull) {
		t.Errorf("error %v", err)
	}
	must(t, s.PutRest(numbered(2, 10)))
	for want := 1; want <= 2; want++ {
		if n := take(t, s); n != want {
			t.Errorf("batch %d, want %d", n, want)
		}
		s.Done()
	}
	must(t, s.Put(numbered(3, 10)))
}

// The next process goes on where this one ended: by itself, or killed at any moment.
func TestAdoption(t *testing.T) {
	for _, killed := range []bool{false, true} {
		dir := errorfs.Private(t)
		s := open(t, dir, 1<<20, 0)
		for n := 1; n <= 100; n++ {
			must(t, s.Put(numbered(n, 5000)))
		}
		for n := 1; n <= 60; n++ {
			take(t, s)
			s.Done()
		}
		take(t, s) // 61 is under way
		if killed {
			kill(s)
		} else {
			// What was taken from memory before all that comes first.
			n, err := s.Prepend([]*batch.Batch{numbered(7, 10), numbered(8, 10)})
			if must(t, err); n != 2 {
				t.Fatalf("%d batches", n)
			}
			must(t, s.Close())
		}
		records := 0
		for n := 61; n <= 100; n++ {
			records += n
		}
		var want []int
		if !killed {
			want = append(want, 7, 8)
			records += 15
		}
		s = open(t, dir, 1<<20, records)
		must(t, s.Put(numbered(101, 5000)))
		for n := 61; n <= 101; n++ {
			want = append(want, n)
		}
		for _, w := range want {
			if n := take(t, s); n != w {
				t.Fatalf("killed %v: batch %d, want %d", killed, n, w)
			}
			s.Done()
		}
		must(t, s.Close())
		if left := files(t, dir); len(left) > 0 {
			t.Errorf("%v is left", left)
		}
	}
}

// What a process was writing when it was killed is left out, wherever that was cut, and what comes next
// is whole.
func TestTornFrame(t *testing.T) {
	dir := errorfs.Private(t)
	s := open(t, dir, 1<<20, 0)
	must(t, s.Put(numbered(1, 100)))
	whole := s.segments[0].size
	must(t, s.Put(numbered(2, 100)))
	name, size := s.segments[0].name, s.segments[0].size
	kill(s)
	data, err := os.ReadFile(name)
	must(t, err)
	for cut := int64(0); cut < size; cut += need.Sample(t, int64(5), 1, 1) {
		must(t, os.MkdirAll(filepath.Dir(name), 0o700))
		must(t, os.WriteFile(name, data[:cut], 0o600))
		records := 1
		if cut < whole {
			records = 0
		}
		s := open(t, dir, 1<<20, records)
		must(t, s.Put(numbered(9, 10)))
		kill(s) // nor does what was cut off come back
		s = open(t, dir, 1<<20, records+9)
		for _, want := range []int{1, 9, 0}[1-records:] {
			if n := take(t, s); n != want {
				t.Fatalf("cut at %d of %d: batch %d, want %d", cut, size, n, want)
			}
			s.Done()
		}
		must(t, s.Close())
	}
}

// What has been damaged is told and left out; the rest is delivered.
func TestDamage(t *testing.T) {
	for _, c := range []struct {
		at      int64 // offset in the second frame
		records uint64
		last    bool // whether the third one can still be found
	}{{4, 2, true}, {8, 3, true}, {frameHead, 2, true}, {60, 2, true}, {3, 5, false}} {
		dir := errorfs.Private(t)
		s := open(t, dir, 1<<20, 0)
		must(t, s.Put(numbered(1, 100)))
		at := s.segments[0].size + c.at
		must(t, s.Put(numbered(2, 100)))
		must(t, s.Put(numbered(3, 100)))
		name := s.segments[0].name
		kill(s)
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		must(t, err)
		var one [1]byte
		f.ReadAt(one[:], at)
		one[0] ^= 1
		if c.at == 3 {
			one[0] = 0x7f
		}
		f.WriteAt(one[:], at)
		f.Close()
		s, found, err := Open(vfs.OS, dir, "jsonl:x", 1<<20)
		must(t, err)
		if n := take(t, s); n != 1 {
			t.Fatalf("batch %d", n)
		}
		s.Done()
		var b batch.Batch
		ok, err := s.Take(&b)
		lost, is := errors.AsType[*LostError](err)
		if ok || !is || lost.Bytes == 0 || !strings.Contains(err.Error(), name) {
			t.Fatalf("damage at %d: %v, %v", c.at, ok, err)
		}
		want := 0
		if c.last {
			want = 3
			if lost.Records != c.records {
				t.Errorf("damage at %d: %d records are said to be lost", c.at, lost.Records)
			}
		}
		if n := take(t, s); n != want || found != 1+uint64(want)+lost.Records {
			t.Errorf("damage at %d: batch %d, want %d; %d records found, %d lost", c.at, n, want, found, lost.Records)
		}
		kill(s)
	}
}

// A file of something else is left alone, and told.
func TestForeignFile(t *testing.T) {
	dir := errorfs.Private(t)
	s := open(t, dir, 1<<20, 0)
	name := s.name(5)
	must(t, os.WriteFile(name, []byte(strings.Repeat("not a segment", 10)), 0o600))
	kill(s)
	s, found, err := Open(vfs.OS, dir, "jsonl:x", 1<<20)
	must(t, err)
	if found != 0 || len(s.Lost()) != 1 {
		t.Errorf("%d records, lost %v", found, s.Lost())
	}
	must(t, s.Close())
	if _, err := os.Stat(name); err != nil {
		t.Error(err)
	}
}

// Two processes with the same output have a spool each; the next one takes over both. Other outputs have
// nothing to do with it.
func TestLock(t *testing.T) {
	dir := errorfs.Private(t)
	a, b := open(t, dir, 1<<20, 0), open(t, dir, 1<<20, 0)
	must(t, a.Put(numbered(1, 10)))
	must(t, b.Put(numbered(2, 10)))
	if n := take(t, b); n != 2 {
		t.Errorf("batch %d", n)
	}
	other, found, err := Open(vfs.OS, dir, "ecs:x", 1<<20)
	if must(t, err); found != 0 {
		t.Errorf("%d records of another output", found)
	}
	must(t, other.Close())
	c := open(t, dir, 1<<20, 0)
	must(t, c.Close())
	kill(a)
	kill(b)
	c = open(t, dir, 1<<20, 3)
	for want := 1; want <= 2; want++ {
		if n := take(t, c); n != want {
			t.Errorf("batch %d, want %d", n, want)
		}
		c.Done()
	}
	must(t, c.Close())
	if left := files(t, dir); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// Whatever is in a segment file, reading it ends, and gives only batches that hold together.
func FuzzSegment(f *testing.F) {
	g := &segment{pos: segmentHead}
	good := g.header()
	for n := 1; n < 4; n++ {
		good = appendFrame(good, numbered(n, 30))
	}
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(good[:segmentHead+3])
	f.Add([]byte(segmentMagic))
	f.Add(append(good[:segmentHead:segmentHead], make([]byte, 100)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		name := filepath.Join(errorfs.Private(t), "x")
		must(t, os.WriteFile(name, data, 0o600))
		s, err := openSegment(vfs.OS, name, 1)
		if err != nil {
			return
		}
		defer s.f.Close()
		var b batch.Batch
		var buf []byte
		for rounds := 0; s.frames > 0; rounds++ {
			if rounds > len(data) {
				t.Fatal("no end")
			}
			h, err := s.read(&b, &buf)
			if err == nil {
				end, records := 0, uint64(0)
				for i := range b.Events {
					_ = b.Event(i)
					end, records = b.Events[i].End, records+uint64(b.Events[i].Records)
				}
				if end != len(b.Data) || records != uint64(h.records) {
					t.Fatalf("events of %d of %d bytes, %d of %d records", end, len(b.Data), records, h.records)
				}
			} else if _, ok := errors.AsType[*LostError](err); !ok {
				t.Fatal(err)
			}
			s.passed(h)
		}
	})
}
