package rtt

import "time"

// AwakeStep is how often Awake.Look is to be called.
const AwakeStep = 5 * time.Millisecond

// Awake is a clock that stands still where the process does: what a busy host or a hypervisor takes of the
// time is no waiting, for no answer gets in meanwhile.
type Awake struct {
	seen   time.Time
	passed time.Duration
}

// NewAwake starts at 0.
func NewAwake(now time.Time) *Awake { return &Awake{seen: now} }

// Look returns the time that has passed. Call it every AwakeStep; a longer gap counts as two.
func (a *Awake) Look(now time.Time) time.Duration {
	a.passed += min(now.Sub(a.seen), 2*AwakeStep)
	a.seen = now
	return a.passed
}
