package testnet

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
)

// ErrNoXDP says that the process may not attach XDP programs, as in a user namespace.
var ErrNoXDP = errors.New("XDP programs are not permitted")

// xdpPass is XDP_PASS (include/uapi/linux/bpf.h).
const xdpPass = 2

// loadPass loads a program that lets everything pass.
func loadPass() (*ebpf.Program, error) {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "testnet_pass", Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, xdpPass), asm.Return()},
	})
	return p, explainXDP("load XDP program", err)
}

// attachPass attaches it to an interface of the calling thread's namespace. Close takes it off.
func attachPass(index int) (link.Link, error) {
	p, err := loadPass()
	if err != nil {
		return nil, err
	}
	defer p.Close() // the link keeps it
	l, err := link.AttachXDP(link.XDPOptions{Program: p, Interface: index, Flags: link.XDPDriverMode})
	return l, explainXDP("attach XDP program", err)
}

func explainXDP(op string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%s: %w: %w", op, ErrNoXDP, err)
	}
	return fmt.Errorf("%s: %w", op, err)
}

// Occupy attaches an XDP program that lets everything pass to the scanner's end of the link, as
// somebody else's may be there. Close takes it off. Where XDP is not permitted it is as NAPI.
func (n *Network) Occupy(t testing.TB) io.Closer {
	t.Helper()
	own, err := netlink.LinkByName(n.Link)
	if err != nil {
		t.Fatal(err)
	}
	l, err := attachPass(own.Attrs().Index)
	if err != nil {
		skipXDP(t, fmt.Errorf("occupy %s: %w", n.Link, err))
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// NAPI makes the target's end of the link take frames that a driver or an XDP program sends from the
// scanner's end, until the test ends: a veth takes them only where it has NAPI, which an XDP program
// turns on (veth_xdp_xmit, drivers/net/veth.c). The target's kernel answers as before. Where XDP is
// not permitted it skips the test, or fails it where RequireEnv says "network".
func (n *Network) NAPI(t testing.TB) {
	t.Helper()
	var l link.Link
	err := n.Do(func() error {
		peer, err := n.target.LinkByName(n.PeerLink)
		if err == nil {
			l, err = attachPass(peer.Attrs().Index)
		}
		return err
	})
	if err != nil {
		skipXDP(t, fmt.Errorf("give %s NAPI: %w", n.PeerLink, err))
	}
	t.Cleanup(func() { l.Close() })
}

// RequireXDP skips a test where XDP programs are not permitted, or fails it where RequireEnv says
// "network".
func RequireXDP(t testing.TB) {
	t.Helper()
	Require(t)
	p, err := loadPass()
	if err != nil {
		skipXDP(t, err)
	}
	p.Close()
}

func skipXDP(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, ErrNoXDP) && !Required("network") {
		t.Skip(err)
	}
	t.Fatal(err)
}
