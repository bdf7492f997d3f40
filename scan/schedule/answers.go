package schedule

import "synoptic/scan/estimate"

// answers are first answers by evidence and attempt.
type answers [2][MaxAttempts]uint64

// addTo adds those to the first k attempts, and returns how many came to later ones.
func (a *answers) addTo(t *estimate.Counts, k int) (late [2]uint64) {
	for evidence := range a {
		for i, n := range a[evidence] {
			if i < k {
				t.Answered[evidence][i] += n
			} else {
				late[evidence] += n
			}
		}
	}
	return late
}

// answers are a chunk's, outside the sample and in it.
func (c *ChunkLoss) answers(p passes) (sum [2]answers) {
	for evidence := range c.answered {
		for divisor := range c.answered[evidence] {
			in := 0
			if p.stride > 0 && divisor >= int(p.stride) {
				in = 1
			}
			for k := range c.answered[evidence][divisor] {
				sum[in][evidence][k] += uint64(c.answered[evidence][divisor][k].Load())
			}
		}
	}
	return sum
}

// samples are what the samples of silent positions have shown.
type samples struct {
	answered uint64 // positions of sampled chunks that answered the first try
	spared   uint64 // positions that did not, and were not in the sample
	silent   uint64 // positions that were in it, and did not answer then
	found    uint64 // of the sample, answered then
}

func (s *samples) add(o samples) {
	s.answered += o.answered
	s.spared += o.spared
	s.silent += o.silent
	s.found += o.found
}

func (s *samples) subtract(o samples) {
	s.answered -= o.answered
	s.spared -= o.spared
	s.silent -= o.silent
	s.found -= o.found
}

// share is that of the silent positions that were in a sample.
func (s *samples) share() float64 {
	retried := float64(s.silent + s.found)
	return retried / max(retried+float64(s.spared), 1)
}

// sampled is what a chunk's sample has shown, whatever passes came after it.
func (n *note) sampled(c *ChunkLoss) (s samples) {
	answered := c.answers(n.heard)
	s.spared, s.silent = n.silent[0], n.silent[1]
	for evidence := range answered[0] {
		s.answered += answered[0][evidence][0] + answered[1][evidence][0]
		s.found += answered[1][evidence][1]
		for k := 1; k < MaxAttempts; k++ {
			s.spared += answered[0][evidence][k]
			if k > 1 {
				s.silent += answered[1][evidence][k]
			}
		}
	}
	return s
}
