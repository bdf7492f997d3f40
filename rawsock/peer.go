package rawsock

import (
	"fmt"
	"net"
)

// PeerUID is the user that the other end of a Unix socket had when it connected: by SO_PEERCRED on Linux (unix(7)), by
// LOCAL_PEERCRED on macOS and FreeBSD (unix(4)). The error Is errors.ErrUnsupported on other systems.
func PeerUID(conn *net.UnixConn) (uid int, err error) {
	raw, err := conn.SyscallConn()
	if err == nil {
		var failed error
		err = raw.Control(func(fd uintptr) { uid, failed = peerUID(int(fd)) })
		if err == nil {
			err = failed
		}
	}
	if err != nil {
		return 0, fmt.Errorf("peer of a Unix socket: %w", err)
	}
	return uid, nil
}
