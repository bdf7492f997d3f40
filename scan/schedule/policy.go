package schedule

import (
	"math"

	"synoptic/scan/estimate"
)

// FixedRetries asks every silent position again, a fixed number of times.
type FixedRetries struct {
	Retries uint8
	Loss    *Loss
}

// Final settles a chunk that has had them all.
func (f FixedRetries) Final(c *Chunk) bool {
	if c.Probes <= f.Retries {
		return false
	}
	f.Loss.settle(c)
	return true
}

// Answered counts the passes that would have been empty.
func (f FixedRetries) Answered(c *Chunk) {
	c.Probes = f.Retries + 1
	f.Loss.settle(c)
}

// TakenBack leaves the chunk out of the counts until it is settled again.
func (f FixedRetries) TakenBack(c *Chunk) { f.Loss.unsettle(c) }

// Step asks again.
func (FixedRetries) Step(*Chunk, bool) Step { return All }

// TargetRecall decides from what was lost so far how often silence is asked again: first a sample of
// the silent positions; where nothing new comes back, the rest is spared; where it does, passes over
// all of them are added until what is left is expected to be below the share that may be missed.
type TargetRecall struct {
	Recall float64 // the share of the responsive positions to find
	Loss   *Loss
	Silent func(begin, end uint64) uint64 // silent positions of a chunk
}

const (
	// sampleBudget is what the look into silence may cost, as a share of the first tries: where nothing
	// is lost, a scan with a target sends that much more and no more.
	sampleBudget = 0.04
	// spareBelow is what the share of missed ports must be shown to be under before silence is
	// spared, while there is more of the scan to learn from.
	spareBelow = 0.01
)

// Final is true where a chunk has had all that a position can get.
func (r TargetRecall) Final(c *Chunk) bool {
	tries := c.Probes
	if c.Sampled {
		tries++ // of the positions in the sample
	}
	if tries < MaxTries {
		return false
	}
	r.Loss.settle(c)
	return true
}

// Answered counts the pass that would have been empty.
func (r TargetRecall) Answered(c *Chunk) {
	c.Probes = max(c.Probes, 2) // as the pass over nothing would have made it
	r.Loss.settle(c)
}

// TakenBack leaves the chunk out of the counts until it is settled again.
func (r TargetRecall) TakenBack(c *Chunk) { r.Loss.unsettle(c) }

// Step decides on the sample, on the rest, and on further passes.
func (r TargetRecall) Step(c *Chunk, more bool) Step {
	r.Loss.settle(c)
	switch {
	case c.Probes > 1:
		return r.again(c)
	case !c.Sampled:
		return r.sample(c)
	}
	s := r.Loss.sampled()
	v := estimate.Sample(s.answered, s.silent, s.retried, s.found, r.Recall)
	switch {
	// Half of what may be missed is left for chance. A chunk whose own sample found something is
	// not spared, whatever the average says: losses come in bursts.
	case r.Loss.found(c) > 0, v.Missed.Value > (1-r.Recall)/2:
		return All
	case more && v.Missed.High > spareBelow:
		return Postpone
	}
	return Retire
}

// sample chooses the sample of a chunk: all of its silence where that is cheap.
func (r TargetRecall) sample(c *Chunk) Step {
	silent := r.Silent(c.Begin, c.End)
	share := float64(silent) / float64(c.End-c.Begin)
	if share <= sampleBudget {
		return All
	}
	c.Stride = min(uint8(math.Ceil(math.Log2(share/sampleBudget))), MaxStride)
	r.Loss.silent.Add(silent)
	return Sample
}

// again decides on a pass after the second over all silence.
func (r TargetRecall) again(c *Chunk) Step {
	t := r.Loss.Counts()
	groups, _ := t.Groups()
	loss, _ := estimate.Loss(groups)
	if int(c.Probes) >= estimate.Attempts(loss, r.Recall, MaxTries) {
		return Retire
	}
	return All
}

// samples are what the samples have shown.
type samples struct {
	answered uint64 // positions of sampled chunks that answered the first try
	silent   uint64 // positions of sampled chunks that did not
	retried  uint64 // of these, in the sample and asked again
	found    uint64 // of these, answered then
}
