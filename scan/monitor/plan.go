package monitor

import (
	"cmp"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"strings"
	"time"

	"synoptic/scan/target"
)

// Size is how many endpoints a network has; the invalid prefix is what is in none.
type Size struct {
	Network   netip.Prefix
	Positions uint64 // all
	Open      uint64 // of these, known to be open or required
	Predicted uint64
}

// SizesOf are the networks of a configuration in a space, the longest prefix first and the rest last, with nothing known to be open.
func SizesOf(c *Config, space *target.Space) ([]Size, error) {
	counts, err := networkSizes(c, space)
	if err != nil {
		return nil, err
	}
	sizes := make([]Size, len(counts))
	for i, n := range byLength(c.Networks) {
		sizes[i].Network = n.Prefix
	}
	for i, n := range counts {
		sizes[i].Positions = n
	}
	return sizes, nil
}

// Summary is what can be said before the start.
type Summary struct {
	Budget   float64
	Needed   float64 // probes per second that the targets take, at the worst time of the week
	Short    float64 // by how much the budget does not suffice; 0: it does
	Networks []NetworkSummary
	// Closed are targets that cannot be kept while a window lasts, as it is longer.
	Closed []ClosedTarget
	// Empty are networks without a target.
	Empty []netip.Prefix
	// Every is how often an endpoint of each tier is asked while its windows are open, by network; 0: there is none.
	Every [numTiers]Interval
	// Detect is the mean time until a change is seen, if changes are as expected and the windows are open.
	Detect time.Duration
}

// Interval is from the shortest to the longest.
type Interval struct{ Short, Long time.Duration }

// NetworkSummary is of a network with a ceiling.
type NetworkSummary struct {
	Network       netip.Prefix
	Ceiling       float64
	Needed, Short float64
}

// ClosedTarget is an age that a window makes impossible.
type ClosedTarget struct {
	Network netip.Prefix
	Key     string // max_age or open_max_age
	Age     time.Duration
}

// Plan says whether the budget suffices for the targets, and by how much it does not. The endpoints and targets are counted exactly; of
// each target 2 % are kept for what is not foreseen, and of a ceiling 3.5 % so that it holds in every second.
func Plan(c *Config, sizes []Size, now int64) Summary {
	s := Summary{Budget: c.Budget}
	total := new(big.Rat)
	var parts []part
	var kinds []Tier // of all demands
	for _, size := range sizes {
		n := c.network(size.Network)
		w := c.Windows.with(n.Windows)
		if size.Network.IsValid() && size.Positions == 0 {
			s.Empty = append(s.Empty, size.Network)
			continue
		}
		s.closed(c, w, size.Network, now)
		need := c.needs(size, w, now)
		total.Add(total, need)
		p := part{ceiling: math.Inf(1)}
		if n.MaxRate > 0 {
			p.ceiling = n.MaxRate * ceilingPart * headroom
			s.Networks = append(s.Networks, NetworkSummary{size.Network, n.MaxRate, float(need), short(need, p.ceiling)})
		}
		floors := c.floorsOf(w, now)
		other := size.Positions - min(size.Positions, size.Open+size.Predicted)
		for k, d := range []demand{
			{float64(size.Open), c.Expect.Open, floors[0], 0}, {float64(size.Predicted), c.Expect.Predicted, floors[1], 0},
			{float64(other), c.Expect.Other, floors[1], 0},
		} {
			if d.n > 0 {
				d.most = max(mostOften, d.floor)
				p.demands, kinds = append(p.demands, d), append(kinds, TierOpen+Tier(k))
			}
		}
		parts = append(parts, p)
	}
	s.Needed, s.Short = float(total), short(total, c.Budget)
	c.explore(parts, kinds)
	fillParts(parts, c.Budget)
	s.expect(parts, kinds)
	return s
}

// explore raises the floor of the cycle to its share.
func (c *Config) explore(parts []part, kinds []Tier) {
	n, k := 0.0, 0
	each := func(do func(d *demand)) {
		k = 0
		for i := range parts {
			for j := range parts[i].demands {
				if kinds[k] == TierCycle {
					do(&parts[i].demands[j])
				}
				k++
			}
		}
	}
	each(func(d *demand) { n += d.n })
	each(func(d *demand) {
		d.floor = max(d.floor, min(c.Exploration*c.Budget/n, mostOften))
		d.most = max(d.most, d.floor)
	})
}

// expect says what comes of it.
func (s *Summary) expect(parts []part, kinds []Tier) {
	k, changes, late := 0, 0.0, 0.0
	for _, p := range parts {
		for j, d := range p.demands {
			if f := p.f[j]; f > 0 {
				every, t := &s.Every[kinds[k]], seconds(1/f)
				if every.Long == 0 || t < every.Short {
					every.Short = t
				}
				every.Long = max(every.Long, t)
				late += d.n * d.lambda / (2 * f)
			}
			changes += d.n * d.lambda
			k++
		}
	}
	if changes > 0 {
		s.Detect = seconds(late / changes)
	}
}

func seconds(v float64) time.Duration {
	return time.Duration(min(v*1e9, math.MaxInt64/2)).Round(time.Second)
}

// network is the entry of a prefix.
func (c *Config) network(prefix netip.Prefix) Network {
	for _, n := range c.Networks {
		if n.Prefix == prefix {
			return n
		}
	}
	return Network{}
}

// closed notes the targets that windows make impossible.
func (s *Summary) closed(c *Config, w Windows, network netip.Prefix, now int64) {
	for _, t := range []ClosedTarget{{network, "open_max_age", c.OpenMaxAge}, {network, "max_age", c.MaxAge}} {
		if _, ok := reachable(w, int64(t.Age), now); t.Age > 0 && !ok {
			s.Closed = append(s.Closed, t)
		}
	}
}

// needs is Σ n/(0.98·T) over what a network has, with T the time of an age in which windows are open; exact.
func (c *Config) needs(size Size, w Windows, now int64) *big.Rat {
	sum := new(big.Rat)
	add := func(n uint64, age time.Duration) {
		if n == 0 || age == 0 {
			return
		}
		open, _ := reachable(w, int64(age), now)
		// n / (0.98·open/10⁹)
		r := new(big.Rat).SetFrac(new(big.Int).Mul(new(big.Int).SetUint64(n), big.NewInt(100*second)), new(big.Int).Mul(big.NewInt(98), big.NewInt(open)))
		sum.Add(sum, r)
	}
	add(size.Open, c.openAge())
	add(size.Positions-min(size.Positions, size.Open), c.MaxAge)
	return sum
}

func float(r *big.Rat) float64 { f, _ := r.Float64(); return f }

// short is by how much a rate does not suffice; exactly 0 where it does.
func short(need *big.Rat, rate float64) float64 {
	have := new(big.Rat)
	if have.SetFloat64(rate) == nil || need.Cmp(have) <= 0 { // infinite
		return 0
	}
	return float(have.Sub(need, have))
}

// Enough tells that all targets can be kept.
func (s *Summary) Enough() bool {
	for _, n := range s.Networks {
		if n.Short > 0 {
			return false
		}
	}
	return s.Short == 0 && len(s.Closed) == 0
}

// String is the summary for people, a line for each thing that is to be said.
func (s *Summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "budget     %s pps, of which the targets take %s", pps(s.Budget), pps(math.Ceil(s.Needed)))
	if s.Short > 0 {
		fmt.Fprintf(&b, ": %s pps too few", pps(math.Ceil(s.Short)))
	}
	b.WriteByte('\n')
	for _, n := range s.Networks {
		fmt.Fprintf(&b, "network    %v: %s pps at most, of which the targets take %s", n.Network, pps(n.Ceiling), pps(math.Ceil(n.Needed)))
		if n.Short > 0 {
			fmt.Fprintf(&b, ": %s pps too few", pps(math.Ceil(n.Short)))
		}
		b.WriteByte('\n')
	}
	for _, t := range s.Closed {
		where := "everywhere"
		if t.Network.IsValid() {
			where = t.Network.String()
		}
		fmt.Fprintf(&b, "window     %s of %v cannot be kept while a window lasts (%s)\n", t.Key, t.Age, where)
	}
	for _, n := range s.Empty {
		fmt.Fprintf(&b, "network    %v has none of the targets\n", n)
	}
	for t := TierOpen; t < numTiers; t++ {
		switch every := s.Every[t]; every.Long {
		case 0:
		case every.Short:
			fmt.Fprintf(&b, "%-10s every %v\n", t, every.Long)
		default:
			fmt.Fprintf(&b, "%-10s every %v to %v, by network\n", t, every.Short, every.Long)
		}
	}
	fmt.Fprintf(&b, "detection  %v on average, where changes are as expected\n", s.Detect)
	return b.String()
}

func pps(v float64) string { return cmp.Or(strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0"), "0") }
