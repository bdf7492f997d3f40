package estimate

import "math"

// unlikely is the sum of squares, over their variances, of how far counts are from what the model expects at which it
// is given up: by chance in one of some 10,000 scans. It is that point of the chi-squared distribution, by Wilson and
// Hilferty's cube root. Two of the stages go into the fit, but where it is at a limit.
func unlikely(freedom int) float64 {
	f := float64(max(freedom, 1))
	return f * math.Pow(1-2/(9*f)+3.72*math.Sqrt(2/(9*f)), 3)
}

// absurd is a loss of which it is more likely that the first attempts have a trouble of their own: so much must be
// lost where the second attempt finds as much as the first.
const absurd = 0.8

// alike tells whether open and closed ports were answered at the same attempts: given all of them, which attempts
// those of the open ports are is a draw without putting back. Where they are alike and do not look it, by chance in
// one of twenty scans, the interval is wider than it need be.
func alike(open, closed tally) bool {
	all := open.plus(closed)
	if open.n == 0 || closed.n == 0 || all.lost == 0 {
		return true
	}
	mean := all.lost / all.n
	variance := (all.squares/all.n - mean*mean) * open.n * closed.n / (all.n - 1)
	off := open.lost - open.n*mean
	return off*off <= 4*variance
}

// asideOf are the closed ports beside the open ones, with a loss of their own where it is seen to be one.
func (c *Counts) asideOf(open, closed tally) aside {
	if closed.n == 0 {
		return aside{}
	}
	of := closed
	if alike(open, closed) {
		of = open.plus(closed)
	}
	p, d := newModel(c, of, aside{}).mostLikely()
	alive := (1 - d) * closed.n / of.n // closed, per position that the fit is about
	return aside{share: alive / (d + alive*open.n/closed.n), loss: p}
}

// mostLikely are the p and d of the highest likelihood.
func (m *model) mostLikely() (p, d float64) {
	s := slice{m: m}
	v, _, _ := highest(func(v float64) float64 { return s.at(v * v) })
	s.at(v * v)
	return v * v, s.mode
}

// misfit looks whether answers fall off from attempt to attempt as the model has it.
//
// Of the positions that were silent to i attempts and asked again, the share (1−d)·pⁱ·(1−p) / (d + (1−d)·pⁱ) answers
// the next. Too few at the first attempt, against the later ones, is more than loss; so are too many.
func (c *Counts) misfit(m *model, post *posterior) Void {
	if post.lossInterval(tail).Low > absurd {
		return FirstAttempts
	}
	s := slice{m: m}
	s.at(post.best)
	p, d := post.best, s.mode
	var chi, first float64
	var stages int
	var expected, seen, variance float64
	for i := range MaxAttempts {
		asked, answered := c.stage(i, m)
		if asked == 0 {
			break
		}
		r := (1 - d) * math.Pow(p, float64(i))
		q := r * (1 - p) / (d + r + m.other.silent(i))
		expected += asked * q
		seen += answered
		variance += asked * q * (1 - q)
		if expected < 5 && seen < 20 { // too few to tell: with the next
			continue
		}
		off := seen - expected
		if i == 0 {
			first = off
		}
		stages++
		chi += off * off / math.Max(variance, 1e-9)
		expected, seen, variance = 0, 0, 0
	}
	switch {
	case chi <= unlikely(stages-2):
		return None
	case first < 0:
		return FirstAttempts
	}
	return LastingLoss
}

// stage is how many positions got the attempt i, from 0, and how many answered to it, of those that the model is
// about.
func (c *Counts) stage(i int, m *model) (asked, answered float64) {
	for k := i + 1; k <= MaxAttempts; k++ {
		asked += number(c.Silent[k]) + number(c.Answered[Open][k-1]) + number(c.Answered[Closed][k-1])
	}
	answered = number(c.Answered[Open][i])
	if m.thinned {
		answered += number(c.Answered[Closed][i])
	}
	return asked, answered
}
