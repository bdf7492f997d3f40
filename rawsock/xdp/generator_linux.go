//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package xdp

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"synoptic/rawsock"
)

// The words of control that Go writes are read by the programs while they run, and the other way
// round: both only whole, and a pass is written before it is posted.

// SetWindow tells the programs which positions the result map takes replies for: [low, high).
// low is never too low for long: window.Map seals what leaves, and the programs see that.
func (p *Programs) SetWindow(low, high uint64) {
	atomic.StoreUint64(&p.control.Low, low)
	atomic.StoreUint64(&p.control.High, high)
}

const (
	// liveBatch is how many frames the kernel puts through the program and into the driver at a time
	// (the default of bpf_test_run_xdp_live, net/bpf/test_run.c, Linux 6.12).
	liveBatch = 64
	// liveRuns is more than any call makes: Interrupt ends it.
	liveRuns = 1 << 30
)

// SetFrame gives the generator the probe with its varying fields zero, and the partial checksums over
// its IP header and over its TCP segment with pseudo-header: sums of 16-bit words in host byte order.
func (p *Programs) SetFrame(frame []byte, ipSum, tcpSum uint32) error {
	if len(frame) != p.config.FrameLen {
		return fmt.Errorf("generator: frame of %d bytes instead of %d", len(frame), p.config.FrameLen)
	}
	t := &p.control.Template
	t.IpSum, t.TcpSum = ipSum, tcpSum
	copy(t.Frame[:], frame)
	return nil
}

// PrepareGenerator makes the calling thread the generator's: it must stay locked to its goroutine, and
// gets a CPU of its own choice for good. The tracepoints that tell what the driver accepted are
// attached here.
func (p *Programs) PrepareGenerator() error {
	cpu, err := pinThread()
	if err != nil {
		return err
	}
	p.thread = unix.Gettid()
	atomic.StoreUint64(&p.control.Cpu, uint64(cpu))
	for name, prog := range map[string]*ebpf.Program{"xdp_devmap_xmit": p.objects.Transmitted, "xdp_redirect_err": p.objects.RedirectFailed} {
		l, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: name, Program: prog})
		if err != nil {
			return kernelError("attach to tracepoint "+name, err)
		}
		p.tracers = append(p.tracers, l)
	}
	return nil
}

// pinThread ties the calling thread to the last of the CPUs that it may run on: interrupts and other
// work gather on the first.
func pinThread() (cpu int, err error) {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return 0, fmt.Errorf("pin generator: %w", err)
	}
	for cpu = len(allowed)*64 - 1; cpu > 0 && !allowed.IsSet(cpu); cpu-- {
	}
	return cpu, pinTo(cpu)
}

func pinTo(cpu int) error {
	var one unix.CPUSet
	one.Set(cpu)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("pin to CPU %d: %w", cpu, err)
	}
	return nil
}

// DetachGenerator takes the generator's tracepoints away, where it is not going to be used.
func (p *Programs) DetachGenerator() {
	for _, l := range p.tracers {
		l.Close() // it only watched
	}
	p.tracers = nil
}

// PinBeside ties the calling thread to the generator's CPU.
func (p *Programs) PinBeside() error { return pinTo(int(atomic.LoadUint64(&p.control.Cpu))) }

// TryDriver sends a frame, from the Ethernet header on, the way that the generator's probes go, before
// the first of them. The error says why the driver did not take it: see Refusal. Call it on the thread
// that PrepareGenerator was called on. It waits a while for room: a driver's ring may be full of what others have sent.
func (p *Programs) TryDriver(frame []byte) error {
	return tryDriver(func() (tried, error) { return p.tryOnce(frame) }, time.Sleep)
}

func (p *Programs) tryOnce(frame []byte) (tried, error) {
	if err := runLive(p.objects.TryDriver.FD(), frame, 1, 1); err != nil {
		return 0, kernelError("try the driver", err)
	}
	c := p.control
	got := nothingSaid
	switch {
	case c.Sent == 1:
		got = frameTaken
	case c.Flushed > 0:
		got = ringFull
	}
	err := p.Refusal()
	c.Redirected, c.Flushed, c.Sent, c.Retransmitted, c.Refused, c.Resent, c.Errors, c.Error = 0, 0, 0, 0, 0, 0, 0, 0
	if got == frameTaken {
		return got, nil
	}
	return got, err
}

// LeaveResets lets the host answer SYN-ACKs, where the receiver cannot send.
func (p *Programs) LeaveResets() { atomic.StoreUint64(&p.control.HostResets, 1) }

// Generate sends what has been posted and granted, and goes on with what is posted and granted
// meanwhile, until it is interrupted. Setting it up takes some 19 ms. Call it on the thread that
// PrepareGenerator was called on.
func (p *Programs) Generate() error {
	if err := runLive(p.objects.Generate.FD(), p.liveFrame(), liveRuns, liveBatch); err != nil {
		return kernelError("generate probes", err)
	}
	return nil
}

// Interrupt ends a call of Generate that is under way. One that is just about to begin it may miss.
func (p *Programs) Interrupt() error {
	// The runtime's own signal for preemption: its handler takes any number of them (os/signal).
	return unix.Tgkill(os.Getpid(), p.thread, unix.SIGURG)
}

// spareTail is how much longer than a probe the frames are that the program gets: bpf/generate.h says why.
const spareTail = 4

func (p *Programs) liveFrame() []byte {
	n := p.config.FrameLen
	if n > minProbe {
		n += spareTail
	}
	return p.control.Template.Frame[:n]
}

// Post hands the generator a pass. It reports false where PassesAhead are waiting already. One
// goroutine posts.
func (p *Programs) Post(pass Pass) bool {
	posted := p.control.Posted
	if posted-atomic.LoadUint64(&p.control.Finished) >= PassesAhead {
		return false
	}
	w := &p.control.Passes[posted%PassesAhead]
	w.Begin, w.End = pass.Begin, pass.End
	// Of first tries the program looks at the end only behind a probe.
	w.First, w.Sample, w.Sampled = bit(pass.First && pass.Begin < pass.End), bit(pass.Sample), bit(pass.Sampled)
	w.Stride, w.Probes = pass.Stride, pass.Probes
	atomic.StoreUint64(&p.control.Posted, posted+1)
	return true
}

func bit(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// Grant lets n more probes leave. One goroutine grants.
func (p *Programs) Grant(n uint64) { atomic.AddUint64(&p.control.Granted, n) }

// Exclude has the generator probe nothing any more in some prefixes, those of IPv6 left out, be it a first try or again. It holds
// from the next batch of up to 64 frames on. The error says that some of them are probed as before.
func (p *Programs) Exclude(prefixes iter.Seq[netip.Prefix]) error {
	for prefix := range prefixes {
		if !prefix.Addr().Is4() {
			continue
		}
		key := scanPrefix{Length: uint32(prefix.Bits()), Addr: networkOrder(prefix.Addr())}
		if err := p.objects.Exclusions.Put(&key, uint8(1)); err != nil {
			return kernelError("exclude "+prefix.String(), err)
		}
	}
	atomic.StoreUint64(&p.control.Excluding, 1)
	return nil
}

// Granted is the number of probes that were let to leave, in all.
func (p *Programs) Granted() uint64 { return atomic.LoadUint64(&p.control.Granted) }

// Progress tells how far the generator is.
func (p *Programs) Progress() Progress {
	c := p.control
	flushed := atomic.LoadUint64(&c.Flushed)
	resent := atomic.LoadUint64(&c.Resent)
	return Progress{
		Finished: atomic.LoadUint64(&c.Finished), Spent: atomic.LoadUint64(&c.Spent), Starved: atomic.LoadUint64(&c.Starved),
		Sent: atomic.LoadUint64(&c.Sent), Retransmitted: atomic.LoadUint64(&c.Retransmitted), Sampled: atomic.LoadUint64(&c.Sampled),
		Refused: atomic.LoadUint64(&c.Refused), Excluded: atomic.LoadUint64(&c.Excluded),
		Flying: atomic.LoadUint64(&c.Redirected) - flushed + atomic.LoadUint64(&c.Refused) - resent,
	}
}

// Unsent gives the positions of first tries that were taken from their passes and did not get out:
// those that wait to be sent again. For while the generator does not run.
func (p *Programs) Unsent() (positions []uint64) {
	c := p.control
	const first, position = 1 << 63, 1<<48 - 1
	for i := c.Resent; i != c.Refused; i++ {
		if w := c.Refusals[i%uint64(len(c.Refusals))]; w&first != 0 {
			positions = append(positions, w&position)
		}
	}
	return positions
}

// Cursor is where the generator stands in the pass that it works on: the first position that it has
// not looked at, or false where it has not begun. For while the generator does not run.
func (p *Programs) Cursor() (position uint64, begun bool) {
	c := p.control.Cursor
	return c - 1, c != 0
}

// Refusal is why the driver or the redirect last refused a probe; nil where none was.
func (p *Programs) Refusal() error {
	return refusalError(unix.Errno(atomic.LoadUint64(&p.control.Error)))
}

// refusalError is what an error of the driver or of the redirect means.
func refusalError(errno unix.Errno) error {
	switch {
	case errno == 0:
		return nil
	// Where the interface is gone the redirect finds none by its index: EINVAL (xdp_do_redirect, net/core/filter.c).
	case errors.Is(errno, unix.ENETDOWN), errors.Is(errno, unix.ENODEV), errors.Is(errno, unix.EINVAL):
		return fmt.Errorf("the driver refuses probes: %w: %w", rawsock.ErrInterface, errno)
	// Since Linux 6.3 the redirect asks for NETDEV_XDP_ACT_NDO_XMIT first (xdp_ok_fwd_dev,
	// include/linux/filter.h), which veth has while its far end takes frames.
	case errors.Is(errno, unix.ENXIO), errors.Is(errno, unix.EOPNOTSUPP):
		return rawsock.WithHint(fmt.Errorf("the driver refuses probes: %w", errno), "Backend",
			"Backend ebpf needs GRO, or an XDP program, on the far end of a veth (there: ethtool -K IF gro on); Backend xdp and afpacket work without")
	}
	return fmt.Errorf("the driver refuses probes: %w", errno)
}
