package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"

	"synoptic/results/sink/vfs"
)

// plainOutput is standard output for what is no record: plan, lists, help. What could not be written is the failure of the
// command, for whoever asked for it has not got it.
type plainOutput struct {
	file *os.File
	err  error // the first one
	used bool
}

func (o *plainOutput) Write(p []byte) (int, error) {
	if !o.used {
		o.used, o.err = true, refuseClosed(o.file, nil)
	}
	if o.err != nil {
		return 0, o.err
	}
	n, err := vfs.Write(context.Background(), o.file, p)
	switch {
	case readerGone(err): // it has seen enough
		return len(p), nil
	case err != nil:
		o.err = failure{fmt.Errorf("standard output: %w", bare(err))}
	}
	return n, o.err
}

// bare is an error without the name of the file, which says /dev/stdout whatever it is.
func bare(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}

// refuseClosed refuses a standard output that nobody has opened. The Go runtime puts the null device in its place, open for
// reading, too, which is how Python's DEVNULL, Node and daemon(3) open it on purpose: these are taken, and told of to log.
func refuseClosed(stdout *os.File, log *slog.Logger) error {
	const hint = "give -o FILE; to discard the records, write >/dev/null or -o /dev/null"
	info, err := stdout.Stat()
	if err != nil {
		return usage("give -o FILE", "standard output: %v", bare(err))
	}
	null, err := os.Stat(os.DevNull)
	if err != nil || !os.SameFile(info, null) || runtime.GOOS == "windows" {
		return nil
	}
	if _, err := stdout.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		return nil // open for writing only, as a shell's >/dev/null is
	}
	if closedBy(fmt.Sprintf("/proc/%d", os.Getppid())) {
		return usage(hint, "standard output is closed, and what is written there would be lost")
	}
	if log != nil {
		log.Warn("standard output is the null device: no record is kept", hintKey, "give -o FILE to keep them")
	}
	return nil
}

// shells are programs whose > opens a file for writing only (POSIX, 2.7.2), so that the null device open for reading, too, is
// hardly theirs.
var shells = []string{"sh", "bash", "dash", "ash", "busybox", "zsh", "ksh", "ksh93", "mksh", "lksh", "yash", "fish", "csh", "tcsh", "rc", "elvish", "nu", "xonsh"}

// closedBy judges by the folder in /proc of the parent whether it has closed our standard output: where it has none itself, and
// where it is a shell. Where nothing is known of it, it has not.
func closedBy(parent string) bool {
	if _, err := os.Stat(parent + "/fd/0"); err == nil {
		if _, err := os.Lstat(parent + "/fd/1"); errors.Is(err, fs.ErrNotExist) {
			return true
		}
	}
	if to, err := os.Readlink(parent + "/fd/1"); err == nil && to == os.DevNull {
		return false // inherited
	}
	name, _ := os.ReadFile(parent + "/comm")
	return slices.Contains(shells, strings.TrimPrefix(strings.TrimSpace(string(name)), "-"))
}
