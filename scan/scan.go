package scan

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"synoptic/ratelimit"
	"synoptic/results"
	"synoptic/scan/gate"
	"synoptic/scan/internal/engine"
	"synoptic/scan/judge"
	"synoptic/scan/plan"
)

// Medium is what raw probes travel over: the kernel's packet sockets, or a network in this process.
type Medium = engine.Medium

// Tx is the socket of a sender lane for a path.
type Tx = engine.Tx

// Rx is a ring of received packets.
type Rx = engine.Rx

// Watcher tells what changes on the host.
type Watcher = engine.Watcher

// Ear tells whose MAC addresses change.
type Ear = engine.Ear

// Options are what most scans leave at their zero value.
type Options struct {
	Medium Medium      // nil: the kernel's packet sockets
	Rules  []gate.Rule // reasons to hold probes back, from the first on
}

// Scan is one run of a plan.
type Scan struct {
	plan    *plan.Plan
	session *engine.Session
	gate    *gate.Gate
	main    *engine.Phase
	liars   openHosts // hosts that the canary phase found to open any port

	ran      atomic.Bool
	begun    atomic.Int64                 // Unix time in ns
	current  atomic.Pointer[engine.Phase] // nil until addresses are resolved
	outputs  results.Deliverer            // nil where the outputs do not count
	verified atomic.Pointer[verified]     // nil where open ports are not verified
}

// The names of the phases.
const (
	PhaseResolve  = "resolve"  // next hops are asked for their MAC addresses
	PhaseCanaries = "canaries" // every host is asked for ports that nobody would open
	PhaseScan     = "scan"     // what was asked for
)

// New prepares the run of a plan. The error is of programs in the kernel that were asked for by name.
func New(p *plan.Plan) (*Scan, error) { return NewWith(p, Options{}) }

// NewWith is New with options. Rules need probes that are made in user space: where auto chose the backend ebpf,
// they make it xdp's.
func NewWith(p *plan.Plan, o Options) (*Scan, error) {
	s := &Scan{plan: p, gate: &gate.Gate{}, liars: openHosts{}}
	for _, r := range o.Rules {
		s.gate.Add(r)
	}
	c := engine.Config{Medium: o.Medium, Gate: s.gate}
	if p.Asked.Canaries {
		phase, err := canaryPhase(p)
		if err != nil {
			return nil, err
		}
		c.Phases = append(c.Phases, phase)
	}
	c.Phases = append(c.Phases, engine.PhaseConfig{Name: PhaseScan, Plan: p})
	var err error
	if s.session, err = engine.New(c); err != nil {
		return nil, err
	}
	s.main = s.session.Phases()[len(c.Phases)-1]
	return s, nil
}

// Pacer is the owner of the scan's rate: SetRate, Pause and Resume hold at once.
func (s *Scan) Pacer() *ratelimit.Pacer { return s.session.Pacer() }

// Choice is how probes are sent: the plan's, or what was left of it when it was opened. It is settled when the
// opening record is written.
func (s *Scan) Choice() plan.Choice { return s.session.Choice() }

// Run scans, once, and writes the record stream to sink, which it does not close. It returns the
// closing record, or nil where the scan did not get as far as its first record. When ctx ends, the
// scan stops within a second, with complete false and no error, and tells a sink that is an Unblocker
// not to wait for anything any more.
func (s *Scan) Run(ctx context.Context, sink results.Sink) (*results.ScanEnd, error) {
	if s.ran.Swap(true) {
		return nil, errors.New("a scan runs only once")
	}
	start := time.Now()
	s.begun.Store(start.UnixNano())
	s.outputs, _ = results.SinkAs[results.Deliverer](sink)
	if u, ok := results.SinkAs[Unblocker](sink); ok {
		defer context.AfterFunc(ctx, u.Stop)()
	}
	defer s.session.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	sink, err := s.judge(ctx, sink)
	if err != nil {
		return nil, err
	}
	if err := s.session.Open(ctx); err != nil {
		return nil, err
	}
	if err := sink.Start(s.plan.StartRecord(s.session.Choice(), start)); err != nil {
		end := s.end(start, false, err)
		return end, errors.Join(err, sink.End(end))
	}
	err = s.phases(ctx, sink)
	if errors.Is(err, engine.ErrUndrained) {
		return nil, err
	}
	if outputs, ok := results.SinkAs[settler](sink); ok {
		outputs.Settle(settleTime) // so that the closing record says of healthy outputs that they have it all
	}
	end := s.end(start, s.main.Complete() && s.main.Counts().Unknown == 0 && !s.session.Lost(), err)
	return end, errors.Join(err, sink.End(end))
}

// phases runs one after the other.
func (s *Scan) phases(ctx context.Context, sink results.Sink) error {
	for _, ph := range s.session.Phases() {
		s.current.Store(ph)
		if ph == s.main {
			return s.session.Run(ctx, ph, sink)
		}
		if err := s.session.Run(ctx, ph, s.liars.sink(sink)); err != nil {
			return fmt.Errorf("canary ports: %w", err)
		}
		if !ph.Complete() {
			break
		}
	}
	return nil
}

// Unblocker is a sink whose calls may wait for a receiver. After Stop none does, those under way included,
// and what comes is kept all the same.
type Unblocker interface{ Stop() }

// settler is a sink that delivers by itself, and can be waited for.
type settler interface{ Settle(limit time.Duration) }

// settleTime is what outputs have to take what they were given before it is written down how far they are.
const settleTime = 200 * time.Millisecond

// judge puts before the outputs what looks at records on their way: verification, then suspicion.
func (s *Scan) judge(ctx context.Context, outputs results.Sink) (results.Sink, error) {
	asked, space := &s.plan.Asked, s.plan.Space
	liars := map[netip.Addr]bool(s.liars)
	expected := func() float64 { return float64(space.NumPorts()) * float64(s.main.Done()) / float64(space.Len()) }
	hosts := judge.NewHosts(outputs, judge.HostsConfig{
		Show: asked.Show, Summaries: asked.ShowHosts, Ports: space.NumPorts(), Liars: liars, Expected: expected,
	})
	if !asked.Verify {
		return hosts, nil
	}
	slots, err := engine.ConnectSlots(judge.MaxVerify)
	if err != nil {
		return nil, err
	}
	counted := &verified{Sink: hosts}
	s.verified.Store(counted)
	return judge.NewVerifier(ctx, counted, judge.VerifierConfig{
		Source: asked.Source, Rate: s.plan.Pace.Max, Slots: slots, Ports: space.NumPorts(), Liars: liars, Expected: expected,
	})
}
