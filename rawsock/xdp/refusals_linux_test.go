//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package xdp

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"synoptic/bench/lab/testnet"
	"synoptic/rawsock"
	"synoptic/results"
	"synoptic/scan/probe"
)

func silentState(uint64) results.State { return 0 }

// sameProbes holds frames in any order against the probes that are to be among them once each.
func (s *subject) sameProbes(t testing.TB, frames [][]byte, probes []sentProbe) {
	t.Helper()
	got := map[string]int{}
	for _, f := range frames {
		got[string(f)]++
	}
	for _, p := range probes {
		frame := string(s.frame(p))
		if got[frame] != 1 {
			t.Errorf("position %d, attempt %d: arrived %d times", p.position, p.attempt, got[frame])
		}
		delete(got, frame)
	}
	for f, n := range got {
		t.Errorf("%d times: %s", n, describe([]byte(f)))
	}
}

// A far end without a ring refuses everything: nothing counts as sent, and nothing is lost. When the
// far end gets its ring, each probe arrives once.
func TestGeneratorRefused(t *testing.T) {
	retry := Pass{Begin: 500, End: 510, Probes: 1}
	t.Run("first tries", func(t *testing.T) { refused(t, Pass{Begin: 100, End: 130, First: true}, retry) })
	t.Run("retries", func(t *testing.T) { refused(t, retry, Pass{Begin: 200, End: 400, First: true}) })
}

func refused(t *testing.T, passes ...Pass) {
	n := testnet.New(t, testnet.Config{Gateway: true})
	s := newSubject(t, parse(t, "10.77.0.0/16", "", "443"), 9, probe.ProfileMSS)
	p := generatorOn(t, n, s)
	// A frame that the generator's own does not look like: the far end's kernel drops it.
	harmless := make([]byte, 60)
	copy(harmless, s.frame(sentProbe{}))
	harmless[12], harmless[13] = 0x88, 0xb5 // for local experiments (IEEE 802)
	err := p.TryDriver(harmless)
	var hint interface{ Hint() string }
	refusal := func(err error) bool { // the second since Linux 6.3
		return (errors.Is(err, unix.ENXIO) || errors.Is(err, unix.EOPNOTSUPP)) && errors.As(err, &hint) && strings.Contains(hint.Hint(), "far end")
	}
	if !refusal(err) {
		t.Errorf("try: %v", err)
	}
	if got := p.Progress(); got != (Progress{}) {
		t.Errorf("after the try: %+v", got)
	}

	var probes []sentProbe
	for _, pass := range passes {
		p.Post(pass)
		probes = append(probes, due(pass, silentState)...)
	}
	p.Grant(uint64(len(probes)))
	generateRuns(t, p, 1<<12)
	got := p.Progress()
	if got.Sent != 0 || got.Refused < 1000 || got.Flying != got.Spent || got.Spent == 0 {
		t.Errorf("%+v", got)
	}
	var first []uint64
	for _, x := range probes[:got.Spent] {
		if x.first {
			first = append(first, x.position)
		}
	}
	unsent := slices.Sorted(slices.Values(p.Unsent()))
	if slices.Sort(first); !slices.Equal(unsent, first) {
		t.Errorf("unsent %v, want %v", unsent, first)
	}
	if err := p.Refusal(); !refusal(err) {
		t.Errorf("%v", err)
	}

	far := newFarEnd(t, n, 0)
	generateUntil(t, p, 1<<12, sent(uint64(len(probes))))
	s.sameProbes(t, far.take(t, len(probes)), probes)
	if got := p.Progress(); got.Sent != uint64(len(probes)) || got.Retransmitted != 10 || got.Flying != 0 || len(p.Unsent()) > 0 {
		t.Errorf("%+v", got)
	}
}

// What was refused goes out as soon as it is taken, the interface having been down meanwhile.
func TestGeneratorInterfaceDown(t *testing.T) {
	n := testnet.New(t, testnet.Config{Gateway: true})
	far := newFarEnd(t, n, 0)
	s := newSubject(t, parse(t, "10.77.0.0/16", "", "443"), 10, probe.ProfileMSS)
	p := generatorOn(t, n, s)
	if err := p.TryDriver(s.frame(sentProbe{})); err != nil || p.Progress() != (Progress{}) {
		t.Errorf("%+v: %v", p.Progress(), err)
	}
	far.take(t, 1)
	own, err := netlink.LinkByName(n.Link)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetDown(own); err != nil {
		t.Fatal(err)
	}
	pass := Pass{Begin: 1000, End: 2000, First: true}
	p.Post(pass)
	p.Grant(1000)
	generateRuns(t, p, 1<<10)
	if got := p.Progress(); got.Sent != 0 || got.Refused == 0 || got.Flying != got.Spent || got.Spent == 0 {
		t.Errorf("%+v", got)
	}
	if err := p.Refusal(); !errors.Is(err, rawsock.ErrInterface) {
		t.Errorf("%v", err)
	}
	if err := netlink.LinkSetUp(own); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); p.Progress().Sent < 1000 && time.Now().Before(deadline); {
		generateRuns(t, p, 1<<11)
	}
	if got := p.Progress(); got.Sent != 1000 || got.Flying != 0 || got.Finished != 1 || got.Retransmitted != 0 {
		t.Errorf("%+v", got)
	}
	s.sameProbes(t, far.take(t, 1000), due(pass, silentState))
}

// An interface that is gone is told from a driver that refuses: nothing is sent, and the error says which.
func TestGeneratorInterfaceGone(t *testing.T) {
	n := testnet.New(t, testnet.Config{Gateway: true})
	s := newSubject(t, parse(t, "10.77.0.0/16", "", "443"), 12, probe.ProfileMSS)
	p := generatorOn(t, n, s)
	own, err := netlink.LinkByName(n.Link)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkDel(own); err != nil {
		t.Fatal(err)
	}
	p.Post(Pass{End: 1000, First: true})
	p.Grant(1000)
	generateRuns(t, p, 1<<10)
	if got := p.Progress(); got.Sent != 0 || got.Refused == 0 {
		t.Errorf("%+v", got)
	}
	if err := p.Refusal(); !errors.Is(err, rawsock.ErrInterface) {
		t.Errorf("%v", err)
	}
}

// A far end that is slower than the generator: its ring of 256 overflows, the driver refuses, and still
// each probe arrives once, and what is counted as sent is what arrives.
func TestGeneratorOverrun(t *testing.T) {
	n := testnet.New(t, testnet.Config{Gateway: true})
	far := newFarEnd(t, n, 50*time.Microsecond)
	threaded(t, n)
	s := newSubject(t, parse(t, "10.77.0.0/16", "", "443"), 11, probe.ProfileWindows)
	s.config.Times.Attempts = 3
	p := generatorOn(t, n, s)
	const positions = 6000
	passes := []Pass{{End: positions, First: true}, {Begin: 1000, End: 3000, Probes: 1}, {Begin: 3000, End: 5000, Probes: 1, Sample: true, Stride: 2}}
	var probes []sentProbe
	for _, pass := range passes {
		p.Post(pass)
		probes = append(probes, due(pass, silentState)...)
	}
	p.Grant(uint64(len(probes)) + 1) // the one is for the last look
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		generateRuns(t, p, 1<<13)
		if got := p.Progress(); got.Finished == 3 && got.Flying == 0 {
			break
		}
	}
	frames := far.take(t, len(probes))
	want := Progress{Finished: 3, Spent: uint64(len(probes)), Sent: uint64(len(frames)), Retransmitted: 2500, Sampled: 500}
	got := p.Progress()
	if got.Refused == 0 {
		t.Error("nothing was refused: the far end is too fast for this test")
	}
	t.Logf("%d of %d refused", got.Refused, got.Sent+got.Refused)
	got.Refused, got.Starved = 0, 0
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	s.sameProbes(t, frames, probes)
	if unsent := p.Unsent(); len(unsent) > 0 {
		t.Errorf("unsent: %v", unsent)
	}
}

// Stopped in the middle of it: what was taken from the passes has arrived, or is listed.
func TestGeneratorUnsent(t *testing.T) {
	n := testnet.New(t, testnet.Config{Gateway: true})
	far := newFarEnd(t, n, 200*time.Microsecond)
	threaded(t, n)
	s := newSubject(t, parse(t, "10.77.0.0/16", "", "443"), 18, probe.ProfileNone)
	p := generatorOn(t, n, s)
	passes := []Pass{{Begin: 1000, End: 1100, Probes: 1}, {Begin: 5000, End: 9000, First: true}}
	var probes []sentProbe
	for _, pass := range passes {
		p.Post(pass)
		probes = append(probes, due(pass, silentState)...)
	}
	p.Grant(uint64(len(probes)))
	for range 50 {
		generateRuns(t, p, 1<<9)
		if got := p.Progress(); got.Flying > 1 && got.Spent > 400 {
			break
		}
	}
	got := p.Progress()
	if got.Flying == 0 || got.Sent+got.Flying != got.Spent {
		t.Fatalf("%+v", got)
	}
	frames := far.take(t, int(got.Sent))
	for _, at := range p.Unsent() {
		frames = append(frames, s.frame(sentProbe{position: at}))
	}
	s.sameProbes(t, frames, probes[:got.Spent])
	if at, begun := p.Cursor(); !begun || at != 5000+got.Spent-100 {
		t.Errorf("cursor %d, %v, %d spent", at, begun, got.Spent)
	}
	t.Logf("%d sent, %d unsent", got.Sent, got.Flying)
}

// threaded gives the far end's receive work a thread of its own, so that the sender does not wait for
// it: /sys/class/net/*/threaded, of which each network namespace sees its own interfaces.
func threaded(t testing.TB, n *testnet.Network) {
	t.Helper()
	dir := t.TempDir()
	done := make(chan error)
	go func() {
		done <- n.Do(func() error {
			runtime.LockOSThread() // for good: the thread ends with its mounts
			if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
				return err
			}
			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
				return err
			}
			if err := unix.Mount("sysfs", dir, "sysfs", 0, ""); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "class/net", n.PeerLink, "threaded"), []byte("1"), 0)
		})
	}()
	if err := <-done; err != nil {
		t.Skipf("no thread for the far end: %v", err)
	}
}

// Interrupt ends a call that would last for minutes; the next goes on where it stood.
func TestGeneratorInterrupt(t *testing.T) {
	n := testnet.New(t, testnet.Config{Gateway: true})
	far := newFarEnd(t, n, 0)
	s := newSubject(t, parse(t, "10.0.0.0/8", "", "443"), 12, probe.ProfileMSS)
	p := generatorOn(t, n, s)
	const granted = 50_000
	p.Post(Pass{End: s.space.Len(), First: true})
	p.Grant(granted)
	for range 3 {
		ended := make(chan struct{})
		var interrupter sync.WaitGroup
		before := p.Progress().Sent
		interrupter.Go(func() {
			for p.Progress().Sent < before+1000 {
				time.Sleep(time.Millisecond)
			}
			for { // one may come too early
				if err := p.Interrupt(); err != nil {
					t.Error(err)
				}
				select {
				case <-ended:
					return
				case <-time.After(100 * time.Millisecond):
				}
			}
		})
		p.Grant(2000)
		err := p.Generate()
		close(ended)
		interrupter.Wait()
		if err != nil {
			t.Fatal(err)
		}
		now := p.Progress()
		if now.Sent < before+1000 || now.Flying != 0 || now.Sent != now.Spent {
			t.Errorf("%+v", now)
		}
		if position, begun := p.Cursor(); !begun || position != now.Sent {
			t.Errorf("cursor %d, %v; %d were sent", position, begun, now.Sent)
		}
	}
	sent := p.Progress().Sent
	s.sameProbes(t, far.take(t, int(sent)), due(Pass{End: sent, First: true}, silentState))
}

// What the kernel refuses, in words that name what is missing and what helps, without those of the library below.
func TestKernelErrors(t *testing.T) {
	library := func(errno error) error {
		return fmt.Errorf("detect support for FnXdpLoadBytes for program type XDP: detect support for XDP: load program: %w", errno)
	}
	for _, c := range []struct {
		name       string
		err        error
		is         error
		says, hint string
	}{
		{"no rights", kernelError("load XDP programs", library(unix.EPERM)), rawsock.ErrPermission,
			"load XDP programs: CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN are needed", "run as root, or `sudo setcap cap_bpf,cap_perfmon,cap_net_admin,cap_net_raw+ep` on the binary once"},
		{"no rights, by a policy", kernelError("load XDP programs", library(unix.EACCES)), rawsock.ErrPermission,
			"load XDP programs: CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN are needed", "run as root"},
		{"an old kernel", kernelError("load XDP programs", fmt.Errorf("program: %w", ebpf.ErrNotSupported)), ErrUnsupported,
			"load XDP programs: unsupported operation: program: not supported", "Linux 5.18"},
		{"a driver without XDP", kernelError("attach", unix.EOPNOTSUPP), ErrUnsupported, "attach: unsupported operation: operation not supported", "a driver with XDP; Backend afpacket works everywhere"},
		{"something else", kernelError("attach", unix.EINVAL), unix.EINVAL, "attach: invalid argument", ""},

		{"a veth whose far end takes no frames", refusalError(unix.ENXIO), unix.ENXIO, "the driver refuses probes: no such device or address",
			"Backend ebpf needs GRO, or an XDP program, on the far end of a veth (there: ethtool -K IF gro on); Backend xdp and afpacket work without"},
		{"the same since Linux 6.3", refusalError(unix.EOPNOTSUPP), unix.EOPNOTSUPP, "the driver refuses probes: operation not supported", "gro on"},
		{"an interface that is down", refusalError(unix.ENETDOWN), rawsock.ErrInterface, "the driver refuses probes: interface is down or gone: network is down", ""},
		{"one that is gone", refusalError(unix.EINVAL), rawsock.ErrInterface, "the driver refuses probes: interface is down or gone", ""},
		{"frames that are too long", refusalError(unix.EMSGSIZE), unix.EMSGSIZE, "the driver refuses probes: message too long", ""},
	} {
		hint := ""
		var h interface{ Hint() string }
		if errors.As(c.err, &h) {
			hint = h.Hint()
		}
		if !errors.Is(c.err, c.is) || !strings.HasPrefix(c.err.Error(), c.says) || strings.Contains(c.err.Error(), "detect support") || !strings.Contains(hint, c.hint) || (hint == "") != (c.hint == "") {
			t.Errorf("%s: %v (%s)", c.name, c.err, hint)
		}
	}
	if err := refusalError(0); err != nil {
		t.Errorf("nothing was refused: %v", err)
	}
}
