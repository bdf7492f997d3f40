package estimate

import "math"

// lossNodes is with how many nodes the integral over p is made.
const lossNodes = 48

// posterior is the joint distribution of p and d given the counts, as weighted points.
type posterior struct {
	m    *model
	best float64 // the most likely p
	step float64 // between the nodes, in √p
	loss [lossNodes]lossNode
}

// lossNode is a p with the distribution of d there.
type lossNode struct {
	p      float64
	weight float64                  // with the prior of the upper end
	lower  float64                  // with that of the lower one, and but for that of d
	rest   [MaxAttempts + 1]float64 // by class: pᵏ
	dead   [deadNodes + 1]node
}

// posterior integrates. In v = √p the density is smooth where nothing was lost, too.
func (m *model) posterior() *posterior {
	post := &posterior{m: m}
	s := slice{m: m}
	density := func(v float64) float64 { return s.at(v * v) } // nearly: at the most likely d
	best, from, to := highest(density)
	lo, hi := ends(density, best)
	lo, hi = math.Min(lo, from), math.Max(hi, to)
	post.best = best
	post.best *= post.best
	if m.lost == 0 {
		post.best = 0
	}
	post.step = (hi - lo) / lossNodes
	var logs [lossNodes]float64
	top := math.Inf(-1)
	for i := range post.loss {
		n := &post.loss[i]
		v := lo + (float64(i)+0.5)*post.step
		n.p = v * v
		s.at(n.p)
		n.rest = s.rest
		logs[i] = m.logLoss(n.p) + s.integral(&n.dead) + math.Log(v) // dp = 2v·dv
		top = math.Max(top, logs[i])
	}
	var sum, sumLower float64
	for i := range post.loss {
		n := &post.loss[i]
		n.weight = math.Exp(logs[i] - top)
		n.lower = n.weight / (n.p * (1 + n.p))
		sum += n.weight
		for _, d := range n.dead {
			sumLower += n.lower * d.lower
		}
	}
	for i := range post.loss {
		post.loss[i].weight /= sum
		post.loss[i].lower /= sumLower
	}
	return post
}

// logLoss is what the likelihood has of p alone.
func (m *model) logLoss(p float64) float64 {
	sum := m.n * math.Log1p(-p)
	if m.lost > 0 {
		sum += m.lost * math.Log(p)
	}
	return sum
}

// highest is the v in (0, 1) at which a density in √p is highest: on a grid over all orders of magnitude first, then
// by golden section. Where the density has two hills, the second being that of a loss near 1 where little has
// answered, from and to are beyond all that matters of the grid.
func highest(density func(v float64) float64) (best, from, to float64) {
	var grid [80]float64
	at := func(i int) float64 {
		if i < 56 {
			return math.Exp2(float64(i-56)/2 - 0.5) // p from 2^-57 to 2^-2 by factors of two
		}
		return math.Sqrt(1 - math.Exp2(-0.65-float64(i-56)))
	}
	peak := 0
	for i := range grid {
		if grid[i] = density(at(i)); grid[i] > grid[peak] {
			peak = i
		}
	}
	from, to = 1, 0
	for i, d := range grid {
		if i != peak && d > grid[peak]-drop {
			from, to = math.Min(from, at(i)), math.Max(to, at(i))
		}
	}
	lo, hi := at(max(peak-1, 0)), at(min(peak+1, len(grid)-1))
	const golden = 0.6180339887498949
	a, b := hi-golden*(hi-lo), lo+golden*(hi-lo)
	fa, fb := density(a), density(b)
	for hi-lo > 1e-9*hi {
		if fa > fb {
			hi, b, fb = b, a, fa
			a = hi - golden*(hi-lo)
			fa = density(a)
		} else {
			lo, a, fa = a, b, fb
			b = lo + golden*(hi-lo)
			fb = density(b)
		}
	}
	return (lo + hi) / 2, from, to
}

// ends are where a density has fallen by drop from its maximum.
func ends(density func(v float64) float64, best float64) (lo, hi float64) {
	top := density(best)
	end := func(limit float64) float64 { // the distance
		size := math.Min(0.1*best, 0.1*(1-best))
		far := math.Abs(limit - best)
		for range 80 {
			switch f := top - density(best+math.Copysign(size, limit-best)); {
			case f > drop+slack || math.IsNaN(f):
				size *= 0.7
			case f < drop && size < far:
				size = min(1.5*size, far)
			default:
				return size
			}
		}
		return size
	}
	return best - end(0), best + end(1)
}

// lossInterval has so much beyond each end. Each end with the prior that errs to its side, as the interval of Clopper and Pearson for a
// binomial share is made of two beta distributions. With much silence and two attempts it is theirs.
func (post *posterior) lossInterval(beyond float64) Interval {
	i := Interval{Value: post.best}
	if post.m.lost > 0 {
		i.Low = post.lossQuantile(beyond, func(n *lossNode) (sum float64) {
			for _, d := range n.dead {
				sum += n.lower * d.lower
			}
			return sum
		})
	}
	i.High = post.lossQuantile(1-beyond, func(n *lossNode) float64 { return n.weight })
	i.Low, i.High = math.Min(i.Low, i.Value), math.Max(i.High, i.Value)
	return i
}

// lossQuantile takes the weight of a node for that of the step around it.
func (post *posterior) lossQuantile(prob float64, weight func(*lossNode) float64) float64 {
	var sum float64
	for i := range post.loss {
		n := &post.loss[i]
		if w := weight(n); sum+w >= prob {
			v := math.Sqrt(n.p) + ((prob-sum)/w-0.5)*post.step
			return math.Min(v*v, 1)
		} else {
			sum += w
		}
	}
	return 1
}

// missed is the distribution of the open ports missed, as the interval with so much beyond each end: in each class binomial,
// given p and d.
func (post *posterior) missed(beyond float64) Interval {
	var spread, lower spreads
	var mean, near float64 // at the most likely p
	var bound float64
	for _, c := range post.m.classes {
		bound += c.left - c.late
	}
	open := post.m.openShare()
	for i := range post.loss {
		n := &post.loss[i]
		for _, d := range n.dead[:deadNodes] {
			count := post.m.missed(&n.rest, d.at)
			spread.add(n.weight*d.weight, count)
			lower.add(n.lower*d.lower, count)
		}
		none := n.dead[deadNodes]
		spread.all.add(n.weight*none.weight, post.m.missed(&n.rest, none.at))
	}
	s := slice{m: post.m}
	var nodes [deadNodes + 1]node
	s.at(post.best)
	s.integral(&nodes)
	for _, d := range nodes {
		mean += d.weight * post.m.missed(&s.rest, d.at).mean
	}
	near = mean
	if open != nil {
		near *= open.mean()
	}
	i := Interval{Value: near, High: spread.thin(open).quantile(1 - beyond)}
	if post.m.lost > 0 {
		i.Low = lower.thin(open).quantile(beyond)
	}
	i.Value = math.Min(i.Value, bound)
	i.Low = math.Min(i.Low, i.Value)
	i.High = math.Max(math.Min(i.High, bound), i.Value)
	return i
}

// missed is how many of the positions left would have answered, at that d and a p with these powers.
func (m *model) missed(rest *[MaxAttempts + 1]float64, d float64) (sum moments) {
	for i := range m.classes {
		c := &m.classes[i]
		if c.left == 0 {
			continue
		}
		r := (1 - d) * rest[i]
		q := r / (d + r + c.aside)
		if !(q > 0) {
			continue
		}
		x := moments{c.left * q, c.left * q * (1 - q)}
		if c.late > 0 {
			x = x.beyond(c.late)
		}
		sum.mean += x.mean
		sum.variance += x.variance
	}
	return sum
}

// share is the distribution of the share of answered positions that are open: Jeffreys's, as weighted points.
type share [deadNodes]node

// openShare is nil where all count.
func (m *model) openShare() *share {
	if !m.thinned || m.closed == 0 {
		return nil
	}
	var s share
	// In θ = sin²φ the prior is flat in φ.
	mode := math.Atan2(math.Sqrt(m.open), math.Sqrt(m.closed))
	log := func(phi float64) float64 {
		var sum float64
		if m.open > 0 {
			sum += 2 * m.open * math.Log(math.Sin(phi))
		}
		if m.closed > 0 {
			sum += 2 * m.closed * math.Log(math.Cos(phi))
		}
		return sum
	}
	width := math.Sqrt(drop / (2 * (m.open + m.closed)))
	lo, hi := math.Max(mode-width, 0), math.Min(mode+width, math.Pi/2)
	top := log(mode)
	var sum float64
	for i, g := range &gauss {
		phi := (lo+hi)/2 + (hi-lo)/2*g.x
		w := g.w * math.Exp(log(phi)-top)
		sin := math.Sin(phi)
		s[i] = node{at: sin * sin, weight: w}
		sum += w
	}
	for i := range s {
		s[i].weight /= sum
	}
	return &s
}

func (s *share) mean() (mean float64) {
	for _, n := range s {
		mean += n.weight * n.at
	}
	return mean
}
