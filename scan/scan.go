package scan

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"synoptic/results"
	"synoptic/results/crash"
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
	plan   *plan.Plan
	medium Medium
	gate   *gate.Gate
	liars  openHosts // hosts that the canary phase found to open any port

	mu    sync.Mutex // parts
	parts []*part    // that were begun: the plan's first from New on

	ran      atomic.Bool
	begun    atomic.Int64                      // Unix time in ns
	current  atomic.Pointer[running]           // nil until addresses are resolved
	outputs  atomic.Pointer[results.Deliverer] // nil where the outputs do not count
	live     live
	meter    meter
	verifier atomic.Pointer[judge.Verifier]  // nil where open ports are not verified
	closing  atomic.Pointer[results.ScanEnd] // nil until the scan is over
	verified atomic.Pointer[verified]        // nil where open ports are not verified
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
	s := &Scan{plan: p, medium: o.Medium, gate: &gate.Gate{}, liars: openHosts{}}
	for _, r := range o.Rules {
		s.gate.Add(r)
	}
	if err := s.limit(); err != nil {
		return nil, err
	}
	first, err := s.newPart(p)
	if err != nil {
		return nil, err
	}
	s.parts = []*part{first}
	return s, nil
}

// limit has the gate keep the plan's limits.
func (s *Scan) limit() error {
	if len(s.plan.Limits) == 0 {
		return nil
	}
	all := make([]gate.Limit, 0, len(s.plan.Limits))
	for _, l := range s.plan.Limits {
		all = append(all, gate.Limit{PrefixRate: l.PrefixRate, Salt: l.Salt})
	}
	limits, err := gate.NewLimits(all)
	if err != nil {
		return err
	}
	s.gate.Limit(limits)
	return nil
}

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
	if outputs, ok := results.SinkAs[results.Deliverer](sink); ok {
		s.outputs.Store(&outputs)
	}
	if u, ok := results.SinkAs[Unblocker](sink); ok {
		defer context.AfterFunc(ctx, crash.Guarded(u.Stop))()
	}
	defer s.closeLast()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	sink, err := s.judge(ctx, sink)
	if err != nil {
		return nil, err
	}
	s.live.told.Sink = sink
	sink = &s.live.told
	defer s.measure()()
	first := s.last()
	if err := first.session.Open(ctx); err != nil {
		return nil, err
	}
	if err := s.open(sink, start); err != nil {
		end := s.end(start, false, err)
		return end, errors.Join(err, sink.End(end))
	}
	if err = s.runPart(ctx, first, sink); err == nil {
		err = s.runApart(ctx, sink)
	}
	if errors.Is(err, engine.ErrUndrained) {
		return nil, err
	}
	if outputs, ok := results.SinkAs[settler](sink); ok {
		outputs.Settle(settleTime) // so that the closing record says of healthy outputs that they have it all
	}
	end := s.end(start, s.complete(), err)
	notices := end.Cover(s.Covered())
	s.closing.Store(end)
	return end, errors.Join(err, sink.Notices(notices), sink.End(end))
}

// open writes what the stream begins with.
func (s *Scan) open(sink results.Sink, start time.Time) error {
	if err := sink.Start(s.plan.StartRecord(s.Choice(), start)); err != nil {
		return err
	}
	plans, err := s.plan.Notices(start)
	if err != nil {
		return err
	}
	return sink.Notices(plans)
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
	asked := &s.plan.Asked
	liars := map[netip.Addr]bool(s.liars)
	expected := func() float64 { // by the part under way: records come from it
		p := s.last()
		return float64(p.plan.Space.NumPorts()) * float64(p.main.Done()) / float64(p.plan.Space.Len())
	}
	hosts := judge.NewHosts(outputs, judge.HostsConfig{
		Show: asked.Show, Summaries: asked.ShowHosts, Ports: s.plan.NumPorts(), Liars: liars, Expected: expected,
	})
	if !asked.Verify {
		return hosts, nil
	}
	counted := &verified{Sink: hosts}
	s.verified.Store(counted)
	v, err := judge.NewVerifier(ctx, counted, judge.VerifierConfig{
		Source: s.plan.OwnSource(), Rate: s.plan.Pace.Max, Slots: s.plan.Connections(judge.MaxVerify), Ports: s.plan.NumPorts(), Liars: liars, Expected: expected,
		Pace: s.Rate, Await: s.live.await, Excluded: s.live.excludes,
	})
	if err != nil {
		return nil, err
	}
	s.verifier.Store(v)
	return v, nil
}
