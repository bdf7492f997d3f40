package scan

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"go4.org/netipx"

	"synoptic/ratelimit"
	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/results"
	"synoptic/results/window"
	"synoptic/scan/permute"
	"synoptic/scan/probe"
	"synoptic/scan/target"
)

// Plan is everything that is decided before the first packet. Making one sends nothing.
type Plan struct {
	Config // with defaults filled in

	ScanID      string
	Space       *target.Space // Config.Targets without the broadcast addresses
	Permutation *permute.Permutation
	Positions   permute.Range // the whole scan, or this shard of it

	Auto          bool         // the backend was left to us
	BackendReason string       // why Config.Backend is what it is now
	BackendHint   string       // how to get a better one, or ""
	Fallback      bool         // the best backend could not be had
	Routes        *route.Plan  // nil for the connect backend
	Broadcast     []netip.Addr // directly connected broadcast addresses inside the targets, left out
	SourcePorts   PortRange    // ours, one per attempt; empty for the connect backend
	Window        uint64       // positions that the result map holds at once
	RateReason    string       // where Config.Rate comes from
	FrameLen      int          // bytes of a probe handed to the kernel, link header included
}

// PortRange is an inclusive range of TCP ports.
type PortRange struct{ Min, Max uint16 }

// maxAttempts is how many source ports a scan reserves: the attempt number is added to the first.
const maxAttempts = 16

// NewPlan looks at the host (routes, capabilities, port ranges) and decides. Its errors carry a
// Hint where the user can mend them.
func NewPlan(c Config) (*Plan, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	p := &Plan{Config: c, ScanID: results.NewScanID(), Space: c.Targets.Space}
	if !p.HasSeed {
		p.Seed = rand.Uint64() & maxSeed
	}
	if err := p.checkSource(); err != nil {
		return nil, err
	}
	if err := p.chooseBackend(); err != nil {
		return nil, err
	}
	if p.Backend == BackendConnect {
		err = p.planConnect()
	} else if err = p.chooseRoutes(); err == nil {
		p.SourcePorts, err = chooseSourcePorts(int(c.SourcePort))
	}
	if err != nil {
		return nil, err
	}
	if err := p.chooseFrame(); err != nil {
		return nil, err
	}
	if p.Permutation, err = permute.New(p.Space.Len(), p.Seed); err != nil {
		return nil, err
	}
	if p.Positions, err = permute.Shard(p.Space.Len(), c.ShardI, c.ShardOf); err != nil {
		return nil, err
	}
	if p.Positions.Len() == 0 {
		return nil, refuse("use fewer shards than probes", "shard %d of %d of %d probes is empty", c.ShardI, c.ShardOf, p.Space.Len())
	}
	if p.Window, err = window.For(p.Positions.Len(), c.MaxMemory); err != nil {
		return nil, err
	}
	p.chooseRate()
	if err := p.chooseKernel(); err != nil {
		return nil, err
	}
	p.chooseLanes()
	return p, p.checkWindow()
}

const (
	// laneRate is what one sender lane is good for: up to it, others would only compete for the
	// limiter's grants.
	laneRate = 300_000
	// autoLanes bounds the lanes where nobody asks for a number of them.
	autoLanes = 8
)

// chooseLanes takes no more lanes than the rate needs, and leaves half of the processors to receivers
// and to the kernel where there are more than two. With two, the second lane was worth more than what it
// took from the receivers (docs/architecture.md).
func (p *Plan) chooseLanes() {
	switch {
	case p.Backend == BackendConnect: // every connection is a goroutine of its own
		return
	case p.Backend == BackendEBPF:
		p.Lanes = 1 // the generator
		return
	case p.Lanes > 0:
		return
	case p.Backend == BackendXDP:
		p.Lanes = 1 // on the interface's first queue: there may be no other
		return
	}
	processors := runtime.GOMAXPROCS(0)
	p.Lanes = min(int(min(math.Ceil(p.Rate/laneRate), autoLanes)), max(processors/2, min(processors, 2)))
}

// checkWindow refuses a scan whose retries would come when their positions have left the window. It
// would not go wrong, but wait for its window instead of holding its rate.
func (p *Plan) checkWindow() error {
	if p.Backend == BackendConnect || p.Window >= p.Positions.Len() {
		return nil
	}
	need := p.Rate * (p.RetryGap*time.Duration(p.Attempts-1) + p.Wait).Seconds()
	if reach := float64(p.Window) * 7 / 8; need > reach {
		return refuse(fmt.Sprintf("give --max-memory %dM, or a lower --rate, fewer --retries or a shorter --retry-gap", int64(need*8/7/2)>>20+1),
			"the result map holds %.3g positions, but %d attempts %v apart at %.4g pps need %.3g", reach, p.Attempts, p.RetryGap, p.Rate, need)
	}
	return nil
}

func (p *Plan) chooseRoutes() (err error) {
	p.Routes, err = route.New(p.Space.Addrs().Ranges(), route.Options{Interface: p.Interface, Source: p.Source})
	if err != nil {
		return err
	}
	return p.leaveOut(p.Routes.Broadcast)
}

// chooseSourcePorts takes ports outside the host's ephemeral range, so that no reply to us can
// belong to a connection of the host, and none of its connections is disturbed. Where the range
// leaves no room, only the user can know which ports are free.
func chooseSourcePorts(asked int) (PortRange, error) {
	low, high, err := rawsock.EphemeralPorts()
	if err != nil {
		return PortRange{}, err
	}
	return sourcePorts(asked, int(low), int(high))
}

func sourcePorts(asked, low, high int) (PortRange, error) {
	above, below := high+maxAttempts <= 65535, low >= 1024+maxAttempts
	first := asked
	switch {
	case asked > 65535-maxAttempts+1:
		return PortRange{}, refuse(fmt.Sprintf("choose a source port up to %d", 65535-maxAttempts+1),
			"source port %d leaves no room for %d attempts", asked, maxAttempts)
	case asked != 0 && asked <= high && asked+maxAttempts > low && (above || below):
		hint := fmt.Sprintf("choose a source port from %d on", high+1)
		if below {
			hint = fmt.Sprintf("choose a source port up to %d", low-maxAttempts)
		}
		return PortRange{}, refuse(hint, "source ports %d-%d reach into the host's ephemeral range %d-%d, where its own connections are",
			asked, asked+maxAttempts-1, low, high)
	case asked != 0:
	case above:
		first = high + 1
	case below:
		first = low - maxAttempts
	default:
		return PortRange{}, refuse("give a port that no local program uses with --source-port",
			"the ephemeral range %d-%d leaves no room for source ports", low, high)
	}
	return PortRange{uint16(first), uint16(first + maxAttempts - 1)}, nil
}

// connectFrameLen is the length of the SYN that Linux sends for connect(2): Ethernet 14, IPv4 20,
// TCP 20 and 20 bytes of options.
const connectFrameLen = 74

func (p *Plan) chooseFrame() error {
	p.FrameLen = connectFrameLen
	if p.Routes == nil {
		return nil
	}
	for i := range p.Routes.Paths {
		t, err := p.template(&p.Routes.Paths[i], nil)
		if err != nil {
			return err
		}
		p.FrameLen = max(p.FrameLen*min(i, 1), t.Len())
	}
	return nil
}

// template builds the constant bytes of the probes that leave by a path.
func (p *Plan) template(path *route.Path, gateway net.HardwareAddr) (*probe.Template, error) {
	c := probe.TemplateConfig{Src: path.Src, Profile: p.Profile}
	if path.Link.Framing == rawsock.Ethernet {
		c.Ethernet, c.SrcMAC, c.DstMAC = true, path.Link.HardwareAddr, gateway
		if gateway == nil {
			c.DstMAC = make(net.HardwareAddr, 6) // patched per probe
		}
	}
	return probe.NewTemplate(c)
}

func (p *Plan) chooseRate() {
	switch {
	case p.Rate > 0:
		p.RateReason = "asked for"
	case p.Bandwidth > 0:
		p.Rate = math.Inf(1) // the bandwidth alone decides
	case p.local():
		p.Rate, p.RateReason = DefaultLoopbackRate, "the default where no network is crossed"
	default:
		p.Rate, p.RateReason = DefaultRate, "the default"
	}
	if p.Bandwidth == 0 {
		return
	}
	if limit := ratelimit.PacketsPerSecond(p.Bandwidth, p.FrameLen); limit < p.Rate {
		p.Rate, p.RateReason = limit, fmt.Sprintf("%g bit/s of %d-byte frames", p.Bandwidth, p.FrameLen)
	}
}

// local tells whether every probe stays on this host.
func (p *Plan) local() bool {
	if p.Routes != nil {
		return !slices.ContainsFunc(p.Routes.Paths, func(path route.Path) bool { return !path.Local })
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		own = nil // then only 127/8 and ::1 are known to be local
	}
	for r := range p.Space.Addrs().Ranges() {
		if !isLocal(r, own) {
			return false
		}
	}
	return true
}

func isLocal(r netipx.IPRange, own []net.Addr) bool {
	if r.From().IsLoopback() && r.To().IsLoopback() {
		return true
	}
	return r.From() == r.To() && slices.ContainsFunc(own, func(a net.Addr) bool {
		prefix, ok := a.(*net.IPNet)
		return ok && prefix.IP.Equal(r.From().AsSlice())
	})
}

// ReceiverLanes is how many receiver lanes each interface has: one for two sender lanes, for a reply costs
// less than a probe.
func (p *Plan) ReceiverLanes() int { return (p.Lanes + 1) / 2 }

// Probes is how many positions the scan covers.
func (p *Plan) Probes() uint64 { return p.Positions.Len() }

// maxDuration stands for itself and more: a time.Duration ends at 292 years.
const maxDuration = 100 * 365 * 24 * time.Hour

// Duration is how long the scan takes if everything answers quickly, 100 years at most.
func (p *Plan) Duration() time.Duration {
	seconds := float64(p.Probes()) / p.Rate
	return time.Duration(min(seconds, maxDuration.Seconds())*float64(time.Second)) + cooldownFloor
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
	if p.Routes == nil {
		return ""
	}
	var all []string
	for i := range p.Routes.Paths {
		if s := f(&p.Routes.Paths[i]); !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return strings.Join(all, ",")
}

// StartRecord is the record that opens the stream.
func (p *Plan) StartRecord(at time.Time) *results.ScanStart {
	s := &results.ScanStart{
		Time: results.Time(at), ScanID: p.ScanID, Version: p.Version, Args: p.Args,
		Targets: p.Space.Addrs().Len(), Excluded: p.Targets.Excluded, Ports: p.Space.NumPorts(), Probes: p.Probes(),
		Seed: p.Seed, Rate: strconv.FormatFloat(p.Rate, 'f', -1, 64), Backend: p.Backend, BackendReason: p.BackendReason,
		Iface: p.Interfaces(), Source: p.Sources(),
	}
	if p.Lanes > 1 {
		s.Lanes = p.Lanes
	}
	if p.ShardOf > 1 {
		s.Shard = fmt.Sprintf("%d/%d", p.ShardI, p.ShardOf)
	}
	if sc := p.Targets.Scope; sc != nil {
		s.Scope = &results.Scope{File: sc.File, SHA256: sc.SHA256, Addresses: sc.Addresses}
	}
	return s
}
