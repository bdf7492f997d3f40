package dest

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"synoptic/results/sink/vfs"
)

// Publisher is a Destination that shows nothing of itself before it is whole.
type Publisher interface {
	// Publish shows it. It is called once all is delivered and synced, again and again until it gives no error.
	Publish() error
}

// document is a file that means something only as a whole. It is written beside its place under another name, and
// put there when it is whole: a scan that is killed leaves the document of the one before, or none.
type document struct {
	*file
	target    string
	published bool
}

// openDocument is nil without an error where the place is no regular file (a pipe, a device), or where its folder takes no other
// file: these are written as they are.
func openDocument(name string, files vfs.FS) (Destination, error) {
	if _, err := vfs.Planted(files, name); err != nil {
		return nil, newError("", err, openHint(err))
	}
	target, mode, ok := place(name, files)
	if !ok {
		return nil, nil
	}
	temporary := filepath.Join(filepath.Dir(target), "."+filepath.Base(target)+"."+random()+".partial")
	f := &file{files: files, name: temporary, mode: mode, content: Content{Document: true}}
	opened, err := files.OpenFile(temporary, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err == nil {
		err = f.use(opened, true)
	}
	if _, missing := files.Stat(target); err != nil && missing == nil {
		return nil, nil
	}
	if err != nil {
		return nil, newError("", &fs.PathError{Op: "create", Path: name, Err: pathCause(err)}, "choose a file in a folder that exists and that you may write to")
	}
	return &document{file: f, target: target}, nil
}

// pathCause is what a file system says without the name that it says it of.
func pathCause(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}

// place is the file that a name stands for, and the mode of the one that is there. ok tells that it is a regular one which
// we may write to, or none.
func place(name string, files vfs.FS) (target string, mode fs.FileMode, ok bool) {
	link, err := files.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return name, fileMode, true
	}
	if err != nil {
		return "", 0, false
	}
	if target = name; link.Mode()&fs.ModeSymlink != 0 {
		if target, err = filepath.EvalSymlinks(name); err != nil {
			return "", 0, false
		}
	}
	info, err := files.Stat(target)
	if err != nil || !info.Mode().IsRegular() { // a pipe would be opened here, which its reader sees
		return "", 0, false
	}
	f, err := files.OpenFile(target, os.O_WRONLY, 0)
	if err != nil {
		return "", 0, false
	}
	f.Close()
	return target, info.Mode().Perm(), true
}

func random() string {
	var b [4]byte
	rand.Read(b[:]) // never fails: crypto/rand, Go 1.24
	return hex.EncodeToString(b[:])
}

// Publish puts the document in its place.
func (d *document) Publish() error {
	if d.published {
		return nil
	}
	if runtime.GOOS == "windows" { // which renames no file that is open
		if err := d.f.Close(); err != nil {
			return publishing(err)
		}
	}
	err := d.files.Rename(d.name, d.target)
	if errors.Is(err, syscall.EBUSY) { // a file that is mounted by itself into a container
		err = d.copy()
	}
	if err == nil {
		d.published = true
		err = d.files.SyncDir(filepath.Dir(d.target))
	}
	return publishing(err)
}

func publishing(err error) error {
	if err == nil {
		return nil
	}
	if err = fmt.Errorf("put the document in its place: %w", err); diskFull(err) {
		return &Full{err}
	}
	return &Permanent{err}
}

// copy writes the document over the one that cannot be replaced.
func (d *document) copy() error {
	from, err := d.files.OpenFile(d.name, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := d.files.OpenFile(d.target, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, io.NewSectionReader(from, 0, 1<<62))
	return errors.Join(err, to.Sync(), to.Close(), d.files.Remove(d.name))
}

// Stat describes the document that is there, which may be that of an earlier scan.
func (d *document) Stat() (fs.FileInfo, error) { return d.files.Stat(d.target) }

// Target is where the document goes.
func (d *document) Target() string { return d.target }

// Close removes what was not published.
func (d *document) Close() error {
	err := d.f.Close()
	if d.published {
		if runtime.GOOS == "windows" && errors.Is(err, fs.ErrClosed) {
			err = nil
		}
		return err
	}
	return errors.Join(err, d.files.Remove(d.name))
}
