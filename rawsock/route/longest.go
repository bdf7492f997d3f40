package route

import (
	"math"
	"time"
)

// Longest is how long Resolve takes for n hosts, at so many requests a second, where none of them answers.
func (o ResolveOptions) Longest(n, rate float64) time.Duration {
	o = o.withDefaults()
	gaps := o.Gap * (1<<o.Tries - 1) // it doubles with each try
	asking := min(float64(o.Tries)*n/rate, math.MaxInt32)
	return gaps + time.Duration(asking*float64(time.Second))
}

// Targets is how many targets take a path.
func (p *Plan) Targets(path int) (n float64) {
	for _, s := range p.Segments {
		if s.Path == path {
			n += distance(s) + 1
		}
	}
	return n
}

// distance is that between the ends of a segment.
func distance(s Segment) float64 {
	from, to := s.From.As16(), s.To.As16()
	d := 0.0
	for i := range from {
		d = d*256 + float64(to[i]) - float64(from[i])
	}
	return d
}
