package route

import (
	"errors"
	"fmt"
	"iter"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"go4.org/netipx"
	"golang.org/x/sys/unix"

	"synoptic/rawsock"
)

// kernelFIB asks the kernel over one netlink socket.
type kernelFIB struct {
	netlink *netlink.Handle
	links   map[int]Link
	oif     *Link      // Options.Interface
	source  netip.Addr // Options.Source
	own     bool       // source is an address of this host
	byMAC   bool       // Options.GatewayMAC
}

func newPlan(ranges iter.Seq[netipx.IPRange], o Options) (*Plan, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	defer h.Close()
	f := newFIB(h, o)
	if o.Interface != "" {
		l, err := f.linkByName(o.Interface)
		if err != nil {
			return nil, err
		}
		f.oif = &l
	}
	if err := f.checkSource(); err != nil {
		return nil, err
	}
	return split(ranges, f, o.LeaveOut)
}

// checkSource refuses a source address that no host has.
func (f *kernelFIB) checkSource() error {
	a := f.source
	switch {
	case !a.IsValid(), f.own && !a.IsUnspecified(): // which is this host to the kernel
		return nil
	case a.IsUnspecified(), a.IsMulticast(), a.Is4() && (a.As4()[0] == 0 || a.As4()[0] >= 240): // RFC 1122 section 3.2.1.3
		return &SourceError{a, "not the address of a host"}
	}
	if r, err := f.get(a, nil); err == nil && r.Type == unix.RTN_BROADCAST {
		return &SourceError{a, "a broadcast address"}
	}
	return nil
}

// newFIB asks by a handle, for routes as o has them but without its interface.
func newFIB(h *netlink.Handle, o Options) *kernelFIB {
	f := &kernelFIB{netlink: h, links: map[int]Link{}, source: o.Source.Unmap(), byMAC: o.GatewayMAC}
	// The kernel refuses to route from an address that it does not have.
	f.own = f.source.IsValid() && f.has(f.source)
	return f
}

func (f *kernelFIB) boundaries(first, last netip.Addr) (starts []netip.Addr, err error) {
	family := netlink.FAMILY_V4
	if first.Is6() {
		family = netlink.FAMILY_V6
	}
	// A dump that a change interrupts (NLM_F_DUMP_INTR) may lack entries.
	for range 10 {
		starts = starts[:0]
		err = f.netlink.RouteListFilteredIter(family, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE,
			func(r netlink.Route) bool {
				starts = appendNet(starts, r.Dst, first, last)
				return true
			})
		if err == nil {
			var rules []netlink.Rule
			rules, err = f.netlink.RuleList(family)
			for _, r := range rules {
				starts = appendNet(starts, r.Dst, first, last)
			}
		}
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read the routing tables: %w", err)
	}
	return starts, nil
}

func appendNet(starts []netip.Addr, n *net.IPNet, first, last netip.Addr) []netip.Addr {
	if n == nil { // the default route
		return starts
	}
	p, ok := netipx.FromStdIPNet(n)
	if !ok {
		return starts
	}
	return appendBoundaries(starts, p, first, last)
}

// get is RTM_GETROUTE for an address, with the interface and source of o if any.
func (f *kernelFIB) get(a netip.Addr, o *netlink.RouteGetOptions) (*netlink.Route, error) {
	rs, err := f.netlink.RouteGetWithOptions(a.AsSlice(), o)
	if err != nil {
		return nil, err
	}
	if len(rs) != 1 {
		return nil, fmt.Errorf("look up the route to %v: %d answers", a, len(rs))
	}
	return &rs[0], nil
}

func (f *kernelFIB) lookup(a netip.Addr) (decision, error) {
	// The kernel's answer for these depends on whether there is a default route,
	// and 0.0.0.0 is this host to it.
	switch {
	case a.Is4() && a.As4()[0] == 0, a == netip.IPv6Unspecified():
		return decision{}, f.noRoute("not the address of a host", nil)
	case a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return decision{broadcast: true}, nil
	}
	var o netlink.RouteGetOptions
	if f.oif != nil {
		o.OifIndex = f.oif.Index
	}
	if f.own && f.source.Is4() == a.Is4() {
		o.SrcAddr = f.source.AsSlice()
	}
	if f.oif == nil {
		r, err := f.get(a, &o)
		if err != nil {
			return decision{}, f.refusal(a, err)
		}
		return f.decide(a, r)
	}
	// With an interface the kernel's look-up passes over other interfaces' local
	// and broadcast routes, and would put what belongs to this host on the wire.
	free, freeErr := f.get(a, &netlink.RouteGetOptions{SrcAddr: o.SrcAddr})
	if freeErr == nil && (free.Type == unix.RTN_LOCAL || free.Type == unix.RTN_BROADCAST) {
		return f.decide(a, free)
	}
	r, err := f.get(a, &o)
	if errors.Is(err, unix.ENETUNREACH) && f.sendsByMAC(a) { // of a VRF the kernel assumes nothing
		return f.throughMAC(a, freeErr, nil)
	}
	if err != nil {
		return decision{}, f.refusal(a, err)
	}
	// Where no route leads through the interface, the kernel assumes that the
	// target is on-link there (net/ipv4/route.c, Linux 6.12, "routing tables are wrong"),
	// which shows as an answer from no table. On a link without MAC addresses
	// that is what is wanted; on Ethernet it would ask by ARP for the whole
	// Internet. It also passes over routes that forbid.
	if r.Table == unix.RT_TABLE_UNSPEC && r.Type == unix.RTN_UNICAST {
		if f.sendsByMAC(a) {
			return f.throughMAC(a, freeErr, r)
		}
		if f.oif.Framing == rawsock.Ethernet {
			return decision{}, f.noRoute("the interface has none", unix.ENETUNREACH)
		}
		if freeErr != nil && !errors.Is(freeErr, unix.ENETUNREACH) {
			return decision{}, f.refusal(a, freeErr)
		}
	}
	return f.decide(a, r)
}

func (f *kernelFIB) decide(a netip.Addr, r *netlink.Route) (decision, error) {
	switch r.Type {
	case unix.RTN_UNICAST, unix.RTN_LOCAL:
	case unix.RTN_BROADCAST:
		return decision{broadcast: true}, nil
	case unix.RTN_MULTICAST, unix.RTN_ANYCAST:
		return decision{}, f.noRoute("not the address of a single host", nil)
	case unix.RTN_UNREACHABLE:
		return decision{}, f.refusal(a, unix.EHOSTUNREACH)
	case unix.RTN_PROHIBIT:
		return decision{}, f.refusal(a, unix.EACCES)
	case unix.RTN_BLACKHOLE:
		return decision{}, f.refusal(a, unix.EINVAL)
	default:
		return decision{}, f.noRoute(fmt.Sprintf("route of type %d", r.Type), nil)
	}
	if r.Encap != nil {
		return decision{}, f.noRoute("its route encapsulates, which raw frames cannot", nil)
	}
	l, err := f.linkByIndex(r.LinkIndex)
	switch {
	case err != nil:
		return decision{}, err
	case l.Framing == rawsock.Loopback && r.Type == unix.RTN_UNICAST: // nobody is behind it
		return decision{}, f.noRoute("its route leads to "+l.Name+", where only this host is", unix.ENETUNREACH)
	}
	p := Path{Link: l, Local: r.Type == unix.RTN_LOCAL}
	p.Src, _ = netip.AddrFromSlice(r.Src)
	p.Src = p.Src.Unmap()
	if f.source.IsValid() && f.source.Is4() == a.Is4() && (f.own || !p.Local) {
		f.useSource(&p)
	}
	if !p.Src.IsValid() || p.Src.IsUnspecified() {
		return decision{}, f.noRoute(fmt.Sprintf("%s has no source address for it", l.Name), nil)
	}
	gw := r.Gw
	if via, ok := r.Via.(*netlink.Via); ok {
		gw = via.Addr // an IPv6 next hop of an IPv4 route
	}
	if g, ok := netip.AddrFromSlice(gw); ok && !p.Local && !g.IsUnspecified() {
		p.Gateway = g.Unmap()
	}
	return decision{path: p}, nil
}

// refusal turns the error of a look-up into its cause: fib_props in
// net/ipv4/fib_semantics.c, Linux 6.12, gives each type of route its error.
func (f *kernelFIB) refusal(a netip.Addr, err error) error {
	switch {
	case errors.Is(err, unix.ENETUNREACH):
		return f.noRoute("network is unreachable", err)
	case errors.Is(err, unix.EHOSTUNREACH):
		return f.noRoute("the routing table has an unreachable route for it", err)
	case errors.Is(err, unix.EACCES):
		return f.noRoute("the routing table has a prohibit route for it", err)
	case errors.Is(err, unix.EINVAL) && f.own && f.source.IsLoopback() && !a.IsLoopback(): // __mkroute_output, net/ipv4/route.c
		return &SourceError{f.source, fmt.Sprintf("a loopback address, to which %v cannot answer", a)}
	case errors.Is(err, unix.EINVAL):
		return f.noRoute("the routing table has a blackhole route for it", err)
	}
	return fmt.Errorf("look up the route to %v: %w", a, err)
}

func (f *kernelFIB) noRoute(reason string, err error) error {
	e := &NoRouteError{Reason: reason, Err: err}
	if f.oif != nil {
		e.Interface = f.oif.Name
	}
	return e
}

func (f *kernelFIB) linkByIndex(index int) (Link, error) {
	if l, ok := f.links[index]; ok {
		return l, nil
	}
	nl, err := f.netlink.LinkByIndex(index)
	if err != nil {
		return Link{}, fmt.Errorf("look up interface %d: %w", index, err)
	}
	l, err := linkOf(nl.Attrs())
	if err == nil {
		f.links[index] = l
	}
	return l, err
}

// linkByName is for the interface that the user chose, and checks it.
func (f *kernelFIB) linkByName(name string) (Link, error) {
	nl, err := f.netlink.LinkByName(name)
	var missing netlink.LinkNotFoundError
	switch {
	case errors.As(err, &missing):
		err = errors.New("no such interface")
	case err != nil:
	case nl.Attrs().Flags&net.FlagUp == 0:
		err = errors.New("is down")
	case nl.Attrs().OperState == netlink.OperDown, nl.Attrs().OperState == netlink.OperLowerLayerDown:
		err = errors.New("has no carrier")
	default:
		return linkOf(nl.Attrs())
	}
	e := &InterfaceError{Name: name, Err: err}
	if all, err := f.netlink.LinkList(); err == nil {
		for _, l := range all {
			if l.Attrs().Flags&net.FlagUp != 0 {
				e.Existing = append(e.Existing, l.Attrs().Name)
			} else {
				e.Existing = append(e.Existing, l.Attrs().Name+" (down)")
			}
		}
	}
	return Link{}, e
}

func linkOf(a *netlink.LinkAttrs) (Link, error) {
	l := Link{Index: a.Index, Name: a.Name, MTU: a.MTU, NoARP: a.RawFlags&unix.IFF_NOARP != 0}
	switch a.EncapType { // names of ARPHRD_*, linux/if_arp.h
	case "ether":
		l.Framing, l.HardwareAddr = rawsock.Ethernet, a.HardwareAddr
	case "loopback":
		l.Framing = rawsock.Loopback
	case "none", "ppp", "ipip", "unknown519": // 519 is ARPHRD_RAWIP
		l.Framing = rawsock.None
	default:
		return l, &LinkTypeError{Name: a.Name, Type: a.EncapType}
	}
	return l, nil
}
