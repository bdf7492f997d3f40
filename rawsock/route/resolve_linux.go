package route

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

const (
	// requestBatch requests are sent before the answers are looked at; answers
	// to so many fit into any receive buffer.
	requestBatch = 64
	// receiveBuffer is wished for; the kernel grants net.core.rmem_max.
	receiveBuffer = 4 << 20
	// waitStep bounds how long a cancelled context goes unnoticed.
	waitStep = 50 * time.Millisecond
)

// sure are the states of a neighbour whose MAC address is used without asking (linux/neighbour.h): it was heard of
// lately, an administrator says so, or there is nothing to ask. In the others, NUD_STALE above all, it was right at
// some time; the kernel sends to it all the same while it finds out, but has the answers to its packets to go by.
const sure = unix.NUD_REACHABLE | unix.NUD_PERMANENT | unix.NUD_NOARP

// again is how often a gateway is asked for when it has not answered the tries.
const again = time.Second

func resolve(ctx context.Context, link Link, src netip.Addr, h *hosts, o ResolveOptions) error {
	if !src.Is4() || len(link.HardwareAddr) != 6 {
		return fmt.Errorf("source %v, MAC address %q: want IPv4 and 48 bits", src, link.HardwareAddr)
	}
	begun := time.Now()
	if err := h.readNeighbours(link.Index, o); err != nil {
		return err
	}
	total := len(h.addrs)
	o.Progress(total-h.missing, total)
	if h.missing == 0 {
		return nil
	}
	b := src.As4()
	s, err := newARPSocket(link, replyFilter([6]byte(link.HardwareAddr), binary.BigEndian.Uint32(b[:])))
	if err != nil {
		return err
	}
	defer unix.Close(s.fd)
	s.request = newRequest([6]byte(link.HardwareAddr), binary.BigEndian.Uint32(b[:]))
	s.mac, s.src, s.patient = [6]byte(link.HardwareAddr), binary.BigEndian.Uint32(b[:]), o.Patience > 0

	gap := o.Gap
	for try := 0; h.missing > 0; try++ {
		if try >= o.Tries {
			left := o.Patience - time.Since(begun)
			if left <= 0 {
				return nil
			}
			gap = min(left, again)
		}
		if err := s.ask(ctx, h, o); err != nil {
			return err
		}
		for deadline := time.Now().Add(gap); h.missing > 0 && time.Now().Before(deadline); {
			if err := s.await(ctx, h, time.Until(deadline)); err != nil {
				return err
			}
		}
		o.Progress(total-h.missing, total)
		gap *= 2
	}
	for deadline := time.Now().Add(o.settle); len(h.others) == 0 && time.Now().Before(deadline); {
		if err := s.await(ctx, h, time.Until(deadline)); err != nil {
			return err
		}
	}
	return nil
}

// readNeighbours takes what the kernel is sure of, and notes what else it says.
func (h *hosts) readNeighbours(index int, o ResolveOptions) error {
	all, err := neighbours(index)
	for i := range all {
		h.take(&all[i], o.anew)
	}
	return err
}

// neighbours are the kernel's IPv4 neighbours on a link. Where the reading was interrupted some lack, which are asked for.
func neighbours(index int) ([]netlink.Neigh, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	defer handle.Close()
	all, err := handle.NeighList(index, netlink.FAMILY_V4)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("read the neighbour table: %w", err)
	}
	return all, nil
}

// permanentNeighbours are those that an administrator has entered.
func permanentNeighbours(index int) (map[netip.Addr][6]byte, error) {
	all, err := neighbours(index)
	permanent := map[netip.Addr][6]byte{}
	for _, n := range all {
		if a, ok := netip.AddrFromSlice(n.IP); ok && n.State&unix.NUD_PERMANENT != 0 && len(n.HardwareAddr) == 6 {
			permanent[a.Unmap()] = [6]byte(n.HardwareAddr)
		}
	}
	return permanent, err
}

// take looks at one entry of the kernel's table. If that is doubted, the kernel is not sure of any.
func (h *hosts) take(n *netlink.Neigh, doubted bool) {
	ip := n.IP.To4()
	if n.State&(unix.NUD_INCOMPLETE|unix.NUD_FAILED) != 0 || ip == nil || len(n.HardwareAddr) != 6 {
		return
	}
	i, asked := slices.BinarySearch(h.addrs, binary.BigEndian.Uint32(ip))
	switch {
	case !asked:
	case n.State&sure != 0 && !doubted:
		h.set(i, [6]byte(n.HardwareAddr))
	default:
		h.unconfirmed[i] = [6]byte(n.HardwareAddr)
	}
}

// arpSocket is a packet socket that sees only what its filter passes of the ARP traffic: replies to our requests.
type arpSocket struct {
	fd      int
	mac     [6]byte
	src     uint32
	request []byte
	patient bool // an interface that is down may come up again
	buf     [128]byte
}

// newARPSocket returns with the socket bound: an answer to the first request
// cannot be missed.
func newARPSocket(link Link, filter []bpf.Instruction) (s *arpSocket, err error) {
	s = &arpSocket{}
	// Protocol 0 receives nothing, so no frame gets in before the filter.
	s.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("open an ARP socket", err)
	}
	defer func() {
		if err != nil {
			unix.Close(s.fd)
		}
	}()
	raw, err := bpf.Assemble(filter)
	if err != nil {
		return nil, fmt.Errorf("assemble the ARP filter: %w", err)
	}
	prog := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		prog[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	if err := unix.SetsockoptSockFprog(s.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}); err != nil {
		return nil, os.NewSyscallError("attach the ARP filter", err)
	}
	if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer); err != nil {
		return nil, os.NewSyscallError("enlarge the ARP socket's buffer", err)
	}
	protocol := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ARP))
	if err := unix.Bind(s.fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: link.Index}); err != nil {
		return nil, os.NewSyscallError("bind the ARP socket", err)
	}
	return s, nil
}

// ask sends one request for each host still missing, as the limiter allows.
func (s *arpSocket) ask(ctx context.Context, h *hosts, o ResolveOptions) error {
	for i := 0; i < len(h.addrs) && h.missing > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		granted := o.Take(min(requestBatch, h.missing))
		if granted <= 0 {
			if err := s.wait(time.Millisecond); err != nil {
				return err
			}
		}
		for ; i < len(h.addrs) && granted > 0; i++ {
			if h.known[i] {
				continue
			}
			if err := s.send(h.addrs[i]); err != nil {
				return err
			}
			granted--
		}
		if err := s.receive(h); err != nil {
			return err
		}
		o.Progress(len(h.addrs)-h.missing, len(h.addrs))
	}
	return nil
}

// send retries while the interface's queue is full, for a second at most; a
// request that is given up then is made up for by the next try.
func (s *arpSocket) send(addr uint32) error {
	setTarget(s.request, addr)
	for range 1000 {
		_, err := unix.Write(s.fd, s.request)
		switch err {
		case nil:
			return nil
		case unix.EINTR:
		case unix.ENOBUFS, unix.EAGAIN:
			time.Sleep(time.Millisecond)
		default:
			return s.failed("send an ARP request", err)
		}
	}
	return nil
}

// failed is the error of a system call, unless it says that the interface is down and that is waited out.
func (s *arpSocket) failed(call string, err error) error {
	if s.patient && errors.Is(err, unix.ENETDOWN) {
		return nil
	}
	return os.NewSyscallError(call, err)
}

// await takes the answers that come in within d, or returns earlier.
func (s *arpSocket) await(ctx context.Context, h *hosts, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.wait(min(d, waitStep)); err != nil {
		return err
	}
	return s.receive(h)
}

// receive takes all answers that are there.
func (s *arpSocket) receive(h *hosts) error {
	for {
		n, err := unix.Read(s.fd, s.buf[:])
		switch err {
		case nil:
			h.accept(s.buf[:n], s.mac, s.src)
		case unix.EAGAIN:
			return nil
		case unix.EINTR:
		default:
			if err := s.failed("receive ARP replies", err); err != nil {
				return err
			}
		}
	}
}

// wait returns when an answer is there or the time has passed.
func (s *arpSocket) wait(d time.Duration) error {
	ms := int((d + time.Millisecond - 1) / time.Millisecond)
	_, err := unix.Poll([]unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN}}, ms)
	if err != nil && err != unix.EINTR {
		return os.NewSyscallError("wait for ARP replies", err)
	}
	return nil
}
