// Package exposure holds what a host listens on against what the network saw of it: call Compare. It knows neither sockets nor files;
// the host is a list of its network namespaces, the network is a View.
//
//	listens  seen      verdict
//	yes      open      exposed
//	yes      filtered  firewalled
//	yes      closed    refused: by a firewall, or it has begun to listen since
//	yes      nothing   unknown, where the address was asked at all; else not-asked
//	no       open      dnat, redirect, ipvs, sk-lookup, where one of them explains it; else seen-not-listening, or hidden-socket where
//	                   the port cannot be bound either
package exposure

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"

	"synoptic/results"
)

// View is what the network saw. Addresses are unmapped and without zones.
type View interface {
	// Seen is the state of an endpoint, and whether the view proves it: silence is only known where the endpoint was asked. What is not known
	// is results.Unknown where the address was asked at all, and 0 where it was not.
	Seen(ep netip.AddrPort) (state results.State, known bool)
	// Open are the endpoints that were seen open.
	Open() iter.Seq[Sight]
}

// Sight is an endpoint that was seen open.
type Sight struct {
	netip.AddrPort
	Time   int64  // nanoseconds since the Unix epoch
	ScanID string // of the scan that saw it
}

// Namespace is a network namespace of the host.
type Namespace struct {
	NetNS, Name string                          // as in results.Listener
	Local       []netip.Prefix                  // the addresses that it takes for its own
	Listeners   []*results.Listener             // their Verdict is set by Compare
	Published   []results.Published             // what leads connections elsewhere
	SKLookup    []string                        // BPF programs that may give connections to any socket
	Unread      []string                        // what could not be looked at: "nftables", "ipvs", "sk_lookup"
	Hidden      func(port uint16) (bool, error) // whether something that is not shown has the port; nil: nobody can say
}

// Compare sets the verdict of each listener (call Publish before), and returns what the network saw and no listener explains, in the order of the view. Endpoints that
// are not of this host are left out. Host and Time of the mismatches are left to the caller.
func Compare(host []*Namespace, view View) (all []results.Mismatch) {
	for _, n := range host {
		for _, l := range n.Listeners {
			l.Verdict = n.verdict(l, view)
		}
	}
	for s := range view.Open() {
		expose(host, s.AddrPort)
		if m, ok := explain(host, s); ok {
			all = append(all, m)
		}
	}
	return all
}

// verdict looks at every address that a listener is reached by.
func (n *Namespace) verdict(l *results.Listener, view View) results.Verdict {
	if addr := l.Addr.Unmap(); addr.IsLoopback() {
		if state, _ := view.Seen(netip.AddrPortFrom(addr, l.Port)); state.Best() == results.Open {
			return results.VerdictExposed // who scans the host from itself
		}
		return results.VerdictLocal
	}
	verdict := results.VerdictNotAsked
	for addr := range n.addresses(l) {
		switch state, known := view.Seen(netip.AddrPortFrom(addr, l.Port)); {
		case state.Best() == results.Open:
			return results.VerdictExposed
		case known && state.Best() != results.Closed:
			verdict = results.VerdictFirewalled
		case known && verdict != results.VerdictFirewalled:
			verdict = results.VerdictRefused
		case state == results.Unknown && verdict == results.VerdictNotAsked:
			verdict = results.VerdictUnknown
		}
	}
	return verdict
}

// maxAddresses of a prefix are looked at for a listener on every address: a host may take a whole network for its own.
const maxAddresses = 1 << 16

// addresses are those of the host that a listener is reached by, loopback aside.
func (n *Namespace) addresses(l *results.Listener) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		if addr := l.Addr.Unmap(); !addr.IsUnspecified() {
			yield(addr)
			return
		}
		for _, p := range n.Local {
			if p.Addr().IsLoopback() || !Takes(l, netip.AddrPortFrom(p.Addr(), l.Port)) {
				continue
			}
			addr := p.Masked().Addr()
			for i := 0; i < maxAddresses && addr.IsValid() && p.Contains(addr); i++ {
				if !yield(addr) {
					return
				}
				addr = addr.Next()
			}
		}
	}
}

// Takes tells whether a listener gets connections to an endpoint of its network namespace.
func Takes(l *results.Listener, ep netip.AddrPort) bool {
	bound := l.Addr.Unmap()
	switch {
	case l.Port != ep.Port():
		return false
	case !bound.IsUnspecified():
		return bound == ep.Addr()
	case bound.Is4():
		return ep.Addr().Is4()
	}
	return ep.Addr().Is6() || !l.V6Only
}

func (n *Namespace) has(addr netip.Addr) bool {
	return slices.ContainsFunc(n.Local, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// explain says why an endpoint is open; false: a listener explains it, or it is not of this host.
func explain(host []*Namespace, s Sight) (m results.Mismatch, ok bool) {
	m = results.Mismatch{Addr: s.Addr(), Port: s.Port(), Seen: s.Time, ScanID: s.ScanID}
	var here []*Namespace
	for _, n := range host {
		if n.has(s.Addr()) {
			here = append(here, n)
			if slices.ContainsFunc(n.Listeners, func(l *results.Listener) bool { return Takes(l, s.AddrPort) }) {
				return m, false
			}
		}
	}
	for _, n := range host {
		for i := range n.Published {
			if p := &n.Published[i]; contains(p, s.AddrPort) && (p.Addr.IsValid() || slices.Contains(here, n)) {
				m.Kind, m.NetNS, m.NetNSName = results.MismatchKind(p.By), n.NetNS, n.Name
				m.Why = "it is led to " + whereTo(p)
				return m, true
			}
		}
	}
	for _, n := range here {
		if len(n.SKLookup) > 0 {
			m.Kind, m.NetNS, m.NetNSName = results.SeenBySKLookup, n.NetNS, n.Name
			m.Why = "no socket is bound to it, and the BPF program " + strings.Join(n.SKLookup, ", ") + " may give it to another one"
			return m, true
		}
	}
	if len(here) == 0 {
		return m, false
	}
	unexplained(here, &m)
	return m, true
}

func contains(p *results.Published, ep netip.AddrPort) bool {
	return p.First <= ep.Port() && ep.Port() <= p.Last && (!p.Addr.IsValid() || p.Addr.Contains(ep.Addr()))
}

// expose notes that what an endpoint is led to was reached, whether a listener has the endpoint or not: rules come before sockets.
func expose(host []*Namespace, ep netip.AddrPort) {
	for _, n := range host {
		for i := range n.Published {
			p := &n.Published[i]
			if !contains(p, ep) || !p.Addr.IsValid() && !n.has(ep.Addr()) {
				continue
			}
			for _, other := range host {
				for _, l := range other.Listeners {
					if slices.Contains(l.Published, *p) {
						l.Verdict = results.VerdictExposed
					}
				}
			}
		}
	}
}

// whereTo says where a published port is led to.
func whereTo(p *results.Published) string {
	switch {
	case p.To.IsValid():
		return p.Target()
	case p.ToPort != 0:
		return fmt.Sprintf("port %d of this host itself", p.ToPort)
	}
	return "this host itself"
}

// unexplained tells what hides from what is only not there.
func unexplained(here []*Namespace, m *results.Mismatch) {
	n := here[0]
	m.Kind, m.NetNS, m.NetNSName = results.SeenNotListening, n.NetNS, n.Name
	words := []string{"no socket listens on it"}
	var unread []string
	for _, n := range here {
		unread = append(unread, n.Unread...)
	}
	if slices.Sort(unread); len(unread) > 0 {
		m.Unread = true
		words = append(words, "what could not be looked at: "+strings.Join(slices.Compact(unread), ", "))
	} else {
		words = append(words, "no rule of the firewall and no virtual server leads it elsewhere")
	}
	for _, n := range here {
		if n.Hidden == nil {
			continue
		}
		switch hidden, err := n.Hidden(m.Port); {
		case err != nil:
			words = append(words, fmt.Sprintf("whether the port can be bound is not known (%v)", err))
		case hidden:
			m.Kind, m.NetNS, m.NetNSName = results.HiddenSocket, n.NetNS, n.Name
			words = append(words, "the port cannot be bound, though nothing that the kernel shows has it")
		default:
			words = append(words, "the port can be bound: whatever it was may have ended since")
		}
	}
	m.Why = strings.Join(words, "; ")
}
