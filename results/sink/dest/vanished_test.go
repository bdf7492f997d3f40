package dest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// A file that has lost its name has lost its records: neither they nor those that follow count as delivered. One that was
// renamed has them.
func TestVanishedFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file that is open keeps its name")
	}
	for what, c := range map[string]struct {
		act  func(t *testing.T, name string)
		lost bool
	}{
		"nothing":               {func(*testing.T, string) {}, false},
		"removed":               {func(t *testing.T, name string) { must(t, os.Remove(name)) }, true},
		"removed and made anew": {func(t *testing.T, name string) { must(t, os.Remove(name)); touch(t, name) }, true},
		"replaced": {func(t *testing.T, name string) {
			touch(t, name+".new")
			must(t, os.Rename(name+".new", name))
		}, true},
		"replaced by a folder":     {func(t *testing.T, name string) { must(t, os.Remove(name)); must(t, os.Mkdir(name, 0o700)) }, true},
		"its folder removed":       {func(t *testing.T, name string) { must(t, os.RemoveAll(filepath.Dir(name))) }, true},
		"renamed, then removed":    {func(t *testing.T, name string) { must(t, os.Rename(name, name+".1")); must(t, os.Remove(name+".1")) }, true},
		"a link to it removed":     {func(t *testing.T, name string) { must(t, os.Link(name, name+".l")); must(t, os.Remove(name+".l")) }, false},
		"removed, a link is there": {func(t *testing.T, name string) { must(t, os.Link(name, name+".l")); must(t, os.Remove(name)) }, false},
		"renamed":                  {func(t *testing.T, name string) { must(t, os.Rename(name, name+".1")) }, false},
		"renamed and made anew":    {func(t *testing.T, name string) { must(t, os.Rename(name, name+".1")); touch(t, name) }, false},
		"its folder renamed":       {func(t *testing.T, name string) { must(t, os.Rename(filepath.Dir(name), filepath.Dir(name)+"2")) }, false},
		"its mode changed":         {func(t *testing.T, name string) { must(t, os.Chmod(name, 0)) }, false},
	} {
		for _, at := range []string{"Deliver", "Sync"} {
			for _, stdout := range []bool{false, true} {
				dir := filepath.Join(t.TempDir(), "dir")
				must(t, os.Mkdir(dir, 0o700))
				name := filepath.Join(dir, "out")
				d, _ := openTest(t, name, Content{})
				if stdout {
					must(t, d.Close())
					f, err := os.Create(name)
					must(t, err)
					d, _, err = Open("-", Content{}, Options{Stdout: f})
					must(t, err)
				}
				deliver(t, d, row("1"))
				deliver(t, d, row("2"))
				c.act(t, name)
				var err error
				if at == "Deliver" {
					_, err = d.Deliver(context.Background(), row("3"))
				} else {
					_, err = d.Sync(context.Background())
				}
				gone, is := errors.AsType[*VanishedError](err)
				unnamed := what == "its folder renamed" && at == "Sync" // its name cannot be made sure of
				if is != c.lost || is && (gone.Records != 2 || !IsPermanent(err) || gone.Hint() == "") || !is && (err != nil) != (unnamed && !stdout) {
					t.Errorf("%s, %s: %v", what, at, err)
				}
				d.Close()
			}
		}
	}
}

func touch(t *testing.T, name string) {
	t.Helper()
	must(t, os.WriteFile(name, nil, 0o600))
}

// A temporary file of the caller's, which has no name, is none that was removed.
func TestNamelessStream(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file that is open keeps its name")
	}
	f, err := os.CreateTemp(t.TempDir(), "")
	must(t, err)
	must(t, os.Remove(f.Name()))
	d, _, err := Open("-", Content{}, Options{Stdout: f})
	must(t, err)
	deliver(t, d, row("1"))
	_, err = d.Sync(context.Background())
	must(t, errors.Join(err, d.Close()))
}

// A scan that does not begin leaves no file, and takes none away that was there or that somebody has written to since.
func TestNothingIsLeft(t *testing.T) {
	for what, c := range map[string]struct {
		before, meanwhile func(t *testing.T, name string)
		left              string
	}{
		"none there":            {nil, nil, "none"},
		"an empty one there":    {touch, nil, ""},
		"a full one there":      {func(t *testing.T, name string) { must(t, os.WriteFile(name, []byte("x\n"), 0o600)) }, nil, "x\n"},
		"written to meanwhile":  {nil, func(t *testing.T, name string) { must(t, os.WriteFile(name, []byte("x\n"), 0o600)) }, "x\n"},
		"replaced meanwhile":    {nil, func(t *testing.T, name string) { must(t, os.Remove(name)); touch(t, name) }, ""},
		"removed meanwhile":     {nil, func(t *testing.T, name string) { must(t, os.Remove(name)) }, "none"},
		"a link to one there":   {func(t *testing.T, name string) { touch(t, name+"2"); must(t, os.Symlink(name+"2", name)) }, nil, ""},
		"a link to none":        {func(t *testing.T, name string) { must(t, os.Symlink(name+"2", name)) }, nil, ""},
		"the folder is removed": {nil, func(t *testing.T, name string) { must(t, os.RemoveAll(filepath.Dir(name))) }, "none"},
	} {
		if runtime.GOOS == "windows" && c.meanwhile != nil {
			continue
		}
		for _, doc := range []bool{false, true} {
			if doc && what == "a link to none" { // written as it is: it stays, empty
				continue
			}
			dir := filepath.Join(t.TempDir(), "dir")
			must(t, os.Mkdir(dir, 0o700))
			name := filepath.Join(dir, "out")
			if c.before != nil {
				c.before(t, name)
			}
			d, _ := openTest(t, name, Content{Document: doc})
			if doc && strings.HasSuffix(what, "ed meanwhile") {
				touch(t, name) // no document is seen before it is whole
			}
			if c.meanwhile != nil {
				c.meanwhile(t, name)
			}
			d.Close()
			got := "none"
			if data, err := os.ReadFile(name); err == nil {
				got = string(data)
			}
			if got != c.left {
				t.Errorf("%s (document: %v): %q is left, want %q", what, doc, got, c.left)
			}
			if entries, _ := os.ReadDir(dir); len(entries) > 2 || len(entries) > 1 && c.before == nil {
				t.Errorf("%s (document: %v): %v is left", what, doc, entries)
			}
		}
	}
}
