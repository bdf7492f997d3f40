//go:build !windows

package scan

import "syscall"

// What connect(2) fails with when the network, and not this host, has answered.
const (
	errNetUnreachable  = syscall.ENETUNREACH
	errReset           = syscall.ECONNRESET
	errRefused         = syscall.ECONNREFUSED
	errHostUnreachable = syscall.EHOSTUNREACH
)
