package monitor

import (
	"math"
	"math/bits"
	"time"

	"synoptic/results"
)

// meter counts what was handed out since it was read last.
type meter struct {
	since int64
	sent  uint64 // Counts.Sent then
}

// ages is a histogram of ages in seconds, in buckets of a 32nd of their size: percentiles are at most 3 % too high.
type ages struct {
	counts  [ageBuckets]uint64
	n       uint64
	max     int64
	overdue uint64
}

const (
	ageBits    = 5
	ageBuckets = 64 << ageBits
)

func ageBucket(seconds int64) int {
	v := uint64(max(seconds, 0))
	if v < 1<<ageBits {
		return int(v)
	}
	shift := bits.Len64(v) - ageBits - 1
	return (shift+1)<<ageBits | int(v>>shift&(1<<ageBits-1))
}

// bucketEnd is the highest age of a bucket.
func bucketEnd(k int) int64 {
	if k < 2<<ageBits {
		return int64(k)
	}
	shift := k>>ageBits - 1
	return int64((1<<ageBits|k&(1<<ageBits-1))+1)<<shift - 1
}

// add counts n endpoints of an age.
func (a *ages) add(age int64, n uint64, target time.Duration) {
	seconds := max(age, 0) / second
	a.counts[ageBucket(seconds)] += n
	a.n += n
	a.max = max(a.max, seconds)
	if target > 0 && age > int64(target) {
		a.overdue += n
	}
}

func (a *ages) merge(b *ages) {
	for k, n := range b.counts {
		a.counts[k] += n
	}
	a.n, a.max, a.overdue = a.n+b.n, max(a.max, b.max), a.overdue+b.overdue
}

// percentile is an age that the share of the endpoints does not exceed.
func (a *ages) percentile(share float64) int64 {
	want, sum := uint64(math.Ceil(share*float64(a.n))), uint64(0)
	for k, n := range a.counts {
		if sum += n; sum >= want {
			return min(bucketEnd(k), a.max)
		}
	}
	return a.max
}

func (a *ages) record() results.Ages {
	if a.n == 0 {
		return results.Ages{}
	}
	return results.Ages{P50: a.percentile(0.5), P99: a.percentile(0.99), Max: a.max}
}

// Supervise gives the figures of the moment, for a record; used is the rate since it was called last.
func (p *Planner) Supervise(now int64) results.Supervision {
	s := p.Figures(now)
	p.meter = meter{p.now, p.counts.Sent}
	return s
}

// Figures are those of the moment; used is the rate since Supervise was called last. It looks at every endpoint of tiers 1 and 2: some 10 ms for
// a million. The record lacks Vantage, which the caller knows.
func (p *Planner) Figures(now int64) results.Supervision {
	p.advance(now)
	var by [numTiers]ages
	for id := uint32(1); id <= p.table.last; id++ {
		e := p.table.at(id)
		if e.meta == 0 || e.meta&flagDead != 0 {
			continue
		}
		tier, target := TierPredicted, p.config.MaxAge
		if e.first() {
			tier, target = TierOpen, p.config.openAge()
		}
		by[tier].add(p.now-p.table.time(e.asked), 1, target)
	}
	for _, z := range p.zones {
		p.cycleAges(z, &by[TierCycle])
	}
	s := results.Supervision{
		Time: results.Time(time.Unix(0, p.now)), Endpoints: p.n, BudgetPPS: p.config.Budget,
		Unconfirmed: uint64(len(p.doubts)), Unknown: p.counts.Unknown, Changes: p.counts.Changes,
	}
	var all ages
	for t := TierOpen; t < numTiers; t++ {
		all.merge(&by[t])
		s.Tiers = append(s.Tiers, results.SupervisedTier{Tier: t.String(), Endpoints: by[t].n, Ages: by[t].record(), Overdue: by[t].overdue})
	}
	s.Ages, s.Overdue = all.record(), all.overdue
	s.Cycle, s.CycleDone = p.cycleDone()
	if dt := p.now - p.meter.since; dt > 0 {
		s.UsedPPS = float64(p.counts.Sent-p.meter.sent) / (float64(dt) / 1e9)
	}
	return s
}

// cycleAges adds the ages of what only the cycle asks, and of what counts as not asked those from before.
func (p *Planner) cycleAges(z *zone, a *ages) {
	n := uint64(untracked(z))
	missed := min(z.cycle.missed(p.n), n)
	parts := partOf(p.n-1, p.n) + 1
	each, more := (n-missed)/uint64(parts), (n-missed)%uint64(parts)
	oldest := p.now
	for k := range z.cycle.marks[:parts] {
		count := each
		if uint64(k) < more {
			count++
		}
		if count > 0 {
			a.add(p.now-z.cycle.marks[k], count, p.config.MaxAge)
		}
		oldest = min(oldest, z.cycle.before[k])
	}
	if missed > 0 {
		if z.cycle.oldest != 0 {
			oldest = min(oldest, z.cycle.oldest)
		}
		a.add(p.now-oldest, missed, p.config.MaxAge)
	}
}

// cycleDone is how many cycles are whole, and how far the present one has come: of the zone that is furthest behind.
func (p *Planner) cycleDone() (number uint64, share float64) {
	first := true
	for _, z := range p.zones {
		done := float64(z.cycle.cursor) / float64(p.n)
		if z.positions > 0 && (first || z.cycle.number < number || z.cycle.number == number && done < share) {
			number, share, first = z.cycle.number, done, false
		}
	}
	return number, share
}

// Sizes is how many endpoints each network has by now, for Plan.
func (p *Planner) Sizes() []Size {
	sizes := make([]Size, len(p.zones))
	for i, z := range p.zones {
		sizes[i] = Size{Network: z.prefix, Positions: z.positions}
		for l := range levels {
			sizes[i].Open += uint64(z.tiers[0][l].n)
			sizes[i].Predicted += uint64(z.tiers[1][l].n)
		}
	}
	return sizes
}
