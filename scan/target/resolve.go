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

const (
	// resolvers bounds the look-ups under way at once: enough to hide latency, too few to trouble a
	// name server.
	resolvers = 8
	// maxUnanswered look-ups without an answer, and none with one, are enough to know that the name server is away. One
	// takes ten seconds, as resolv.conf(5) has it by default.
	maxUnanswered = 16
)

// hostUse is one mention of a host name.
type hostUse struct {
	host     string
	rooted   bool // it is looked up as it is, and never with the resolver's search domains behind it
	port     uint16
	place    place
	excluder int // index of the one that names it, of an exclusion
}

// lookup is what has come of a name: addresses, or why there are none.
type lookup struct {
	addrs []netip.Addr // ascending, IPv4 first
	err   error        // a *lookupError, or one of the context
}

// lookups counts them.
type lookups struct {
	total, done int
	answered    int
	unanswered  int
	silence     error // the last of these
}

// away reports that the name server has not answered anything.
func (l *lookups) away() bool { return l.answered == 0 && l.unanswered >= maxUnanswered }

func (l *lookups) count(err error) {
	l.done++
	if e, ok := errors.AsType[*lookupError](err); ok && e.silent {
		l.unanswered++
		l.silence = err
	} else if !errors.Is(err, context.Canceled) {
		l.answered++
	}
}

// resolveHosts resolves the names collected in l.hosts, each once in the life of l, and hands on every mention, in
// their order. A name is rooted if one of its mentions is.
func (l *loader) resolveHosts(use func(hostUse, lookup) error) error {
	var open []string
	for _, h := range l.hosts {
		if h.rooted {
			l.rooted[h.host] = true
		}
		if _, have := l.resolved[h.host]; !have {
			l.resolved[h.host] = lookup{}
			open = append(open, h.host)
		}
	}
	if err := l.lookUp(open); err != nil {
		return err
	}
	hosts := l.hosts
	l.hosts = nil
	for _, h := range hosts {
		if err := use(h, l.resolved[h.host]); err != nil {
			return err
		}
	}
	return nil
}

// lookUp fills l.resolved for names that are all different. It fails when the context ends.
func (l *loader) lookUp(open []string) error {
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	found := make([]lookup, len(open))
	l.lookups.total += len(open)
	if l.lookups.away() {
		cancel()
	}
	if l.Progress != nil && len(open) > 0 {
		l.Progress(l.lookups.done, l.lookups.total)
	}
	next := make(chan int)
	var counting sync.Mutex
	var workers sync.WaitGroup
	for range min(resolvers, len(open)) {
		workers.Go(func() {
			for i := range next {
				name := open[i]
				if l.rooted[name] {
					name += "."
				}
				found[i] = l.lookUpHost(ctx, name)
				counting.Lock()
				l.lookups.count(found[i].err)
				if l.lookups.away() {
					cancel()
				}
				if l.Progress != nil {
					l.Progress(l.lookups.done, l.lookups.total)
				}
				counting.Unlock()
			}
		})
	}
feed:
	for i := range open {
		select {
		case <-ctx.Done(): // looked at first: next may be ready as well
			break feed
		default:
		}
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
	for i, host := range open {
		if unasked := found[i].addrs == nil && found[i].err == nil; unasked || errors.Is(found[i].err, context.Canceled) {
			found[i].err = l.lookups.silence
		}
		l.resolved[host] = found[i]
	}
	return nil
}

func (l *loader) lookUpHost(ctx context.Context, host string) (found lookup) {
	resolve := l.Resolve
	if resolve == nil {
		resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host) // both families: what is excluded has to be known
		}
	}
	answer, err := resolve(ctx, host)
	if err != nil {
		found.err = explain(err)
		return found
	}
	why := "the name has no address"
	for _, a := range answer {
		if !a.IsValid() || a.Zone() != "" {
			why = fmt.Sprintf("resolves to %v, which cannot be a target", a)
			continue
		}
		found.addrs = append(found.addrs, a.Unmap())
	}
	if len(found.addrs) == 0 {
		found.err = &lookupError{text: why}
		return found
	}
	// Name servers rotate their answers; a scan must be the same each time.
	slices.SortFunc(found.addrs, netip.Addr.Compare)
	found.addrs = slices.Compact(found.addrs)
	return found
}

// resolveExclusions gives the excluded names their addresses. One without any is an error, as what must not be probed
// has to be known: all of them are told at once.
func (l *loader) resolveExclusions() error {
	var failed []error
	told := map[string]bool{}
	err := l.resolveHosts(func(h hostUse, found lookup) error {
		if found.err != nil && !told[h.host] {
			told[h.host] = true
			failed = append(failed, h.place.at(wrong(h.host, "check the spelling and the name server, or give the address", "%w", found.err)))
		}
		for _, a := range found.addrs {
			l.excluders[h.excluder].addrs.addAddr(a)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return together(failed)
}
