package main

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"synoptic/bench/lab/testnet"
)

// lettersCase is what is under the name of the dead letters, and what becomes of the scan.
type lettersCase struct {
	put    func(name, precious string) error
	folder fs.FileMode // of what it is in; 0: 0700
	given  bool        // the name is: --dead-letters
	want   string      // on standard error, of a refusal; "": a letter is written
}

var lettersCases = map[string]lettersCase{
	"nothing":            {put: func(string, string) error { return nil }},
	"ours":               {put: func(name, _ string) error { return os.WriteFile(name, []byte("{}\n"), 0o600) }},
	"ours, readable":     {put: func(name, _ string) error { return os.WriteFile(name, nil, 0o644) }},
	"symbolic link":      {put: func(name, precious string) error { return os.Symlink(precious, name) }, want: "is a symbolic link"},
	"dangling link":      {put: func(name, precious string) error { return os.Symlink(precious+"-not", name) }, want: "is a symbolic link"},
	"link to a device":   {put: func(name, _ string) error { return os.Symlink("/dev/null", name) }, want: "is a symbolic link"},
	"hard link":          {put: func(name, precious string) error { return os.Link(precious, name) }, want: "has 2 names"},
	"FIFO":               {put: func(name, _ string) error { return syscall.Mkfifo(name, 0o600) }, want: "is not a regular file"},
	"folder":             {put: func(name, _ string) error { return os.Mkdir(name, 0o700) }, want: "is not a regular file"},
	"socket":             {put: listenUnix, want: "is not a regular file"},
	"writable for all":   {put: func(name, _ string) error { return errors.Join(os.WriteFile(name, nil, 0o600), os.Chmod(name, 0o666)) }, want: "can be written by other users"},
	"of another user":    {put: func(name, _ string) error { return errors.Join(os.WriteFile(name, nil, 0o600), os.Lchown(name, 1, -1)) }, want: "belongs to another user"},
	"in a folder of all": {put: func(string, string) error { return nil }, folder: 0o777, want: "is a folder that others may write to"},
	"in a sticky folder": {put: func(string, string) error { return nil }, folder: 0o777 | fs.ModeSticky, want: "is a folder that others may write to"},

	"given: nothing":      {put: func(string, string) error { return nil }, given: true},
	"given: our own link": {put: func(name, precious string) error { return os.Symlink(precious+"-not", name) }, given: true},
	"given: folder":       {put: func(name, _ string) error { return os.Mkdir(name, 0o700) }, given: true, want: "is a directory"},
	"given: FIFO":         {put: func(name, _ string) error { return syscall.Mkfifo(name, 0o600) }, given: true, want: "nobody reads it"},
	"given: somebody's link in a folder of all": {
		put: func(name, precious string) error {
			return errors.Join(os.Symlink(precious, name), os.Lchown(name, 1, -1))
		},
		folder: 0o777 | fs.ModeSticky, given: true, want: "belongs to another user",
	},
	"given: hard link in a folder of all": {put: func(name, precious string) error { return os.Link(precious, name) }, folder: 0o777 | fs.ModeSticky, given: true, want: "has 2 names"},
}

// listenUnix leaves a socket.
func listenUnix(name, _ string) error {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		return err
	}
	l.SetUnlinkOnClose(false)
	return l.Close()
}

// Dead letters have records and a receiver's words in them. Under the name that nobody has given there is a file of ours, for
// us alone, or the scan is refused before it begins; nothing of anybody's is written to, and nothing waited for.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	for name, c := range lettersCases {
		testnet.Run(t, name, func(t *testing.T) {
			t.Parallel()
			r := newBlunt(t, "", func(s *said) error { return s.answer("400 Bad Request", `{"text":"no","code":6}`) })
			dir := t.TempDir()
			work := filepath.Join(dir, "work")
			precious, letters, ca := filepath.Join(dir, "precious"), filepath.Join(work, "dead-letters.jsonl"), filepath.Join(dir, "ca.pem")
			writeTo(t, precious, "precious", 0o600)
			writeTo(t, ca, r.authority, 0o600)
			if err := os.Mkdir(work, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := c.put(letters, precious); errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EINVAL) {
				t.Skipf("no file can be given to another user: %v", err)
			} else if err != nil {
				t.Fatal(err)
			}
			if c.folder != 0 {
				if err := os.Chmod(work, c.folder); err != nil {
					t.Fatal(err)
				}
			}
			args := []string{"scan", "127.0.0.1", "-p", "1", "--show", "all", "--backend", "connect", "-q", "-o", "hec+https://" + r.address, "--ca-file", ca}
			if c.given {
				args = append(args, "--dead-letters", "dead-letters.jsonl")
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, program(t), args...)
			cmd.Dir, cmd.Env = work, append(os.Environ(), hecVariable+"token-1")
			o := finish(t, cmd)
			if ctx.Err() != nil {
				t.Fatal("it waits")
			}
			if got, err := os.ReadFile(precious); err != nil || string(got) != "precious" {
				t.Errorf("what it leads to: %q, %v", got, err)
			}
			if c.want != "" {
				if o.code != exitUsage || !strings.Contains(o.stderr, c.want) || !strings.Contains(o.stderr, "hint: ") {
					t.Errorf("exit %d, %s", o.code, o.stderr)
				}
				if _, err := os.Stat(precious + "-not"); err == nil {
					t.Error("a file was made where a link leads")
				}
				return
			}
			text, err := os.ReadFile(letters)
			if err != nil || strings.Count(string(text), `"reason":"400 code`) != 4 {
				t.Errorf("exit %d, dead letters %s, %v: %s", o.code, text, err, o.stderr)
			}
			if info, err := os.Stat(letters); err != nil || info.Mode().Perm()&0o077 != 0 && name != "ours, readable" {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
		})
	}
}
