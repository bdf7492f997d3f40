package spool

import (
	"errors"
	"slices"
	"syscall"
	"testing"

	"synoptic/bench/lab/need"
	"synoptic/results/sink/batch"
	"synoptic/results/sink/vfs"
	"synoptic/results/sink/vfs/errorfs"
)

// crashed is the spool as the next process finds it after a power failure.
func crashed(t *testing.T, disk *errorfs.FS, dir string) []int {
	t.Helper()
	to := errorfs.Private(t)
	must(t, disk.Crash(dir, to))
	s, _, err := Open(vfs.OS, to, "jsonl:x", 1<<20)
	must(t, err)
	defer s.Close()
	var all []int
	for n := take(t, s); n != 0; n = take(t, s) {
		all = append(all, n)
		s.Done()
	}
	return all
}

func equal(a []int, b ...int) bool { return slices.Equal(a, b) }

// What was synced is there after a power failure, also when it was passed, until it is released.
func TestHeldUntilReleased(t *testing.T) {
	dir, disk := errorfs.Private(t), errorfs.New(nil)
	s, _, err := Open(disk, dir, "jsonl:x", 4000) // segments of 1000
	must(t, err)
	for n := 1; n <= 4; n++ {
		must(t, s.Put(numbered(n, 400)))
	}
	if got := crashed(t, disk, dir); len(got) > 0 {
		t.Errorf("before the sync there is %v", got)
	}
	must(t, s.Sync())
	for n := 1; n <= 3; n++ {
		if got := take(t, s); got != n {
			t.Fatalf("batch %d, want %d", got, n)
		}
		s.Pass()
	}
	if s.Len() != 1 || s.Held() == 0 {
		t.Errorf("%d batches, %d bytes held", s.Len(), s.Held())
	}
	if got := crashed(t, disk, dir); !equal(got, 1, 2, 3, 4) {
		t.Errorf("passed, not released: %v", got)
	}
	s.Release()
	must(t, s.Sync()) // of the offset that was written
	if got := crashed(t, disk, dir); s.Held() != 0 || got[len(got)-1] != 4 || len(got) > 2 {
		t.Errorf("released: %v, %d bytes held", got, s.Held())
	}
	must(t, s.Put(numbered(5, 400)))
	for n := 4; n <= 5; n++ {
		if got := take(t, s); got != n {
			t.Fatalf("batch %d, want %d", got, n)
		}
		s.Done()
	}
	must(t, s.Close())
	if left := len(files(t, dir)); left != 0 {
		t.Errorf("%d files are left", left)
	}
}

// Copies come before all else for the next process, are nothing to this one, and the next ones take their
// place. Where they cannot be made, the earlier ones stay.
func TestInsure(t *testing.T) {
	dir, disk := errorfs.Private(t), errorfs.New(nil)
	s, _, err := Open(disk, dir, "jsonl:x", 1<<20)
	must(t, err)
	must(t, s.Put(numbered(3, 100)))
	must(t, s.Insure([]*batch.Batch{numbered(1, 100), numbered(2, 100)}))
	must(t, s.Sync())
	if got := crashed(t, disk, dir); !equal(got, 1, 2, 3) {
		t.Errorf("left %v", got)
	}
	must(t, s.Insure([]*batch.Batch{numbered(2, 100)}))
	if got := crashed(t, disk, dir); !equal(got, 2, 3) {
		t.Errorf("left %v", got)
	}
	for _, kind := range []errorfs.Kind{errorfs.Write, errorfs.Sync, errorfs.Open} {
		disk.Break(errorfs.On(kind, "*.spool", syscall.EIO))
		if err := s.Insure([]*batch.Batch{numbered(9, 100)}); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s fails: error %v", kind, err)
		}
		disk.Break(nil)
		if got := crashed(t, disk, dir); !equal(got, 2, 3) {
			t.Errorf("%s has failed: left %v", kind, got)
		}
	}
	if n := take(t, s); n != 3 {
		t.Errorf("this process takes %d", n)
	}
	s.Done()
	s.Uninsure()
	must(t, s.Close())
	if left := len(files(t, dir)); left != 0 {
		t.Errorf("%d files are left", left)
	}
}

// A sync that failed is not made good by the next one.
func TestSyncErrorStays(t *testing.T) {
	disk := errorfs.New(errorfs.On(errorfs.Sync, "*.spool", syscall.EIO))
	s, _, err := Open(disk, errorfs.Private(t), "jsonl:x", 1<<20)
	must(t, err)
	must(t, s.Put(numbered(1, 100)))
	for range 2 {
		if err := s.Sync(); !errors.Is(err, syscall.EIO) {
			t.Errorf("error %v", err)
		}
		disk.Break(nil)
	}
	take(t, s)
	s.Done() // and it is gone
	must(t, s.Put(numbered(2, 100)))
	must(t, s.Sync())
	take(t, s)
	s.Done()
	must(t, s.Close())
}

// A write that ends half way, for whatever reason, leaves nothing that is in the way of the next one.
func TestShortWrites(t *testing.T) {
	for n := 0; n < 200; n += need.Sample(t, 7, 1, 1) {
		dir, disk := errorfs.Private(t), errorfs.New(nil)
		s, _, err := Open(disk, dir, "jsonl:x", 1<<20)
		must(t, err)
		must(t, s.Put(numbered(1, 100)))
		disk.Break(errorfs.On(errorfs.Write, "*.spool", &errorfs.Short{N: n, Err: syscall.ENOSPC}))
		if err := s.Put(numbered(2, 100)); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("error %v", err)
		}
		disk.Break(nil)
		must(t, s.Put(numbered(3, 100)))
		must(t, s.Sync())
		if got := crashed(t, disk, dir); !equal(got, 1, 3) {
			t.Fatalf("after %d bytes: left %v", n, got)
		}
		for want := range 2 {
			if got := take(t, s); got != 1+2*want {
				t.Fatalf("after %d bytes: batch %d", n, got)
			}
			s.Done()
		}
		must(t, s.Close())
	}
}
