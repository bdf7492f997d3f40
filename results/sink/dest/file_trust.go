package dest

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"synoptic/results/sink/vfs"
)

// TrustPrivate tells whether a file could be opened whose name nobody has given: what is there, if anything, is a
// regular file of ours that only we can write, and nobody else can put one there first.
func TrustPrivate(files vfs.FS, name string) error {
	folder := filepath.Dir(name)
	info, err := files.Stat(folder)
	if err != nil {
		return err
	}
	if err := vfs.UnsharedFolder(folder, info); err != nil {
		return err
	}
	info, err = files.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return vfs.OwnFile(name, info)
}

// openTrusted opens the file by its name, unless somebody else has put there what is found under it; made tells that there was
// none.
func (f *file) openTrusted() (opened vfs.File, made bool, err error) {
	if f.private {
		return f.openPrivate()
	}
	plain, err := vfs.Planted(f.files, f.name)
	if err != nil {
		return nil, false, err
	}
	flags := f.flags()
	if plain {
		flags |= vfs.NoFollow
	}
	return openOrMake(f.files, f.name, flags, f.mode)
}

// openPrivate follows no link, and looks at what it has opened once more.
func (f *file) openPrivate() (opened vfs.File, made bool, err error) {
	if err := TrustPrivate(f.files, f.name); err != nil {
		return nil, false, err
	}
	opened, made, err = openOrMake(f.files, f.name, f.flags()|vfs.NoFollow|vfs.NoWait, f.mode)
	if err != nil {
		return nil, false, err
	}
	info, err := opened.Stat()
	if err == nil {
		err = vfs.OwnFile(f.name, info)
	}
	if err != nil {
		opened.Close()
		return nil, false, fmt.Errorf("not written to: %w", err)
	}
	return opened, made, nil
}

// openHint says how to fix a file that cannot be opened.
func openHint(err error) string {
	if own, ok := errors.AsType[*vfs.Untrusted](err); ok {
		return own.Hint()
	}
	return "choose a file in a folder that exists and that you may write to"
}
