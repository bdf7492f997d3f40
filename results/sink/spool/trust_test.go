//go:build unix

package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"synoptic/results/sink/vfs"
	"synoptic/results/sink/vfs/errorfs"
)

// somebody is another user.
const somebody = 65533

// toSomebody gives a file or link to another user, or skips: who is not root cannot, nor root of a namespace with one
// user.
func toSomebody(t *testing.T, name string) {
	t.Helper()
	if err := os.Lchown(name, somebody, -1); err != nil {
		t.Skipf("no file can be given to another user: %v", err)
	}
}

// What another user could have put into a spool, or could put there, is refused with a hint, nothing of it is
// delivered, and it stays where it is. The same spool is taken as soon as that is put right.
func TestTrust(t *testing.T) {
	for name, c := range map[string]struct {
		plant func(t *testing.T, parent, dir, folder, segment string)
		right func(parent, dir, folder, segment string) error // puts it right; nil: remove what was planted
		why   string
	}{
		"spool readable by others": {
			func(t *testing.T, _, dir, _, _ string) { must(t, os.Chmod(dir, 0o705)) },
			func(_, dir, _, _ string) error { return os.Chmod(dir, 0o700) }, "open to other users (mode 0705)",
		},
		"spool open to the group": {
			func(t *testing.T, _, dir, _, _ string) { must(t, os.Chmod(dir, 0o750)) },
			func(_, dir, _, _ string) error { return os.Chmod(dir, 0o700) }, "(mode 0750)",
		},
		"spool writable by anybody": {
			func(t *testing.T, _, dir, _, _ string) { must(t, os.Chmod(dir, 0o777)) },
			func(_, dir, _, _ string) error { return os.Chmod(dir, 0o700) }, "(mode 0777)",
		},
		"spool sticky": {
			func(t *testing.T, _, dir, _, _ string) { must(t, os.Chmod(dir, 0o777|os.ModeSticky)) },
			func(_, dir, _, _ string) error { return os.Chmod(dir, 0o700) }, "(mode 0777)",
		},
		"spool of another": {
			func(t *testing.T, _, dir, _, _ string) { toSomebody(t, dir) },
			func(_, dir, _, _ string) error { return os.Lchown(dir, os.Geteuid(), -1) }, "belongs to another user",
		},
		"spool a link": {
			func(t *testing.T, parent, dir, _, _ string) {
				must(t, os.Rename(dir, filepath.Join(parent, "real")))
				must(t, os.Symlink("real", dir))
			},
			func(parent, dir, _, _ string) error {
				return errors.Join(os.Remove(dir), os.Rename(filepath.Join(parent, "real"), dir))
			}, "symbolic link",
		},
		"spool in a folder of all": {
			func(t *testing.T, parent, _, _, _ string) { must(t, os.Chmod(parent, 0o777)) },
			func(parent, _, _, _ string) error { return os.Chmod(parent, 0o777|os.ModeSticky) }, "others may write to",
		},
		"folder readable by others": {
			func(t *testing.T, _, _, folder, _ string) { must(t, os.Chmod(folder, 0o755)) },
			func(_, _, folder, _ string) error { return os.Chmod(folder, 0o700) }, "(mode 0755)",
		},
		"folder of another": {
			func(t *testing.T, _, _, folder, _ string) { toSomebody(t, folder) },
			func(_, _, folder, _ string) error { return os.Lchown(folder, os.Geteuid(), -1) }, "belongs to another user",
		},
		"folder a link": {
			func(t *testing.T, parent, _, folder, _ string) {
				must(t, os.Rename(folder, filepath.Join(parent, "theirs")))
				must(t, os.Symlink(filepath.Join(parent, "theirs"), folder))
			},
			func(parent, _, folder, _ string) error {
				return errors.Join(os.Remove(folder), os.Rename(filepath.Join(parent, "theirs"), folder))
			}, "symbolic link",
		},
		"second folder of another": {
			func(t *testing.T, _, _, folder, segment string) {
				must(t, os.Mkdir(folder+"-2", 0o700))
				must(t, os.Rename(segment, filepath.Join(folder+"-2", filepath.Base(segment))))
				toSomebody(t, folder+"-2")
			},
			func(_, _, folder, _ string) error { return os.Lchown(folder+"-2", os.Geteuid(), -1) }, "belongs to another user",
		},
		"segment readable by others": {
			func(t *testing.T, _, _, _, segment string) { must(t, os.Chmod(segment, 0o644)) },
			func(_, _, _, segment string) error { return os.Chmod(segment, 0o600) }, "(mode 0644)",
		},
		"segment writable by the group": {
			func(t *testing.T, _, _, _, segment string) { must(t, os.Chmod(segment, 0o620)) },
			func(_, _, _, segment string) error { return os.Chmod(segment, 0o600) }, "(mode 0620)",
		},
		"segment of another": {
			func(t *testing.T, _, _, _, segment string) { toSomebody(t, segment) },
			func(_, _, _, segment string) error { return os.Lchown(segment, os.Geteuid(), -1) }, "belongs to another user",
		},
		"forged segment of another": {
			func(t *testing.T, _, _, _, segment string) {
				data, err := os.ReadFile(segment)
				must(t, err)
				forged := filepath.Join(filepath.Dir(segment), "0000000000000001"+extension)
				must(t, os.WriteFile(forged, data, 0o600))
				toSomebody(t, forged)
			}, func(_, _, _, segment string) error {
				return os.Remove(filepath.Join(filepath.Dir(segment), "0000000000000001"+extension))
			}, "belongs to another user",
		},
		"segment a link": {
			func(t *testing.T, parent, _, _, segment string) {
				must(t, os.Rename(segment, filepath.Join(parent, "elsewhere")))
				must(t, os.Symlink(filepath.Join(parent, "elsewhere"), segment))
			},
			func(parent, _, _, segment string) error {
				return errors.Join(os.Remove(segment), os.Rename(filepath.Join(parent, "elsewhere"), segment))
			}, "symbolic link",
		},
		"segment with another name": {
			func(t *testing.T, parent, _, _, segment string) {
				must(t, os.Link(segment, filepath.Join(parent, "other name")))
			},
			func(parent, _, _, _ string) error { return os.Remove(filepath.Join(parent, "other name")) }, "hard links",
		},
		"segment a pipe": {
			func(t *testing.T, _, _, _, segment string) {
				must(t, syscall.Mkfifo(filepath.Join(filepath.Dir(segment), "0000000000000001"+extension), 0o600))
			}, func(_, _, _, segment string) error {
				return os.Remove(filepath.Join(filepath.Dir(segment), "0000000000000001"+extension))
			}, "not a regular file",
		},
		"segment a folder": {
			func(t *testing.T, _, _, _, segment string) {
				must(t, os.Mkdir(filepath.Join(filepath.Dir(segment), "ffff"+extension), 0o700))
			}, func(_, _, _, segment string) error {
				return os.Remove(filepath.Join(filepath.Dir(segment), "ffff"+extension))
			}, "not a regular file",
		},
	} {
		t.Run(name, func(t *testing.T) {
			parent := errorfs.Private(t)
			dir := filepath.Join(parent, "spool")
			s := open(t, dir, 1<<20, 0)
			must(t, s.Put(numbered(1, 10)))
			folder, segment := s.dir, s.segments[0].name
			must(t, s.Close())

			c.plant(t, parent, dir, folder, segment)
			for _, slash := range []string{"", "/", "/."} {
				_, found, err := Open(vfs.OS, dir+slash, "jsonl:x", 1<<20)
				own, ok := errors.AsType[*vfs.Untrusted](err)
				if !ok || found != 0 || own.Hint() == "" || !strings.Contains(err.Error(), c.why) {
					t.Fatalf("%d records, error %v, want %q", found, err, c.why)
				}
			}
			must(t, c.right(parent, dir, folder, segment))
			s = open(t, dir, 1<<20, 1)
			if n := take(t, s); n != 1 {
				t.Errorf("batch %d", n)
			}
			s.Done()
			must(t, s.Close())
		})
	}
}

// A spool that is a link, or of another user, is not made use of when it is new either.
func TestTrustNewSpool(t *testing.T) {
	parent := errorfs.Private(t)
	target := filepath.Join(parent, "real")
	must(t, os.Mkdir(target, 0o700))
	must(t, os.Symlink(target, filepath.Join(parent, "link")))
	must(t, os.Symlink(filepath.Join(parent, "none"), filepath.Join(parent, "dangling")))
	must(t, os.WriteFile(filepath.Join(parent, "file"), nil, 0o600))
	for _, name := range []string{"link", "link/", "dangling", "file"} {
		if s, _, err := Open(vfs.OS, filepath.Join(parent, name), "jsonl:x", 1<<20); err == nil {
			s.Close()
			t.Errorf("%s is taken", name)
		}
	}
	if left, _ := os.ReadDir(target); len(left) > 0 {
		t.Errorf("%v in the folder that the link leads to", left)
	}
}

// A lock that is a link does not lock what it leads to, and makes nothing there.
func TestTrustLock(t *testing.T) {
	parent := errorfs.Private(t)
	dir := filepath.Join(parent, "spool")
	s := open(t, dir, 1<<20, 0)
	must(t, s.Put(numbered(1, 10)))
	folder := s.dir
	must(t, s.Close())
	must(t, os.Remove(filepath.Join(folder, lockName)))
	must(t, os.Symlink(filepath.Join(parent, "made"), filepath.Join(folder, lockName)))
	if _, _, err := Open(vfs.OS, dir, "jsonl:x", 1<<20); err == nil {
		t.Error("it is taken")
	}
	if _, err := os.Lstat(filepath.Join(parent, "made")); err == nil {
		t.Error("a file was made where the link leads")
	}
}

// Between the look at a segment and its opening it may be put in another one's place: what was opened counts.
func TestTrustWhatIsOpened(t *testing.T) {
	dir := errorfs.Private(t)
	name := filepath.Join(dir, "1"+extension)
	must(t, os.WriteFile(name, nil, 0o600))
	for what, swap := range map[string]func() error{
		"link": func() error {
			return errors.Join(os.Rename(name, name+".was"), os.Symlink(name+".was", name))
		},
		"mode": func() error { return os.Chmod(name, 0o666) },
	} {
		t.Run(what, func(t *testing.T) {
			os.Remove(name)
			must(t, os.WriteFile(name, nil, 0o600))
			disk := errorfs.New(func(op errorfs.Op) error {
				if op.Kind == errorfs.Open && op.Name == name {
					return swap()
				}
				return nil
			})
			if f, err := openOurs(disk, name); err == nil {
				f.Close()
				t.Error("it is taken")
			}
		})
	}
}

// The error and its hint are for people.
func TestTrustHint(t *testing.T) {
	parent := errorfs.Private(t)
	dir := filepath.Join(parent, "spool")
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.Chmod(dir, 0o775))
	_, _, err := Open(vfs.OS, dir, "jsonl:x", 1<<20)
	own, _ := errors.AsType[*vfs.Untrusted](err)
	if want := fmt.Sprintf("spool: %s is open to other users (mode 0775)", dir); err == nil || err.Error() != want || own.Hint() != "see that its content is yours, then chmod 700 "+dir {
		t.Errorf("%v, hint: %s", err, own.Hint())
	}
}
