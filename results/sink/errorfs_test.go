package sink

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"synoptic/results/sink/vfs/errorfs"
)

// After a power failure there is what was synced, where the names were synced too, and nothing else.
func TestFilesAfterACrash(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	must(t, os.WriteFile(at("before"), []byte("old "), 0o600))
	f := errorfs.New(nil)
	write := func(name, data string, sync bool) {
		t.Helper()
		o, err := f.OpenFile(at(name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		must(t, err)
		_, err = o.Write([]byte(data))
		must(t, err)
		if sync {
			must(t, o.Sync())
		}
		must(t, o.Close())
	}
	write("before", "new", false)
	write("synced", "a", true)
	write("synced", "b", false)
	write("renamed", "r", true)
	must(t, f.SyncDir(dir))
	must(t, f.Rename(at("renamed"), at("new name")))
	write("nameless", "c", true)
	must(t, f.MkdirAll(at("x/y"), 0o700))
	write("x/y/deep", "d", true)
	must(t, f.SyncDir(at("x/y")))
	look := func() map[string]string {
		t.Helper()
		after := t.TempDir()
		must(t, f.Crash(dir, after))
		found := map[string]string{}
		must(t, filepath.WalkDir(after, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				data, err := os.ReadFile(path)
				must(t, err)
				name, _ := filepath.Rel(after, path)
				found[filepath.ToSlash(name)] = string(data)
			}
			return err
		}))
		return found
	}
	want := map[string]string{"before": "old ", "synced": "a", "renamed": "r"}
	if got := look(); !maps.Equal(got, want) {
		t.Errorf("left %v, want %v", got, want)
	}
	must(t, errors.Join(f.SyncDir(at("x")), f.SyncDir(dir)))
	want = map[string]string{"before": "old ", "synced": "a", "new name": "r", "nameless": "c", "x/y/deep": "d"}
	if got := look(); !maps.Equal(got, want) {
		t.Errorf("left %v, want %v", got, want)
	}
}

// What is to fail fails, and a short write has written what it says.
func TestFilesBreak(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.jsonl")
	f := errorfs.New(errorfs.On(errorfs.Write, "*.jsonl", &errorfs.Short{N: 3, Err: syscall.ENOSPC}))
	o, err := f.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	must(t, err)
	if n, err := o.Write([]byte("12345")); n != 3 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("wrote %d, %v", n, err)
	}
	for kind, do := range map[errorfs.Kind]func() error{
		errorfs.Sync: o.Sync, errorfs.Truncate: func() error { return o.Truncate(0) }, errorfs.Read: func() error { _, err := o.ReadAt(nil, 0); return err },
		errorfs.Open: func() error { _, err := f.OpenFile(name, 0, 0); return err }, errorfs.Rename: func() error { return f.Rename(name, name+"y") },
		errorfs.Remove: func() error { return f.Remove(name) }, errorfs.Close: o.Close,
	} {
		f.Break(errorfs.On(kind, "x.jsonl", syscall.EIO))
		if err := do(); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: error %v", kind, err)
		}
	}
	if data, err := os.ReadFile(name); err != nil || string(data) != "123" {
		t.Errorf("%q, %v", data, err)
	}
}
