package scan

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"synoptic/results"
	"synoptic/results/coverage"
	"synoptic/scan/estimate"
	"synoptic/scan/internal/engine"
	"synoptic/scan/plan"
)

// part is the run of those targets that go the same way: a session of its own, with its phases.
type part struct {
	plan    *plan.Plan
	session *engine.Session
	main    *engine.Phase
	lost    atomic.Pointer[uint64] // frames that its interfaces have lost; nil while they are still counted
}

// drops are the frames that its interfaces have lost.
func (p *part) drops() uint64 {
	if n := p.lost.Load(); n != nil {
		return *n
	}
	return p.session.LinkDrops()
}

// newPart prepares a part, up to programs in the kernel.
func (s *Scan) newPart(p *plan.Plan) (*part, error) {
	c := engine.Config{Medium: s.medium, Gate: s.gate}
	if p.Asked.Canaries {
		phase, err := canaryPhase(p)
		if err != nil {
			return nil, err
		}
		c.Phases = append(c.Phases, phase)
	}
	c.Phases = append(c.Phases, engine.PhaseConfig{Name: PhaseScan, Plan: p, Parts: s.measurable()})
	session, err := engine.New(c)
	if err != nil {
		return nil, err
	}
	return &part{plan: p, session: session, main: session.Phases()[len(c.Phases)-1]}, nil
}

// measurable is how many parts the plan has whose loss can be measured.
func (s *Scan) measurable() (n int) {
	for _, p := range s.plan.Parts() {
		if p.Choice.Backend != plan.BackendConnect {
			n++
		}
	}
	return n
}

// runPart runs the phases of a part whose session is open.
func (s *Scan) runPart(ctx context.Context, p *part, sink results.Sink) error {
	for _, ph := range p.session.Phases() {
		s.enter(p, ph)
		if ph == p.main {
			return p.session.Run(ctx, ph, sink)
		}
		if err := p.session.Run(ctx, ph, s.liars.sink(sink)); err != nil {
			return fmt.Errorf("canary ports: %w", err)
		}
		if !ph.Complete() {
			break
		}
	}
	return nil
}

// runApart runs the parts behind the first, one after the other: each when what the one before has opened is closed.
func (s *Scan) runApart(ctx context.Context, sink results.Sink) error {
	for _, next := range s.plan.Apart {
		if ctx.Err() != nil || !s.last().main.Complete() {
			return nil
		}
		p, err := s.newPart(next)
		if err != nil {
			return err
		}
		before := s.last()
		before.main.Estimates() // made of what lies in the memory of its programs, and kept
		before.session.Close()
		drops := before.session.LinkDrops()
		before.lost.Store(&drops) // what comes later is the next part's
		if err := s.begin(p); err != nil {
			return err
		}
		if err := p.session.Open(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("%s: %w", next.Choice.Backend, err)
		}
		if err := s.runPart(ctx, p, sink); err != nil {
			return err
		}
	}
	return nil
}

// begin makes a part the last one.
func (s *Scan) begin(p *part) error {
	s.live.mu.Lock()
	defer s.live.mu.Unlock()
	err := s.live.follow(p.session)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts = append(s.parts, p)
	return err
}

// last is the part that was begun last.
func (s *Scan) last() *part {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.parts[len(s.parts)-1]
}

// all are the parts that were begun.
func (s *Scan) all() []*part {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.parts[:len(s.parts):len(s.parts)]
}

// running is a phase under way.
type running struct {
	part  *part
	phase *engine.Phase
	stood time.Duration // pauses before it; of parts that have phases of one name, before the first
}

// enter makes a phase the one under way.
func (s *Scan) enter(p *part, ph *engine.Phase) {
	_, stood := s.live.standing()
	if before := s.current.Load(); before != nil && before.phase.Name() == ph.Name() {
		stood = before.stood
	}
	s.current.Store(&running{p, ph, stood})
}

// Choice is how probes are sent: the plan's, or what was left of it when it was opened. It is settled when the
// opening record is written.
func (s *Scan) Choice() plan.Choice { return s.all()[0].session.Choice() }

// complete tells whether every part was, and nothing is unknown.
func (s *Scan) complete() bool {
	all := s.all()
	for _, p := range all {
		if !p.main.Complete() || p.main.Counts().Unknown > 0 || p.session.Lost() {
			return false
		}
	}
	return len(all) == len(s.plan.Parts())
}

// tally are the sums over the parts.
type tally struct {
	engine.Counts
	silent, done uint64
	linkDrops    uint64
	sendError    error
	resolving    time.Duration
	sending      time.Duration
}

func (s *Scan) tally() (t tally) {
	for _, p := range s.all() {
		c := p.main.Counts()
		t.Add(c)
		if p.main.Complete() {
			t.silent += c.Silent
		} else {
			t.silent += c.Left // what is still in the window was not waited for
		}
		t.done += p.probed()
		if t.sendError == nil {
			t.sendError = p.main.SendError()
		}
		t.linkDrops += p.drops()
		t.resolving += p.session.Resolving()
		for _, ph := range p.session.Phases() {
			t.sending += ph.Sending()
		}
	}
	return t
}

// evidence is that of all parts: lost where it was in any, else as in the first, which has the most addresses.
func (s *Scan) evidence() *results.Evidence {
	all := s.all()
	e := all[0].session.Evidence()
	for _, p := range all[1:] {
		more := p.session.Evidence()
		e.Asked += more.Asked
		e.Answered += more.Answered
		e.Paths = append(e.Paths, more.Paths...)
		e.Without += more.Without
		e.Outages += more.Outages
		e.Again += more.Again
		e.Unknown += more.Unknown
		if more.State == results.EvidenceStateLost {
			e.State = more.State
		}
	}
	return e
}

// probed is how many positions have been dealt with, but for those that could not be sent.
func (p *part) probed() uint64 {
	done := p.main.Done()
	return done - min(done, p.main.Counts().Unsent)
}

// estimates are those of all parts together, and of how many positions: of some nothing may be known.
func (s *Scan) estimates() (e estimate.Result, of uint64) {
	var all []estimate.Result
	for _, p := range s.all() {
		r := p.main.Estimates()
		if all = append(all, r); r.Void == estimate.None {
			of += p.probed()
		}
	}
	return estimate.Sum(all), of
}

// written is an interval as records have it.
func written(i estimate.Interval) *results.Estimate {
	return &results.Estimate{Value: i.Value, Low: i.Low, High: i.High}
}

// canaries is how many probes went to canary ports.
func (s *Scan) canaries() (sent uint64) {
	for _, p := range s.all() {
		for _, ph := range p.session.Phases() {
			if ph != p.main {
				sent += ph.Counts().Sent
			}
		}
	}
	return sent
}

// took is how long each phase took that was begun, those of the same name of all parts together.
func (s *Scan) took() []results.Phase {
	all := []results.Phase{{Name: PhaseResolve}}
	add := func(name string, d time.Duration) {
		for i := range all {
			if all[i].Name == name {
				all[i].Duration += d.Seconds()
				return
			}
		}
		all = append(all, results.Phase{Name: name, Duration: d.Seconds()})
	}
	for _, p := range s.all() {
		add(PhaseResolve, p.session.Resolving())
		for _, ph := range p.session.Phases() {
			if took := ph.Took(); took > 0 {
				add(ph.Name(), took)
			}
		}
	}
	return all
}

// closeLast closes what the last part has opened; those before it are closed.
func (s *Scan) closeLast() { s.last().session.Close() }

// Covered are, for each part of the plan that was begun, the positions that were asked while evidence held; none of one that has
// not ended.
func (s *Scan) Covered() (all []*coverage.Set) {
	for _, p := range s.all() {
		all = append(all, p.main.Covered())
	}
	return all
}
