package listeners

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"synoptic/rawsock"
)

// Hidden lists the TCP ports of the namespace, from first to last, that cannot be bound although the kernel shows no socket that has them: neither a
// listening one, nor a connection in any state, nor one that is only bound. Something is then hidden from sock_diag, as rootkits do.
//
// Each port is bound for some microseconds, with SO_REUSEADDR, so that a server that starts meanwhile is not in the way, unless it does without that itself.
// Ports that were refused are tried again, 100 ms apart, for connections come and go; sockets are listed before and after each round.
func (n *Namespace) Hidden(first, last uint16) (ports []uint16, err error) {
	err = within(n.open, func() (err error) {
		ports, err = prober{list: dump, bind: bind}.hidden(first, last)
		return err
	})
	return ports, err
}

// prober is a bind probe; its functions act on the calling thread's network namespace.
type prober struct {
	list func(states uint32) ([]socket, error)
	bind func(port uint16) error
}

const (
	probeRounds = 4
	probePause  = 100 * time.Millisecond
)

func (p prober) hidden(first, last uint16) (ports []uint16, err error) {
	if err := p.bounded(); err != nil {
		return nil, err
	}
	for port := max(int(first), 1); port <= int(last); port++ {
		ports = append(ports, uint16(port))
	}
	denied := 0
	for round := range probeRounds {
		if round > 0 {
			time.Sleep(probePause)
		}
		var barred int
		ports, barred, err = p.round(ports)
		if denied += barred; err != nil || len(ports) == 0 {
			break
		}
	}
	if err == nil && denied > 0 {
		err = &Issue{fmt.Sprintf("%d ports that may not be bound", denied), unix.EACCES, bindAny.hint()}
	}
	return ports, err
}

// round tries some ports, and leaves those that are taken by nothing that is shown. Ports that may not be bound are counted.
func (p prober) round(ports []uint16) (taken []uint16, denied int, err error) {
	before, err := p.shown()
	if err != nil {
		return nil, 0, err
	}
	for _, port := range ports {
		if before[port] {
			continue
		}
		switch err := p.bind(port); {
		case err == nil:
		case errors.Is(err, unix.EADDRINUSE):
			taken = append(taken, port)
		case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
			denied++
		default:
			return nil, denied, fmt.Errorf("bind port %d: %w", port, err)
		}
	}
	if len(taken) == 0 {
		return nil, denied, nil
	}
	after, err := p.shown()
	if err != nil {
		return nil, denied, err
	}
	left := taken[:0]
	for _, port := range taken {
		if !after[port] {
			left = append(left, port)
		}
	}
	return left, denied, nil
}

// shown are the ports of all sockets that the kernel shows.
func (p prober) shown() (ports [1 << 16]bool, err error) {
	all, err := p.list(tcpEvery | tcpBound)
	for i := range all {
		ports[all[i].port] = true
	}
	return ports, err
}

// bounded makes sure that the kernel shows sockets that are only bound.
func (p prober) bounded() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open a socket: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: netip.AddrFrom4([4]byte{127, 0, 0, 1}).As4()}); err != nil {
		return fmt.Errorf("bind a socket: %w", err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return fmt.Errorf("read a socket's address: %w", err)
	}
	shown, err := p.shown()
	if own, ok := name.(*unix.SockaddrInet4); err == nil && ok && !shown[own.Port] {
		return &Issue{"hidden sockets", errors.ErrUnsupported, rawsock.BoundInactive.Needs() + ": this kernel does not show sockets that are bound and do not listen"}
	}
	return err
}

// bind tries whether nothing is in the way of a listener on a port of every address, IPv4 and IPv6.
func bind(port uint16) error {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	var at unix.Sockaddr = &unix.SockaddrInet6{Port: int(port)}
	if err != nil { // a kernel without IPv6
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		at = &unix.SockaddrInet4{Port: int(port)}
	} else {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)
	}
	if err == nil {
		defer unix.Close(fd)
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}
	if err == nil {
		err = unix.Bind(fd, at)
	}
	return err
}
