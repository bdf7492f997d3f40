//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package vfs

import (
	"io/fs"
	"syscall"
)

// Flags for OpenFile of a name that somebody else may have put there.
const (
	NoFollow = syscall.O_NOFOLLOW // fail at a symbolic link
	NoWait   = syscall.O_NONBLOCK // do not wait for the other end of a pipe
)

// owner tells who owns a file and how many names it has.
func owner(info fs.FileInfo) (uid int, links uint64, known bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return int(st.Uid), uint64(st.Nlink), true //nolint:unconvert // its type differs between systems
}

// ownGroup tells whether the group has the number of the owner.
func ownGroup(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Gid == st.Uid
}
