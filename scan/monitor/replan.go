package monitor

import (
	"cmp"
	"time"
)

func compareTurns(a, b turn) int {
	return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.index, b.index))
}

// replan shares the budget out among the groups, once a second and when a window opens or closes.
func (p *Planner) replan() {
	if p.now >= p.replanAt {
		const minutes = 120.0 // s
		p.confirms.recent += (float64(p.confirms.sent) - p.confirms.recent) / minutes
		p.confirms.sent = 0
		p.replanAt = p.now + second
	}
	if day := p.now / (86400 * second); day != p.day {
		p.day = day
		for _, z := range p.zones {
			z.floors = p.config.floorsOf(z.windows, day*86400*second)
		}
	}
	p.active = p.active[:0]
	var parts []part
	budget := max(p.config.Budget-p.confirms.recent, p.config.Budget/2)
	explore := p.exploration(budget)
	for _, z := range p.zones {
		if z.open {
			parts = append(parts, part{demands: p.demandsOf(z, explore), ceiling: z.ceiling * headroom})
		}
	}
	fillParts(parts, budget)
	total := 0.0
	for i := range parts {
		total += parts[i].rate()
	}
	p.share(parts, total)
	p.work.rate = total
	if total > 0.999*budget {
		p.work.rate = p.config.Budget
	}
	p.work.most = 1 + p.work.rate*memory
}

// share gives the groups their parts of all.
func (p *Planner) share(parts []part, total float64) {
	k := 0
	for i := range parts {
		for j, d := range parts[i].demands {
			weight := 0.0
			if total > 0 {
				weight = d.n * parts[i].f[j] / total
			}
			p.weigh(p.active[k], weight)
			k++
		}
	}
}

// weigh gives a group another weight: what it still has to wait gets longer or shorter by that. One that had none waits for as long as it will from
// then on.
func (p *Planner) weigh(g *group, weight float64) {
	switch {
	case weight <= 0:
	case g.weight == 0:
		g.next = p.virtual + 1/weight
	case g.next > p.virtual:
		g.next = p.virtual + (g.next-p.virtual)*g.weight/weight
	}
	g.weight = weight
}

// exploration is how often the cycle asks each position at least, so that it gets its share of the budget.
func (p *Planner) exploration(budget float64) float64 {
	n := 0.0
	for _, z := range p.zones {
		if z.open {
			n += z.cycle.n
		}
	}
	if n == 0 {
		return 0
	}
	return min(p.config.Exploration*budget/n, mostOften)
}

// demandsOf are what a zone's groups want, which become active in that order.
func (p *Planner) demandsOf(z *zone, explore float64) (demands []demand) {
	for t := range z.tiers {
		for l := range z.tiers[t] {
			g := &z.tiers[t][l]
			if g.n == 0 {
				g.round, g.left, g.weight = 0, 0, 0
				continue
			}
			if g.n > g.round {
				g.left += g.n - g.round
				g.round = g.n
			}
			demands = append(demands, demand{float64(g.round), lambdaOf(l), z.floors[t], max(mostOften, z.floors[t])})
			p.active = append(p.active, g)
		}
	}
	if z.positions > 0 {
		if z.cycle.cursor == 0 {
			z.cycle.n = 0
		}
		z.cycle.n = max(z.cycle.n, forCycle(z))
		floor := max(z.floors[1], explore)
		demands = append(demands, demand{max(z.cycle.n, 1), p.learn.lambda(0, 0, standsOther), floor, max(mostOften, floor)})
		p.active = append(p.active, &z.all)
	}
	return demands
}

// floorsOf are how often endpoints of tier 1, and all others, are to be asked at least per second of open time, so that none gets older
// than its target.
func (c *Config) floorsOf(w Windows, now int64) (floors [2]float64) {
	ages := [2]int64{int64(c.openAge()), int64(c.MaxAge)}
	for i, age := range ages {
		if age == 0 {
			continue
		}
		least, _ := reachable(w, age, now)
		floors[i] = 1 / (headroom * float64(least) / 1e9)
	}
	return floors
}

// reachable is how much open time there is in any span of an age. Where there is none the age cannot be kept while the
// window lasts; then it is kept while nothing is closed.
func reachable(w Windows, age, now int64) (least int64, ok bool) {
	if len(w.list) == 0 {
		return age, true
	}
	least = int64(w.Least(time.Duration(age), now))
	if least <= 0 {
		return age, false
	}
	return least, true
}
