package dest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"synoptic/results/sink/vfs"
	"synoptic/results/sink/vfs/errorfs"
)

// publish ends a document as delivery does.
func publish(t *testing.T, d Destination) error {
	t.Helper()
	_, err := d.Sync(context.Background())
	must(t, err)
	if p, ok := d.(Publisher); ok {
		return p.Publish()
	}
	return nil
}

// A document is whole or absent: what is there stays until all of the new one is, whatever comes between.
func TestDocument(t *testing.T) {
	for _, before := range []string{"none", "an earlier one"} {
		for what, c := range map[string]struct {
			act  func(t *testing.T, d Destination)
			want string // "" is what was there before
		}{
			"whole": {func(t *testing.T, d Destination) {
				deliver(t, d, row("1"))
				deliver(t, d, row("2"))
				must(t, publish(t, d))
			}, "1\n2\n"},
			"twice": {func(t *testing.T, d Destination) {
				deliver(t, d, row("1"))
				must(t, publish(t, d))
				must(t, publish(t, d))
			}, "1\n"},
			"empty":       {func(t *testing.T, d Destination) { must(t, publish(t, d)) }, "\x00"},
			"never begun": {func(*testing.T, Destination) {}, ""},
			"half":        {func(t *testing.T, d Destination) { deliver(t, d, row("1")) }, ""},
			"all but shown": {func(t *testing.T, d Destination) {
				deliver(t, d, row("1"))
				_, err := d.Sync(t.Context())
				must(t, err)
			}, ""},
		} {
			dir := t.TempDir()
			name := filepath.Join(dir, "scan.xml")
			if before != "none" {
				must(t, os.WriteFile(name, []byte(before), 0o600))
			}
			d, fresh := openTest(t, name, Content{Document: true})
			if !fresh || !d.(interface{ Reopens() bool }).Reopens() {
				t.Errorf("%s: fresh %v", what, fresh)
			}
			c.act(t, d)
			must(t, d.Reopen()) // which is not for it
			must(t, d.Close())
			want := strings.Trim(c.want, "\x00")
			if c.want == "" {
				want = before
			}
			got := "none"
			if data, err := os.ReadFile(name); err == nil {
				got = string(data)
			}
			if got != want {
				t.Errorf("%s over %s: %q", what, before, got)
			}
			if entries, err := os.ReadDir(dir); err != nil || len(entries) > 1 {
				t.Errorf("%s: %v is left, %v", what, entries, err)
			}
		}
	}
}

// The place is what the name stands for, with the mode of the file there.
func TestDocumentPlace(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "real"), 0o700))
	target, link := filepath.Join(dir, "real", "scan.xml"), filepath.Join(dir, "latest.xml")
	must(t, os.WriteFile(target, []byte("old"), 0o604))
	must(t, os.Chmod(target, 0o604))
	must(t, os.Symlink(target, link))
	d, _ := openTest(t, link, Content{Document: true})
	deliver(t, d, row("new"))
	must(t, publish(t, d))
	must(t, d.Close())
	info, err := os.Stat(target)
	must(t, err)
	if content(t, target) != "new\n" || info.Mode().Perm() != 0o604 && runtime.GOOS != "windows" {
		t.Errorf("%q, mode %v", content(t, target), info.Mode())
	}
	if to, err := os.Readlink(link); err != nil || to != target {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	null, fresh := openTest(t, os.DevNull, Content{Document: true})
	if _, hidden := null.(Publisher); hidden || !fresh {
		t.Errorf("a device: %T", null)
	}
	must(t, null.Close())
}

// What cannot be put in its place is told, and nothing passes for the document.
func TestDocumentFails(t *testing.T) {
	if _, _, err := Open(filepath.Join(t.TempDir(), "no", "scan.xml"), Content{Document: true}, Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	for what, c := range map[string]struct {
		kind  errorfs.Kind
		err   error
		want  string
		again bool // it may pass
	}{
		"rename fails":      {errorfs.Rename, syscall.EIO, "old", false},
		"no permission":     {errorfs.Rename, syscall.EACCES, "old", false},
		"read-only":         {errorfs.Rename, syscall.EROFS, "old", false},
		"no room":           {errorfs.Rename, syscall.ENOSPC, "old", true},
		"quota":             {errorfs.Rename, syscall.EDQUOT, "old", true},
		"a mount point":     {errorfs.Rename, syscall.EBUSY, "new\n", false},
		"the folder's sync": {errorfs.SyncDir, syscall.EIO, "new\n", false},
	} {
		dir := t.TempDir()
		name := filepath.Join(dir, "scan.xml")
		must(t, os.WriteFile(name, []byte("old"), 0o600))
		files := errorfs.New(nil)
		d, _, err := Open(name, Content{Document: true}, Options{Files: files})
		must(t, err)
		deliver(t, d, row("new"))
		_, err = d.Sync(t.Context())
		must(t, err)
		files.Break(errorfs.On(c.kind, "*", c.err))
		err = d.(Publisher).Publish()
		_, full := errors.AsType[*Full](err)
		mounted := errors.Is(c.err, syscall.EBUSY)
		if full != c.again || IsPermanent(err) != (!c.again && !mounted) || !mounted && !errors.Is(err, c.err) || mounted && err != nil {
			t.Errorf("%s: %v", what, err)
		}
		files.Break(nil)
		if c.again {
			must(t, d.(Publisher).Publish())
			c.want = "new\n"
		}
		d.Close()
		if got := content(t, name); got != c.want {
			t.Errorf("%s: %q", what, got)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			t.Errorf("%s: %v is left, %v", what, entries, err)
		}
	}
}

// Where the folder takes no other file, the document is written as it is.
func TestDocumentInPlace(t *testing.T) {
	name := filepath.Join(t.TempDir(), "scan.xml")
	must(t, os.WriteFile(name, []byte("an old one"), 0o600))
	files := errorfs.New(errorfs.On(errorfs.Open, "*.partial", syscall.EACCES))
	d, fresh, err := Open(name, Content{Document: true}, Options{Files: files})
	must(t, err)
	if got := content(t, name); got != "an old one" || !fresh {
		t.Errorf("%q, fresh %v", got, fresh)
	}
	deliver(t, d, row("new"))
	must(t, d.Close())
	if got := content(t, name); got != "new\n" {
		t.Errorf("%q", got)
	}
	var _ vfs.FS = files
}
