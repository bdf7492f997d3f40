package plan

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/scan/probe"
	"synoptic/scan/target"
)

// RouteOptions are what the user has said of the ways to the targets.
func (c *Config) RouteOptions() route.Options {
	return route.Options{Interface: c.Interface, Source: c.Source, GatewayMAC: c.GatewayMAC != nil, LeaveOut: !c.Strict}
}

// leaveOut takes from the targets broadcast addresses, which are no hosts, and those without a route.
func leaveOut(space *target.Space, broadcast []netip.Addr, unrouted []*route.NoRouteError) (_ *target.Space, err error) {
	if len(broadcast) > 0 {
		if space, err = space.Without(broadcast); err != nil {
			return nil, err
		}
	}
	if len(unrouted) == 0 {
		return space, nil
	}
	set, err := rangesOf(unrouted)
	if err != nil {
		return nil, err
	}
	if _, space, err = space.Within(set); err == nil && space == nil {
		err = unrouted[0]
	}
	return space, err
}

func rangesOf(unrouted []*route.NoRouteError) (*target.Set, error) {
	var b target.SetBuilder
	for _, u := range unrouted {
		b.Add(u.Range)
	}
	return b.Set()
}

// Unreached is how many addresses were asked for and are left out, as there is no route to them.
func (p *Plan) Unreached() uint64 {
	set, err := rangesOf(p.Unrouted)
	if err != nil { // they are some of the targets
		return 0
	}
	return set.Len()
}

// connectFrameLen is the length of the SYN that Linux sends for connect(2): Ethernet 14, IPv4 20,
// TCP 20 and 20 bytes of options.
const connectFrameLen = 74

// frameLen is the longest frame of a probe.
func frameLen(routes *route.Plan, profile probe.Profile) (n int, err error) {
	if routes == nil {
		return connectFrameLen, nil
	}
	for i := range routes.Paths {
		t, err := template(&routes.Paths[i], nil, profile)
		if err != nil {
			return 0, err
		}
		n = max(n, t.Len())
	}
	return n, nil
}

// Template builds the constant bytes of the probes that leave by a path. gateway is the MAC address of the
// next hop; nil leaves it to be patched into each probe.
func (p *Plan) Template(path *route.Path, gateway net.HardwareAddr) (*probe.Template, error) {
	return template(path, gateway, p.Asked.Profile)
}

func template(path *route.Path, gateway net.HardwareAddr, profile probe.Profile) (*probe.Template, error) {
	c := probe.TemplateConfig{Src: path.Src, Profile: profile}
	if path.Link.Framing == rawsock.Ethernet {
		c.Ethernet, c.SrcMAC, c.DstMAC = true, path.Link.HardwareAddr, gateway
		if gateway == nil {
			c.DstMAC = make(net.HardwareAddr, 6)
		}
	}
	return probe.NewTemplate(c)
}

// Interfaces are the names of the interfaces used, comma-separated; "" where the kernel chooses.
func (p *Plan) Interfaces() string {
	return p.join(func(path *route.Path) string { return path.Link.Name })
}

// Sources are the source addresses used, comma-separated; "" where the kernel chooses.
func (p *Plan) Sources() string {
	return p.join(func(path *route.Path) string { return path.Src.String() })
}

func (p *Plan) join(f func(*route.Path) string) string {
	var all []string
	for _, part := range p.Parts() {
		if part.Routes == nil {
			continue
		}
		for i := range part.Routes.Paths {
			if s := f(&part.Routes.Paths[i]); !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	return strings.Join(all, ",")
}
