package route

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"time"

	"synoptic/rawsock"
)

// ResolveOptions paces the search for MAC addresses. The zero value is three
// tries, as fast as the kernel takes them.
type ResolveOptions struct {
	// Tries is how often an address is asked for at most; default 3.
	Tries int
	// Gap is how long to wait after the last request of the first try; default
	// 300 ms. It doubles with each try.
	Gap time.Duration
	// Patience is how long a gateway that does not answer is waited for altogether, asked once a second after
	// Tries: on a link that has just come up it may take its time, and the interface may be down meanwhile.
	// 0: no longer than the tries. Resolve does not look at it.
	Patience time.Duration
	// Take, if set, is asked for leave to send n requests; it grants 0 to n of
	// them, and may block. After 0 it is asked again a millisecond later.
	Take func(n int) int
	// Progress, if set, is called some times per try, from the goroutine that
	// called Resolve.
	Progress func(known, total int)

	anew   bool          // what the kernel's table says in whatever state is no answer
	settle time.Duration // how long to listen on after all have answered
}

// settle is how long a gateway is listened for after its answer, for another one that says otherwise. On one
// Ethernet even a host that is busy, or a virtual machine that is asleep, answers within some 10 ms; a liar that
// is to win must be as fast. Once per gateway nobody notices it. An answer that is later still, an Ear hears.
const settle = 40 * time.Millisecond

func (o ResolveOptions) withDefaults() ResolveOptions {
	if o.Tries <= 0 {
		o.Tries = 3
	}
	if o.Gap <= 0 {
		o.Gap = 300 * time.Millisecond
	}
	if o.Take == nil {
		o.Take = func(n int) int { return n }
	}
	if o.Progress == nil {
		o.Progress = func(int, int) {}
	}
	return o
}

// Resolve finds the MAC addresses of on-link hosts: from the kernel's neighbour
// table as far as it is sure of them (REACHABLE, PERMANENT, NOARP), and by ARP (RFC 826) for the rest: an entry in
// another state may be of a host that has been replaced since. Requests ask on behalf of src. It
// returns as soon as all have answered, or when the gap after the last try has
// passed; a host that did not answer is not in the table, and that is no error.
// Hosts of which two different answers came in meanwhile are the table's Conflicts.
//
// The kernel's own neighbour table is read but not filled, so its size limit
// (net.ipv4.neigh.default.gc_thresh3) does not matter.
func Resolve(ctx context.Context, link Link, src netip.Addr, addrs iter.Seq[netip.Addr], o ResolveOptions) (*Table, error) {
	o.Patience = 0
	return search(ctx, link, src, addrs, o)
}

func search(ctx context.Context, link Link, src netip.Addr, addrs iter.Seq[netip.Addr], o ResolveOptions) (*Table, error) {
	if link.Framing != rawsock.Ethernet {
		return nil, fmt.Errorf("resolve MAC addresses on %s: framing %v has none", link.Name, link.Framing)
	}
	hosts, err := newHosts(addrs)
	if err != nil {
		return nil, fmt.Errorf("resolve MAC addresses on %s: %w", link.Name, err)
	}
	if link.NoARP {
		// As the kernel addresses frames there (arp_constructor, net/ipv4/arp.c, Linux 6.12).
		for i := range hosts.addrs {
			hosts.set(i, [6]byte(link.HardwareAddr))
		}
	} else if err := resolve(ctx, link, src, hosts, o.withDefaults()); err != nil {
		return nil, fmt.Errorf("resolve MAC addresses on %s: %w", link.Name, err)
	}
	return hosts.table(link.Name), nil
}

// ResolveGateway finds the MAC address of a path's gateway as Resolve does, and listens a moment longer whether
// another host answers for it, too: such are conflicts. A gateway that does not answer within o.Patience is a
// *NoNeighbourError, behind a *FaultError where this host knows why (no carrier).
func ResolveGateway(ctx context.Context, p *Path, o ResolveOptions) (mac net.HardwareAddr, conflicts []Conflict, err error) {
	if o.settle == 0 {
		o.settle = settle
	}
	t, err := search(ctx, p.Link, p.Asker(), func(yield func(netip.Addr) bool) { yield(p.Gateway) }, o)
	if err != nil {
		return nil, nil, err
	}
	found, ok := t.MAC(p.Gateway)
	if !ok {
		silent := &NoNeighbourError{Addr: p.Gateway, Link: p.Link.Name}
		var fault *FaultError
		if errors.As(Check(p, netip.Addr{}, Options{}), &fault) {
			return nil, nil, fmt.Errorf("%w: %w", fault, silent)
		}
		return nil, nil, silent
	}
	return found[:], t.Conflicts(), nil
}

// Confirm is ResolveGateway by ARP alone, whatever the kernel's neighbour table says: to be called when there is
// reason to doubt. An Ear has a Confirm of its own, which needs no socket besides.
func Confirm(ctx context.Context, p *Path, o ResolveOptions) (mac net.HardwareAddr, conflicts []Conflict, err error) {
	o.anew = true
	return ResolveGateway(ctx, p, o)
}
