package exposure

import (
	"cmp"
	"net/netip"
	"slices"

	"synoptic/results"
)

// Publish notes with each listener which published ports lead to it, from whichever namespace.
func Publish(host []*Namespace) {
	for _, n := range host {
		for _, l := range n.Listeners {
			n.Published = append(n.Published, l.Published...) // what docker-proxy passes on
		}
	}
	for _, from := range host {
		for i := range from.Published {
			for _, to := range host {
				to.reached(&from.Published[i], from == to)
			}
		}
	}
}

// reached notes the listeners that a published port leads to. Loopback addresses, and "this host itself", are those of the namespace where it is published.
func (n *Namespace) reached(p *results.Published, here bool) {
	if (!p.To.IsValid() || p.To.IsLoopback()) && !here || p.To.IsValid() && !n.has(p.To) {
		return
	}
	for _, l := range n.Listeners {
		if p.ToPort == 0 && (l.Port < p.First || l.Port > p.Last) {
			continue
		}
		port := cmp.Or(p.ToPort, l.Port)
		reached := Takes(l, netip.AddrPortFrom(p.To, port))
		if !p.To.IsValid() { // to the address of the interface that it came in by
			reached = l.Port == port && !l.Addr.Unmap().IsLoopback()
		}
		if reached && !slices.Contains(l.Published, *p) {
			l.Published = append(l.Published, *p)
		}
	}
}
