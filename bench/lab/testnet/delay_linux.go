package testnet

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
)

// DelayLine makes what the targets answer take its time: this kernel may have no netem.
//
//	target's stack ── route to the scanner ─▶ tun ─▶ read ─▶ due ─▶ packet socket ─▶ PeerLink
//
// What is under way to the targets is not delayed: a round trip is longer by the delay.
type DelayLine struct {
	tun   *os.File
	wire  int    // packet socket
	link  int    // index of PeerLink
	front []byte // Ethernet header
	delay time.Duration

	mu     sync.Mutex
	more   sync.Cond
	queue  []delayed
	closed bool

	done sync.WaitGroup
	errs []error         // of the two goroutines, one place each
	late []time.Duration // of each packet
}

type delayed struct {
	due   time.Time
	frame []byte
}

// Late tells after Close how many packets have passed, and how late they left: the median, what one in a hundred exceeded, and the most.
func (d *DelayLine) Late() (packets uint64, median, hundredth, most time.Duration) {
	if len(d.late) == 0 {
		return 0, 0, 0, 0
	}
	slices.Sort(d.late)
	at := func(q float64) time.Duration { return d.late[min(len(d.late)-1, int(q*float64(len(d.late))))] }
	return uint64(len(d.late)), at(0.5), at(0.99), at(1)
}

// Delay has the answers of the targets to an address take so much longer, until the line is closed. One line a network. The error is
// fs.ErrPermission where /dev/net/tun is not for this user.
func (n *Network) Delay(to netip.Addr, by time.Duration) (*DelayLine, error) {
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0) // netlink's own error does not unwrap
	if err != nil {
		return nil, fmt.Errorf("delay the answers on %s: %w", n.PeerLink, err)
	}
	f.Close()
	d := &DelayLine{delay: by, wire: -1, errs: make([]error, 2)}
	d.more.L = &d.mu
	d.front = slices.Concat(n.HardwareAddr, n.PeerHardwareAddr, []byte{8, 0})
	err = n.Do(func() error {
		tun := &netlink.Tuntap{
			LinkAttrs: netlink.LinkAttrs{Name: n.PeerLink + "d", TxQLen: 100_000, MTU: 1500}, Mode: netlink.TUNTAP_MODE_TUN, Queues: 1,
			Flags: netlink.TUNTAP_NO_PI, NonPersist: true,
		}
		if err := netlink.LinkAdd(tun); err != nil {
			return fmt.Errorf("add tun: %w", err)
		}
		d.tun = tun.Fds[0]
		link, err := netlink.LinkByName(tun.Name)
		if err != nil {
			return err
		}
		if err := errors.Join(netlink.LinkSetTxQLen(link, 100_000), netlink.LinkSetUp(link)); err != nil {
			return err
		}
		if err := n.answerTo(to, tun.Name, netip.Addr{}); err != nil {
			return err
		}
		peer, err := netlink.LinkByName(n.PeerLink)
		if err != nil {
			return err
		}
		d.link = peer.Attrs().Index
		d.wire, err = syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, 0)
		return os.NewSyscallError("socket", err)
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("delay the answers on %s: %w", n.PeerLink, err), d.Close())
	}
	d.done.Go(func() { d.errs[0] = d.read() })
	d.done.Go(func() { d.errs[1] = d.write() })
	return d, nil
}

// first has the calling goroutine run before what else wants a processor, until the function that it returns is called: an answer that waits for
// one would be jitter of a path that has none. Who may not do so has the jitter.
func first() (undo func()) {
	runtime.LockOSThread()
	before, err := syscall.Getpriority(syscall.PRIO_PROCESS, syscall.Gettid())
	if err == nil {
		err = syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), -19)
	}
	return func() {
		if err == nil { // the system call gives 20 less the priority (getpriority(2))
			_ = syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), 20-before)
		}
		runtime.UnlockOSThread()
	}
}

func (d *DelayLine) read() error {
	defer first()()
	for {
		packet := make([]byte, 2048)
		n, err := d.tun.Read(packet[copy(packet, d.front):])
		due := time.Now().Add(d.delay)
		d.mu.Lock()
		closed := d.closed
		if err == nil {
			d.queue = append(d.queue, delayed{due, packet[:len(d.front)+n]})
			d.more.Signal()
		}
		d.mu.Unlock()
		switch {
		case closed:
			return nil
		case err != nil:
			return fmt.Errorf("read what is to be delayed: %w", err)
		}
	}
}

// write sends what is due. It sleeps by nanosleep(2): the runtime's timers are up to a millisecond late.
func (d *DelayLine) write() error {
	defer first()()
	var batch []delayed
	for {
		d.mu.Lock()
		for len(d.queue) == 0 && !d.closed {
			d.more.Wait()
		}
		if d.closed {
			d.mu.Unlock()
			return nil
		}
		batch, d.queue = d.queue, batch[:0]
		d.mu.Unlock()
		for i := range batch {
			p := &batch[i]
			if left := time.Until(p.due); left > 0 {
				t := syscall.NsecToTimespec(int64(left))
				_ = syscall.Nanosleep(&t, nil) // woken early by a signal: so much too early
			}
			d.late = append(d.late, time.Since(p.due))
			err := syscall.Sendto(d.wire, p.frame, 0, &syscall.SockaddrLinklayer{Ifindex: d.link})
			if err != nil && !errors.Is(err, syscall.ENOBUFS) { // no room: lost, as elsewhere
				return os.NewSyscallError("send what was delayed", err)
			}
		}
	}
}

// Close ends the line, and with it what it carries. The targets answer no more to that address.
func (d *DelayLine) Close() error {
	d.mu.Lock()
	d.closed = true
	d.more.Signal()
	d.mu.Unlock()
	var err error
	if d.tun != nil {
		err = errors.Join(d.tun.SetReadDeadline(time.Now()), d.tun.Close())
	}
	d.done.Wait()
	if d.wire >= 0 {
		err = errors.Join(err, os.NewSyscallError("close", syscall.Close(d.wire)))
	}
	return errors.Join(append(d.errs, err)...)
}
