package vfs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Untrusted is a file or a folder that another user could have made, or could change.
type Untrusted struct {
	Name string
	Why  string // as the end of a sentence that begins with the name
	hint string
}

func (e *Untrusted) Error() string { return e.Name + " " + e.Why }

// Hint says how to fix it.
func (e *Untrusted) Hint() string { return e.hint }

// PrivateFolder returns an error unless a folder is ours alone: a folder and no link to one, owned by the user that
// this process runs as, with no permission for anybody else (0700).
func PrivateFolder(name string, info fs.FileInfo) error {
	return private(name, info, "folder", "chmod 700 "+name, info.IsDir())
}

// PrivateFile returns an error unless a file is ours alone: a regular file of one name, owned by the user that this
// process runs as, with no permission for anybody else (0600).
func PrivateFile(name string, info fs.FileInfo) error {
	if err := private(name, info, "file", "chmod 600 "+name, info.Mode().IsRegular()); err != nil {
		return err
	}
	return onlyName(name, info)
}

// OwnFile is PrivateFile for one that others may read.
func OwnFile(name string, info fs.FileInfo) error {
	if err := kindAndOwner(name, info, "file", info.Mode().IsRegular()); err != nil {
		return err
	}
	if writable(info) {
		return &Untrusted{name, fmt.Sprintf("can be written by other users (mode %04o)", info.Mode().Perm()), "chmod go-w " + name}
	}
	return onlyName(name, info)
}

func private(name string, info fs.FileInfo, kind, fix string, isKind bool) error {
	if err := kindAndOwner(name, info, kind, isKind); err != nil {
		return err
	}
	if _, _, known := owner(info); known && info.Mode().Perm()&0o077 != 0 {
		return &Untrusted{name, fmt.Sprintf("is open to other users (mode %04o)", info.Mode().Perm()), "see that its content is yours, then " + fix}
	}
	return nil
}

func kindAndOwner(name string, info fs.FileInfo, kind string, isKind bool) error {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return &Untrusted{name, "is a symbolic link", "remove it, or name the " + kind + " that it leads to"}
	case !isKind:
		return &Untrusted{name, "is not a " + map[string]string{"file": "regular file", "folder": "folder"}[kind], "remove it, or choose another name"}
	}
	return Own(name, info)
}

// Own returns an error where what has a name belongs to another user than the one that this process runs as.
func Own(name string, info fs.FileInfo) error {
	if uid, _, known := owner(info); known && uid != os.Geteuid() {
		return &Untrusted{name, fmt.Sprintf("belongs to another user (uid %d, and this process runs as %d)", uid, os.Geteuid()),
			"run as that user, choose another name, or see that its content is yours and give it to yourself with chown"}
	}
	return nil
}

func onlyName(name string, info fs.FileInfo) error {
	if _, links, known := owner(info); known && links > 1 {
		return &Untrusted{name, fmt.Sprintf("has %d names (hard links)", links), "remove it, or copy it to its own file"}
	}
	return nil
}

// writable tells whether others than its owner may write to a file or folder. A group is not others where it is its
// owner's own, of the same number, as many systems make one for every user.
func writable(info fs.FileInfo) bool {
	mode := info.Mode().Perm()
	if _, _, known := owner(info); !known || info.Mode()&fs.ModeSymlink != 0 {
		return false
	}
	return mode&0o002 != 0 || mode&0o020 != 0 && !ownGroup(info)
}

// UnsharedFolder returns an error where others may put files into a folder, whether or not they may remove ours
// (the sticky bit): what is there under a name may be theirs.
func UnsharedFolder(name string, info fs.FileInfo) error {
	if writable(info) {
		return &Untrusted{name, fmt.Sprintf("is a folder that others may write to (mode %04o)", info.Mode().Perm()), "work in a folder of your own, or: chmod go-w " + name}
	}
	return nil
}

// StableFolder returns an error where others may put another file or folder in the place of ours: they may write to
// the folder that it is in, and no sticky bit keeps them from removing what is not theirs.
func StableFolder(name string, info fs.FileInfo) error {
	if info.Mode()&fs.ModeSticky != 0 {
		return nil
	}
	return UnsharedFolder(name, info)
}

// Planted returns an error where what is there under a name has been put there by another user: in a folder that
// anybody may write to, a file or link that is neither ours nor root's, or a file that has other names as well. The
// kernel has the same rule where fs.protected_symlinks, _hardlinks, _fifos and _regular say so.
//
// plain tells that the name, if it is one, is to be opened with NoFollow: no link was there.
func Planted(files FS, name string) (plain bool, err error) {
	folder, err := files.Stat(filepath.Dir(name))
	if err != nil || folder.Mode().Perm()&0o002 == 0 {
		return false, nil // to open it will tell
	}
	info, err := files.Lstat(name)
	if err != nil {
		return true, nil
	}
	uid, _, known := owner(info)
	if known && uid != os.Geteuid() && uid != 0 {
		return false, &Untrusted{name, fmt.Sprintf("belongs to another user (uid %d), in a folder where anybody can put files", uid), "choose a name in a folder of your own"}
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return false, nil
	}
	if !info.Mode().IsRegular() {
		return true, nil
	}
	return true, onlyName(name, info)
}
