//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package xdp

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"synoptic/bench/lab/need"
	"synoptic/bench/lab/responder"
	"synoptic/bench/lab/testnet"
	"synoptic/rawsock"
	"synoptic/scan/probe"
)

func linkIndex(t testing.TB, name string) int {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return l.Attrs().Index
}

// attached tells whether an interface has an XDP program, by the kernel's word.
func attached(t testing.TB, index int) bool {
	t.Helper()
	l, err := netlink.LinkByIndex(index)
	if err != nil {
		t.Fatal(err)
	}
	return l.Attrs().Xdp != nil && l.Attrs().Xdp.Attached
}

func hintOf(err error) string {
	var hint interface{ Hint() string }
	if errors.As(err, &hint) {
		return hint.Hint()
	}
	return ""
}

func descriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// mappings of maps that somebody still refers to: the library unmaps its own when they are collected, which
// may take long where there are more than expected.
func mappings(t testing.TB, expected int) (n int) {
	t.Helper()
	n = 1 << 30
	for end := time.Now().Add(30 * time.Second); ; {
		for range 20 {
			runtime.GC()
			time.Sleep(5 * time.Millisecond)
			n = min(n, mappingsNow(t))
		}
		if n <= expected || time.Now().After(end) {
			return n
		}
	}
}

func mappingsNow(t testing.TB) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(b), "bpf-map")
}

// Close leaves nothing behind: no program on the interface, no descriptor, no mapping, nothing in the
// kernel.
func TestClose(t *testing.T) {
	n := testnet.New(t, testnet.Config{Gateway: true})
	s := newSubject(t, parse(t, "10.77.0.0/16", "", "443"), 13, probe.ProfileMSS)
	index := linkIndex(t, n.Link)
	s.config.Interface, s.config.Source = index, n.Source
	runtime.LockOSThread() // for good
	once := func() (maps []ebpf.MapID, programs []ebpf.ProgramID) {
		p, err := Load(s.config)
		if err != nil {
			skipWithoutBPF(t, err)
		}
		if attached(t, index) {
			t.Fatal("attached by Load")
		}
		if err := errors.Join(p.Attach(false), p.PrepareGenerator()); err != nil {
			t.Fatal(err)
		}
		if !attached(t, index) {
			t.Fatal("not attached")
		}
		o := &p.objects
		for _, m := range []*ebpf.Map{o.Slots, o.Times, o.Losses, o.Tallies, o.Records, o.Controls, o.Runs, o.Guides, o.Sets, o.Ports, o.PortIndex} {
			info, err := m.Info()
			if err != nil {
				t.Fatal(err)
			}
			id, _ := info.ID()
			maps = append(maps, id)
		}
		for _, x := range []*ebpf.Program{o.Receive, o.Generate, o.Transmitted, o.RedirectFailed, o.TryDriver} {
			info, err := x.Info()
			if err != nil {
				t.Fatal(err)
			}
			id, _ := info.ID()
			programs = append(programs, id)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		if attached(t, index) {
			t.Fatal("attached after Close")
		}
		if err := p.Close(); err != nil {
			t.Errorf("closed twice: %v", err)
		}
		return maps, programs
	}
	once() // the library keeps some things
	fds, shared := descriptors(t), mappings(t, 1<<20)
	for range 3 {
		maps, programs := once()
		// The kernel frees after a grace period.
		gone := func() bool {
			for _, id := range maps {
				if m, err := ebpf.NewMapFromID(id); err == nil {
					m.Close()
					return false
				}
			}
			for _, id := range programs {
				if x, err := ebpf.NewProgramFromID(id); err == nil {
					x.Close()
					return false
				}
			}
			return true
		}
		for deadline := time.Now().Add(time.Minute); !gone(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("a map or a program is still in the kernel")
			}
		}
	}
	if now := descriptors(t); now != fds {
		t.Errorf("%d descriptors, %d before", now, fds)
	}
	if now := mappings(t, shared); now > shared {
		t.Errorf("%d mappings of maps, %d before", now, shared)
	}
}

// Fifty times, and where Load fails, too.
func TestLoadAndClose(t *testing.T) {
	s := newSubject(t, parse(t, "10.77.0.0/24", "", "443"), 14, probe.ProfileMSS)
	programsOf(t, s)
	fds, shared := descriptors(t), mappings(t, 1<<20)
	rounds := 50
	if need.RaceEnabled {
		rounds = 10
	}
	for range rounds {
		p, err := Load(s.config)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		wrong := s.config
		wrong.Window = 65
		if _, err := Load(wrong); err == nil {
			t.Fatal("a window of 65 positions")
		}
		wrong = s.config
		wrong.Window = 1 << 62 // more than the kernel gives
		if _, err := Load(wrong); err == nil {
			t.Fatal("a window of 2^62 positions")
		}
	}
	if now := descriptors(t); now != fds {
		t.Errorf("%d descriptors, %d before", now, fds)
	}
	if now := mappings(t, shared); now > shared {
		t.Errorf("%d mappings of maps, %d before", now, shared)
	}
}

// Somebody else's program is left alone.
func TestOccupied(t *testing.T) {
	n := testnet.New(t, testnet.Config{Gateway: true})
	s := newSubject(t, parse(t, "10.77.0.0/16", "", "443"), 15, probe.ProfileMSS)
	index := linkIndex(t, n.Link)
	s.config.Interface, s.config.Source = index, n.Source
	first, second := programsOf(t, s), programsOf(t, s)
	if err := Check(index, true); err != nil {
		t.Errorf("a free interface: %v", err)
	}
	if attached(t, index) {
		t.Error("the check attached something")
	}
	refused := func(what string, err error) {
		t.Helper()
		var o *OccupiedError
		if !errors.As(err, &o) || !isOccupied(err) || o.Interface != n.Link || !strings.Contains(hintOf(err), n.Link) || errors.Is(err, rawsock.ErrPermission) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := first.Attach(false); err != nil {
		t.Fatal(err)
	}
	refused("attach twice", second.Attach(false))
	refused("check", Check(index, true))
	refused("look", Check(index, false))
	if err := errors.Join(first.Close(), second.Attach(false), second.Close()); err != nil {
		t.Errorf("when the first has gone: %v", err)
	}
	other, err := responder.AttachPass(n)
	if err != nil {
		t.Fatal(err)
	}
	refused("check, another's program", Check(index, true))
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Check(index, true); err != nil {
		t.Errorf("free again: %v", err)
	}
	// The generic hook is another place, which the check sees, too.
	l, err := link.AttachXDP(link.XDPOptions{Program: programsOf(t, s).objects.Receive, Interface: index, Flags: link.XDPGenericMode})
	if err != nil {
		t.Fatal(err)
	}
	refused("check, generic", Check(index, true))
	l.Close()
	if err := Check(1<<30, true); err == nil || isOccupied(err) || errors.Is(err, rawsock.ErrPermission) {
		t.Errorf("no such interface: %v", err)
	}
}

// The loopback has no XDP of its driver's, but the generic one.
func TestAttachToLoopback(t *testing.T) {
	s := newSubject(t, parse(t, "10.77.0.0/16", "", "443"), 16, probe.ProfileMSS)
	testnet.Require(t)
	s.config.Interface = linkIndex(t, "lo")
	p := programsOf(t, s)
	err := p.Attach(false)
	if !errors.Is(err, ErrUnsupported) || hintOf(err) == "" || isOccupied(err) || errors.Is(err, rawsock.ErrPermission) {
		t.Errorf("%v", err)
	}
	g := programsOf(t, s)
	if err := g.Attach(true); err != nil {
		t.Errorf("generic: %v", err)
	}
	if !attached(t, s.config.Interface) {
		t.Error("not attached")
	}
	if err := Check(s.config.Interface, true); !isOccupied(err) {
		t.Errorf("%v", err)
	}
	if err := g.Close(); err != nil || attached(t, s.config.Interface) {
		t.Errorf("%v", err)
	}
}

// capabilities leaves the calling thread, locked for good, only these.
func capabilities(t testing.TB, keep func(all uint64) uint64) {
	t.Helper()
	runtime.LockOSThread()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		t.Fatal(err)
	}
	left := keep(uint64(data[0].Effective) | uint64(data[1].Effective)<<32)
	data[0].Effective, data[1].Effective = uint32(left), uint32(left>>32)
	if err := unix.Capset(&header, &data[0]); err != nil {
		t.Fatal(err)
	}
}

const needed = 1<<unix.CAP_BPF | 1<<unix.CAP_PERFMON | 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW

func TestXDPPermission(t *testing.T) {
	n := testnet.New(t, testnet.Config{Gateway: true})
	s := newSubject(t, parse(t, "10.77.0.0/16", "", "443"), 17, probe.ProfileMSS)
	index := linkIndex(t, n.Link)
	s.config.Interface, s.config.Source = index, n.Source
	programsOf(t, s)
	for name, less := range map[string]uint64{
		"none": needed | 1<<unix.CAP_SYS_ADMIN, "no BPF": 1<<unix.CAP_BPF | 1<<unix.CAP_SYS_ADMIN,
		"no network": 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_SYS_ADMIN,
	} {
		t.Run(name, func(t *testing.T) {
			capabilities(t, func(all uint64) uint64 { return all &^ less })
			if err := Check(index, false); err != nil {
				t.Errorf("look: %v", err)
			}
			for what, err := range map[string]error{"check": Check(index, true), "load": func() error { _, err := Load(s.config); return err }()} {
				if !errors.Is(err, rawsock.ErrPermission) || !errors.Is(err, os.ErrPermission) || isOccupied(err) || !strings.Contains(hintOf(err), "setcap cap_bpf,cap_perfmon,cap_net_admin,cap_net_raw+ep") {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
	// What the hint names is enough.
	t.Run("those of the hint", func(t *testing.T) {
		far := newFarEnd(t, n, 0)
		capabilities(t, func(uint64) uint64 { return needed })
		if err := Check(index, true); err != nil {
			t.Errorf("check: %v", err)
		}
		p := generatorOn(t, n, s)
		p.Post(Pass{End: 10, First: true})
		p.Grant(10)
		generateUntil(t, p, 1<<8, sent(10))
		s.sameProbes(t, far.take(t, 10), due(Pass{End: 10, First: true}, silentState))
	})
}

func isOccupied(err error) bool {
	var o *OccupiedError
	return errors.As(err, &o)
}
