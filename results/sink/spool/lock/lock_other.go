//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package spool

import (
	"errors"
	"fmt"
	"os"
)

// lock fails: without a lock two scans would deliver, and delete, each other's records.
func lock(string) (f *os.File, held bool, err error) {
	return nil, false, fmt.Errorf("a spool needs a file lock: %w", errors.ErrUnsupported)
}

func removeLock(f *os.File) { _ = f.Close() }
