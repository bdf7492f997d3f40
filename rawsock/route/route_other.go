//go:build !linux

package route

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"runtime"

	"go4.org/netipx"
)

func newPlan(iter.Seq[netipx.IPRange], Options) (*Plan, error) {
	return nil, fmt.Errorf("read the routing table on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

func check(*Path, netip.Addr, Options) error {
	return fmt.Errorf("check routes on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

type kernelWatch struct{}

func watch(context.Context) (*Watcher, error) {
	return nil, fmt.Errorf("follow the kernel on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

func (w *Watcher) check(p *Path, target netip.Addr, o Options) error { return check(p, target, o) }

func (w *Watcher) state(int) (State, error) {
	return State{}, fmt.Errorf("look interfaces up on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

func listen(context.Context, Link, netip.Addr, []Hop) (*Ear, error) {
	return nil, fmt.Errorf("ARP on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

func answerFor(context.Context, Link, netip.Addr) error {
	return fmt.Errorf("ARP on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

func rxDrops(*Link) (uint64, error) {
	return 0, fmt.Errorf("count drops on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

func resolve(context.Context, Link, netip.Addr, *hosts, ResolveOptions) error {
	return fmt.Errorf("ARP on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
