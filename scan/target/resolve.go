package target

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
)

// resolvers bounds the look-ups under way at once: enough to hide latency, too few to trouble a
// name server.
const resolvers = 8

// hostUse is one mention of a host name.
type hostUse struct {
	host  string
	port  uint16
	place place
}

// resolveHosts resolves the names collected in l.hosts, each once in the life of l, and hands on every
// address of every mention, in order of mention and address.
func (l *loader) resolveHosts(use func(hostUse, netip.Addr) error) error {
	var open []hostUse // first mention of each name that is not resolved yet
	for _, h := range l.hosts {
		if _, have := l.resolved[h.host]; !have {
			l.resolved[h.host] = nil
			open = append(open, h)
		}
	}
	if err := l.lookUp(open); err != nil {
		return err
	}
	for _, h := range l.hosts {
		for _, a := range l.resolved[h.host] {
			if err := use(h, a); err != nil {
				return err
			}
		}
	}
	l.hosts = nil
	return nil
}

// lookUp fills l.resolved for names that are all different. The first failure ends the others.
func (l *loader) lookUp(open []hostUse) error {
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	answers := make([][]netip.Addr, len(open))
	failed := make([]error, len(open))
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(resolvers, len(open)) {
		workers.Go(func() {
			for i := range next {
				if answers[i], failed[i] = l.lookUpHost(ctx, open[i]); failed[i] != nil {
					cancel()
				}
			}
		})
	}
feed:
	for i := range open {
		select {
		case next <- i:
		case <-ctx.Done():
			break feed
		}
	}
	close(next)
	workers.Wait()

	if err := l.ctx.Err(); err != nil {
		return fmt.Errorf("resolving host names: %w", err)
	}
	// Look-ups that our own cancel ended say nothing; the one that caused it does.
	var first error
	for _, err := range failed {
		if err != nil && (first == nil || errors.Is(first, context.Canceled)) {
			first = err
		}
	}
	if first != nil {
		return first
	}
	for i, h := range open {
		l.resolved[h.host] = answers[i]
	}
	return nil
}

func (l *loader) lookUpHost(ctx context.Context, h hostUse) ([]netip.Addr, error) {
	resolve := l.Resolve
	if resolve == nil {
		resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	answer, err := resolve(ctx, h.host)
	if err != nil {
		return nil, h.place.at(wrong(h.host, "check the spelling and the name server, or give the address", "cannot resolve: %w", err))
	}
	addrs := make([]netip.Addr, 0, len(answer))
	for _, a := range answer {
		if !a.IsValid() || a.Zone() != "" {
			return nil, h.place.at(wrong(h.host, "give an address instead of the name", "resolves to %v, which cannot be a target", a))
		}
		addrs = append(addrs, a.Unmap())
	}
	if len(addrs) == 0 {
		return nil, h.place.at(wrong(h.host, "give an address instead of the name", "the name has no address"))
	}
	// Name servers rotate their answers; a scan must be the same each time.
	slices.SortFunc(addrs, netip.Addr.Compare)
	return slices.Compact(addrs), nil
}
