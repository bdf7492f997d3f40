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

// fileMode is that of a file of records that we make.
const fileMode = 0o640

// file is appended to, or written anew where it is a document that no other file can stand in for.
type file struct {
	files   vfs.FS
	name    string
	mode    fs.FileMode
	content Content
	f       vfs.File // nil until the first record where it is made only when needed
	regular bool
	made    bool // by us, and nothing is in it yet
	begun   bool // a record has come
	empty   bool // it is to be emptied before the first record
	tail    bool // what it ends with has not been looked at
	due     bool // its header is
	private bool // nobody has given its name: what is there under it has to be ours
	out     appender
	current *batch.Batch // what out is in the middle of
	unnamed bool         // its name may not be on the disk yet
	doubt   error        // of a file that was left: it may not be on its disk
	named   named
}

// openFile leaves a file that is there as it is until the first record is written, and Close removes one that was made
// here and got none: a scan that never begins destroys nothing, and leaves nothing.
func openFile(name string, c Content, files vfs.FS) (d Destination, fresh bool, err error) {
	files = cmp.Or(files, vfs.OS)
	if c.Document {
		if d, err := openDocument(name, files); d != nil || err != nil {
			return d, true, err
		}
	}
	f := &file{files: files, name: name, mode: fileMode, content: c, empty: c.Document}
	if err := f.open(); err != nil {
		return nil, false, newError("", err, openHint(err))
	}
	fresh, err = f.look()
	if err != nil {
		f.Close()
		return nil, false, err
	}
	return f, fresh, nil
}

// NewFile appends lines to a file that is made, for its owner only, when the first batch comes. With private, which is for
// a name that nobody has given, it is refused unless TrustPrivate holds.
func NewFile(name string, files vfs.FS, private bool) Destination {
	return &file{files: cmp.Or(files, vfs.OS), name: name, mode: 0o600, private: private}
}

// headed tells that what is in the file means nothing without its beginning.
func (f *file) headed() bool { return f.content.Document || f.content.Headed }

// flags: Windows empties no file that is open to be appended to.
func (f *file) flags() int {
	if f.content.Document {
		return os.O_WRONLY
	}
	return os.O_WRONLY | os.O_APPEND
}

func (f *file) open() error {
	opened, made, err := f.openTrusted()
	if err != nil {
		return err
	}
	return f.use(opened, made)
}

// openOrMake tells whether there was no file of the name. Where two want to make it, neither is told so.
func openOrMake(files vfs.FS, name string, flags int, mode fs.FileMode) (f vfs.File, made bool, err error) {
	if f, err = files.OpenFile(name, flags, mode); !errors.Is(err, fs.ErrNotExist) {
		return f, false, err
	}
	if f, err = files.OpenFile(name, flags|os.O_CREATE|os.O_EXCL, mode); !errors.Is(err, fs.ErrExist) {
		return f, err == nil, err
	}
	f, err = files.OpenFile(name, flags|os.O_CREATE, mode)
	return f, false, err
}

// use goes on with a file that was opened.
func (f *file) use(opened vfs.File, made bool) error {
	info, err := opened.Stat()
	if err != nil {
		opened.Close()
		return err
	}
	f.f, f.out.w, f.regular, f.unnamed, f.made = opened, opened, info.Mode().IsRegular(), true, made
	f.tail = f.regular && (!f.headed() || f.content.Whole != nil)
	f.named = named{name: f.name}
	f.named.opened(info)
	return nil
}

// look tells whether nothing is in the file yet, and refuses one in which records would stand under the header of others.
func (f *file) look() (fresh bool, err error) {
	info, err := f.f.Stat()
	if err != nil {
		return false, newError("", err, "choose another file")
	}
	if f.content.Document || info.Size() == 0 || f.content.Header == "" || !f.regular {
		return f.content.Document || info.Size() == 0, nil
	}
	r := f.reader(info)
	if r == nil {
		return false, nil
	}
	defer r.Close()
	switch h, err := readHead(r, info.Size(), f.content.Header); {
	case err != nil:
		return false, newError("", err, "choose another file")
	case h == headCut: // of a scan that ended before its first record
		f.empty = true
		return true, nil
	case h == headOther:
		return false, newError("", errors.New("the file begins with other columns than this version writes, and rows under them would be misread"),
			"choose another file, or move this one away")
	}
	return false, nil
}

// reader opens the file for reading; nil where we may not, or it is another one by now.
func (f *file) reader(is fs.FileInfo) vfs.File {
	r, err := f.files.OpenFile(f.name, os.O_RDONLY, 0)
	if err != nil {
		return nil
	}
	if info, err := r.Stat(); err != nil || !os.SameFile(info, is) {
		r.Close()
		return nil
	}
	return r
}

func (f *file) Deliver(ctx context.Context, b *batch.Batch) (Outcome, error) {
	f.begun = true
	if f.f == nil {
		if err := f.open(); err != nil {
			return Outcome{}, fmt.Errorf("write records: %w", err)
		}
	}
	if f.empty && f.regular {
		if err := f.f.Truncate(0); err != nil {
			return Outcome{}, &Permanent{fmt.Errorf("empty the file: %w", err)}
		}
		f.named.size = 0
	}
	f.empty = false
	if f.tail {
		if err := f.closeLine(ctx); err != nil {
			return Outcome{}, err
		}
	}
	if f.due {
		if err := f.out.write(ctx, piece([]byte(f.content.Header))); err != nil {
			return Outcome{}, err
		}
		f.due = false
	}
	f.current = b
	warning := f.named.shortened(f.f)
	if err := f.out.write(ctx, b); err != nil {
		return Outcome{}, err
	}
	f.current = nil
	if err := f.named.vanished(f.f); err != nil {
		return Outcome{}, err
	}
	f.named.wrote(b.Records(), f.f)
	return Outcome{Warning: warning}, nil
}

// closeLine ends a last line that was cut off.
func (f *file) closeLine(ctx context.Context) error {
	if info, err := f.f.Stat(); err == nil && info.Size() > 0 {
		if r := f.reader(info); r != nil {
			defer r.Close()
			if err := endLine(ctx, &f.out, r, f.content); err != nil {
				return err
			}
		}
	}
	f.tail = false
	return nil
}

// Sync waits until the file is on its disk, under its name. An error is there to stay: nobody knows what the
// disk has then, whatever a later fsync says.
func (f *file) Sync(context.Context) (Outcome, error) {
	if f.f != nil {
		if err := f.named.vanished(f.f); err != nil {
			return Outcome{}, err
		}
	}
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
	if !f.regular || f.headed() {
		return nil
	}
	next, made, err := f.openTrusted()
	if err != nil {
		return fmt.Errorf("the old file stays in use: %w", err)
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
	if err := f.use(next, made); err != nil {
		return err
	}
	f.due = f.begun && is.Size() == 0 && f.content.Header != "" // before that the encoder writes it
	err = old.Sync()
	f.doubt = cmp.Or(f.doubt, err)
	if err := errors.Join(err, old.Close()); err != nil {
		return fmt.Errorf("close the file that was renamed: %w", err)
	}
	return nil
}

// Close removes a file that was made for nothing.
func (f *file) Close() error {
	if f.f == nil {
		return nil
	}
	info, err := f.f.Stat()
	if !f.made || f.begun || err != nil || info.Size() > 0 {
		return f.f.Close()
	}
	now, err := f.files.Lstat(f.name)
	ours := err == nil && os.SameFile(now, info)
	err = f.f.Close() // first, for Windows
	if ours {
		err = errors.Join(err, f.files.Remove(f.name))
	}
	return err
}
