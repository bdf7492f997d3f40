package rawsock

import "syscall"

// Winsock's error numbers (winsock2.h), which syscall's POSIX names do not stand for on Windows.
const (
	errRefused         = syscall.Errno(10061) // WSAECONNREFUSED
	errReset           = syscall.Errno(10054) // WSAECONNRESET
	errHostUnreachable = syscall.Errno(10065) // WSAEHOSTUNREACH
	errNetUnreachable  = syscall.Errno(10051) // WSAENETUNREACH
	errNetDown         = syscall.Errno(10050) // WSAENETDOWN
	errAccess          = syscall.Errno(10013) // WSAEACCES
	errAddrNotAvail    = syscall.Errno(10049) // WSAEADDRNOTAVAIL
	errProcessFiles    = syscall.Errno(10024) // WSAEMFILE
	errHostFiles       = syscall.Errno(10055) // WSAENOBUFS: the host is out of ephemeral ports
)
