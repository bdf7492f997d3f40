package tcpinfo

import (
	"encoding/binary"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Known says that EndAcknowledged and PendingError know the truth.
const Known = true

// States of include/net/tcp_states.h (Linux 6.1) behind the acknowledgement of our FIN. A socket that went
// through TIME_WAIT is TCP_CLOSE to its owner (tcp_time_wait calls tcp_done); so is one that was reset, but
// it has an error pending (tcp_reset).
const (
	finWait2 = 5
	timeWait = 6
	closed   = 7
)

// EndAcknowledged tells whether the far end's kernel has acknowledged all our data and the FIN behind it. Of
// a connection that is no TCP it is true: on a Unix socket, everything written is in the peer's queue at once.
func EndAcknowledged(c syscall.Conn) bool {
	if _, ok := c.(*net.TCPConn); !ok {
		return true
	}
	var state byte
	err := control(c, func(fd int) error {
		// The first byte of struct tcp_info is tcpi_state; the kernel copies as much as there is room for (tcp(7)).
		head, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		var bytes [4]byte
		binary.NativeEndian.PutUint32(bytes[:], uint32(head))
		state = bytes[0]
		return err
	})
	return err == nil && (state == finWait2 || state == timeWait || state == closed)
}

// PendingError gives the connection's pending error, such as a reset, and clears it.
func PendingError(c syscall.Conn) error {
	return control(c, func(fd int) error {
		n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if err != nil {
			return fmt.Errorf("read SO_ERROR: %w", err)
		}
		if n != 0 {
			return unix.Errno(n)
		}
		return nil
	})
}

func control(c syscall.Conn, f func(fd int) error) (err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	if e := raw.Control(func(fd uintptr) { err = f(int(fd)) }); e != nil {
		return e
	}
	return err
}
