package scan

import "syscall"

// Winsock's error numbers (winsock2.h), which syscall's POSIX names do not stand for on Windows.
const (
	errNetUnreachable  = syscall.Errno(10051) // WSAENETUNREACH
	errReset           = syscall.Errno(10054) // WSAECONNRESET
	errRefused         = syscall.Errno(10061) // WSAECONNREFUSED
	errHostUnreachable = syscall.Errno(10065) // WSAEHOSTUNREACH
)
