//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package xdp

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Check tells why the programs cannot run on an interface, without touching it: another XDP program is
// there. With load it also loads the programs, and so finds out whether rights or a recent kernel are
// missing. nil means that nothing is known against it.
func Check(index int, load bool) error {
	ifi, err := netlink.LinkByIndex(index)
	if err != nil {
		return fmt.Errorf("look at interface %d: %w", index, err)
	}
	if xdp := ifi.Attrs().Xdp; xdp != nil && xdp.Attached {
		return &OccupiedError{ifi.Attrs().Name, fmt.Errorf("program %d: %w", xdp.ProgId, unix.EBUSY)}
	}
	if !load {
		return nil
	}
	// The kernel's verifier is the judge of what the kernel can do.
	p, err := Load(Config{
		Interface: index, Source: netip.AddrFrom4([4]byte{}), Window: 64, FrameLen: minProbe,
		Times: Times{Attempts: 1, Entries: 2}, Loss: Loss{ChunkLen: 1, Chunks: 1}, Space: Space{Sets: []Set{{}}},
	})
	if err != nil {
		return err
	}
	return p.Close()
}
