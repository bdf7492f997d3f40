package target

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"

	"synoptic/results/crash"
)

const (
	// resolvers bounds the look-ups under way at once: enough to hide latency, too few to trouble a
	// name server.
	resolvers = 8
	// maxUnanswered look-ups without an answer, and none with one, are enough to know that the name server is away. One
	// takes ten seconds, as resolv.conf(5) has it by default.
	maxUnanswered = 16
)

const (
	// maxNames bounds the mentions of host names: each costs a question to the name server, and some 300 bytes.
	maxNames = 1 << 18
	// maxNameAddrs bounds the addresses beyond one that they may have, over all mentions: a name server that knows a
	// hundred of a name, and a list with each of its ports, would ask for six million by 600 KB of text.
	maxNameAddrs = 1 << 18

	namesHint = "list addresses or prefixes instead, or split the list"
)

// hostUse is a mention of a host name, and where it is made first.
type hostUse struct {
	mention
	place place
}

// mention is what a name is mentioned for.
type mention struct {
	host     string
	rooted   bool // it is looked up as it is, and never with the resolver's search domains behind it
	port     uint16
	excluder int // index of the one that names it, of an exclusion
}

// mention keeps a name until it is resolved. What is said again needs no second place.
func (l *loader) mention(m mention, p place) error {
	if l.mentioned[m] {
		return nil
	}
	if len(l.mentioned) == maxNames {
		return p.at(wrong(m.host, namesHint, "more than %d host names", maxNames))
	}
	if l.mentioned == nil {
		l.mentioned = map[mention]bool{}
	}
	l.mentioned[m] = true
	l.hosts = append(l.hosts, hostUse{m, p})
	return nil
}

// weigh counts the addresses that a name has got.
func (l *loader) weigh(h hostUse, addrs int) error {
	if l.nameAddrs += max(0, addrs-1); l.nameAddrs > maxNameAddrs {
		return manyNameAddrs(h)
	}
	return nil
}

func manyNameAddrs(h hostUse) error {
	return h.place.at(wrong(h.host, namesHint, "the host names have more than %d addresses by now, each port counted", maxNameAddrs))
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
	silence     error  // the last of these
	addrs       int    // beyond one each
	over        string // the name by which they were more than maxNameAddrs
}

// away reports that the name server has not answered anything.
func (l *lookups) away() bool { return l.answered == 0 && l.unanswered >= maxUnanswered }

func (l *lookups) count(host string, found lookup) {
	l.done++
	if e, ok := errors.AsType[*lookupError](found.err); ok && e.silent {
		l.unanswered++
		l.silence = found.err
	} else if !errors.Is(found.err, context.Canceled) {
		l.answered++
	}
	if l.addrs += max(0, len(found.addrs)-1); l.addrs > maxNameAddrs && l.over == "" {
		l.over = host
	}
}

// futile reports that no look-up is worth its answer any more.
func (l *lookups) futile() bool { return l.away() || l.over != "" }

// resolveHosts resolves the names collected in l.hosts, each once in the life of l, and hands the mentions on, in
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
	l.hosts, l.mentioned = nil, nil
	if l.lookups.over != "" {
		return manyNameAddrs(hosts[slices.IndexFunc(hosts, func(h hostUse) bool { return h.host == l.lookups.over })])
	}
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
		workers.Go(crash.Guarded(func() {
			for i := range next {
				name := open[i]
				if l.rooted[name] {
					name += "."
				}
				found[i] = l.lookUpHost(ctx, name)
				counting.Lock()
				l.lookups.count(open[i], found[i])
				if l.lookups.futile() {
					cancel()
				}
				if l.Progress != nil {
					l.Progress(l.lookups.done, l.lookups.total)
				}
				counting.Unlock()
			}
		}))
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
	var failed nameErrors
	told := map[string]bool{}
	err := l.resolveHosts(func(h hostUse, found lookup) error {
		if found.err != nil && !told[h.host] {
			told[h.host] = true
			failed.add(deadName{h, found.err, "check the spelling and the name server, or give the address"})
		}
		if err := l.weigh(h, len(found.addrs)); err != nil {
			return err
		}
		for _, a := range found.addrs {
			l.excluders[h.excluder].addrs.addAddr(a)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return failed.together()
}
