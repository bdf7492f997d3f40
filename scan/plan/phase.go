package plan

import (
	"synoptic/results"
	"synoptic/scan/permute"
	"synoptic/scan/target"
)

// PhaseConfig is what a phase of a scan does otherwise than the scan as a whole.
type PhaseConfig struct {
	// Space is what the phase asks, of no other addresses than the plan's; nil: the same, in the same order.
	Space *target.Space
	// Seed of the phase's own order, where it has a space of its own; random unless HasSeed.
	Seed    uint64
	HasSeed bool
	// Positions of that order; the zero value means all of a space of its own, or the plan's.
	Positions permute.Range
	// Attempts that a silent position gets at most; 0: as the scan has it, by a target recall too.
	Attempts int
	// What becomes of answers; a zero Show means results.Open.
	Verify, ShowHosts, Frames bool
	Show                      results.State
}

// Phase plans a part of the scan that is run by itself, such as canary ports before everything else. Nothing is
// asked of the host again: routes, source ports, pace and the Choice with its ways to fall back are the plan's.
func (p *Plan) Phase(c PhaseConfig) (*Plan, error) {
	ph := *p
	ph.Apart, ph.whole = nil, nil
	a := &ph.Asked
	a.Canaries, a.Verify, a.ShowHosts, a.Frames, a.Show = false, c.Verify, c.ShowHosts, c.Frames, c.Show
	if a.Show == 0 {
		a.Show = results.Open
	}
	if c.Attempts < 0 || c.Attempts > MaxAttempts {
		return nil, refuse("Attempts", "", "a phase of %d attempts", c.Attempts)
	}
	if c.Attempts > 0 {
		a.Attempts, a.TargetRecall = c.Attempts, 0
	}
	if c.Space != nil {
		if err := ph.enter(c); err != nil {
			return nil, err
		}
	}
	if c.Positions != (permute.Range{}) {
		ph.Positions = c.Positions
	}
	if n := ph.Positions.Len(); n == 0 || ph.Positions.End > ph.Space.Len() {
		return nil, refuse("", "", "a phase over the positions %v of %d", ph.Positions, ph.Space.Len())
	}
	var err error
	ph.Window, err = windowOf(a, ph.Choice.Backend, ph.Positions.Len(), ph.Pace.Max)
	return &ph, err
}

// enter goes over to a space of the phase's own.
func (p *Plan) enter(c PhaseConfig) (err error) {
	if inside, err := contains(p.Space.Addrs(), c.Space.Addrs()); err != nil {
		return err
	} else if !inside {
		return refuse("", "", "a phase probes addresses that the plan has no routes to")
	}
	p.Space, p.Seed, p.digests = c.Space, c.Seed, digests{}
	if !c.HasSeed {
		p.Seed = randomSeed()
	}
	p.Asked.Seed, p.Asked.HasSeed = p.Seed, c.HasSeed
	p.Asked.ShardI, p.Asked.ShardOf = 1, 1
	return p.permute()
}

func contains(all, some *target.Set) (bool, error) {
	if all == some {
		return true, nil
	}
	var b target.SetBuilder
	b.AddSet(some)
	b.RemoveSet(all)
	rest, err := b.Set()
	return err == nil && rest.Len() == 0, err
}
