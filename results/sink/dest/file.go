package dest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"synoptic/results/sink/batch"
	"synoptic/results/sink/vfs"
)

// file is appended to, or written anew where it is a document.
type file struct {
	files    vfs.FS
	name     string
	mode     fs.FileMode
	f        vfs.File // nil until the first record where it is made only when needed
	regular  bool
	document bool
	headed   bool // what is in it means nothing without its beginning
	empty    bool // it is to be emptied before the first record
	private  bool // nobody has given its name: what is there under it has to be ours
	out      appender
	current  *batch.Batch // what out is in the middle of
	unnamed  bool         // its name may not be on the disk yet
	doubt    error        // of a file that was left: it may not be on its disk
}

// openFile leaves a document that is there as it is until the first record is written: a scan that
// never begins destroys nothing.
func openFile(name string, c Content, files vfs.FS) (d *file, fresh bool, err error) {
	d = &file{files: cmp.Or(files, vfs.OS), name: name, mode: 0o640, document: c.Document, headed: c.Document || c.Headed, empty: c.Document}
	if err := d.open(); err != nil {
		return nil, false, newError("", err, openHint(err))
	}
	info, err := d.f.Stat()
	if err != nil {
		d.f.Close()
		return nil, false, newError("", err, "choose another file")
	}
	return d, c.Document || info.Size() == 0, nil
}

// NewFile appends to a file that is made, for its owner only, when the first batch comes. With private, which is for
// a name that nobody has given, it is refused unless TrustPrivate holds.
func NewFile(name string, files vfs.FS, private bool) Destination {
	return &file{files: cmp.Or(files, vfs.OS), name: name, mode: 0o600, private: private}
}

// flags: Windows empties no file that is open to be appended to.
func (f *file) flags() int {
	if f.document {
		return os.O_CREATE | os.O_WRONLY
	}
	return os.O_CREATE | os.O_WRONLY | os.O_APPEND
}

func (f *file) open() error {
	opened, err := f.openTrusted()
	if err != nil {
		return err
	}
	info, err := opened.Stat()
	f.f, f.out.w, f.regular, f.unnamed = opened, opened, err == nil && info.Mode().IsRegular(), true
	return nil
}

func (f *file) Deliver(_ context.Context, b *batch.Batch) (Outcome, error) {
	if f.f == nil {
		if err := f.open(); err != nil {
			return Outcome{}, fmt.Errorf("write records: %w", err)
		}
	}
	if f.empty && f.regular {
		if err := f.f.Truncate(0); err != nil {
			return Outcome{}, &Permanent{fmt.Errorf("empty the file: %w", err)}
		}
	}
	f.empty = false
	f.current = b
	err := f.out.write(b)
	if err == nil {
		f.current = nil
	}
	return Outcome{}, err
}

// Sync waits until the file is on its disk, under its name. An error is there to stay: nobody knows what the
// disk has then, whatever a later fsync says.
func (f *file) Sync(context.Context) (Outcome, error) {
	if f.doubt == nil && f.f != nil && f.regular {
		f.doubt = f.sync()
	}
	if f.doubt != nil {
		return Outcome{}, &Permanent{fmt.Errorf("write records: %w", f.doubt)}
	}
	return Outcome{}, nil
}

func (f *file) sync() error {
	if err := f.f.Sync(); err != nil {
		return err
	}
	if f.unnamed {
		if err := f.files.SyncDir(filepath.Dir(f.name)); err != nil {
			return err
		}
	}
	f.unnamed = false
	return nil
}

// Reopens tells whether this is a file, which Reopen is about.
func (f *file) Reopens() bool { return f.regular }

// Stat describes what was opened.
func (f *file) Stat() (fs.FileInfo, error) {
	if f.f == nil {
		return nil, os.ErrNotExist
	}
	return f.f.Stat()
}

// Reopen goes on in a file of the name, made anew where the old one was renamed, which is on its disk
// then. Where no file can be made, the old one is kept. One that means nothing without its beginning stays
// the same always.
func (f *file) Reopen() error {
	if !f.regular || f.headed {
		return nil
	}
	next, err := f.openTrusted()
	if err != nil {
		return fmt.Errorf("the file stays the one it was: %w", err)
	}
	was, err := f.f.Stat()
	is, err2 := next.Stat()
	if err = errors.Join(err, err2); err != nil || os.SameFile(was, is) {
		return errors.Join(err, next.Close())
	}
	if f.current != nil {
		f.out.rewind(f.current)
	}
	old := f.f
	f.f, f.out.w, f.regular, f.unnamed = next, next, is.Mode().IsRegular(), true
	err = old.Sync()
	f.doubt = cmp.Or(f.doubt, err)
	if err := errors.Join(err, old.Close()); err != nil {
		return fmt.Errorf("close the file that was renamed: %w", err)
	}
	return nil
}

func (f *file) Close() error {
	if f.f == nil {
		return nil
	}
	return f.f.Close()
}
