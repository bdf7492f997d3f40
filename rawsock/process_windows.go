package rawsock

import (
	"time"

	"golang.org/x/sys/windows"
)

// FileLimit returns 16384. Windows has no limit on open sockets but memory; what bounds
// outgoing connections is the dynamic port range, 49152 to 65535 by default.
func FileLimit() (uint64, error) { return 16384, nil }

// CPUTime returns the user and kernel time that this process has used, 0 where the
// system does not tell.
func CPUTime() time.Duration {
	var created, exited, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(windows.CurrentProcess(), &created, &exited, &kernel, &user); err != nil {
		return 0
	}
	// Here a FILETIME is a duration in 100 ns; its Nanoseconds method is for dates.
	ticks := func(f windows.Filetime) int64 { return int64(f.HighDateTime)<<32 | int64(f.LowDateTime) }
	return time.Duration(ticks(kernel)+ticks(user)) * 100
}

// PeakRSS returns 0: not read on Windows.
func PeakRSS() uint64 { return 0 }
