package scan

import (
	"synoptic/results"
	"synoptic/scan/estimate"
)

// targetRecall decides from what was lost so far how often silence is asked again: first a sample of
// the silent positions; where nothing new comes back, the rest is spared; where it does, passes over
// all of them are added until what is left is expected to be below the share that may be missed.
type targetRecall struct {
	recall float64
	loss   *lossStats
}

// maxTries bounds the attempts at a position under a target recall.
const maxTries = 10

func (r targetRecall) final(c *chunk) bool {
	if c.probes < maxTries {
		return false
	}
	r.loss.settle(c)
	return true
}

func (r targetRecall) step(c *chunk) step {
	r.loss.settle(c)
	switch {
	case !c.sampled:
		return stepSample
	case c.probes == 1:
		s := r.loss.sampled()
		v := estimate.Sample(s.answered, s.retried*sampleOneIn, s.retried, s.found, r.recall)
		// Half of what may be missed is left for chance. A chunk whose own sample found something
		// is not spared, whatever the average says: losses come in bursts.
		if s.retried == 0 || r.loss.found(c.begin) == 0 && v.Missed.Value <= (1-r.recall)/2 {
			return stepRetire
		}
		return stepAll
	}
	t := r.loss.counts()
	groups, _ := t.groups()
	loss, _ := estimate.Loss(groups)
	if int(c.probes) >= estimate.Attempts(loss, r.recall, maxTries) {
		return stepRetire
	}
	return stepAll
}

// sampleCounts are what the sample has shown.
type sampleCounts struct {
	answered uint64 // positions of sampled chunks that answered the first try
	retried  uint64 // positions of the sample that did not, and were asked again
	found    uint64 // of these, answered then
}

// estimates are the loss and the number of open ports missed, with their intervals; nil where
// nothing can be said, as after one attempt at everything.
func (e *engine) estimates() (loss, missed *results.Estimate) {
	if e.loss == nil {
		return nil, nil
	}
	t := e.loss.counts()
	groups, open := t.groups()
	p, ok := estimate.Loss(groups)
	if !ok {
		return nil, nil
	}
	m := estimate.Missed(open, p, e.silent())
	return &results.Estimate{Value: p.Value, Low: p.Low, High: p.High}, &results.Estimate{Value: m.Value, Low: m.Low, High: m.High}
}
