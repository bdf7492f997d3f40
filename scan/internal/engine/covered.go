package engine

import "synoptic/results/coverage"

// Which positions count, silent or not, shows in the result map: those are unknown that were not asked, or not while evidence held. So they are
// gathered as they leave its window, in order, and at the end.

// cover notes which positions of a phase that has ended were asked while evidence held. Of one that was stopped those do not count whose
// chunks were not done with: their answers were not waited for.
func (ph *Phase) cover(complete bool) {
	end := ph.cur.next.Load()
	if !complete {
		end = min(end, ph.oldest.Load())
	}
	if ph.results != nil {
		low, _ := ph.results.Bounds()
		ph.results.Unknown(low, end, ph.holes.Add)
	}
	asked := coverage.Of(coverage.Range{Begin: ph.plan.Positions.Begin, End: end})
	ph.covered.Store(asked.Minus(&ph.holes))
}

// Covered are the positions that were asked while evidence held; none before the phase has ended.
func (ph *Phase) Covered() *coverage.Set {
	if c := ph.covered.Load(); c != nil {
		return c
	}
	return &coverage.Set{}
}
