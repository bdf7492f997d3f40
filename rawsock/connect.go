package rawsock

import (
	"errors"
	"syscall"
)

// ConnectFailure is what the error of a connect(2) tells, on every system.
type ConnectFailure uint8

// The failures.
const (
	ConnectUnknown         ConnectFailure = iota // no failure of these
	ConnectRefused                               // a RST came back
	ConnectHostUnreachable                       // a router or the own host said so
	ConnectNetUnreachable                        // likewise
	ConnectNoProtocol                            // the target said that it has no TCP
	ConnectDenied                                // a policy of this host forbids it: no ICMP error becomes it (icmp_err_convert, net/ipv4/icmp.c, Linux 6.12)
	ConnectNetDown                               // the interface is down
	ConnectExhausted                             // this host is out of descriptors or ephemeral ports, or has no source address: later it may go
)

// ErrRefused is connect(2)'s error where nobody listens.
const ErrRefused = errRefused

// ConnectFailureOf says what kind of failure an error of a connect is, of package net or the kernel's own.
// A time-out is none of them.
func ConnectFailureOf(err error) ConnectFailure {
	for _, all := range [][]connectFailure{connectFailures, connectFailuresHere} {
		for _, f := range all {
			if errors.Is(err, f.errno) {
				return f.is
			}
		}
	}
	return ConnectUnknown
}

type connectFailure struct {
	errno syscall.Errno
	is    ConnectFailure
}

var connectFailures = []connectFailure{
	{errRefused, ConnectRefused},
	{errReset, ConnectRefused},
	{errHostUnreachable, ConnectHostUnreachable},
	{errNetUnreachable, ConnectNetUnreachable},
	{errAccess, ConnectDenied},
	{errNetDown, ConnectNetDown},
	{syscall.EPERM, ConnectDenied},
	{errAddrNotAvail, ConnectExhausted},
	{errProcessFiles, ConnectExhausted},
	{errHostFiles, ConnectExhausted},
}
