package sim

import (
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/results"
	"synoptic/scan"
	"synoptic/scan/plan"
)

// drawn is a random scan and its network.
type drawn struct {
	network Config
	config  plan.Config
	targets []string
	ports   []uint16
	stop    time.Duration // the scan is told to stop then; 0: it is not
	never   float64       // share of the positions that the gate lets no probe to
	later   time.Duration // and until when at most it holds others up
	most    bool          // until then, and most of them
	slow    time.Duration // of the sink

	live func(*scan.Scan) // is given the scan before it runs; nil: nobody is
}

// draw makes a random scan from a seed.
func draw(seed uint64) *drawn {
	rng := rand.New(rand.NewPCG(seed, 1))
	d := &drawn{}
	d.drawTargets(rng)
	d.drawScan(rng)
	d.network.Seed = rng.Uint64()
	d.drawNetwork(rng)
	d.drawFaults(rng)
	d.drawPhases(rng)
	if c := &d.config; chanceOf(rng, 0.3) { // begin with the rate drawn
		c.Auto, c.MinRate, c.MaxRate = true, c.Rate*(0.1+0.9*rng.Float64()), c.Rate*logarithmic(rng, 1, 50)
	}
	return d
}

func chanceOf(rng *rand.Rand, p float64) bool { return rng.Float64() < p }

// between draws a duration.
func between(rng *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(rng.Int64N(int64(high-low)+1))
}

// logarithmic draws a number whose logarithm is uniform.
func logarithmic(rng *rand.Rand, low, high float64) float64 {
	return low * math.Pow(high/low, rng.Float64())
}

func (d *drawn) drawTargets(rng *rand.Rand) {
	ports := int(logarithmic(rng, 1, 60))
	for _, i := range rng.Perm(1 << 12)[:ports] {
		d.ports = append(d.ports, uint16(1+i*15))
	}
	addrs := max(int(logarithmic(rng, 1, 600))/ports, 1)
	for i := 0; addrs > 0; i++ {
		bits := 32
		for bits > 24 && 1<<(33-bits) <= addrs && chanceOf(rng, 0.7) {
			bits--
		}
		d.targets = append(d.targets, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i % 3), byte(i * 3), 0}), bits).String())
		addrs -= 1 << (32 - bits)
	}
}

func (d *drawn) drawScan(rng *rand.Rand) {
	c := &d.config
	c.Seed, c.HasSeed = rng.Uint64N(1<<53), true
	c.Backend = plan.BackendAFPacket
	c.Rate = logarithmic(rng, 100, 200e3)
	c.Attempts = 1 + rng.IntN(5)
	if chanceOf(rng, 0.25) {
		c.TargetRecall = [...]float64{0.9, 0.99, 0.999}[rng.IntN(3)]
	}
	c.RetryGap = between(rng, 20*time.Millisecond, 1500*time.Millisecond)
	if chanceOf(rng, 0.3) {
		c.RetryGap = plan.DefaultRetryGap
	}
	c.Wait = between(rng, 100*time.Millisecond, plan.DefaultWait)
	c.Lanes, c.Batch = 1+rng.IntN(3), 1+rng.IntN(plan.MaxBatch)
	c.Show = results.Open | results.State(rng.IntN(4)<<1)
	c.ShowHosts = chanceOf(rng, 0.3)
	if chanceOf(rng, 0.1) {
		c.ShardOf = 1 + rng.IntN(3)
		c.ShardI = 1 + rng.IntN(c.ShardOf)
	}
	if chanceOf(rng, 0.05) {
		d.stop = between(rng, time.Millisecond, 4*time.Second)
	}
	if chanceOf(rng, 0.05) {
		d.slow = between(rng, 0, 30*time.Millisecond)
	}
}

func (d *drawn) drawNetwork(rng *rand.Rand) {
	n := &d.network
	n.Routes = routes(chanceOf(rng, 0.3), chanceOf(rng, 0.2))
	answering := [...]float64{0.01, 0.3, 0.9, 1}[rng.IntN(4)]
	open, closed := rng.Float64(), rng.Float64()
	n.Targets = Targets{
		Dead: [...]float64{0, 0.2, 0.9}[rng.IntN(3)], Unreachable: rng.Float64(),
		Open: answering * open, Closed: answering * (1 - open) * closed, Filtered: answering * (1 - open) * (1 - closed),
		Both: [...]float64{0, 0, 0.2, 1}[rng.IntN(4)], Repeat: [...]float64{0, 0, 0.5}[rng.IntN(3)],
	}
	n.Out.Delay, n.Back.Delay = between(rng, 0, 20*time.Millisecond), between(rng, 0, 20*time.Millisecond)
	for _, l := range []*Leg{&n.Out, &n.Back} {
		if chanceOf(rng, 0.2) {
			continue // a good network
		}
		l.Delay = between(rng, 0, 150*time.Millisecond)
		if chanceOf(rng, 0.3) {
			l.PerPrefix = between(rng, 0, 50*time.Millisecond)
		}
		if chanceOf(rng, 0.4) {
			l.Jitter = between(rng, 0, 50*time.Millisecond)
		}
		if chanceOf(rng, 0.7) {
			l.Loss = 0.3 * rng.Float64()
		}
		if chanceOf(rng, 0.15) {
			l.BurstGood, l.BurstBad = between(rng, 100*time.Millisecond, 5*time.Second), between(rng, time.Millisecond, 500*time.Millisecond)
		}
		if chanceOf(rng, 0.3) {
			l.Reorder, l.ReorderBy = 0.2*rng.Float64(), between(rng, 0, 100*time.Millisecond)
		}
		if chanceOf(rng, 0.3) {
			l.Duplicate = 0.2 * rng.Float64()
		}
		if chanceOf(rng, 0.15) {
			l.Capacity, l.Queue = d.config.Rate*(0.3+rng.Float64()), between(rng, 0, 300*time.Millisecond)
		}
		if chanceOf(rng, 0.05) {
			l.Police, l.PoliceBurst = d.config.Rate*rng.Float64(), 1+50*rng.Float64()
		}
	}
	if chanceOf(rng, 0.15) {
		n.Back.Corrupt = 0.1 * rng.Float64()
	}
	if chanceOf(rng, 0.1) {
		n.Stray = logarithmic(rng, 1, 2000)
	}
	if chanceOf(rng, 0.5) {
		n.Retire = 5 * time.Millisecond
	}
	if chanceOf(rng, 0.1) {
		n.Ring = 1 + rng.IntN(20)
	}
	n.ARP = between(rng, 0, 5*time.Millisecond)
}

func (d *drawn) drawFaults(rng *rand.Rand) {
	span := time.Duration(600/d.config.Rate*float64(time.Second)) + 2*time.Second // some of it before the end
	for _, f := range []struct {
		kind  Kind
		share float64
		most  time.Duration
	}{
		{SendStall, 0.15, 300 * time.Millisecond}, {ReceiveStall, 0.15, time.Second}, {TxFull, 0.1, 400 * time.Millisecond},
		{TxError, 0.15, time.Second}, {CarrierOut, 0.03, time.Second}, {PathOut, 0.05, 2 * time.Second},
		{RSTStorm, 0.05, 2 * time.Second}, {PrefixOut, 0.05, 2 * time.Second}, {HopOut, 0.03, time.Second},
		{NewMAC, 0.03, time.Minute}, {LinkDown, 0.03, time.Minute},
	} {
		for chanceOf(rng, f.share) {
			begin := between(rng, 0, span)
			fault := Fault{Kind: f.kind, Begin: begin, End: begin + between(rng, time.Millisecond, f.most)}
			if f.kind == TxError {
				fault.Share = rng.Float64()
			}
			if chanceOf(rng, 0.5) {
				fault.Prefix = netip.MustParsePrefix(d.targets[rng.IntN(len(d.targets))])
			}
			if chanceOf(rng, 0.3) {
				fault.Link = "eth0"
			}
			d.network.Faults = append(d.network.Faults, fault)
		}
	}
}

// drawPhases adds canaries, or rules of the gate. Both are kept apart from what would make it unclear to which phase
// or reason something belongs.
func (d *drawn) drawPhases(rng *rand.Rand) {
	switch {
	case d.config.ShardOf > 0:
	case chanceOf(rng, 0.1):
		d.config.Canaries, d.network.Stray = true, 0
	case chanceOf(rng, 0.1) && len(d.network.Routes) == 1:
		d.never, d.later = rng.Float64()/4, between(rng, 0, 3*time.Second)
		if chanceOf(rng, 0.2) {
			d.stop = between(rng, 1, d.later+1)
		}
	}
}

// held are the gate's rules of a network: what they say of a position.
func (d *drawn) held(at netip.AddrPort) (never bool, until time.Duration) {
	if d.most {
		return false, mostHeld(at, d.later)
	}
	c := chance{d.network.Seed}
	if c.hit(d.never, ofGate, about(at.Addr()), uint64(at.Port())) {
		return true, 0
	}
	if c.hit(0.5, ofGate, about(at.Addr()), 1) { // all of a host's
		return false, 0
	}
	return false, c.upTo(d.later, ofGate, about(at.Addr()), 2)
}

// routes are those of the scanner's host: a gateway for all, or two links, or the first net on the link itself.
func routes(two, onLink bool) []Route {
	link := func(i int, name string) route.Link {
		return route.Link{Index: i, Name: name, MTU: 1500, HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, byte(i)}, Framing: rawsock.Ethernet}
	}
	all := []Route{{
		Prefix: netip.MustParsePrefix("0.0.0.0/0"), Link: link(2, "eth0"),
		Src: netip.MustParseAddr("192.0.2.2"), Gateway: netip.MustParseAddr("192.0.2.1"),
	}}
	if two {
		all = append(all, Route{
			Prefix: netip.MustParsePrefix("10.1.0.0/16"), Link: route.Link{Index: 3, Name: "tun0", MTU: 1400, Framing: rawsock.None},
			Src: netip.MustParseAddr("198.51.100.2"),
		})
	}
	if onLink {
		all = append(all, Route{Prefix: netip.MustParsePrefix("10.2.0.0/16"), Link: link(2, "eth0"), Src: netip.MustParseAddr("192.0.2.2")})
	}
	return all
}

// scanOfAll is a scan that shows all it sees.
func scanOfAll() plan.Config {
	return plan.Config{
		HasSeed: true, Backend: plan.BackendAFPacket, Rate: 2000, Attempts: 3, RetryGap: 500 * time.Millisecond, Wait: time.Second, Lanes: 1,
		Show: results.Open | results.Closed | results.Filtered, ShowHosts: true,
	}
}
