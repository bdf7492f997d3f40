package scan

import (
	"errors"
	"net"
	"net/netip"

	"synoptic/rawsock/route"
	"synoptic/scan/probe"
)

// planConnect refuses before the first probe what connect(2) could not do, as chooseRoutes does for
// raw probes.
func (p *Plan) planConnect() error {
	switch {
	case p.Interface != "":
		return refuse("leave --interface out, or run where raw sockets are permitted", "backend connect (%s) leaves the interface to the kernel", p.BackendReason)
	case p.GatewayMAC != nil:
		return refuse("leave --gateway-mac out, or run where raw sockets are permitted", "backend connect (%s) leaves link addresses to the kernel", p.BackendReason)
	case p.SourcePort != 0:
		return refuse("leave --source-port out, or run where raw sockets are permitted", "backend connect (%s) leaves source ports to the kernel", p.BackendReason)
	case p.Lanes != 0:
		return refuse("leave --lanes out, or run where raw sockets are permitted", "backend connect (%s) has no lanes", p.BackendReason)
	case p.TargetRecall > 0:
		return refuse("leave --target-recall out, or run where raw sockets are permitted", "backend connect (%s) leaves retries to the kernel", p.BackendReason)
	case p.Profile != probe.ProfileMSS:
		return refuse("leave --syn-profile out, or run where raw sockets are permitted", "backend connect (%s) leaves TCP options to the kernel", p.BackendReason)
	}
	if p.Source.IsValid() {
		// A UDP socket: binding one sends nothing and takes no connections.
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(p.Source, 0)))
		if err != nil {
			return refuse("give an address of this host, or leave --source-ip out", "source address %v: %w", p.Source, err)
		}
		c.Close()
	}
	routes, err := route.New(p.Space.Addrs().Ranges(), route.Options{Source: p.Source})
	var broadcast *route.BroadcastError
	var none *route.NoRouteError
	switch {
	case errors.As(err, &broadcast), errors.As(err, &none) && none.Err != nil:
		return err
	case err != nil:
		// Another system, or a way that only raw frames cannot go: each connect will tell.
		return nil
	}
	return p.leaveOut(routes.Broadcast)
}

// leaveOut takes broadcast addresses, which are no hosts, from the targets.
func (p *Plan) leaveOut(broadcast []netip.Addr) (err error) {
	if p.Broadcast = broadcast; len(broadcast) > 0 {
		p.Space, err = p.Space.Without(broadcast)
	}
	return err
}

// checkSource refuses a source address that cannot reach all targets.
func (p *Plan) checkSource() error {
	if !p.Source.IsValid() {
		return nil
	}
	p.Source = p.Source.Unmap()
	addrs := p.Space.Addrs()
	for _, a := range []netip.Addr{addrs.At(0), addrs.At(addrs.Len() - 1)} { // IPv4 sorts first
		if a.Is4() != p.Source.Is4() {
			return refuse("scan IPv4 and IPv6 targets apart, each with a source address of their own, or leave --source-ip out",
				"source address %v cannot reach the %s target %v", p.Source, map[bool]string{true: "IPv4", false: "IPv6"}[a.Is4()], a)
		}
	}
	return nil
}
