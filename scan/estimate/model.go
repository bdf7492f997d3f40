package estimate

import "math"

// model is the likelihood of the loss p and the share d of positions that would not answer.
//
// A position that was first answered at attempt i+1 has the probability (1−d)·pⁱ·(1−p), one that was silent to k
// attempts d + (1−d)·pᵏ, whatever made the scan stop asking it: rules that look only at what was seen do not
// enter the likelihood. The prior of p is flat. That of d is Beta(½, 1), and what it has below 16/positions once more
// at d = 0: that nobody is dead is a thing by itself and no limit, and where everything answers, all silence is loss.
type model struct {
	n, lost float64 // answered positions, and attempts lost before
	none    float64 // the weight of d = 0 in the prior, against all others
	classes []class
	other   aside

	thinned      bool    // n are answers of both kinds, and
	open, closed float64 // so many of each
}

// class holds the positions silent to k attempts.
type class struct {
	k      int
	silent float64
	aside  float64 // others in that silence, per position that the model is about
	left   float64 // silent and not asked again
	late   float64 // answered since
}

// aside are positions that are not the model's but answer as well: the closed ones, where only the open are looked
// at. Those that have answered do not enter, those that have been missed are silent.
type aside struct {
	share float64 // per position that the model is about
	loss  float64
}

// silent are those silent to k attempts.
func (a aside) silent(k int) float64 { return a.share * math.Pow(a.loss, float64(k)) }

func newModel(c *Counts, answers tally, other aside) *model {
	m := &model{n: answers.n, lost: answers.lost, classes: make([]class, 0, 4), other: other}
	positions := m.n
	for k := range c.Silent {
		l := &c.Left[k]
		x := class{k: k, silent: number(c.Silent[k]), aside: other.silent(k)}
		x.left, x.late = number(l.Silent)+number(l.Late[Open])+number(l.Late[Closed]), number(l.Late[Open])
		if other.share == 0 {
			x.late += number(l.Late[Closed])
		}
		if x.silent > 0 || x.left > 0 {
			m.classes = append(m.classes, x)
		}
		positions += x.silent
	}
	m.none = math.Min(1, 4/math.Sqrt(positions))
	return m
}

// The integration over d, for one p. With d = t² the prior is flat in t. In d the log-likelihood is concave, so
// in t it has one maximum.
type slice struct {
	m     *model
	rest  [MaxAttempts + 1]float64 // by class: pᵏ
	mode  float64                  // the most likely d
	top   float64                  // the log-likelihood there, but for what depends on p alone
	lo, t float64                  // the ends of what matters, in t
}

// drop is by how many nats the density falls to the ends of what is looked at, and slack how much further it may.
const (
	drop  = 13
	slack = 12
)

// at prepares the slice for a loss, and returns the log-likelihood at the most likely d.
func (s *slice) at(p float64) float64 {
	power, k := 1.0, 0
	for i := range s.m.classes {
		for ; k < s.m.classes[i].k; k++ {
			power *= p
		}
		s.rest[i] = power
	}
	s.mode = s.findMode()
	s.top = s.log(s.mode)
	return s.top + s.m.logLoss(p)
}

// log is the log-likelihood but for what depends on p alone.
func (s *slice) log(d float64) float64 {
	x := 1 - d
	sum := s.m.n * math.Log(x)
	for i := range s.m.classes {
		if c := &s.m.classes[i]; c.silent > 0 && c.k > 0 {
			sum += c.silent * math.Log(d+x*s.rest[i]+c.aside)
		}
	}
	return sum
}

// slopes are its first and second derivatives.
func (s *slice) slopes(d float64) (first, second float64) {
	x := 1 - d
	first = -s.m.n / x
	second = first / x
	for i := range s.m.classes {
		if c := &s.m.classes[i]; c.silent > 0 && c.k > 0 {
			q := (1 - s.rest[i]) / (d + x*s.rest[i] + c.aside)
			first += c.silent * q
			second -= c.silent * q * q
		}
	}
	return first, second
}

// findMode is the d at which the likelihood is highest.
func (s *slice) findMode() float64 {
	if first, _ := s.slopes(0); !(first > 0) {
		return 0
	}
	var silent float64
	for _, c := range s.m.classes {
		if c.k > 0 {
			silent += c.silent
		}
	}
	lo, hi := 0.0, silent/(s.m.n+silent) // as if nobody in that silence would have answered
	d := hi
	for range 60 {
		first, second := s.slopes(d)
		if first > 0 {
			lo = d
		} else {
			hi = d
		}
		next := d - first/second
		if !(next > lo && next < hi) {
			next = (lo + hi) / 2
		}
		if math.Abs(next-d) <= 1e-10*next || hi-lo <= 1e-14 {
			return next
		}
		d = next
	}
	return d
}

// bracket finds where the density has fallen to next to nothing on both sides of the mode.
func (s *slice) bracket() {
	first, second := s.slopes(s.mode)
	t := math.Sqrt(s.mode)
	var width float64
	if s.mode > 0 {
		width = math.Sqrt(drop / (-2 * second * s.mode))
	} else { // first·t² + second·t⁴/2 = −drop
		width = math.Sqrt(2 * drop / (-first + math.Sqrt(first*first-2*drop*second)))
	}
	if !(width > 1e-12) {
		width = 1e-12
	}
	s.lo = t - s.reach(t, -min(width, 1))
	s.t = t + s.reach(t, min(width, 1))
}

// reach corrects how far from the mode, in t, the end lies; sign and first guess are width's.
func (s *slice) reach(t, width float64) float64 {
	limit := 1 - t
	if width < 0 {
		limit = t
	}
	size := min(math.Abs(width), limit)
	sign := math.Copysign(1, width)
	fall := func(w float64) float64 {
		x := t + sign*w
		return s.top - s.log(x*x)
	}
	for range 40 {
		switch f := fall(size); {
		case f > drop+slack || math.IsNaN(f):
			size *= 0.75
		case f < drop && size < limit:
			size = min(1.4*size, limit)
		default:
			return size
		}
	}
	return size
}

// noneDead is what d = 0 adds to the integral, relative to the maximum.
func (s *slice) noneDead() float64 { return s.m.none * math.Exp(s.log(0)-s.top) }

// integral is the log of the integral. It puts the nodes' d and weights, relative to the whole, into nodes.
func (s *slice) integral(nodes *[deadNodes + 1]node) float64 {
	s.bracket()
	half, mid := (s.t-s.lo)/2, (s.t+s.lo)/2
	sum := s.noneDead()
	nodes[deadNodes] = node{0, sum, 0}
	for i, g := range &gauss {
		t := mid + half*g.x
		w := half * g.w * math.Exp(s.log(t*t)-s.top)
		nodes[i] = node{t * t, w, w * t / (1 - t*t)}
		sum += w
	}
	for i := range nodes {
		nodes[i].weight /= sum
		nodes[i].lower /= sum
	}
	return s.top + math.Log(sum)
}

// node is a point of an integration, with its weight with the prior of the upper end, and that with the prior of the
// lower one: 1/(p·(1+p)) for the loss, 1/(1−d) for the dead.
type node struct{ at, weight, lower float64 }

// deadNodes is a number of nodes with which an integral over d is good to a thousandth.
const deadNodes = 16

// gauss are the abscissae on [−1, 1] and weights of Gauss and Legendre's rule.
var gauss = gaussLegendre()

func gaussLegendre() (rule [deadNodes]struct{ x, w float64 }) {
	const n = deadNodes
	for i := range rule {
		x := math.Cos(math.Pi * (float64(i) + 0.75) / (n + 0.5))
		for range 20 { // Newton's method on the Legendre polynomial
			p0, p1 := 1.0, x
			for k := 2; k <= n; k++ {
				p0, p1 = p1, ((2*float64(k)-1)*x*p1-(float64(k)-1)*p0)/float64(k)
			}
			slope := n * (x*p1 - p0) / (x*x - 1)
			x -= p1 / slope
			rule[i].x, rule[i].w = x, 2/((1-x*x)*slope*slope)
		}
	}
	return rule
}
