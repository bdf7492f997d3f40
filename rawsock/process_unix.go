//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package rawsock

import (
	"fmt"
	"runtime"
	"time"

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
	return uint64(lim.Cur), nil
}

// CPUTime returns the user and system time that this process has used, 0 where the
// system does not tell.
func CPUTime() time.Duration {
	u, ok := usage()
	if !ok {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// PeakRSS returns the largest resident set this process had so far, in bytes, 0 where
// the system does not tell. A packet ring counts for the pages of it that were touched.
func PeakRSS() uint64 {
	u, ok := usage()
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return uint64(u.Maxrss) // bytes; KiB everywhere else (getrusage(2))
	}
	return uint64(u.Maxrss) << 10
}

func usage() (u unix.Rusage, ok bool) {
	err := unix.Getrusage(unix.RUSAGE_SELF, &u)
	return u, err == nil
}
