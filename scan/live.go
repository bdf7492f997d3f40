package scan

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"synoptic/ratelimit"
	"synoptic/results"
	"synoptic/scan/gate"
	"synoptic/scan/internal/engine"
	"synoptic/scan/target"
)

// live is what somebody has changed while the scan runs. It holds for all parts, those that are still to come included.
type live struct {
	mu     sync.Mutex
	rate   float64       // probes per second; 0: as planned
	paused chan struct{} // closed when the pause is over; nil while there is none
	since  time.Time
	stood  time.Duration // pauses that are over

	excluded atomic.Pointer[target.Exclusions] // nil: nothing is
	prefixes int                               // that were asked for
	told     announcer
}

// MaxExcluded is how many prefixes may be excluded while a scan runs: the kernel's table has room for so many.
const MaxExcluded = 1 << 16

// Bounds are those of SetRate.
func (s *Scan) Bounds() ratelimit.Pace { return s.last().session.Pacer().Pace() }

// Rate is how many probes a second may leave at the moment; a pause does not change it.
func (s *Scan) Rate() float64 { return s.last().session.Pacer().Rate() }

// SetRate changes the rate, in probes per second, to what of it lies within Bounds, and returns the rate that holds. It does so
// within 50 ms.
func (s *Scan) SetRate(rate float64) float64 {
	s.live.mu.Lock()
	defer s.live.mu.Unlock()
	session := s.last().session
	before := session.Pacer().Rate()
	rate = session.SetRate(rate)
	s.live.rate = rate
	if rate != before {
		s.live.tell(results.Event{Kind: results.EventRate, Message: fmt.Sprintf("the rate is %s probes a second from now on, before %s", number(rate), number(before))})
	}
	return rate
}

// SetAuto has an automatic rate that was set go by the path again; false where the scan has none.
func (s *Scan) SetAuto() bool {
	s.live.mu.Lock()
	defer s.live.mu.Unlock()
	if !s.last().session.Steer() {
		return false
	}
	if s.live.rate != 0 {
		s.live.rate = 0
		s.live.tell(results.Event{Kind: results.EventRate, Message: "the rate is automatic again"})
	}
	return true
}

// set is the rate that was set; 0: none was.
func (l *live) set() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rate
}

func number(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// Pause has nothing leave any more until Resume, beacons and verification neither: within 50 ms, but for what connect(2) has
// under way and what the kernel has queued. Answers are taken on. It is no outage, and its time is told apart
// (results.ScanEnd.Paused).
func (s *Scan) Pause() {
	l := &s.live
	l.mu.Lock()
	defer l.mu.Unlock()
	s.last().session.Pacer().Pause()
	if l.paused != nil {
		return
	}
	l.paused, l.since = make(chan struct{}), time.Now()
	l.tell(results.Event{Kind: results.EventPaused, Message: "the scan is paused: nothing is sent"})
}

// Resume ends a pause. What was not sent meanwhile is no credit.
func (s *Scan) Resume() {
	l := &s.live
	l.mu.Lock()
	defer l.mu.Unlock()
	s.last().session.Pacer().Resume()
	if l.paused == nil {
		return
	}
	close(l.paused)
	l.paused = nil
	l.stood += time.Since(l.since)
	l.tell(results.Event{Kind: results.EventContinued, Begin: l.since.UnixNano(), End: time.Now().UnixNano(), Message: "the scan goes on after a pause"})
}

// Standing tells whether the scan is paused, and for how long it was in all.
func (s *Scan) Standing() (now bool, inAll time.Duration) { return s.live.standing() }

func (l *live) standing() (now bool, inAll time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.paused != nil {
		return true, l.stood + time.Since(l.since)
	}
	return false, l.stood
}

// await waits while the scan is paused, or until ctx ends.
func (l *live) await(ctx context.Context) {
	l.mu.Lock()
	over := l.paused
	l.mu.Unlock()
	if over == nil {
		return
	}
	select {
	case <-over:
	case <-ctx.Done():
	}
}

// Await waits while the scan is paused, also when it is over.
func (s *Scan) Await(ctx context.Context) { s.live.await(ctx) }

// Excludes tells whether an address was excluded while the scan ran.
func (s *Scan) Excludes(addr netip.Addr) bool { return s.live.excludes(addr) }

// Excluded is what an exclusion comes to.
type Excluded struct {
	Addresses uint64 `json:"addresses"` // of the targets
	Probes    uint64 `json:"probes"`    // positions of the whole scan, those that were probed already included
}

// Exclude has nothing leave any more for some addresses: no probe, no beacon, no connection to verify a port. It holds within
// 50 ms, and for good. Positions that have not answered by then, and were not probed as often as they were to be, are unknown
// and lower the coverage (results.ScanEnd.ExcludedLive). A scan that nothing of it concerns takes it all the same.
//
// The error says what does not hold; then everything is paused.
func (s *Scan) Exclude(x *target.Exclusions) (Excluded, error) {
	err := s.exclude(x)
	if errors.Is(err, errTooMany) {
		return Excluded{}, err
	}
	var sum Excluded
	for _, p := range s.plan.Parts() {
		addresses, probes, failed := x.Of(p.Space)
		err = errors.Join(err, failed)
		sum.Addresses += addresses
		sum.Probes += probes
	}
	return sum, err
}

// errTooMany refuses an exclusion.
var errTooMany = fmt.Errorf("more than %d prefixes would be excluded", MaxExcluded)

// exclude has it hold.
func (s *Scan) exclude(x *target.Exclusions) error {
	l := &s.live
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.prefixes += x.Len(); l.prefixes > MaxExcluded {
		l.prefixes -= x.Len()
		return errTooMany
	}
	before := l.excluded.Load()
	all := before.With(x)
	l.excluded.Store(all)
	if before == nil {
		s.gate.Add(gate.RuleFunc(l.rule))
	}
	if v := s.verifier.Load(); v != nil {
		v.Forget(x.Contains)
	}
	err := s.last().session.Exclude(all, x)
	for prefix := range x.Prefixes() {
		l.tell(excludedEvent(prefix))
	}
	if err != nil && l.paused == nil {
		l.paused, l.since = make(chan struct{}), time.Now()
		l.tell(results.Event{Kind: results.EventPaused, Message: err.Error()})
	}
	return err
}

// rule is the gate's for what is excluded.
func (l *live) rule(_ uint64, addr netip.Addr, _ uint16) gate.Answer {
	if l.excludes(addr) {
		return gate.Never
	}
	return gate.Go
}

func (l *live) excludes(addr netip.Addr) bool {
	x := l.excluded.Load()
	return x != nil && x.Contains(addr)
}

func excludedEvent(prefix netip.Prefix) results.Event {
	e := results.Event{Kind: results.EventExcluded, Scope: results.ScopePrefix, Prefix: prefix, Message: prefix.String() + " is excluded: nothing there is probed any more"}
	if prefix.IsSingleIP() {
		e.Scope, e.Message = results.ScopeHost, prefix.Addr().String()+" is excluded: nothing there is probed any more"
	}
	return e
}

// tell emits an event, with what all of them have in common.
func (l *live) tell(e results.Event) {
	e.Time, e.Cause = time.Now().UnixNano(), results.CauseControl
	if e.Scope == "" {
		e.Scope = results.ScopeAll
	}
	l.told.add(e)
}

// follow has the session of a part that begins do as the one before.
func (l *live) follow(session *engine.Session) error {
	if l.rate > 0 {
		session.SetRate(l.rate)
	}
	if l.paused != nil {
		session.Pacer().Pause()
	}
	if x := l.excluded.Load(); x != nil {
		return session.Exclude(x, x)
	}
	return nil
}

// announcer stands before a scan's other sinks, and puts into the stream what is told from elsewhere. The scan flushes ten times
// a second.
type announcer struct {
	results.Sink
	mu     sync.Mutex
	events []results.Event
}

func (a *announcer) add(e results.Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.events = append(a.events, e)
}

// emit hands on what was told.
func (a *announcer) emit() error {
	a.mu.Lock()
	events := a.events
	a.events = nil
	a.mu.Unlock()
	if len(events) == 0 {
		return nil
	}
	return a.Events(events)
}

// Flush emits.
func (a *announcer) Flush() error { return errors.Join(a.emit(), a.Sink.Flush()) }

// End emits.
func (a *announcer) End(e *results.ScanEnd) error { return errors.Join(a.emit(), a.Sink.End(e)) }

// Unwrap gives the sink behind.
func (a *announcer) Unwrap() results.Sink { return a.Sink }
