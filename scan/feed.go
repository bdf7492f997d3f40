package scan

import (
	"context"
	"fmt"

	"synoptic/results"
	"synoptic/scan/gate"
	"synoptic/scan/internal/engine"
	"synoptic/scan/plan"
)

// Asker hands out endpoints one by one, without an end, and takes what came of each.
type Asker = engine.Asker

// Feed asks what an Asker hands out: one session of a monitor. Probes are a plan's, as are the pace and the ways that they go; the order of its
// positions, its retries and its result map are not used.
type Feed struct {
	plan    *plan.Plan
	session *engine.Session
	phase   *engine.Phase
}

// NewFeed prepares one. The plan's backend has to be afpacket with one lane, no part of it may go another way, and no prefix is slowed (NoBackoff).
func NewFeed(p *plan.Plan, o Options) (*Feed, error) {
	if p.Choice.Backend != plan.BackendAFPacket || len(p.Apart) > 0 {
		return nil, fmt.Errorf("backend %s (%s): endpoints are asked one by one over packet sockets only", p.Choice.Backend, p.Choice.Reason)
	}
	if p.Choice.Lanes != 1 || !p.Asked.NoBackoff {
		return nil, fmt.Errorf("a feed has one lane, and slows no prefix: %d lanes", p.Choice.Lanes)
	}
	g := &gate.Gate{}
	for _, r := range o.Rules {
		g.Add(r)
	}
	s, err := engine.New(engine.Config{Medium: o.Medium, Gate: g, Phases: []engine.PhaseConfig{{Name: PhaseScan, Plan: p, Fed: true}}})
	if err != nil {
		return nil, err
	}
	return &Feed{plan: p, session: s, phase: s.Phases()[0]}, nil
}

// Run opens what probes need, asks until ctx ends, and closes all. Sink gets the events. The error says what ended it otherwise: evidence that did
// not come back within the plan's patience, an interface that cannot be opened, a sink that has broken. Another Feed may take over then.
func (f *Feed) Run(ctx context.Context, asker Asker, sink results.Sink) error {
	if err := f.session.Open(ctx); err != nil {
		return err
	}
	defer f.session.Close()
	return f.session.Feed(ctx, asker, sink)
}

// Pause has nothing leave any more, beacons included, until Resume.
func (f *Feed) Pause() { f.session.Pacer().Pause() }

// Resume goes on.
func (f *Feed) Resume() { f.session.Pacer().Resume() }

// BeaconRate is how many of so many probes a second beacons take, in a feed that runs for a while.
func BeaconRate(rate float64) float64 { return engine.BeaconRate(rate) }

// FeedStatus is what a Feed has counted.
type FeedStatus struct {
	Sent, Invalid, Late, Drops, Errors uint64
	Silent, Unasked                    uint64 // endpoints without an answer; of which it is not known
	Evidence                           *results.Evidence
	Outage                             string // what is waited for; "": nothing is
}

// Status may be called at any time, by any goroutine.
func (f *Feed) Status() FeedStatus {
	c := f.phase.Counts()
	s := FeedStatus{Sent: c.Sent, Invalid: c.Invalid, Late: c.Late, Drops: c.RxDrops, Errors: c.TxErrors, Silent: c.Filtered, Unasked: c.Unknown, Evidence: f.session.Evidence()}
	s.Outage, _ = f.phase.Outage()
	return s
}
