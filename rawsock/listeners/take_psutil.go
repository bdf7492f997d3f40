//go:build darwin || windows

package listeners

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"syscall"

	psnet "github.com/shirou/gopsutil/v4/net"
	"github.com/shirou/gopsutil/v4/process"
)

// Take looks at what listens, by gopsutil: on Windows it asks GetExtendedTcpTable, on macOS it runs lsof(8). There are no units, no
// namespaces and no control groups, and rules that lead ports elsewhere are not read.
func Take(Config) (*Snapshot, error) {
	all, err := psnet.Connections("tcp")
	if errors.Is(err, exec.ErrNotFound) {
		return nil, &Issue{"listening sockets", err, "install lsof, or put it into the search path"}
	}
	if err != nil {
		return nil, fmt.Errorf("list the TCP sockets: %w", err)
	}
	n := Namespace{Unread: []string{"rules that lead ports elsewhere"}}
	for i := range all {
		if l, ok := listenerOf(&all[i]); ok {
			n.add(&l)
		}
	}
	slices.SortStableFunc(n.Listeners, func(a, b Listener) int { return cmp.Or(cmp.Compare(a.Port, b.Port), a.Addr.Compare(b.Addr)) })
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list the local addresses: %w", err)
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			n.Local = append(n.Local, only(p.Addr()))
		}
	}
	return &Snapshot{Namespaces: []Namespace{n}}, nil
}

// listenerOf reads one socket; false: it does not listen.
func listenerOf(c *psnet.ConnectionStat) (l Listener, ok bool) {
	if c.Status != "LISTEN" || c.Laddr.Port > 65535 {
		return l, false
	}
	addr, err := netip.ParseAddr(c.Laddr.IP)
	switch {
	case err == nil:
	case c.Family == syscall.AF_INET6: // "*"
		addr = netip.IPv6Unspecified()
	default:
		addr = netip.IPv4Unspecified()
	}
	l = Listener{Addr: addr.WithZone(""), Port: uint16(c.Laddr.Port), Iface: addr.Zone(), UID: -1, Sockets: 1}
	p, err := process.NewProcess(c.Pid)
	if c.Pid <= 0 || err != nil {
		return l, true
	}
	known := Process{PID: int(c.Pid)}
	known.Comm, _ = p.Name() // of those that may not be seen there is neither
	known.Exe, _ = p.Exe()
	if uids, err := p.Uids(); err == nil && len(uids) > 0 {
		l.UID = int64(uids[0])
	}
	l.Processes = []Process{known}
	return l, true
}

// add takes a socket to those of the same program on the same address and port.
func (n *Namespace) add(l *Listener) {
	for i := range n.Listeners {
		same := &n.Listeners[i]
		if same.Addr == l.Addr && same.Port == l.Port && same.Iface == l.Iface && slices.EqualFunc(same.Processes[:min(1, len(same.Processes))], l.Processes, sameProgram) {
			same.Sockets++
			for _, p := range l.Processes {
				if !slices.Contains(same.Processes, p) {
					same.Processes = append(same.Processes, p)
				}
			}
			return
		}
	}
	n.Listeners = append(n.Listeners, *l)
}

func sameProgram(a, b Process) bool {
	return a.Exe != "" && strings.EqualFold(a.Exe, b.Exe) || a.PID == b.PID
}

// Hidden Is errors.ErrUnsupported: what lists sockets here does not list those that are only bound.
func (*Namespace) Hidden(uint16, uint16) ([]uint16, error) { return nil, errHidden }
