package rawsock

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// ReservedPorts are those that the kernel gives to no connection of this host's that does not ask for them
// (ip_local_reserved_ports, Documentation/networking/ip-sysctl.rst).
func ReservedPorts() (*PortSet, error) {
	const path = "/proc/sys/net/ipv4/ip_local_reserved_ports"
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return &PortSet{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read reserved ports: %w", err)
	}
	all, err := parsePortList(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}

// HoldPorts keeps the kernel from giving TCP ports, from first to last, to the host's own IPv4 connections until what
// it returns is closed. The error is a *PortInUseError where somebody has one of them already, by a listener or a
// connection.
//
// A socket is bound to each, and does not listen: __inet_hash_connect passes over ports that were bound without
// SO_REUSEADDR (net/ipv4/inet_hashtables.c, Linux 6.12), and for packets a bound socket is none.
func HoldPorts(first, last uint16) (io.Closer, error) {
	var held heldPorts
	for p := int(first); p <= int(last); p++ {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("hold port %d: %w", p, err), held.Close())
		}
		held = append(held, fd)
		switch err := unix.Bind(fd, &unix.SockaddrInet4{Port: p}); {
		case errors.Is(err, unix.EADDRINUSE):
			return nil, errors.Join(&PortInUseError{uint16(p), err}, held.Close())
		case err != nil:
			return nil, errors.Join(fmt.Errorf("hold port %d: %w", p, err), held.Close())
		}
	}
	return held, nil
}

type heldPorts []int

// Close lets them go.
func (h heldPorts) Close() error {
	var errs []error
	for _, fd := range h {
		errs = append(errs, unix.Close(fd))
	}
	return errors.Join(errs...)
}
