package route

import (
	"fmt"
	"net/netip"
	"strings"

	"go4.org/netipx"
)

// A NoRouteError says that the kernel will not send to a target.
type NoRouteError struct {
	Range     netipx.IPRange // the first such part of the targets
	Interface string         // the one that Options asked for, if any
	Reason    string         // which kind of refusal
	Err       error          // the kernel's, may be nil
}

func (e *NoRouteError) Error() string {
	via := ""
	if e.Interface != "" {
		via = " through " + e.Interface
	}
	return fmt.Sprintf("no route to %s%s: %s", rangeString(e.Range), via, e.Reason)
}

func (e *NoRouteError) Unwrap() error { return e.Err }

// Field is Interface where it was asked for, else Targets.
func (e *NoRouteError) Field() string {
	if e.Interface != "" {
		return "Interface"
	}
	return "Targets"
}

// Hint says how to get a route, or do without.
func (e *NoRouteError) Hint() string {
	leave := fmt.Sprintf("leave it out with `Exclude %s`", rangeString(e.Range))
	if e.Interface != "" {
		return fmt.Sprintf("see `ip route show dev %s`; add a route, give the MAC address of the next hop with GatewayMAC, leave Interface to the kernel, or %s", e.Interface, leave)
	}
	return fmt.Sprintf("see `ip route get %s`; add a route, or %s", e.Range.From(), leave)
}

// A BroadcastError says that a target is a broadcast address of a connected network.
type BroadcastError struct{ Range netipx.IPRange }

func (e *BroadcastError) Error() string {
	return fmt.Sprintf("target %s is a broadcast address", rangeString(e.Range))
}

// Field is Targets.
func (e *BroadcastError) Field() string { return "Targets" }

// Hint says what to aim at instead.
func (e *BroadcastError) Hint() string {
	return "name hosts, or the network as a whole: its broadcast address is left out of it"
}

// A SourceError says that Options.Source cannot be where probes come from.
type SourceError struct {
	Addr   netip.Addr
	Reason string
}

func (e *SourceError) Error() string { return fmt.Sprintf("source address %v: %s", e.Addr, e.Reason) }

// Field is Source.
func (e *SourceError) Field() string { return "Source" }

// Hint says what works.
func (e *SourceError) Hint() string {
	return "give an address of this host that the targets can answer to, or leave Source out"
}

// An InterfaceError says that the interface asked for cannot be used.
type InterfaceError struct {
	Name     string
	Err      error
	Existing []string // names of the interfaces there are
}

func (e *InterfaceError) Error() string { return fmt.Sprintf("interface %s: %v", e.Name, e.Err) }

func (e *InterfaceError) Unwrap() error { return e.Err }

// Field is Interface.
func (e *InterfaceError) Field() string { return "Interface" }

// Hint lists the interfaces there are.
func (e *InterfaceError) Hint() string {
	return "interfaces of this host: " + strings.Join(e.Existing, ", ")
}

// A LinkTypeError says that probes cannot be framed for an interface.
type LinkTypeError struct {
	Name string
	Type string // as ip-link(8) names it
}

func (e *LinkTypeError) Error() string {
	return fmt.Sprintf("interface %s: link type %s is not supported", e.Name, e.Type)
}

// Field is Interface.
func (e *LinkTypeError) Field() string { return "Interface" }

// Hint says what works.
func (e *LinkTypeError) Hint() string {
	return "choose an Ethernet, loopback or tunnel Interface, or use `Backend connect`"
}

// A NoNeighbourError says that a next hop does not tell its MAC address.
type NoNeighbourError struct {
	Addr netip.Addr
	Link string
}

func (e *NoNeighbourError) Error() string {
	return fmt.Sprintf("%v on %s does not answer ARP", e.Addr, e.Link)
}

// Field is GatewayMAC.
func (e *NoNeighbourError) Field() string { return "GatewayMAC" }

// Hint says how to do without an answer.
func (e *NoNeighbourError) Hint() string {
	return "check that the gateway is up, or give its MAC address with GatewayMAC"
}

// rangeString is the shortest form that a target can be written in.
func rangeString(r netipx.IPRange) string {
	if r.From() == r.To() {
		return r.From().String()
	}
	if p, ok := r.Prefix(); ok {
		return p.String()
	}
	return r.String()
}
