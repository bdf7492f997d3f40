//go:build !unix && !windows

package rawsock

// FileLimit returns an error that Is errors.ErrUnsupported.
func FileLimit() (uint64, error) { return 0, unsupported("read open file limit") }
