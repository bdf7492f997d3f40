package dest

import (
	"encoding/binary"
	"fmt"
	"net"
	"syscall"
)

// canConfirm: the state of a socket tells whether the peer's kernel has taken everything.
const canConfirm = true

// States of include/net/tcp_states.h behind the acknowledgement of our FIN. A socket that went through
// TIME_WAIT is TCP_CLOSE to its owner (tcp_time_wait calls tcp_done); so is one that was reset, but it has
// an error pending (tcp_reset).
const (
	tcpFinWait2 = 5
	tcpTimeWait = 6
	tcpClose    = 7
)

// finAcknowledged tells whether the peer's kernel has acknowledged all our data and the FIN behind it. On
// a Unix socket, everything written is in the peer's queue at once.
func finAcknowledged(s socket) bool {
	if _, ok := s.(*net.TCPConn); !ok {
		return true
	}
	var state byte
	err := control(s, func(fd int) error {
		// The first byte of struct tcp_info is tcpi_state; the kernel copies as much as there is room for (tcp(7)).
		head, err := syscall.GetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_INFO)
		var bytes [4]byte
		binary.NativeEndian.PutUint32(bytes[:], uint32(head))
		state = bytes[0]
		return err
	})
	return err == nil && (state == tcpFinWait2 || state == tcpTimeWait || state == tcpClose)
}

// socketError gives the pending error, and clears it.
func socketError(s socket) error {
	return control(s, func(fd int) error {
		n, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ERROR)
		if err != nil {
			return fmt.Errorf("read SO_ERROR: %w", err)
		}
		if n != 0 {
			return syscall.Errno(n)
		}
		return nil
	})
}

func control(s socket, f func(fd int) error) (err error) {
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	if e := raw.Control(func(fd uintptr) { err = f(int(fd)) }); e != nil {
		return e
	}
	return err
}
