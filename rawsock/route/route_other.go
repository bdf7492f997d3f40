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

func resolve(context.Context, Link, netip.Addr, *hosts, ResolveOptions) error {
	return fmt.Errorf("ARP on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
