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

// Final is true where a chunk has had them all.
func (f FixedRetries) Final(c *Chunk) bool {
	final := c.Probes > f.Retries
	f.Loss.sent(c, final)
	return final
}

// Answered notes that there is nobody to ask again.
func (f FixedRetries) Answered(c *Chunk) {
	f.Loss.heard(c)
	f.Loss.retire(c)
}

// TakenBack notes it.
func (f FixedRetries) TakenBack(c *Chunk) { f.Loss.takenBack(c) }

// Step asks again.
func (f FixedRetries) Step(c *Chunk, _ bool) Step {
	f.Loss.heard(c)
	return All
}

// TargetRecall decides from what was lost so far how often silence is asked again: first a sample of
// the silent positions; where nothing new comes back, the rest is spared; where it does, passes over
// all of them are added until what is left is expected to be below the share that may be missed.
type TargetRecall struct {
	Recall float64 // the share of the responsive positions to find
	Loss   *Loss
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
	final := tries >= MaxTries
	r.Loss.sent(c, final)
	return final
}

// Answered notes that there is nobody to ask again.
func (r TargetRecall) Answered(c *Chunk) {
	r.Loss.heard(c)
	r.Loss.retire(c)
}

// TakenBack notes it.
func (r TargetRecall) TakenBack(c *Chunk) { r.Loss.takenBack(c) }

// Step decides on the sample, on the rest, and on further passes.
func (r TargetRecall) Step(c *Chunk, more bool) Step {
	r.Loss.heard(c)
	step := r.step(c, more)
	if step == Retire {
		r.Loss.retire(c)
	}
	return step
}

func (r TargetRecall) step(c *Chunk, more bool) Step {
	switch {
	case c.Probes > 1:
		return r.again(c)
	case !c.Sampled:
		return r.sample(c)
	}
	all, own := r.Loss.samples(c)
	missed := estimate.Sample(all.answered, all.found, all.share())
	switch {
	// Half of what may be missed is left for chance. A chunk whose own sample found something is
	// not spared, whatever the average says: losses come in bursts.
	case own.found > 0, missed.Value > (1-r.Recall)/2:
		return All
	case more && missed.High > spareBelow:
		return Postpone
	}
	return Retire
}

// sample chooses the sample of a chunk: all of its silence where that is cheap.
func (r TargetRecall) sample(c *Chunk) Step {
	silent := r.Loss.silent(c.Begin, c.End, 0)
	share := float64(silent) / float64(c.End-c.Begin)
	if share <= sampleBudget {
		return All
	}
	c.Stride = min(uint8(math.Ceil(math.Log2(share/sampleBudget))), MaxStride)
	return Sample
}

// again decides on a pass after the second over all silence.
func (r TargetRecall) again(c *Chunk) Step {
	if int(c.Probes) >= estimate.Attempts(r.Loss.upTo(), r.Recall, MaxTries) {
		return Retire
	}
	return All
}
