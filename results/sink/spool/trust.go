package spool

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"synoptic/results/sink/vfs"
)

// What is found in a spool is delivered as ours, so it has to be: the folder given, the folder of the output, and
// every segment belong to the user that this process runs as, and nobody else can write or read them, or name them
// otherwise (ssh has the same rule for its keys). Anything else is an error: nothing is adopted, and nothing is
// delivered, until somebody has looked at it.
//
// Once its folders are found to be ours nobody else can change what is in them.

// trustFolder holds for a folder that is there.
func trustFolder(files vfs.FS, dir string) error {
	dir = filepath.Clean(dir) // behind a slash at its end a link would be followed
	info, err := files.Lstat(dir)
	if err != nil {
		return err
	}
	return vfs.PrivateFolder(dir, info)
}

// trustParent holds for the folder that the one given is in.
func trustParent(files vfs.FS, dir string) error {
	parent := filepath.Dir(filepath.Clean(dir))
	info, err := files.Stat(parent)
	if err != nil {
		return nil // to make a folder in it will tell
	}
	return vfs.StableFolder(parent, info)
}

// openOurs opens a segment that is there.
func openOurs(files vfs.FS, name string) (file, error) {
	info, err := files.Lstat(name)
	if err != nil {
		return nil, err
	}
	if err := vfs.PrivateFile(name, info); err != nil {
		return nil, err
	}
	f, err := files.OpenFile(name, os.O_RDWR|vfs.NoFollow|vfs.NoWait, 0)
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err == nil {
		err = vfs.PrivateFile(name, info)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// trustAll holds for everything that adopt would take over from a folder.
func trustAll(files vfs.FS, folder string, entries []fs.DirEntry) error {
	for _, e := range entries {
		if _, ours := segmentNumber(e.Name()); !ours {
			continue
		}
		name := filepath.Join(folder, e.Name())
		info, err := files.Lstat(name)
		if err != nil {
			continue // to open it will tell
		}
		if err := vfs.PrivateFile(name, info); err != nil {
			return fmt.Errorf("nothing in it is delivered: %w", err)
		}
	}
	return nil
}
