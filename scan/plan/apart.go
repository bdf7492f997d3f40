package plan

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"go4.org/netipx"

	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/results"
	"synoptic/scan/permute"
	"synoptic/scan/probe"
	"synoptic/scan/target"
)

// One address must not decide for all others. Where some targets cannot go the fastest way, they are a part of the scan
// of their own, with a backend of their own, which runs when the others are done:
//
//	IPv4 by the way that most addresses are behind ─▶ xdp or ebpf, where the rate asks for it
//	other IPv4: neighbours, other gateways, lo     ─▶ packet sockets
//	IPv6                                           ─▶ connect(2)
//
// Parts have the scan's ID, seed and shard, and each an order of its own.

// maker makes the parts of one scan.
type maker struct {
	scanID string
	seed   uint64
	asked  *Config // as it was given, without defaults
}

// plan is the plan of all that is asked for, with its parts.
func (m *maker) plan(c Config) (*Plan, error) {
	v4, v6, err := c.Targets.Space.Families()
	switch {
	case err != nil:
		return nil, err
	case v4 == nil, v6 == nil, c.Backend == BackendConnect, c.Host.CanRaw() != nil:
		return m.fastest(c)
	}
	if err := checkBeacons(c.Beacons, c.Targets.Space.Addrs()); err != nil {
		return nil, err
	}
	four, six := c.within(v4), c.overConnect(v6)
	if four.Source.Is6() {
		four.Source = netip.Addr{}
	}
	var parts []*Plan
	if !four.isEmpty() {
		p, err := m.fastest(four)
		if err != nil {
			return nil, err
		}
		parts = append(append(parts, p), p.Apart...)
	}
	if !six.isEmpty() {
		p, err := m.one(six)
		if err == nil {
			err = staysOn(c.Interface, p)
		}
		if err != nil {
			return nil, err
		}
		p.Choice.Auto, p.Choice.Fallback, p.Choice.Reason = c.Backend == BackendAuto, true, noRawIPv6
		parts = append(parts, p)
	}
	if len(parts) == 0 {
		return nil, c.emptyShard(c.Targets.Space.Len())
	}
	p, err := join(parts, c.Targets, nil)
	if err == nil && !six.isEmpty() {
		p.warnOfIPv6(m.asked, parts[len(parts)-1])
	}
	return p, err
}

// join makes one plan of parts: the first, with the others apart. Unrouted are targets that are in none.
func join(parts []*Plan, all *target.Targets, unrouted []*route.NoRouteError) (*Plan, error) {
	var broadcast []netip.Addr
	for _, p := range parts {
		broadcast, unrouted = append(broadcast, p.Broadcast...), append(unrouted, p.Unrouted...)
	}
	whole, err := leaveOut(all.Space, broadcast, unrouted)
	if err != nil {
		return nil, err
	}
	p := parts[0]
	p.Apart, p.Broadcast, p.Unrouted, p.whole = parts[1:], broadcast, unrouted, whole
	p.digests = digestsOf(whole, all)
	return p, nil
}

// warnOfIPv6 tells what is otherwise for IPv6 targets, which go by a part of their own, than was asked for.
func (p *Plan) warnOfIPv6(c *Config, six *Plan) {
	n := addresses(six.Space.Addrs().Len(), "IPv6 ")
	if six.OwnRoutes == nil {
		p.warn(fmt.Sprintf("this host has no route to all of %s: those without are reported as unreachable, or leave them out with `Exclude ::/0`", n))
	}
	if ignored := connectIgnores(c); ignored != "" {
		p.warn(fmt.Sprintf("connect() probes %s, and ignores %s", n, ignored))
	}
	if c.Source.IsValid() {
		p.warn(fmt.Sprintf("source address %v is for the %s targets only: for the others the kernel chooses", c.Source, family(c.Source)))
	}
	if c.Frames {
		p.warn("outputs that keep the replies' frames have none of the IPv6 targets")
	}
}

const noRawIPv6 = "IPv6 targets cannot be probed raw yet"

func family(a netip.Addr) string {
	if a.Is4() {
		return "IPv4"
	}
	return "IPv6"
}

// within is what is asked for of some of the targets.
func (c Config) within(some *target.Space) Config {
	t := *c.Targets
	t.Space = some
	c.Targets = &t
	c.Beacons = slices.DeleteFunc(slices.Clone(c.Beacons), func(b netip.AddrPort) bool { return !some.Addrs().Contains(b.Addr()) })
	return c
}

// isEmpty tells whether this shard has nothing of it.
func (c *Config) isEmpty() bool {
	r, err := permute.Shard(c.Targets.Space.Len(), c.ShardI, c.ShardOf)
	return err == nil && r.Len() == 0
}

// overConnect is within for what connect(2) probes beside raw packets.
func (c Config) overConnect(some *target.Space) Config {
	part := c.within(some)
	part.Backend, part.SourcePort, part.GatewayMAC, part.Lanes, part.TargetRecall, part.Profile = BackendConnect, 0, nil, 0, 0, probe.ProfileMSS
	part.Interface, part.Frames, part.beside = "", false, true
	if part.Source.Is4() {
		part.Source = netip.Addr{}
	}
	return part
}

// connectIgnores names what is asked for of raw packets and means nothing to connect(2).
func connectIgnores(c *Config) string {
	var all []string
	for _, x := range []struct {
		field string
		given bool
	}{
		{"SourcePort", c.SourcePort != 0}, {"GatewayMAC", c.GatewayMAC != nil}, {"Lanes", c.Lanes != 0},
		{"TargetRecall", c.TargetRecall > 0}, {"Profile", c.Profile != probe.ProfileMSS},
		{"Attempts", c.Attempts != 0}, {"RetryGap", c.RetryGap != 0}, {"Batch", c.Batch != 0},
	} {
		if x.given {
			all = append(all, x.field)
		}
	}
	return strings.Join(all, ", ")
}

// staysOn refuses connections that would leave by another interface than the one asked for.
func staysOn(name string, p *Plan) error {
	if name == "" || p.OwnRoutes == nil {
		return nil
	}
	for i := range p.OwnRoutes.Paths {
		if link := p.OwnRoutes.Paths[i].Link.Name; link != name {
			return refuse("Interface", "leave the IPv6 targets out with `Exclude ::/0`, or leave Interface out",
				"IPv6 targets are probed by connect(), for which the kernel takes %s and not %s", link, name)
		}
	}
	return nil
}

// fastest plans raw targets, those apart that would keep the others from programs in the kernel.
func (m *maker) fastest(c Config) (*Plan, error) {
	p, err := m.one(c)
	asked := c.Backend == BackendXDP || c.Backend == BackendEBPF
	switch {
	case asked && err == nil, c.Frames:
		return p, err
	case !asked && (err != nil || !p.Choice.Auto || p.Choice.Backend != BackendAFPacket || p.Pace.Max < kernelRate):
		return p, err
	}
	var routes *route.Plan
	if err == nil {
		routes = p.Routes
	} else if routes, _ = c.Host.Routes(c.Targets.Space.Addrs().Ranges(), c.RouteOptions()); routes == nil {
		return nil, err
	}
	most, rest := c.busiest(routes)
	if most == nil || rest == nil {
		return p, err
	}
	main, others := c.within(most), c.within(rest)
	if main.isEmpty() {
		return p, err
	}
	fast, failed := m.one(main)
	if failed != nil || fast.Choice.Backend == BackendAFPacket {
		return p, err
	}
	if others.isEmpty() {
		return join([]*Plan{fast}, c.Targets, routes.Unrouted)
	}
	others.Backend = BackendAFPacket
	slow, failed := m.one(others)
	if failed != nil {
		return nil, failed
	}
	slow.Choice.Auto, slow.Choice.Reason = !asked, "XDP serves one path"
	return join([]*Plan{fast, slow}, c.Targets, routes.Unrouted)
}

// busiest parts the targets into those that share a way out of Ethernet frames with more than half of all
// addresses, and the others; nil where there is no such way.
func (c *Config) busiest(routes *route.Plan) (most, rest *target.Space) {
	if len(routes.Paths) < 2 {
		return nil, nil
	}
	number := func(a netip.Addr) uint64 { b := a.As4(); return uint64(binary.BigEndian.Uint32(b[:])) }
	behind, all := make([]uint64, len(routes.Paths)), uint64(0)
	for _, s := range routes.Segments {
		if !s.From.Is4() {
			return nil, nil
		}
		n := number(s.To) - number(s.From) + 1
		all += n
		behind[s.Path] += n
	}
	best := 0
	for i, n := range behind {
		if n > behind[best] {
			best = i
		}
	}
	if routes.Paths[best].Link.Framing != rawsock.Ethernet || 2*behind[best] <= all {
		return nil, nil
	}
	var b target.SetBuilder
	for _, s := range routes.Segments {
		if s.Path == best {
			b.Add(netipx.IPRangeFrom(s.From, s.To))
		}
	}
	set, err := b.Set()
	if err != nil {
		return nil, nil
	}
	space := c.Targets.Space
	if space, err = leaveOut(space, routes.Broadcast, routes.Unrouted); err != nil {
		return nil, nil
	}
	if most, rest, err = space.Within(set); err != nil {
		return nil, nil
	}
	return most, rest
}

// Parts are the plan itself and those of the targets that go another way, in the order in which they run.
func (p *Plan) Parts() []*Plan { return append([]*Plan{p}, p.Apart...) }

// Probes is how many positions the scan covers, in all its parts.
func (p *Plan) Probes() (n uint64) {
	for _, part := range p.Parts() {
		n += part.Positions.Len()
	}
	return n
}

// Addresses is how many addresses the scan covers.
func (p *Plan) Addresses() (n uint64) {
	for _, part := range p.Parts() {
		n += part.Space.Addrs().Len()
	}
	return n
}

// Len is how many positions there are in all shards.
func (p *Plan) Len() (n uint64) {
	for _, part := range p.Parts() {
		n += part.Space.Len()
	}
	return n
}

// NumPorts is how many distinct ports the scan probes.
func (p *Plan) NumPorts() int {
	if p.whole == nil {
		return p.Space.NumPorts()
	}
	return p.whole.NumPorts()
}

// ApartWords say which targets go another way, and why: "1 IPv6 address by connect: …"; "" where none does.
func (p *Plan) ApartWords() string {
	var all []string
	for _, part := range p.Apart {
		kind := ""
		if part.Space.Addrs().At(0).Is6() {
			kind = "IPv6 "
		}
		all = append(all, fmt.Sprintf("%s by %s: %s", addresses(part.Space.Addrs().Len(), kind), part.Choice.Backend, part.Choice.Reason))
	}
	return strings.Join(all, "; ")
}

// BackendReason is the reason of a choice, with what goes another way.
func (p *Plan) BackendReason(c Choice) string {
	if words := p.ApartWords(); words != "" {
		return c.Reason + "; apart " + words
	}
	return c.Reason
}

func addresses(n uint64, kind string) string {
	if n == 1 {
		return "1 " + kind + "address"
	}
	return fmt.Sprintf("%d %saddresses", n, kind)
}

// newMaker draws what all parts share.
func newMaker(c, asked *Config) *maker {
	m := &maker{scanID: results.NewScanID(), seed: c.Seed, asked: asked}
	if !c.HasSeed {
		m.seed = randomSeed()
	}
	return m
}
