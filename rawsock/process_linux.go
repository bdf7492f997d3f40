package rawsock

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// CanRaw returns nil if this process may open packet sockets, found out by opening one.
// The error Is ErrPermission if it is for want of CAP_NET_RAW; otherwise the kernel has
// no packet sockets (CONFIG_PACKET) or a sandbox hides them.
func CanRaw() error {
	const op = "open packet socket"
	// Protocol 0: it receives nothing.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return socketError(op, err)
	}
	return unix.Close(fd)
}

// EphemeralPorts returns the range, both ends included, from which the kernel takes the
// source ports of this host's own connections in the current network namespace (ip(7),
// ip_local_port_range). Probes must come from outside of it.
func EphemeralPorts() (lo, hi uint16, err error) {
	const path = "/proc/sys/net/ipv4/ip_local_port_range"
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, 0, fmt.Errorf("read ephemeral port range: %w", err)
	}
	lo, hi, err = parsePortRange(string(text))
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w", path, err)
	}
	return lo, hi, nil
}

func parsePortRange(text string) (lo, hi uint16, err error) {
	if _, err := fmt.Sscan(text, &lo, &hi); err != nil {
		return 0, 0, fmt.Errorf("%q is not two ports: %w", text, err)
	}
	if lo == 0 || lo > hi {
		return 0, 0, fmt.Errorf("%q is not an ascending range of ports", text)
	}
	return lo, hi, nil
}

// socketError gives the failure of socket(2) its kind. EACCES is what some security
// modules say for EPERM.
func socketError(op string, err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return permissionError(op, err)
	}
	return fmt.Errorf("%s: %w", op, err)
}
