package engine

import (
	"slices"
	"sync"
	"time"

	"synoptic/ratelimit"
	"synoptic/ratelimit/auto"
	"synoptic/scan/beacon"
	"synoptic/scan/plan"
	"synoptic/scan/schedule"
)

// steering is the automatic rate: the sentinel tells the controller every 10 ms what left and what came of beacons, and
// has the pace and the beacons follow.
//
//	sent, back-pressure, drops, beacons' outcomes, answers by attempt ─▶ auto.Controller ─▶ Pacer.SetRate, beacons between probes
//	                                        passes sent in overload are made anew ◀──────── Overloaded
//
// Lanes ask it about passes, so it has a lock.
type steering struct {
	bounds auto.Config

	mu         sync.Mutex
	controller *auto.Controller
	decision   auto.Decision
	ticked     int64                      // Unix time in ns, as all times here; 0: it has to begin anew
	from       int64                      // when it last began: what was sent before says nothing
	held       float64                    // a rate that somebody has set; 0: none
	contacts   float64                    // packets per second that first contacts bear; 0: nothing is known
	limits     [auto.Limits]time.Duration // for how long each has held the rate

	outcomes []beacon.Outcome
	seen     traffic
	idle     int // ticks in a row in which nothing was probed
}

// traffic is what has been counted.
type traffic struct{ probes, beacons, pressed, drops, starved uint64 }

// newSteering makes the steering of a plan; nil where its rate is not ours to choose.
func newSteering(p *plan.Plan) *steering {
	if !p.Auto {
		return nil
	}
	return &steering{bounds: auto.Config{Start: p.Pace.Start, Min: p.Pace.Min, Max: p.Pace.Max}, decision: auto.Decision{Rate: p.Pace.Start}}
}

// standstill is how long a tick may be late: what was learnt before is too old then.
const standstill = int64(time.Second)

const (
	tickStep = int64(beacon.TickStep)
	// idleTicks without a probe are a standstill, at AutoMin and above.
	idleTicks = 5
)

// begin forgets what is known: the path may have changed.
func (s *steering) begin(now int64, seen traffic, set *beacon.Set) {
	s.controller = auto.New(s.bounds, now)
	if s.contacts > 0 {
		s.controller.Contacts(s.contacts)
	}
	s.from, s.seen = now, seen
	s.outcomes = set.Outcomes(s.outcomes[:0])
}

// tick decides on the rate until the next one, and on beacons.
func (s *steering) tick(now int64, seen traffic, set *beacon.Set, longest time.Duration) auto.Decision {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ticked == 0 || now-s.ticked > standstill {
		s.begin(now, seen, set)
	}
	if s.held == 0 {
		s.limits[s.decision.Limit] += time.Duration(now - max(s.ticked, s.from))
	}
	s.ticked = now
	c := s.controller
	s.outcomes = set.Outcomes(s.outcomes[:0])
	// Where there is nothing to send but beacons, they meet no queue and no policer: they say nothing.
	if s.idle++; seen.probes != s.seen.probes {
		if s.idle > idleTicks {
			s.from = now - tickStep
		}
		s.idle = 0
	}
	for _, o := range s.outcomes {
		if o.Sent >= s.from && s.idle <= idleTicks {
			c.Beacon(auto.Outcome{Sent: o.Sent, RTT: o.RTT, Base: o.Base, BaseAt: o.BaseAt, Lost: o.RTT == 0 && !o.Refused, Late: o.Late, Proven: o.Proven, Refused: o.Refused})
		}
	}
	members, _ := set.Len()
	c.Members(members, longest)
	c.Sent(now, int(seen.probes-s.seen.probes+seen.beacons-s.seen.beacons))
	c.Backpressure(now, int(seen.pressed-s.seen.pressed))
	c.Drops(now, int(seen.drops-s.seen.drops))
	if seen.starved != s.seen.starved {
		c.Starved(now)
	}
	s.seen = seen
	d, last := c.Tick(now), s.decision
	if s.idle > idleTicks {
		d.Capacity, d.Limit = last.Capacity, last.Limit
	}
	s.decision = d
	return d
}

// leastContacts is the share to which the rate goes down at once where first contacts get lost, at least.
const leastContacts = 0.1

// contacted says how many packets a second first contacts bear. It returns that, within the bounds.
func (s *steering) contacted(rate float64) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.contacts = max(rate, s.bounds.Min)
	if s.controller != nil {
		s.controller.Contacts(s.contacts)
	}
	return s.contacts
}

// isHeld tells whether somebody has set the rate.
func (s *steering) isHeld() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held > 0
}

// bear is what contacted has said last; 0: nothing.
func (s *steering) bear() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.contacts
}

// forget has the next tick begin anew.
func (s *steering) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ticked = 0
}

// asked says that so many beacons are sent now.
func (s *steering) asked(now int64, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.controller.Asked(now, n)
}

// SetRate sets the rate to what of it lies within the pace's bounds, and returns the rate that holds. An automatic rate stays there.
func (s *Session) SetRate(rate float64) float64 {
	if x := s.steering; x != nil {
		x.mu.Lock()
		defer x.mu.Unlock()
		rate = s.pacer.SetRate(rate)
		x.held = rate
		return rate
	}
	return s.pacer.SetRate(rate)
}

// Steer lets a rate that was set go: it is automatic again. It returns false where it never was.
func (s *Session) Steer() bool {
	x := s.steering
	if x == nil {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.held = 0
	return true
}

// cleanPasses over a chunk that has silent positions must have been sent outside of overload, or all there were to be.
const cleanPasses = 2

// worthless tells whether too many of the passes over a chunk met an overload.
func (s *steering) worthless(passes []schedule.Span) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.controller == nil {
		return false
	}
	clean := 0
	for _, p := range passes {
		if !s.controller.Overloaded(p.Begun.UnixNano(), p.Ended.UnixNano()) {
			clean++
		}
	}
	return clean < min(cleanPasses, len(passes))
}

// overloaded tells whether what was sent from one time to another met an overload.
func (s *steering) overloaded(from, to int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.controller != nil && s.controller.Overloaded(from, to)
}

// yield tells what came of a chunk that was asked twice.
func (s *steering) yield(first schedule.Span, answered, second uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.controller == nil || first.Begun.UnixNano() < s.from {
		return
	}
	s.controller.Yield(auto.Yield{From: first.Begun.UnixNano(), To: first.Ended.UnixNano(), First: int(answered), Second: int(second)})
}

// Steered is what an automatic rate goes by.
type Steered struct {
	auto.Decision
	Mostly auto.Limit // what has held the rate for the longest time
}

// Steered may be called at any time from any goroutine; false where the rate is not automatic.
func (s *Session) Steered() (Steered, bool) {
	x := s.steering
	if x == nil {
		return Steered{}, false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	all := x.limits[:]
	return Steered{x.decision, auto.Limit(slices.Index(all, slices.Max(all)))}, true
}

// apply sets the rate decided on, unless somebody has set one.
func (s *steering) apply(p *ratelimit.Pacer, d *auto.Decision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held > 0 {
		d.Rate = s.held
		return
	}
	p.SetRate(d.Rate)
}

// steer has the pace and the beacons follow the path.
func (w *sentinel) steer(now int64) {
	s := w.session.steering
	d := s.tick(now, w.traffic(), w.set, w.phase.ev.rtts.Longest())
	s.apply(w.session.pacer, &d)
	w.set.Focus(d.Focus)
	s.asked(now, w.session.beacons.ride(d.Beacons, d.Rate, d.Spread))
}

// traffic is what has been counted so far.
func (w *sentinel) traffic() (n traffic) {
	for _, ph := range w.session.phases {
		if w.session.beacons.connects != nil {
			n.probes += ph.tally.begun.Load()
		} else {
			n.probes += ph.tally.sent.Load()
		}
		n.drops += ph.tally.rxDrops.Load()
		n.pressed += ph.tally.pressed.Load()
		n.starved += ph.tally.starved.Load()
	}
	n.beacons, _, _ = w.set.Totals()
	return n
}
