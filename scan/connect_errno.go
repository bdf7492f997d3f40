//go:build !windows

package scan

import "syscall"

// What connect(2) fails with.
const (
	errRefused         = syscall.ECONNREFUSED
	errReset           = syscall.ECONNRESET
	errHostUnreachable = syscall.EHOSTUNREACH
	errNetUnreachable  = syscall.ENETUNREACH
	errAccess          = syscall.EACCES        // a local policy: no ICMP error becomes it (icmp_err_convert, net/ipv4/icmp.c)
	errAddrNotAvail    = syscall.EADDRNOTAVAIL // no ephemeral port is free, or there is no source address
	errProcessFiles    = syscall.EMFILE
	errHostFiles       = syscall.ENFILE
)
