package scan

import "time"

// Left estimates how long the phase takes yet, if it has taken so long so far (pauses not counted); 0 where nothing can be
// said, as of verification.
func (p *Progress) Left(took time.Duration) time.Duration {
	done, all := p.work(), p.workInAll()
	if p.Phase == PhaseResolve || done <= 0 || done >= all {
		return 0
	}
	left := took.Seconds() * (all - done) / done
	if p.LiveRate > 0 { // what came before was at another one
		left = (all - done) / p.LiveRate
	}
	return time.Duration(min(left, longestLeft.Seconds()) * float64(time.Second))
}

// longestLeft stands for itself and more: a time.Duration ends at 292 years.
const longestLeft = 100 * 365 * 24 * time.Hour

// work counts positions dealt with, and retries.
func (p *Progress) work() float64 { return float64(p.Done) + float64(p.Again) }

// workInAll is what work comes to if as many stay silent as so far: each of them is probed again as often as a port may be.
func (p *Progress) workInAll() float64 {
	all := float64(p.Total)
	if answered := p.Open + p.Closed + p.Filtered + p.Excluded; p.Attempts > 1 && p.Done > answered {
		all *= 1 + float64(p.Attempts-1)*float64(p.Done-answered)/float64(p.Done)
	}
	return all
}

// Verifying tells whether open ports are what is waited for.
func (p *Progress) Verifying() bool {
	return p.Verification != nil && p.Done == p.Total && p.Verification.Settled < p.Open && p.Outage == ""
}
