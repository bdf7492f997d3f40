//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package target

import (
	"io/fs"
	"syscall"
)

// ownerOf tells who owns a file.
func ownerOf(info fs.FileInfo) (uid int, known bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}
