// Package tcpinfo asks the kernel what it knows of a connection's far end: call EndAcknowledged after
// CloseWrite, and PendingError when the connection has ended.
//
// Known says whether this system tells at all. It knows nothing of what the connection is for.
package tcpinfo
