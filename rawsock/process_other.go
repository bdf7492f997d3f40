//go:build !linux && !darwin && !freebsd && !netbsd && !openbsd && !dragonfly && !windows

package rawsock

import "time"

// FileLimit returns an error that Is errors.ErrUnsupported.
func FileLimit() (uint64, error) { return 0, unsupported("read open file limit") }

// CPUTime returns 0: not read on this system.
func CPUTime() time.Duration { return 0 }

// PeakRSS returns 0: not read on this system.
func PeakRSS() uint64 { return 0 }
