//go:build !windows

package rawsock

import "syscall"

// What connect(2) fails with.
const (
	errRefused         = syscall.ECONNREFUSED
	errReset           = syscall.ECONNRESET
	errHostUnreachable = syscall.EHOSTUNREACH
	errNetUnreachable  = syscall.ENETUNREACH
	errNetDown         = syscall.ENETDOWN
	errAccess          = syscall.EACCES
	errAddrNotAvail    = syscall.EADDRNOTAVAIL // no ephemeral port is free, or there is no source address
	errProcessFiles    = syscall.EMFILE
	errHostFiles       = syscall.ENFILE
)
