package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"synoptic/ratelimit"
	"synoptic/rawsock/route"
	"synoptic/results"
	"synoptic/results/crash"
	"synoptic/scan/gate"
	"synoptic/scan/plan"
	"synoptic/scan/probe"
	"synoptic/scan/target"
)

// Session is what the phases of a scan share. What it opens, it opens once.
type Session struct {
	plan   *plan.Plan  // of the last phase: all have its routes, source ports and pace
	routes *route.Plan // the plan's, or of the host's own connections; nil where the host does not say
	choice plan.Choice
	medium Medium
	key    probe.Key
	pacer  *ratelimit.Pacer
	gate   *gate.Gate

	live       sync.Mutex                        // the backend while it is exchanged, and programs while they are let go
	excluded   atomic.Pointer[target.Exclusions] // while the scan ran; nil: nothing was
	exclusions atomic.Int64                      // how often that was

	phases    []*Phase
	backend   backend
	beacons   *beacons
	steering  *steering // of the rate; nil where it is as planned
	trust     trust
	hops      []*hop
	host      host
	held      io.Closer    // source ports that are kept from the host's connections; nil where that is not needed
	unanswer  func()       // ends the answers for the source address; nil before there are any
	resolving atomic.Int64 // ns that the resolution of addresses took

	neighbours  Neighbours
	dropsBefore atomic.Pointer[map[int]uint64] // what links had lost when the session was opened
}

// backend is how probes leave and answers come in.
type backend interface {
	// open makes everything ready, receivers first; when it fails, no probe was sent.
	open(ctx context.Context) error
	// run sends all positions of a phase, sees the answers in and returns. When ctx ends it stops at once.
	run(ctx context.Context, ph *Phase) error
	// exclude has what is not asked of the gate leave no more: see Session.Exclude.
	exclude(x *target.Exclusions) error
	close()
}

// Config says what a session is for.
type Config struct {
	Medium Medium        // nil: Kernel
	Gate   *gate.Gate    // nil: one without rules
	Phases []PhaseConfig // in the order in which they run, at least one
}

// PhaseConfig is a phase: a name that people see, and what is done. The plans of all phases but the last were made
// by the last one's Phase method.
type PhaseConfig struct {
	Name  string
	Plan  *plan.Plan
	Parts int  // of a scan, of which this is one, whose loss can be measured; 0 is 1
	Fed   bool // an Asker says what is asked: Session.Feed runs it
}

// New prepares a session, up to programs in the kernel, of which none is attached yet.
func New(c Config) (*Session, error) {
	key, err := probe.NewKey()
	if err != nil {
		return nil, err
	}
	last := c.Phases[len(c.Phases)-1].Plan
	s := &Session{plan: last, routes: cmp.Or(last.Routes, last.OwnRoutes), choice: last.Choice, medium: c.Medium, key: key, gate: c.Gate}
	if s.medium == nil {
		s.medium = Kernel{}
	}
	if s.gate == nil {
		s.gate = &gate.Gate{}
	}
	if s.choice.Backend == plan.BackendEBPF && !s.gate.OpenIPv4() {
		why := errors.New("the generator cannot hold single probes back")
		if !s.choice.Auto {
			return nil, fmt.Errorf("backend %s: %w", s.choice.Backend, why)
		}
		s.choice = s.choice.WithoutGenerator(why)
	}
	if s.pacer, err = ratelimit.NewPacer(last.Pace, ratelimit.System()); err != nil {
		return nil, err
	}
	for _, p := range c.Phases {
		ph, err := newPhase(s, p)
		if err != nil {
			return nil, err
		}
		s.phases = append(s.phases, ph)
	}
	if s.choice.Backend == plan.BackendXDP || s.choice.Backend == plan.BackendEBPF {
		switch err := s.loadPrograms(); {
		case err == nil:
		case s.choice.Auto:
			s.choice = last.PacketSockets(err)
		default:
			return nil, fmt.Errorf("backend %s: %w", s.choice.Backend, err)
		}
	}
	s.backend = s.newBackend()
	s.beacons, s.steering = newBeacons(s), newSteering(last)
	return s, nil
}

// loadPrograms puts programs into the kernel for every phase.
func (s *Session) loadPrograms() error {
	for _, ph := range s.phases {
		if err := ph.loadPrograms(s.key, s.choice.Backend); err != nil {
			return errors.Join(err, s.dropPrograms())
		}
	}
	return nil
}

// dropPrograms takes them out again; the phases go on in memory of their own.
func (s *Session) dropPrograms() error {
	for _, ph := range s.phases {
		ph.release()
		if err := ph.renew(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) newBackend() backend {
	switch s.choice.Backend {
	case plan.BackendConnect:
		return &connectBackend{session: s}
	case plan.BackendXDP, plan.BackendEBPF:
		return &kernelBackend{session: s}
	}
	return &packetBackend{session: s}
}

// Phases are the session's, in order.
func (s *Session) Phases() []*Phase { return s.phases }

// Choice is how probes are sent: the plan's, or what was left of it when it was opened.
func (s *Session) Choice() plan.Choice { return s.choice }

// Pacer is the one that all lanes take their grants from.
func (s *Session) Pacer() *ratelimit.Pacer { return s.pacer }

// Resolving is how long it took to resolve next hops.
func (s *Session) Resolving() time.Duration { return time.Duration(s.resolving.Load()) }

// Open opens what probes leave and answers come in by. Where the programs in the kernel turn out not to work, and
// the choice was ours, packet sockets take their place. When it fails, no probe was sent.
func (s *Session) Open(ctx context.Context) error {
	if err := s.holdSource(ctx); err != nil {
		return err
	}
	drops := s.linkDrops()
	s.dropsBefore.Store(&drops)
	err := s.open(ctx)
	if _, programs := s.backend.(*kernelBackend); err == nil || !programs || !s.choice.Auto || ctx.Err() != nil {
		return err
	}
	s.backend.close()
	if err := s.fallBack(err); err != nil {
		return err
	}
	return s.open(ctx)
}

// fallBack puts packet sockets in the place of programs.
func (s *Session) fallBack(why error) error {
	s.live.Lock()
	defer s.live.Unlock()
	s.choice = s.plan.PacketSockets(why)
	if err := s.dropPrograms(); err != nil {
		return err
	}
	s.backend = s.newBackend()
	return nil
}

// open opens the backend, and what watches over it.
func (s *Session) open(ctx context.Context) error {
	if err := s.backend.open(ctx); err != nil {
		return err
	}
	s.follow(context.WithoutCancel(ctx))
	return s.beacons.open(s.medium, s.hops, s.choice.Lanes)
}

// Run runs a phase to its end and hands its records to sink, one call at a time; the opening and the closing record
// are the caller's. The error is a failure of the scan or of sink; that ctx ended is none.
func (s *Session) Run(ctx context.Context, ph *Phase, sink results.Sink) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ph.begun.Store(time.Now().UnixNano())
	defer func() { ph.ended.Store(time.Now().UnixNano()) }()
	ph.rec.macs = s.onLinkMACs()
	s.pacer.Restart()
	drained := ph.pump(ctx, sink, cancel)
	err := s.backend.run(ctx, ph)
	if err != nil {
		cancel(fatal{err})
	}
	if ctx.Err() == nil && !ph.cut {
		ph.emitSilent(ctx)
	}
	if !drained() {
		return errors.Join(err, ErrUndrained)
	}
	if err == nil {
		err = stopCause(ctx) // a sink broke
	}
	if n := ph.overruns(); err == nil && n > 0 {
		err = fmt.Errorf("%d replies came while their slot of the result map was being reused, so later results may be wrong: a larger map or a lower rate is needed", n)
	}
	complete := ctx.Err() == nil && err == nil && !ph.cut
	ph.cover(complete)
	ph.complete.Store(complete)
	return err
}

// pump begins to hand the phase's records to sink. What it returns ends that, and tells whether sink has taken all.
func (ph *Phase) pump(ctx context.Context, sink results.Sink, cancel context.CancelCauseFunc) (drained func() bool) {
	stop, done := make(chan struct{}), make(chan struct{})
	crash.Go(func() {
		ph.rec.queue.pump(sink, stop, func(err error) { cancel(fatal{err}) })
		close(done) // not deferred: after a panic sink has not had all
	})
	return func() bool {
		close(stop)
		return taken(ctx, done)
	}
}

// ErrUndrained ends a scan whose sink did not take what it was given even after the stop: no record may follow.
var ErrUndrained = errors.New("stopped while an output took no more records: what waited for it is lost")

// Close closes everything. The phases' counts stay readable.
func (s *Session) Close() {
	s.backend.close()
	s.beacons.close()
	s.host.leave()
	s.releaseSource()
	s.live.Lock()
	defer s.live.Unlock()
	for _, ph := range s.phases {
		ph.release()
	}
}

// drainTime is how long a stopped scan waits for a sink that is no Unblocker to take what it was given.
const drainTime = 700 * time.Millisecond

// taken waits for the pump: without limit, but for a short time only once the scan is told to stop.
func taken(ctx context.Context, pump <-chan struct{}) bool {
	select {
	case <-pump:
		return true
	case <-ctx.Done():
	}
	select {
	case <-pump:
		return true
	case <-time.After(drainTime):
		return false
	}
}

// fatal is the cause of a context that the scan itself has ended, as against one whose caller has
// told the scan to stop, which is no error.
type fatal struct{ error }

// stopCause is the error that ended ctx, or nil where the scan was only told to stop.
func stopCause(ctx context.Context) error {
	cause := context.Cause(ctx)
	if f, ok := errors.AsType[fatal](cause); ok {
		return f.error
	}
	if errors.Is(cause, crash.Err) {
		return crash.Err
	}
	return nil
}
