package rawsock

import (
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// Memory tells how much memory this process may still take: by its control groups and those above them, of both
// versions, by RLIMIT_AS and RLIMIT_DATA, and by what the machine has. What cannot be read limits nothing.
func Memory() MemoryLeft {
	m := MemoryLeft{Bytes: math.MaxUint64}
	f := files(os.ReadFile)
	f.system(&m)
	f.groups(&m)
	limit := func(resource int) uint64 {
		var l unix.Rlimit
		if unix.Getrlimit(resource, &l) != nil {
			return math.MaxUint64
		}
		return l.Cur
	}
	f.process(&m, limit(unix.RLIMIT_AS), limit(unix.RLIMIT_DATA), uint64(os.Getpagesize()))
	return m
}
