package testnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
)

// backlog is cut by the kernel to net.core.somaxconn of the target.
const backlog = 65535

type listener struct {
	net.Listener
	done chan struct{}
}

// Listen opens a TCP port on the targets until the test ends: on all of them
// ("0.0.0.0:80") or on one ("10.77.3.4:80"). Connections are accepted and
// closed. Port 0 takes a free one. The address bound is returned.
func (n *Network) Listen(t testing.TB, addr string) netip.AddrPort {
	t.Helper()
	bound, err := n.Serve(addr)
	if err != nil {
		t.Fatal(err)
	}
	return bound
}

// Serve is Listen for programs: the port stays open as long as the network.
func (n *Network) Serve(addr string) (netip.AddrPort, error) {
	a, err := netip.ParseAddrPort(addr)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("listen: %w", err)
	}
	if !a.Addr().Is4() {
		return netip.AddrPort{}, fmt.Errorf("listen on %v: IPv4 only", a)
	}
	var fd int
	err = n.Do(func() error {
		fd, err = listen(a)
		return err
	})
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("listen on %v in the target: %w", a, err)
	}
	f := os.NewFile(uintptr(fd), addr)
	l, err := net.FileListener(f)
	f.Close() // FileListener made its own copy
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("listen on %v in the target: %w", a, err)
	}
	s := &listener{l, make(chan struct{})}
	go s.serve()
	n.mu.Lock()
	n.ports = append(n.ports, s)
	n.mu.Unlock()
	return l.Addr().(*net.TCPAddr).AddrPort(), nil
}

// listen is done by hand because package net reads the backlog's limit once per
// process, in whatever namespace it is then.
func listen(a netip.AddrPort) (int, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		err = os.NewSyscallError("setsockopt", err)
	} else if err = syscall.Bind(fd, &syscall.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}); err != nil {
		err = os.NewSyscallError("bind", err)
	} else if err = syscall.Listen(fd, backlog); err != nil {
		err = os.NewSyscallError("listen", err)
	}
	if err != nil {
		syscall.Close(fd)
		return -1, err
	}
	return fd, nil
}

// serve accepts one connection at a time and keeps none.
func (l *listener) serve() {
	defer close(l.done)
	for {
		c, err := l.Accept()
		if err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				continue
			}
			return
		}
		c.Close()
	}
}

func (l *listener) close() error {
	err := l.Close()
	<-l.done
	return err
}
