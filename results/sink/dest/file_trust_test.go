//go:build unix

package dest_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"synoptic/results/sink/dest"
	"synoptic/results/sink/vfs"
	"synoptic/results/sink/vfs/errorfs"
)

// planted is a folder with something under the name x in it, of which target is what would be written to.
type planted struct{ dir, name, target string }

// plantings are ways to put something under a name. Those of others are skipped by who cannot make them.
var plantings = map[string]func(t *testing.T, p planted){
	"nothing":       func(*testing.T, planted) {},
	"own file":      func(t *testing.T, p planted) { must(t, os.WriteFile(p.name, nil, 0o600)) },
	"own link":      func(t *testing.T, p planted) { must(t, os.Symlink(p.target, p.name)) },
	"dangling link": func(t *testing.T, p planted) { must(t, errors.Join(os.Remove(p.target), os.Symlink(p.target, p.name))) },
	"hard link":     func(t *testing.T, p planted) { must(t, os.Link(p.target, p.name)) },
	"pipe":          func(t *testing.T, p planted) { must(t, syscall.Mkfifo(p.name, 0o600)) },
	"writable file": func(t *testing.T, p planted) {
		must(t, errors.Join(os.WriteFile(p.name, nil, 0o600), os.Chmod(p.name, 0o666)))
	},
	"file of another": func(t *testing.T, p planted) { must(t, os.WriteFile(p.name, nil, 0o666)); toSomebody(t, p.name) },
	"link of another": func(t *testing.T, p planted) { must(t, os.Symlink(p.target, p.name)); toSomebody(t, p.name) },
	"pipe of another": func(t *testing.T, p planted) { must(t, syscall.Mkfifo(p.name, 0o666)); toSomebody(t, p.name) },
	"folder":          func(t *testing.T, p planted) { must(t, os.Mkdir(p.name, 0o700)) },
}

func toSomebody(t *testing.T, name string) {
	t.Helper()
	if err := os.Lchown(name, 65533, -1); err != nil {
		t.Skipf("no file can be given to another user: %v", err)
	}
}

func plant(t *testing.T, what string, mode fs.FileMode) planted {
	t.Helper()
	parent := errorfs.Private(t)
	p := planted{dir: filepath.Join(parent, "folder")}
	p.name, p.target = filepath.Join(p.dir, "x"), filepath.Join(parent, "target")
	must(t, os.Mkdir(p.dir, 0o700))
	must(t, os.WriteFile(p.target, []byte("precious"), 0o600))
	plantings[what](t, p)
	must(t, os.Chmod(p.dir, mode))
	return p
}

// A name that nobody has given is ours or nothing, in a folder where nobody else can put anything.
func TestPrivateFile(t *testing.T) {
	fine := map[string]bool{"nothing": true, "own file": true}
	for what := range plantings {
		for _, mode := range []fs.FileMode{0o700, 0o755, 0o757, 0o777, 0o777 | fs.ModeSticky} {
			t.Run(what+" "+mode.String(), func(t *testing.T) {
				p := plant(t, what, mode)
				want := fine[what] && mode&0o002 == 0
				d := dest.NewFile(p.name, nil, true)
				defer d.Close()
				done := make(chan error, 1)
				go func() { _, err := d.Deliver(t.Context(), encoded(t, 1)); done <- err }()
				select {
				case err := <-done:
					if (err == nil) != want {
						t.Errorf("error %v", err)
					}
				case <-time.After(time.Minute):
					t.Fatal("it waits")
				}
				if err := dest.TrustPrivate(vfs.OS, p.name); (err == nil) != want {
					t.Errorf("before the first record: %v", err)
				}
				if data, err := os.ReadFile(p.target); what != "dangling link" && string(data) != "precious" {
					t.Errorf("the file that it leads to: %q, %v", data, err)
				} else if what == "dangling link" && err == nil {
					t.Error("a file was made where the link leads")
				}
				if info, err := os.Lstat(p.name); want && (err != nil || info.Mode() != 0o600) {
					t.Errorf("%v, %v", info.Mode(), err)
				}
			})
		}
	}
}

// A name that was given is followed, but for what another user has put there in a folder of all.
func TestPlantedOutput(t *testing.T) {
	theirs := map[string]bool{"file of another": true, "link of another": true, "pipe of another": true, "hard link": true}
	for what := range plantings {
		for _, mode := range []fs.FileMode{0o700, 0o755, 0o777, 0o777 | fs.ModeSticky} {
			if strings.Contains(what, "pipe") && (!theirs[what] || mode&0o002 == 0) || what == "folder" {
				continue // to open it waits for a reader; no file
			}
			t.Run(what+" "+mode.String(), func(t *testing.T) {
				p := plant(t, what, mode)
				want := mode&0o002 == 0 || !theirs[what]
				d, _, err := dest.Open(p.name, dest.Content{}, dest.Options{})
				if err == nil {
					defer d.Close()
				}
				if (err == nil) != want {
					t.Fatalf("error %v", err)
				}
				own, hinted := errors.AsType[*vfs.Untrusted](err)
				if hint, ok := errors.AsType[*dest.Error](err); err != nil && (!hinted || !ok || hint.Hint() != own.Hint() || own.Hint() == "") {
					t.Errorf("no hint: %v", err)
				}
				if data, _ := os.ReadFile(p.target); what != "dangling link" && string(data) != "precious" {
					t.Errorf("the file that it leads to: %q", data)
				}
			})
		}
	}
}

// Results are for their owner and the group, whatever kind of file, and a file that is there keeps its mode.
func TestResultMode(t *testing.T) {
	dir := errorfs.Private(t)
	for _, c := range []dest.Content{{}, {Document: true}, {Headed: true}} {
		name := filepath.Join(dir, "x")
		os.Remove(name)
		for _, mode := range []fs.FileMode{0o640, 0o604} {
			d, _, err := dest.Open(name, c, dest.Options{})
			must(t, err)
			if _, err := d.Deliver(t.Context(), encoded(t, 1)); err != nil {
				t.Fatal(err)
			}
			if p, ok := d.(dest.Publisher); ok {
				must(t, p.Publish())
			}
			if info, err := os.Stat(name); err != nil || info.Mode().Perm()&^mode != 0 {
				t.Errorf("%+v: mode %v, want %v at most, error %v", c, info.Mode(), mode, err)
			}
			must(t, d.Close())
			must(t, os.Chmod(name, 0o604))
		}
	}
}
