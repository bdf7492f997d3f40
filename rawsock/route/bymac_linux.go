package route

import (
	"errors"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"synoptic/rawsock"
)

// sendsByMAC tells whether a target without a route goes to the next hop that is known by its MAC address.
func (f *kernelFIB) sendsByMAC(a netip.Addr) bool {
	return f.byMAC && f.oif != nil && f.oif.Framing == rawsock.Ethernet && a.Is4()
}

// throughMAC is the way through Options.Interface where no route leads through it. free is what the look-up without the
// interface has said; r, where the kernel has assumed that the target is on-link, has the source address that it
// would take.
func (f *kernelFIB) throughMAC(a netip.Addr, free error, r *netlink.Route) (decision, error) {
	switch {
	case free == nil, errors.Is(free, unix.ENETUNREACH):
	case errors.Is(free, unix.EHOSTUNREACH), errors.Is(free, unix.EACCES), errors.Is(free, unix.EINVAL):
		return decision{}, f.refusal(a, free) // a route that forbids
	}
	switch {
	case a.IsLoopback():
		return decision{}, f.noRoute("the address of this host itself", nil)
	case a.IsMulticast():
		return decision{}, f.noRoute("not the address of a single host", nil)
	}
	p := Path{Link: *f.oif, ByMAC: true}
	if r != nil {
		p.Src, _ = netip.AddrFromSlice(r.Src)
	}
	if p.Src = p.Src.Unmap(); !p.Src.IsValid() || p.Src.IsUnspecified() {
		p.Src = f.addressOf(f.oif.Index)
	}
	if f.source.IsValid() {
		f.useSource(&p)
	}
	if !p.Src.IsValid() || p.Src.IsUnspecified() {
		return decision{}, &NoRouteError{Interface: f.oif.Name, Reason: "no interface has an address that could be its source: give one with Source"}
	}
	return decision{path: p}, nil
}

// useSource puts Options.Source in the place of the source address that the kernel would take.
func (f *kernelFIB) useSource(p *Path) {
	if p.Foreign = !f.own; p.Foreign {
		p.Own = p.Src
		p.Answers = p.Link.Framing == rawsock.Ethernet && !p.Link.NoARP && f.isOnLink(p)
	}
	p.Src = f.source
}

// isOnLink tells whether those on a path's link look for Options.Source there.
func (f *kernelFIB) isOnLink(p *Path) bool {
	r, err := f.get(f.source, nil)
	if p.ByMAC && (err != nil || r.LinkIndex != p.Link.Index) {
		return true // nothing is known of what is behind it
	}
	if err != nil || r.Type != unix.RTN_UNICAST || r.LinkIndex != p.Link.Index {
		return false
	}
	gateway, routed := netip.AddrFromSlice(r.Gw)
	return r.Via == nil && (!routed || gateway.Unmap().IsUnspecified())
}

// addressOf is the first IPv4 address of an interface; invalid where it has none.
func (f *kernelFIB) addressOf(index int) netip.Addr {
	link, err := f.netlink.LinkByIndex(index)
	if err != nil {
		return netip.Addr{}
	}
	all, err := f.netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil || len(all) == 0 {
		return netip.Addr{}
	}
	a, _ := netip.AddrFromSlice(all[0].IP)
	return a.Unmap()
}
