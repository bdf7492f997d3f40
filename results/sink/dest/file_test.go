package dest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"synoptic/results/sink/batch"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lines is a batch of n lines of different lengths, numbered from first on.
func lines(first, n int) *batch.Batch {
	b := &batch.Batch{}
	for i := range n {
		b.Data = fmt.Appendf(b.Data, "%d%s\n", first+i, strings.Repeat("x", (first+i)%50))
		b.Events = append(b.Events, batch.Event{End: len(b.Data)})
	}
	return b
}

// disk is a file on a disk with room for so many bytes, which it fills to the last one.
type disk struct {
	*os.File
	room  int
	after func() // called after each write
	fixed bool   // nothing can be cut off
}

func (d *disk) Write(p []byte) (int, error) {
	n, err := d.File.Write(p[:min(len(p), d.room)])
	if d.room -= n; err == nil && n < len(p) {
		err = &os.PathError{Op: "write", Path: d.Name(), Err: syscall.ENOSPC}
	}
	if d.after != nil {
		d.after()
	}
	return n, err
}

func (d *disk) Truncate(size int64) error {
	if d.fixed {
		return syscall.EPERM
	}
	return d.File.Truncate(size)
}

// newDisk's file is opened to be appended to, or as a shell does for ">".
func newDisk(t *testing.T, flag int) *disk {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(t.TempDir(), "out"), os.O_CREATE|os.O_WRONLY|flag, 0o600)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return &disk{File: f}
}

func content(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	must(t, err)
	return string(data)
}

// A full disk leaves whole lines behind, as many as had room; when there is room again it goes on behind
// them: no line is torn, lost or written twice.
func TestFullDisk(t *testing.T) {
	for _, flag := range []int{os.O_APPEND, 0} {
		for _, step := range []int{1, 10, 100, 1000} {
			d := newDisk(t, flag)
			a := appender{w: d}
			var want []byte
			for batch := range 5 {
				b := lines(1+batch*20, 20)
				want = append(want, b.Data...)
				for {
					err := a.write(t.Context(), b)
					if err == nil {
						break
					}
					if _, ok := errors.AsType[*Full](err); !ok || !errors.Is(err, syscall.ENOSPC) {
						t.Fatalf("error %v", err)
					}
					if now := content(t, d.Name()); now != "" && !strings.HasSuffix(now, "\n") || !bytes.HasPrefix(want, []byte(now)) {
						t.Fatalf("the file is %q", now)
					}
					d.room = step + 60 // of which the longest line has 54
				}
			}
			if got := content(t, d.Name()); got != string(want) {
				t.Errorf("step %d: %d bytes of %d, or others", step, len(got), len(want))
			}
		}
	}
}

// Events without line ends are not torn either.
func TestFullDiskBinary(t *testing.T) {
	d := newDisk(t, os.O_APPEND)
	a := appender{w: d}
	b := &batch.Batch{Data: []byte("aaaabbbbcccc"), Events: []batch.Event{{End: 4}, {End: 8}, {End: 12}}}
	d.room = 7
	if err := a.write(t.Context(), b); err == nil || content(t, d.Name()) != "aaaa" {
		t.Errorf("%v, the file is %q", err, content(t, d.Name()))
	}
	d.room = 100
	if err := a.write(t.Context(), b); err != nil || content(t, d.Name()) != string(b.Data) {
		t.Errorf("%v, the file is %q", err, content(t, d.Name()))
	}
}

// Where nothing can be cut off, the torn line goes on where it ends.
func TestFullDiskFixed(t *testing.T) {
	d := newDisk(t, os.O_APPEND)
	d.fixed, d.room = true, 77
	a := appender{w: d}
	b := lines(1, 20)
	if err := a.write(t.Context(), b); err == nil {
		t.Fatal("no error")
	}
	d.room = 1 << 20
	if err := a.write(t.Context(), b); err != nil || content(t, d.Name()) != string(b.Data) {
		t.Errorf("%v, the file is %q", err, content(t, d.Name()))
	}
}

// Another process's lines behind ours are not cut; our line is written again, whole.
func TestFullDiskLeavesOthersAlone(t *testing.T) {
	d := newDisk(t, os.O_APPEND)
	d.room = 77
	d.after = func() {
		other, err := os.OpenFile(d.Name(), os.O_APPEND|os.O_WRONLY, 0)
		must(t, err)
		fmt.Fprint(other, "\ntheirs\n")
		must(t, other.Close())
	}
	a := appender{w: d}
	b := lines(1, 20)
	if err := a.write(t.Context(), b); err == nil {
		t.Fatal("no error")
	}
	d.room, d.after = 1<<20, nil
	must(t, a.write(t.Context(), b))
	got := content(t, d.Name())
	if !strings.Contains(got, "\ntheirs\n") {
		t.Errorf("the file is %q", got)
	}
	for line := range strings.Lines(string(b.Data)) {
		if strings.Count("\n"+got, "\n"+line) != 1 {
			t.Errorf("line %q is not there once: %q", line, got)
		}
	}
}

// Only a regular file gets emptier by waiting.
func TestPermanentErrors(t *testing.T) {
	r, w, err := os.Pipe()
	must(t, err)
	r.Close()
	defer w.Close()
	a := appender{w: w}
	if err, ok := errors.AsType[*Permanent](a.write(t.Context(), lines(1, 1))); !ok || !strings.Contains(err.Error(), "write records: ") {
		t.Errorf("a pipe without reader: %v", err)
	}
	if f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0); err == nil {
		defer f.Close()
		a = appender{w: f}
		if err, ok := errors.AsType[*Permanent](a.write(t.Context(), lines(1, 1))); !ok {
			t.Errorf("a device: %v", err)
		}
	}
	d := newDisk(t, os.O_APPEND)
	d.room = 1 << 20
	d.Close()
	a = appender{w: d}
	if err, ok := errors.AsType[*Permanent](a.write(t.Context(), lines(1, 1))); !ok {
		t.Errorf("a closed file: %v", err)
	}
}

func openTest(t *testing.T, name string, c Content) (Destination, bool) {
	t.Helper()
	d, fresh, err := Open(name, c, Options{})
	must(t, err)
	return d, fresh
}

func deliver(t *testing.T, d Destination, b *batch.Batch) {
	t.Helper()
	o, err := d.Deliver(context.Background(), b)
	if must(t, err); len(o.Retry)+len(o.Dead) > 0 {
		t.Fatalf("outcome %+v", o)
	}
}

// A file is appended to; a document is written anew, but not before there is something to write.
func TestOpenFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "out")
	for i, fresh := range []bool{true, false} {
		d, got := openTest(t, name, Content{})
		if got != fresh {
			t.Errorf("fresh: %v", got)
		}
		deliver(t, d, lines(1+i, 1))
		_, err := d.Sync(context.Background())
		must(t, errors.Join(err, d.Close()))
	}
	if got, want := content(t, name), string(lines(1, 2).Data); got != want {
		t.Errorf("the file is %q", got)
	}
}

// logrotate renames the file: what comes after Reopen is in a new one, and nothing is in both or none.
func TestReopen(t *testing.T) {
	name := filepath.Join(t.TempDir(), "out")
	d, _ := openTest(t, name, Content{})
	if !d.(*file).Reopens() {
		t.Error("it says that it does not reopen")
	}
	deliver(t, d, lines(1, 3))
	must(t, d.Reopen()) // nothing was renamed
	must(t, os.Rename(name, name+".1"))
	deliver(t, d, lines(4, 3))
	must(t, d.Reopen())
	deliver(t, d, lines(7, 3))
	must(t, os.Rename(name, name+".2"))
	must(t, os.Mkdir(name, 0o700)) // it cannot be opened
	if err := d.Reopen(); err == nil {
		t.Error("no error")
	}
	deliver(t, d, lines(10, 3)) // to the old one
	must(t, d.Close())
	if got := content(t, name+".1"); got != string(lines(1, 6).Data) {
		t.Errorf("first %q", got)
	}
	if got := content(t, name+".2"); got != string(lines(7, 6).Data) {
		t.Errorf("second %q", got)
	}
}

// A file that means nothing without its beginning is about SIGHUP too, which must not end the scan, but it
// stays the one it was.
func TestReopenHeaded(t *testing.T) {
	for what, f := range map[string]Content{"packets": {Headed: true}} {
		name := filepath.Join(t.TempDir(), "out")
		d, _ := openTest(t, name, f)
		if !d.(*file).Reopens() {
			t.Errorf("%s: the signal would not be for it", what)
		}
		deliver(t, d, lines(1, 3))
		must(t, os.Rename(name, name+".1"))
		must(t, d.Reopen())
		deliver(t, d, lines(4, 3))
		must(t, d.Close())
		if got := content(t, name+".1"); got != string(lines(1, 6).Data) {
			t.Errorf("%s: %q", what, got)
		}
		if _, err := os.Stat(name); err == nil {
			t.Errorf("%s: a file without its beginning was made", what)
		}
	}
	null, _ := openTest(t, os.DevNull, Content{})
	if must(t, null.Close()); null.(*file).Reopens() {
		t.Error("a device would be reopened")
	}
}

// While the disk is full the file may be taken away: the batch goes on in the new one, with whole lines.
func TestReopenWhileFull(t *testing.T) {
	name := filepath.Join(t.TempDir(), "out")
	d, _ := openTest(t, name, Content{})
	f := d.(*file)
	full := &disk{File: f.f.(*os.File), room: 77, fixed: true} // a torn line stays
	f.out.w = full
	b := lines(1, 20)
	if _, err := d.Deliver(context.Background(), b); err == nil {
		t.Fatal("no error")
	}
	must(t, os.Rename(name, name+".1"))
	must(t, d.Reopen())
	deliver(t, d, b)
	must(t, d.Close())
	old := content(t, name+".1")
	whole := old[:strings.LastIndexByte(old, '\n')+1]
	if whole == old || whole+content(t, name) != string(b.Data) {
		t.Errorf("%q, then %q", old, content(t, name))
	}
}

// What cannot be had is refused with a hint, and a secret is not repeated.
func TestOpenRefuses(t *testing.T) {
	schemes["test+tcp"] = func(u *url.URL, _ Options) (Destination, error) {
		return &stream{w: struct {
			io.Writer
			io.Closer
		}{}}, nil
	}
	defer delete(schemes, "test+tcp")
	messages := Content{Messages: true}
	for name, word := range map[string]string{
		"":                                      "no destination",
		filepath.Join(t.TempDir(), "no", "x"):   "no such file",
		"test+tcp://hunter2@host:1":             "user information",
		"test+tcp://user:hunter2@host:1":        "user information",
		"test+tcp://host:1?token=hunter2":       "secret",
		"test+tcp://host:1?api_KEY=hunter2":     "secret",
		"test+tcp://host:1?a=%zz;hunter2":       "secret",
		"test+tcp://host:hunter2":               "not a URL",
		"test+tcp://hunter2\x7f@host":           "not a URL",
		"gopher://user:hunter2@host/?x=hunter2": "unknown kind",
	} {
		_, _, err := Open(name, messages, Options{})
		h, ok := err.(interface{ Hint() string })
		if err == nil || !strings.Contains(err.Error(), word) || !ok || h.Hint() == "" {
			t.Errorf("%q: error %v", name, err)
			continue
		}
		if all := err.Error() + h.Hint() + Redact(name); strings.Contains(all, "hunter2") {
			t.Errorf("%q: the secret is repeated: %s", name, all)
		}
	}
	if _, _, err := Open("test+tcp://host:1", Content{}, Options{}); err == nil || !errors.Is(err, ErrNoMessages) {
		t.Errorf("a format without messages: %v", err)
	}
	if _, _, err := Open("test+tcp://host:1/path?index=scans", messages, Options{}); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{"out.jsonl": "out.jsonl", "./a:b": "./a:b", "test+tcp://host:1/p": "test+tcp://host:1/p", "-": "-"} {
		if got := Redact(name); got != want {
			t.Errorf("%q is shown as %q", name, got)
		}
	}
}
