package sim

import (
	"context"
	"iter"
	"net"
	"net/netip"
	"time"

	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/scan"
)

// OpenTx, OpenRx, ResolveGateway and Resolve make the network a scan.Medium: put it into scan.Options.

var _ scan.Medium = (*Network)(nil)

// OpenTx opens the transmitter of a lane.
func (n *Network) OpenTx(lane int, c rawsock.TxConfig) (scan.Tx, error) {
	tx, err := n.NewTx(lane, c)
	if err != nil {
		return nil, err
	}
	return tx, nil
}

// OpenRx opens receivers that share what comes in on an interface.
func (n *Network) OpenRx(c rawsock.RxConfig, count int) (all []scan.Rx, err error) {
	group, err := n.NewRx(c, count)
	for _, rx := range group {
		all = append(all, rx)
	}
	return all, err
}

// A neighbour is asked for its link address so often, and the first time so long.
const (
	arpTries = 3
	arpGap   = 300 * time.Millisecond
)

// ResolveGateway finds the link address of a path's gateway.
func (n *Network) ResolveGateway(ctx context.Context, p *route.Path, o route.ResolveOptions) (net.HardwareAddr, []route.Conflict, error) {
	gap, begun := arpGap, n.Now()
	for try := 0; ; try++ {
		if try >= arpTries {
			left := o.Patience - (n.Now() - begun)
			if left <= 0 {
				break
			}
			gap = min(left, time.Second)
		}
		now := n.Now()
		if !n.faults.path(now) && !n.faults.hop(now, p.Gateway) && n.faults.link(CarrierOut, now, p.Link.Name) == nil {
			if !sleep(ctx, n.config.ARP) {
				return nil, nil, ctx.Err()
			}
			mac := n.hopMAC(p.Gateway, n.Now())
			return mac[:], nil, nil
		}
		if !sleep(ctx, gap) {
			return nil, nil, ctx.Err()
		}
		gap *= 2
	}
	return nil, nil, &route.NoNeighbourError{Addr: p.Gateway, Link: p.Link.Name}
}

// Resolve finds the link addresses of on-link hosts: those that there are.
func (n *Network) Resolve(ctx context.Context, _ route.Link, _ netip.Addr, addrs iter.Seq[netip.Addr], o route.ResolveOptions) (*route.Table, error) {
	known := map[netip.Addr][6]byte{}
	var absent []netip.Addr
	for a := range addrs {
		for o.Take != nil && o.Take(1) == 0 {
			if !sleep(ctx, time.Millisecond) {
				return nil, ctx.Err()
			}
		}
		if n.alive(a) {
			known[a] = n.hopMAC(a, 0)
		} else {
			absent = append(absent, a)
		}
	}
	wait := n.config.ARP
	if len(absent) > 0 {
		wait = 7 * arpGap // one, two and four of them
	}
	if !sleep(ctx, wait) {
		return nil, ctx.Err()
	}
	n.mu.Lock()
	n.log.Unresolved = append(n.log.Unresolved, absent...)
	n.mu.Unlock()
	return route.NewTable(known)
}

// Owner is nobody: the scanner's addresses are its own.
func (n *Network) Owner(context.Context, route.Link, netip.Addr) (mac [6]byte, owned bool, err error) {
	return mac, false, nil
}

// Answer has nobody to answer to.
func (n *Network) Answer(context.Context, route.Link, netip.Addr) error { return nil }

// RxDrops are none: what is lost, is lost in the network.
func (n *Network) RxDrops(*route.Link) (uint64, error) { return 0, nil }

// sleep reports false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}
