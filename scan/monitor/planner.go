package monitor

import (
	"fmt"
	"math"
	"net/netip"
	"slices"

	"synoptic/scan/permute"
	"synoptic/scan/target"
)

// Tier is what an endpoint is asked for.
type Tier uint8

// The tiers.
const (
	TierConfirm   Tier = iota // what may have changed, or was asked for
	TierOpen                  // known to be open, or has to be
	TierPredicted             // may well be open
	TierCycle                 // all
	numTiers
)

var tierNames = [numTiers]string{"confirm", "open", "predicted", "cycle"}

// String is the tier in one word, as records have it.
func (t Tier) String() string { return tierNames[t] }

// Standing is what is known of an endpoint that Track is told of.
type Standing uint8

// The standings.
const (
	KnownOpen Standing = iota // it was open when it was asked last
	Required                  // a policy wants it open, whatever it is
	Likely                    // it may well open
)

// Planner decides what is probed next. It takes 22 to 28 bytes for each endpoint of tiers 1 and 2, 38 MB at most for what it has learnt,
// 30 KB for each network with limits of its own, and some 100 bytes for each probe in flight and each endpoint in the confirm queue.
type Planner struct {
	config Config
	space  *target.Space
	order  *permute.Permutation
	seed   uint64
	n      uint64 // positions

	zones []*zone // the longest prefix first; the last has what is in no network
	table table
	learn *learner

	flights map[uint64]flight // by index: handed out, and not answered
	doubts  map[uint64]doubt  // by index: the confirm queue
	dark    map[uint64]*darkness
	openIn  map[uint64]uint32 // open endpoints by network

	now, started int64
	bucket       bucket
	work         bucket // of tiers 1 to 3, where they cannot use the whole budget
	virtual      float64
	confirms     confirmShare
	active       []*group
	replanAt     int64
	minute       int64 // for which the windows were looked at
	day          int64 // for which the floors were made

	turn      uint64 // of the prediction, modulo 4
	predicted int    // endpoints of tier 2
	counts    Counts
	meter     meter
}

// flight is a probe that was handed out.
type flight struct {
	at       int64
	before   int64  // of the cycle: when the position was asked before
	position uint64 // of the cycle
	prev     uint64 // of the cycle: the position handed out before it in its zone
	cycle    uint64 // its number
	tier     Tier
	tries    uint8 // how often it has counted as not asked
}

// Counts is what has happened since the planner was made.
type Counts struct {
	Sent     uint64 // endpoints handed out
	Answered uint64 // results that count
	Unknown  uint64 // results, or the want of one, that count as not asked
	Stray    uint64 // results of endpoints that were not handed out
	Changes  uint64 // confirmed
	Dropped  uint64 // differences that the confirm queue had no room for
}

// zone is a network with limits of its own, or what is in none.
type zone struct {
	prefix    netip.Prefix // invalid: what is in none
	windows   Windows
	positions uint64
	tracked   uint64 // endpoints of tiers 1 and 2
	fresh     uint64 // of these, those that their tier has not asked yet
	ceiling   float64
	bucket    bucket
	open      bool
	tiers     [2][levels]group // of tiers 1 and 2
	cycle     cycle
	all       group // the cycle's
	due       turns // the confirm queue
	floors    [2]float64
}

// group is a queue of endpoints that are asked equally often: those of a level, or the cycle.
type group struct {
	fifo
	zone  *zone
	tier  Tier
	level int

	// Endpoints are asked in rounds, each as long as 1/f. A round's rate is that of the endpoints that it began with, or of more if more
	// have come; so those that leave for another level do not slow down those behind them.
	round, left int
	weight      float64 // its share of the probes of tiers 1 to 3; 0: it has none
	next        float64 // by when the next one is to be asked, in Planner.virtual time
	call        uint64  // of Next, in which it had nothing to give
}

// bucket is a token bucket.
type bucket struct {
	rate, most, tokens float64
}

// memory is for how long unused tokens are kept: Next is called that often, or the rest is forfeited. It is what makes any second carry
// 1 % more than the rate at most.
const memory = 0.01 // s

func newBucket(rate float64) bucket { return bucket{rate: rate, most: 1 + rate*memory, tokens: 1} }

func (b *bucket) fill(seconds float64) { b.tokens = min(b.tokens+b.rate*seconds, b.most) }

// ceilingPart of a ceiling is what a network gets, so that no second has more than the ceiling, rounded up, and one probe.
const ceilingPart = 0.985

// confirmShare lets the confirm queue have half of the probes, so that a flood of differences does not stop the rest.
type confirmShare struct {
	credit float64
	recent float64 // confirmations per second, over some minutes
	sent   uint64  // since the last second
}

// New makes a Planner for a space, all of whose positions the cycle goes over in the order that the seed selects. It takes now as
// the time when all of them were asked last. The error is an *Error.
func New(c Config, space *target.Space, seed uint64, now int64) (*Planner, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	order, err := permute.New(space.Len(), seed)
	if err != nil {
		return nil, err
	}
	p := &Planner{
		config: c, space: space, order: order, seed: seed, n: space.Len(), learn: newLearner(c.Expect, c.Weight),
		flights: map[uint64]flight{}, doubts: map[uint64]doubt{}, dark: map[uint64]*darkness{}, openIn: map[uint64]uint32{},
		now: now, started: now, bucket: newBucket(c.Budget), work: newBucket(c.Budget), minute: math.MinInt64, day: math.MinInt64,
	}
	p.table.epoch = now - 400*86400e9
	p.meter.since = now
	sizes, err := networkSizes(&c, space)
	if err != nil {
		return nil, err
	}
	for i, n := range byLength(c.Networks) {
		p.addZone(n, sizes[i])
	}
	p.addZone(Network{}, sizes[len(sizes)-1])
	return p, nil
}

func (p *Planner) addZone(n Network, positions uint64) {
	z := &zone{prefix: n.Prefix, windows: p.config.Windows.with(n.Windows), positions: positions, ceiling: math.Inf(1), bucket: bucket{rate: math.Inf(1), most: math.Inf(1), tokens: math.Inf(1)}}
	if n.MaxRate > 0 {
		z.ceiling = n.MaxRate * ceilingPart
		z.bucket = newBucket(z.ceiling)
	}
	for t := range z.tiers {
		for l := range z.tiers[t] {
			z.tiers[t][l] = group{zone: z, tier: TierOpen + Tier(t), level: l}
		}
	}
	z.all = group{zone: z, tier: TierCycle}
	z.cycle.restart(p.now)
	z.cycle.n = float64(positions)
	for k := range z.cycle.marks {
		z.cycle.marks[k], z.cycle.before[k] = p.now, p.now
	}
	p.zones = append(p.zones, z)
}

// byLength sorts networks, the longest prefix first.
func byLength(networks []Network) []Network {
	all := slices.Clone(networks)
	slices.SortStableFunc(all, func(a, b Network) int { return b.Prefix.Bits() - a.Prefix.Bits() })
	return all
}

// networkSizes counts the positions of each network, in the order of byLength, and of what is in none.
func networkSizes(c *Config, space *target.Space) ([]uint64, error) {
	count := func(rest []netip.Prefix) (uint64, error) {
		less := func(set *target.Set) (uint64, error) {
			var b target.SetBuilder
			b.AddSet(set)
			for _, p := range rest {
				b.RemovePrefix(p)
			}
			s, err := b.Set()
			if err != nil {
				return 0, err
			}
			return s.Len(), nil
		}
		addrs, ports := space.Product()
		var n uint64
		if ports != nil {
			k, err := less(addrs)
			if err != nil {
				return 0, err
			}
			n = k * uint64(ports.Len())
		}
		for _, set := range space.Pairs() {
			k, err := less(set)
			if err != nil {
				return 0, err
			}
			n += k
		}
		return n, nil
	}
	left := space.Len()
	var sizes []uint64
	var prefixes []netip.Prefix
	for _, n := range byLength(c.Networks) {
		prefixes = append(prefixes, n.Prefix)
		rest, err := count(prefixes)
		if err != nil {
			return nil, fmt.Errorf("count the positions of %v: %w", n.Prefix, err)
		}
		sizes = append(sizes, left-rest)
		left = rest
	}
	return append(sizes, left), nil
}

// zoneOf is the zone of an index.
func (p *Planner) zoneOf(index uint64) *zone {
	if len(p.zones) == 1 {
		return p.zones[0]
	}
	addr, _ := p.space.At(index)
	return p.zoneOfAddr(addr)
}

func (p *Planner) zoneOfAddr(addr netip.Addr) *zone {
	for _, z := range p.zones[:len(p.zones)-1] {
		if z.prefix.Contains(addr) {
			return z
		}
	}
	return p.zones[len(p.zones)-1]
}

// untracked is how many positions of a zone only the cycle asks.
func untracked(z *zone) float64 { return float64(z.positions - min(z.tracked, z.positions)) }

// forCycle is how many positions a cycle may have to ask.
func forCycle(z *zone) float64 { return untracked(z) + float64(z.fresh) }

// busy tells that an endpoint is in flight, or in the confirm queue.
func (p *Planner) busy(index uint64) bool {
	if _, flying := p.flights[index]; flying {
		return true
	}
	_, doubted := p.doubts[index]
	return doubted
}

// Counts is what has happened since the planner was made.
func (p *Planner) Counts() Counts { return p.counts }
