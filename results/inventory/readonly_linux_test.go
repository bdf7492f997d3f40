package inventory

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// A database in a folder that cannot be written is read, unless its log has something that is not in it yet.
func TestReadOnlyFolder(t *testing.T) {
	dir, err := os.MkdirTemp("", "read only?") // t.TempDir has a parent that others may not look into
	check(t, err)
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700); os.RemoveAll(dir) })
	path := filepath.Join(dir, "a b#%.db")
	db := newDBIn(t, path)
	day("first", 0, ports("10.0.0.1", 1)).into(t, db, Scan{})
	check(t, db.Close())
	check(t, os.Chmod(path, 0o644))
	check(t, os.Chmod(dir, 0o555))
	ordinary(t, func() {
		if f, err := os.Create(filepath.Join(dir, "x")); err == nil {
			f.Close()
		}
	})
	if _, err := os.Stat(filepath.Join(dir, "x")); err == nil {
		t.Skip("rights to files cannot be dropped here")
	}
	read := func() (n int64, err error) {
		ordinary(t, func() {
			var db *DB
			if db, err = OpenReader(path, Config{Spaces: readBox}); err != nil {
				return
			}
			defer db.Close()
			var s Stats
			s, err = db.Stats()
			n = s.Open
		})
		return n, err
	}
	if n, err := read(); err != nil || n != 1 {
		t.Errorf("%d open, %v", n, err)
	}
	check(t, os.Chmod(dir, 0o755))
	check(t, os.WriteFile(path+"-wal", []byte("something"), 0o644))
	check(t, os.Chmod(dir, 0o555))
	if _, err := read(); err == nil || !strings.Contains(err.Error(), "somebody writes to it") {
		t.Errorf("with a log: %v", err)
	}
}

// ordinary runs f with no more rights to files than ordinary users have.
func ordinary(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends here, and with it that it is nobody
		err := syscall.Setfsuid(65534)
		if err == nil {
			f()
		}
		done <- err
	}()
	check(t, <-done)
}
