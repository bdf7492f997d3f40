package spool

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"synoptic/results/sink/spool/lock"
)

// One at a time, and the next one when the first has gone, with the file left or removed.
func TestLockIsTakenOnce(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	first, held, err := lock.Take(name)
	if err != nil || held {
		t.Fatal(held, err)
	}
	if _, held, err := lock.Take(name); !held || err == nil {
		t.Errorf("a second lock: held %v, error %v", held, err)
	}
	if !first.Is(name) {
		t.Error("it is another file's lock")
	}
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	second, _, err := lock.Take(name)
	if err != nil {
		t.Fatal(err)
	}
	second.Remove()
	if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is left: %v", err)
	}
	if _, held, err := lock.Take(filepath.Join(t.TempDir(), "none", "lock")); held || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a folder: held %v, error %v", held, err)
	}
}

// The lock of a file that is gone is nobody's.
func TestLockOfAFileThatIsGone(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	l, _, err := lock.Take(name)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	if err := os.Rename(name, name+".old"); err != nil {
		t.Skip(err) // nobody can, on Windows
	}
	if l.Is(name) {
		t.Error("a file that is gone")
	}
	next, _, err := lock.Take(name)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Release()
	if l.Is(name) || !next.Is(name) {
		t.Error("another file's lock")
	}
}
