package route

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"synoptic/results/crash"
)

const (
	// watchBuffer is wished for: a routing daemon that starts anew changes many routes at once.
	watchBuffer = 4 << 20
	// watchAhead is how many changes a reader may lag behind before the kernel's buffer fills.
	watchAhead = 256
)

// kernelWatch is the part of a Watcher that is Linux'. Its sockets are opened by Watch, on the caller's thread: whatever
// goroutine uses them later, they stay in that thread's namespace.
type kernelWatch struct {
	mu      sync.Mutex       // of netlink
	netlink *netlink.Handle  // for look-ups; nil: closed
	dumps   *nl.SocketHandle // for what there is at the beginning, and after a loss
	groups  *nl.NetlinkSocket
}

func watch(ctx context.Context) (w *Watcher, err error) {
	w = &Watcher{changes: make(chan Change, watchAhead)}
	defer func() {
		if err != nil {
			w.kernel.close()
			w, err = nil, fmt.Errorf("follow the kernel by netlink: %w", err)
		}
	}()
	if w.kernel.netlink, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return w, err
	}
	dumps, err := nl.Subscribe(unix.NETLINK_ROUTE)
	if err != nil {
		return w, err
	}
	w.kernel.dumps = &nl.SocketHandle{Socket: dumps}
	w.kernel.groups, err = nl.Subscribe(unix.NETLINK_ROUTE,
		unix.RTNLGRP_LINK, unix.RTNLGRP_NEIGH, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE, unix.RTNLGRP_NEXTHOP)
	if err != nil {
		return w, err
	}
	if w.kernel.groups.SetReceiveBufferSize(watchBuffer, true) != nil { // past net.core.rmem_max: only with CAP_NET_ADMIN
		if err := w.kernel.groups.SetReceiveBufferSize(watchBuffer, false); err != nil {
			return w, os.NewSyscallError("enlarge the buffer", err)
		}
	}
	// What changes during the look around is in the socket's buffer, and reported after it.
	n := newNews()
	if err := n.look(w.kernel.dumps); err != nil {
		return w, err
	}
	stop := context.AfterFunc(ctx, crash.Guarded(w.kernel.groups.Close)) // wakes the reader
	crash.Go(func() {
		defer close(w.changes)
		defer w.kernel.close()
		defer stop()
		if err := w.follow(ctx, n); ctx.Err() == nil {
			w.err = fmt.Errorf("follow the kernel by netlink: %w", err)
		}
	})
	return w, nil
}

func (k *kernelWatch) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.netlink != nil {
		k.netlink.Close()
		k.netlink = nil
	}
	if k.dumps != nil {
		k.dumps.Close()
	}
	if k.groups != nil {
		k.groups.Close()
	}
}

// follow reports until ctx ends or the socket fails.
func (w *Watcher) follow(ctx context.Context, n *news) error {
	send := func(c Change) error {
		c.Time = time.Now()
		select {
		case w.changes <- c:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	resync := func() error {
		// Looked at before the reader does: what it sees is not older than what is compared with.
		if err := n.look(w.kernel.dumps); err != nil {
			return err
		}
		return send(Change{Kind: Resync})
	}
	// Once the kernel has said that the buffer is full, it throws away without a word until that is empty
	// (netlink_overrun and netlink_rcv_wake in net/netlink/af_netlink.c).
	overrun := false
	for {
		if overrun && !w.kernel.waiting() {
			overrun = false
			if err := resync(); err != nil {
				return err
			}
		}
		messages, from, err := w.kernel.groups.Receive()
		switch {
		case errors.Is(err, unix.ENOBUFS):
			overrun = w.kernel.waiting()
			if err := resync(); err != nil {
				return err
			}
			continue
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return err
		}
		if from.Pid != nl.PidKernel { // another process may send to us, too
			continue
		}
		for _, m := range messages {
			for _, c := range n.read(m.Header.Type, m.Data) {
				if err := send(c); err != nil {
					return err
				}
			}
		}
	}
}

// waiting tells whether there is something to be read.
func (k *kernelWatch) waiting() bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(k.groups.GetFd()), Events: unix.POLLIN}}, 0)
	return n > 0 || err != nil
}

func (w *Watcher) check(p *Path, target netip.Addr, o Options) error {
	return w.kernel.ask(func(h *netlink.Handle) error { return checkBy(h, p, target, o) })
}

func (w *Watcher) state(index int) (s State, err error) {
	err = w.kernel.ask(func(h *netlink.Handle) error {
		s, err = stateBy(h, index)
		return err
	})
	return s, err
}

func (k *kernelWatch) ask(f func(h *netlink.Handle) error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.netlink == nil {
		return fmt.Errorf("query the kernel by netlink: %w", net.ErrClosed)
	}
	return f(k.netlink)
}
