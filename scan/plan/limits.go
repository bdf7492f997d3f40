package plan

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"time"

	"go4.org/netipx"

	"synoptic/ratelimit"
	"synoptic/scan/target"
)

// Limit is a limit of the scan that can bind.
type Limit struct {
	ratelimit.PrefixRate
	Salt uint64 // of its table: says which prefixes share a slot

	busiest float64 // share of the plan's positions that are in the busiest slot
	groups  float64 // how many prefixes have targets,
	shared  float64 // and how many of these share a slot with one before
}

// OneSYN is how long a connect(2) may last that is to send one SYN, as a beacon is, and as probes are where limits hold, which count
// what they let go: the kernel repeats a SYN by itself after a second (RFC 6298 section 2.1), less rtt.SecondLook and what a busy host takes.
const OneSYN = 900 * time.Millisecond

// Limits are all that were asked for, those of hosts first.
func (c *Config) Limits() (all []ratelimit.PrefixRate) {
	if c.RatePerHost != 0 {
		all = append(all, ratelimit.PrefixRate{Bits: 32, Rate: c.RatePerHost}, ratelimit.PrefixRate{V6: true, Bits: 128, Rate: c.RatePerHost})
	}
	return append(all, c.RatePerPrefix...)
}

// checkLimits refuses those that cannot be meant.
func (c *Config) checkLimits() error {
	named := map[ratelimit.PrefixRate]string{}
	for i, l := range c.Limits() {
		field := "RatePerPrefix"
		if i < len(c.Limits())-len(c.RatePerPrefix) {
			field = "RatePerHost"
		}
		switch {
		case l.Bits < 1 || l.Bits > l.MaxBits():
			return refuse(field, fmt.Sprintf("give a length from 1 to %d", l.MaxBits()), "%s: a prefix of %d bits", field, l.Bits)
		case !(l.Rate >= ratelimit.MinPrefixRate) || math.IsInf(l.Rate, 1): // nor NaN
			return refuse(field, fmt.Sprintf("give %v packets per second or more", ratelimit.MinPrefixRate), "%s: %v packets per second are not a limit that can be kept", field, l.Rate)
		}
		kind := ratelimit.PrefixRate{V6: l.V6, Bits: l.Bits}
		switch before := named[kind]; before {
		case "":
			named[kind] = field
		case field:
			return refuse(field, "give each length once", "%s: two limits for each /%d", field, l.Bits)
		default:
			return refuse(field, "give one of them", "%s and %s both limit each /%d", before, field, l.Bits)
		}
	}
	return nil
}

// bindsBelow times the rate is the least that a limit has to be never to bind: in one second the pace may let go a tenth more than
// its rate.
const bindsBelow = 1.2

// binding are the limits that targets may come up against at a rate.
func (c *Config) binding(rate float64, targets *target.Set) (all []ratelimit.PrefixRate) {
	v4, v6 := targets.Len() > 0 && targets.At(0).Is4(), hasIPv6(targets)
	for _, l := range c.Limits() {
		if l.Rate < bindsBelow*rate && (l.V6 && v6 || !l.V6 && v4) {
			all = append(all, l)
		}
	}
	return all
}

// limit decides on the tables of limits, for a plan with its parts.
func (p *Plan) limit(c *Config) {
	whole := p.Space
	if p.whole != nil {
		whole = p.whole
	}
	for _, rate := range c.binding(p.Pace.Max, whole.Addrs()) {
		salt := bestSalt(whole, rate)
		for _, part := range p.Parts() {
			part.Limits = append(part.Limits, newLimit(part.Space, rate, salt))
		}
	}
}

const (
	// countedGroups prefixes at most are counted one by one: beyond, slots are so full that they are nearly even.
	countedGroups = 1 << 20
	// salts are tried where few enough prefixes have targets for that to matter.
	salts, saltedGroups = 16, 1 << 12
)

// bestSalt is a random salt, of some the one by which the busiest slot has the least to do, and the fewest prefixes share one.
func bestSalt(space *target.Space, rate ratelimit.PrefixRate) uint64 {
	best := newLimit(space, rate, rand.Uint64())
	for i := 1; i < salts && best.shared > 0 && best.groups <= saltedGroups; i++ {
		l := newLimit(space, rate, rand.Uint64())
		if l.busiest < best.busiest || l.busiest == best.busiest && l.shared < best.shared {
			best = l
		}
	}
	return best.Salt
}

// newLimit is a limit with what it means for a space.
func newLimit(space *target.Space, rate ratelimit.PrefixRate, salt uint64) Limit {
	l := Limit{PrefixRate: rate, Salt: salt}
	var total float64
	for r := range weighedOf(space, rate.V6) {
		l.groups += groupsIn(r.IPRange, rate.Bits)
		total += r.ports * (distance(r.From(), r.To()) + 1)
	}
	if l.groups == 0 {
		return l
	}
	if l.groups > countedGroups {
		// As many groups to a slot as chance has it, and 4.5 standard deviations more for the busiest of 65,536.
		each := l.groups / ratelimit.KeyedSlots
		l.busiest = (each + 4.5*math.Sqrt(each)) / l.groups * total / float64(space.Len())
		return l
	}
	slots := make([]float32, ratelimit.KeyedSlots)
	var busiest float32
	var last netip.Prefix
	for r := range weighedOf(space, rate.V6) {
		for from := r.From(); from.IsValid() && from.Compare(r.To()) <= 0; {
			prefix, _ := from.Prefix(rate.Bits) // in range: it was checked
			to := netipx.PrefixLastIP(prefix)
			if r.To().Less(to) {
				to = r.To()
			}
			hi, lo := rate.Key(ratelimit.Number(from))
			slot := ratelimit.KeyedSlot(salt, hi, lo)
			if slots[slot] > 0 && prefix != last {
				l.shared++
			}
			last = prefix
			slots[slot] += float32(r.ports * (distance(from, to) + 1))
			busiest = max(busiest, slots[slot])
			from = to.Next()
		}
	}
	l.busiest = float64(busiest) / float64(space.Len())
	return l
}

// weighed are addresses of which each has so many ports.
type weighed struct {
	netipx.IPRange
	ports float64
}

// weighedOf are those of a family.
func weighedOf(space *target.Space, v6 bool) func(yield func(weighed) bool) {
	return func(yield func(weighed) bool) {
		each := func(set *target.Set, ports int) bool {
			for r := range set.Ranges() {
				if r.From().Is6() == v6 && !yield(weighed{r, float64(ports)}) {
					return false
				}
			}
			return true
		}
		if addrs, ports := space.Product(); ports != nil && !each(addrs, ports.Len()) {
			return
		}
		for _, addrs := range space.Pairs() {
			if !each(addrs, 1) {
				return
			}
		}
	}
}

// groupsIn is in how many prefixes of a length a range lies.
func groupsIn(r netipx.IPRange, bits int) float64 {
	first, _ := r.From().Prefix(bits)
	last, _ := r.To().Prefix(bits)
	return distance(first.Addr(), last.Addr())/math.Exp2(float64(first.Addr().BitLen()-bits)) + 1
}

// distance is by how much b is behind a.
func distance(a, b netip.Addr) float64 {
	x, y := a.As16(), b.As16()
	hi := binary.BigEndian.Uint64(y[:8]) - binary.BigEndian.Uint64(x[:8])
	from, to := binary.BigEndian.Uint64(x[8:]), binary.BigEndian.Uint64(y[8:])
	if hi == 0 {
		return float64(to - from)
	}
	return float64(hi)*math.Exp2(64) + float64(to) - float64(from)
}

// limited is how long limits make so many positions take.
func (p *Plan) limited(positions float64) (longest seconds) {
	for i := range p.Limits {
		l := &p.Limits[i]
		longest = max(longest, seconds(min((positions*l.busiest-1)*ratelimit.KeyedInterval(l.Rate).Seconds(), maxDuration.Seconds())))
	}
	return longest
}

// LimitedRate is the most that limits let go, in packets per second; infinite where they do not bound all targets.
func (p *Plan) LimitedRate() float64 {
	addrs := p.Space.Addrs()
	v4, v6 := math.Inf(1), math.Inf(1)
	if !addrs.At(0).Is4() {
		v4 = 0
	}
	if !hasIPv6(addrs) {
		v6 = 0
	}
	for i := range p.Limits {
		l := &p.Limits[i]
		most := min(l.groups, ratelimit.KeyedSlots) * l.Rate
		if l.V6 {
			v6 = min(v6, most)
		} else {
			v4 = min(v4, most)
		}
	}
	return v4 + v6
}
