//go:build unix

package rawsock

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// FileLimit returns how many files and sockets this process may have open: the soft
// RLIMIT_NOFILE. Go's runtime has already raised it to one below the hard limit at start
// (syscall/rlimit.go), so there is nothing more to ask for.
func FileLimit() (uint64, error) {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return 0, fmt.Errorf("read open file limit: %w", err)
	}
	return uint64(lim.Cur), nil //nolint:unconvert // int64 on the BSDs
}
