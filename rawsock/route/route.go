// Package route asks the kernel how targets are reached. Call New with the
// targets for a Plan: interface, source address and next hop from the routing
// tables. Then call ResolveGateway for the MAC address of a path's gateway, or
// Resolve for those of its on-link targets, from the neighbour table or by ARP.
//
// A scan of millions of addresses needs few look-ups:
//
//  1. The boundaries of all routes and policy rules cut the address space into
//     pieces inside of which the kernel must decide alike.
//  2. For each piece that holds a target, the kernel itself decides
//     (RTM_GETROUTE), so that rules, metrics and preferences stay its business.
//  3. Neighbouring pieces with the same answer become one Segment.
//
// The answer is as old as the Plan. Watch follows the kernel from then on, Check says whether a path still holds, and
// an Ear (Listen) hears when a gateway's MAC address changes. Of an equal-cost multipath route each piece uses one next hop, the
// kernel's choice for its first target.
//
// Linux only: elsewhere every function returns an error that Is
// errors.ErrUnsupported.
package route

import (
	"encoding/binary"
	"iter"
	"net"
	"net/netip"
	"sort"

	"go4.org/netipx"

	"synoptic/rawsock"
)

// Link is an interface that probes can leave by.
type Link struct {
	Index        int
	Name         string
	MTU          int              // bytes, without the link header
	HardwareAddr net.HardwareAddr // empty unless Ethernet
	Framing      rawsock.Framing
	NoARP        bool // Ethernet without address resolution (IFF_NOARP)
}

// Path is one way out of the host.
type Path struct {
	Link    Link
	Src     netip.Addr // source address of the probes
	Gateway netip.Addr // next hop; invalid: the targets are on-link
	Local   bool       // the targets are this host's own addresses; Link is loopback
	Foreign bool       // no interface has Src: Options asked for it
	ByMAC   bool       // the next hop is known by its MAC address alone: Options.GatewayMAC
	// Own is an address of this host that ARP requests can come from where Src is Foreign; may be invalid.
	Own netip.Addr
	// Answers says that nobody but us can answer ARP requests for Src: it is Foreign, and its network is Link's.
	Answers bool
}

// Asker is the address that ARP requests come from. A neighbour need not answer who asks on behalf of an address that
// it would not route back to.
func (p *Path) Asker() netip.Addr {
	if p.Foreign && p.Own.IsValid() {
		return p.Own
	}
	return p.Src
}

// Segment is a run of target addresses that take the same path.
type Segment struct {
	From, To netip.Addr // inclusive
	Path     int        // index into Plan.Paths
}

// Options override the kernel's choice.
type Options struct {
	Interface string // by name; empty: the kernel's choice
	// Source may be an address that no interface has: then the kernel chooses
	// the path without it, and answers must find their way back by other means.
	Source netip.Addr
	// GatewayMAC says that the Interface's next hop is known, so that targets to which no route leads through it are
	// sent there. What the routing table forbids stays forbidden.
	GatewayMAC bool
	// LeaveOut leaves targets without a route out, and those that are nothing but a broadcast address, while there are
	// others. Without it the first of them is an error.
	LeaveOut bool
}

// Plan says for every target how it is reached.
type Plan struct {
	Paths []Path // no two are equal
	// Segments are ascending and disjoint, and cover the targets exactly,
	// without Broadcast and Unrouted.
	Segments []Segment
	// Broadcast holds targets that are a broadcast address of a directly
	// connected network. They are no hosts, and must not be probed.
	Broadcast []netip.Addr
	// Unrouted are the targets that Options.LeaveOut has left out, each with its Range, ascending.
	Unrouted []*NoRouteError

	v4 []segment4
}

// segment4 is a Segment at a third of the size: Lookup is called per probe.
type segment4 struct {
	from, to uint32
	path     int32
}

// New finds the paths of the target ranges, which must be ascending and
// disjoint; they are walked twice. A range without a route is a *NoRouteError,
// an interface that does not exist or is down an *InterfaceError, one of an
// unknown kind a *LinkTypeError, a range that is nothing but a broadcast
// address a *BroadcastError, and a source address that no host can have, or none that
// the targets can answer to, a *SourceError; each has a Hint.
func New(ranges iter.Seq[netipx.IPRange], o Options) (*Plan, error) { return newPlan(ranges, o) }

// Lookup returns the index into Paths for a target, and -1 for any other
// address. It does not allocate.
func (p *Plan) Lookup(a netip.Addr) int {
	if !a.Is4() {
		return p.lookup6(a)
	}
	b := a.As4()
	u := binary.BigEndian.Uint32(b[:])
	// The last segment that begins at or before u.
	lo, hi := 0, len(p.v4)
	for hi-lo > 1 {
		mid := int(uint(lo+hi) / 2)
		if p.v4[mid].from <= u {
			lo = mid
		} else {
			hi = mid
		}
	}
	if hi == 0 || u < p.v4[lo].from || u > p.v4[lo].to {
		return -1
	}
	return int(p.v4[lo].path)
}

func (p *Plan) lookup6(a netip.Addr) int {
	s := p.Segments[len(p.v4):] // IPv4 sorts first
	i := sort.Search(len(s), func(i int) bool { return s[i].To.Compare(a) >= 0 })
	if i == len(s) || a.Less(s[i].From) {
		return -1
	}
	return s[i].Path
}

// index prepares Lookup.
func (p *Plan) index() {
	p.v4 = p.v4[:0]
	for _, s := range p.Segments {
		if !s.From.Is4() {
			break
		}
		from, to := s.From.As4(), s.To.As4()
		p.v4 = append(p.v4, segment4{binary.BigEndian.Uint32(from[:]), binary.BigEndian.Uint32(to[:]), int32(s.Path)})
	}
}
