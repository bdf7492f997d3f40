package scan

import (
	"math"

	"synoptic/scan/estimate"
)

// targetRecall decides from what was lost so far how often silence is asked again: first a sample of
// the silent positions; where nothing new comes back, the rest is spared; where it does, passes over
// all of them are added until what is left is expected to be below the share that may be missed.
type targetRecall struct {
	recall float64
	loss   *lossStats
	silent func(begin, end uint64) uint64 // silent positions of a chunk
}

const (
	// maxTries bounds the attempts at a position under a target recall.
	maxTries = 10
	// sampleBudget is what the look into silence may cost, as a share of the first tries: where nothing
	// is lost, a scan with a target sends that much more and no more.
	sampleBudget = 0.04
	// spareBelow is what the share of missed ports must be shown to be under before silence is
	// spared, while there is more of the scan to learn from.
	spareBelow = 0.01
)

func (r targetRecall) final(c *chunk) bool {
	if c.probes < maxTries {
		return false
	}
	r.loss.settle(c)
	return true
}

func (r targetRecall) answered(c *chunk) {
	c.probes = max(c.probes, 2) // as the pass over nothing would have made it
	r.loss.settle(c)
}

func (r targetRecall) step(c *chunk, more bool) step {
	r.loss.settle(c)
	switch {
	case c.probes > 1:
		return r.again(c)
	case !c.sampled:
		return r.sample(c)
	}
	s := r.loss.sampled()
	v := estimate.Sample(s.answered, s.silent, s.retried, s.found, r.recall)
	switch {
	// Half of what may be missed is left for chance. A chunk whose own sample found something is
	// not spared, whatever the average says: losses come in bursts.
	case r.loss.found(c) > 0, v.Missed.Value > (1-r.recall)/2:
		return stepAll
	case more && v.Missed.High > spareBelow:
		return stepDefer
	}
	return stepRetire
}

// sample chooses the sample of a chunk: all of its silence where that is cheap.
func (r targetRecall) sample(c *chunk) step {
	silent := r.silent(c.begin, c.end)
	share := float64(silent) / float64(c.end-c.begin)
	if share <= sampleBudget {
		return stepAll
	}
	c.stride = min(uint8(math.Ceil(math.Log2(share/sampleBudget))), maxStride)
	r.loss.silent.Add(silent)
	return stepSample
}

// again decides on a pass after the second over all silence.
func (r targetRecall) again(c *chunk) step {
	t := r.loss.counts()
	groups, _ := t.groups()
	loss, _ := estimate.Loss(groups)
	if int(c.probes) >= estimate.Attempts(loss, r.recall, maxTries) {
		return stepRetire
	}
	return stepAll
}

// sampleCounts are what the samples have shown.
type sampleCounts struct {
	answered uint64 // positions of sampled chunks that answered the first try
	silent   uint64 // positions of sampled chunks that did not
	retried  uint64 // of these, in the sample and asked again
	found    uint64 // of these, answered then
}
