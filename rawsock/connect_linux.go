package rawsock

import "syscall"

// connectFailuresHere are what ICMP errors become that other systems pass over (icmp_err_convert, net/ipv4/icmp.c, Linux
// 6.12): protocol unreachable; source route failed, host unknown, source host isolated, parameter problem.
var connectFailuresHere = []connectFailure{
	{syscall.ENOPROTOOPT, ConnectNoProtocol},
	{syscall.EOPNOTSUPP, ConnectHostUnreachable},
	{syscall.EHOSTDOWN, ConnectHostUnreachable},
	{syscall.ENONET, ConnectHostUnreachable},
	{syscall.EPROTO, ConnectHostUnreachable},
}
