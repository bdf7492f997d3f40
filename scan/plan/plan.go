package plan

import (
	"math/rand/v2"
	"net/netip"

	"synoptic/ratelimit"
	"synoptic/rawsock/route"
	"synoptic/scan/permute"
	"synoptic/scan/target"
)

// Plan is everything that is decided before the first packet. It is immutable: nobody writes after New, to what
// its fields point at neither, so any number of goroutines may read it.
type Plan struct {
	Asked  Config // with the defaults filled in that need no look at the host, and MaxMemory no more than the host leaves
	Choice Choice // as planned; what runs the scan may have to take another

	ScanID      string
	Seed        uint64        // of the permutation
	Space       *target.Space // Asked.Targets without the broadcast addresses; of a phase, what that asks
	Permutation *permute.Permutation
	Positions   permute.Range // the whole scan, or this shard of it

	Routes      *route.Plan           // nil for the connect backend
	OwnRoutes   *route.Plan           // of the host's own connections, for the connect backend; nil where the host does not say
	Broadcast   []netip.Addr          // directly connected broadcast addresses inside the targets, left out
	Unrouted    []*route.NoRouteError // targets without a route, left out
	SourcePorts PortRange             // ours, one per attempt; empty for the connect backend
	HoldPorts   bool                  // SourcePorts are to be kept from the host's own connections while the scan runs
	Window      uint64                // positions that the result map holds at once
	Pace        ratelimit.Pace        // probes per second; what has a size has it by Pace.Max
	RateReason  string                // where Pace comes from
	Auto        bool                  // the rate is found out on the way, within Pace
	Limits      []Limit               // by host and prefix, those that can bind: the same for all parts
	FrameLen    int                   // bytes of a probe handed to the kernel, link header included

	Apart    []*Plan  // parts of the targets that go another way, when the others are done
	Warnings []string // what is decided and may surprise; fields of Config by their names
	Hints    []string // what may come of the network that nothing is decided about; likewise

	packetLanes int    // sender lanes that packet sockets get
	files       uint64 // that this process may have open, or fewer where memory is short
	digests     digests
	whole       *target.Space // of a plan with parts, what all of them ask
}

// New looks at the host (routes, capabilities, port ranges) and decides. Its errors have a Hint where the user
// can mend them, and a Field where one of Config's is at fault.
func New(asked Config) (*Plan, error) {
	c, err := asked.withDefaults()
	if err != nil {
		return nil, err
	}
	asked.Source = c.Source
	p, err := newMaker(&c, &asked).plan(c)
	if err == nil {
		p.limit(&c)
		err = p.heed(&asked)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// one plans targets that all go the same way, of a configuration with its defaults.
func (m *maker) one(c Config) (*Plan, error) {
	p := &Plan{Asked: c, ScanID: m.scanID, Seed: m.seed, Space: c.Targets.Space}
	if err := checkSource(c.Source, p.Space.Addrs()); err != nil {
		return nil, err
	}
	choice, err := rawOrConnect(&c, p.Space.Addrs(), c.Host.CanRaw())
	if err != nil {
		return nil, err
	}
	if choice.Backend == BackendConnect {
		err = p.planConnect(choice.Reason)
	} else {
		err = p.planRaw()
	}
	if err != nil {
		return nil, err
	}
	if err := checkBeacons(c.Beacons, p.Space.Addrs()); err != nil { // the broadcast addresses are left out by now
		return nil, err
	}
	if p.FrameLen, err = frameLen(p.Routes, c.Profile); err != nil {
		return nil, err
	}
	if err := p.permute(); err != nil {
		return nil, err
	}
	local := allLocal(c.Host, p.Routes, p.Space.Addrs())
	memory := c.Host.Memory()
	p.Auto = automatic(&c, local)
	if p.Pace, p.RateReason, err = paceOf(&c, local, p.FrameLen, func() (float64, string) { return p.mostAuto(memory) }); err != nil {
		return nil, err
	}
	if err := p.checkRates(); err != nil {
		return nil, err
	}
	if choice, err = (kernel{&c, c.Host, p.Routes, p.Pace.Max}).choose(choice); err != nil {
		return nil, err
	}
	p.packetLanes = packetLanes(c.Lanes, p.Pace.Max, c.Host.Processors())
	p.Choice = choice.withLanes(c.Lanes, p.packetLanes)
	if err := p.fitMemory(p.Choice.Backend, memory); err != nil {
		return nil, err
	}
	if err := p.fitFiles(p.Choice.Backend, filesOf(c.Host), memory); err != nil {
		return nil, err
	}
	if p.Window, err = windowOf(&p.Asked, p.Choice.Backend, p.Positions.Len(), p.Pace.Max); err != nil {
		return nil, err
	}
	p.digests = digestsOf(p.Space, c.Targets)
	return p, nil
}

// randomSeed is a seed for a scan whose order nobody chose.
func randomSeed() uint64 { return rand.Uint64() & maxSeed }

func (p *Plan) planConnect(reason string) (err error) {
	if err := refusesConnect(&p.Asked, reason); err != nil {
		return err
	}
	if p.OwnRoutes, p.Unrouted, err = connectRoutes(&p.Asked, p.Space.Addrs()); err != nil {
		return err
	}
	if p.OwnRoutes != nil {
		p.Broadcast = p.OwnRoutes.Broadcast
	}
	p.Space, err = leaveOut(p.Space, p.Broadcast, p.Unrouted)
	return err
}

func (p *Plan) planRaw() (err error) {
	c := &p.Asked
	if p.Routes, err = c.Host.Routes(p.Space.Addrs().Ranges(), c.RouteOptions()); err != nil {
		return err
	}
	p.Broadcast, p.Unrouted = p.Routes.Broadcast, p.Routes.Unrouted
	if p.Space, err = leaveOut(p.Space, p.Broadcast, p.Unrouted); err != nil {
		return err
	}
	low, high, err := c.Host.EphemeralPorts()
	if err != nil {
		return err
	}
	reserved, err := c.Host.ReservedPorts()
	if err != nil {
		return err
	}
	var warning string
	p.SourcePorts, p.HoldPorts, warning, err = sourcePorts(int(c.SourcePort), hostPorts{int(low), int(high), reserved, c.Host.HoldPorts})
	p.warn(warning)
	return err
}

// warn takes note of what the user should know before the scan runs; "" is nothing.
func (p *Plan) warn(warning string) {
	if warning != "" {
		p.Warnings = append(p.Warnings, warning)
	}
}

// permute orders the space, and takes the shard's part of it.
func (p *Plan) permute() (err error) {
	c := &p.Asked
	if p.Permutation, err = permute.New(p.Space.Len(), p.Seed); err != nil {
		return err
	}
	if p.Positions, err = permute.Shard(p.Space.Len(), c.ShardI, c.ShardOf); err != nil {
		return err
	}
	if p.Positions.Len() == 0 {
		return c.emptyShard(p.Space.Len())
	}
	return nil
}

func (c *Config) emptyShard(probes uint64) error {
	return refuse("ShardOf", "use fewer shards than probes", "shard %d of %d of %d probes is empty", c.ShardI, c.ShardOf, probes)
}
