package engine

import (
	"fmt"
	"math"
	"net/netip"
	"sort"
	"time"

	"go4.org/netipx"

	"synoptic/results"
	"synoptic/scan/backoff"
	"synoptic/scan/beacon"
	"synoptic/scan/gate"
	"synoptic/scan/plan"
	"synoptic/scan/target"
)

// Prefixes that begin to refuse probes are slowed:
//
//	lanes: first tries sent, their answers, RSTs that come twice, beacons that turn ─▶ backoff.Counts
//	sentinel, ten times a second: backoff.Watch ─▶ gate: the prefix gets so many probes a second ─▶ event
//
// While nothing holds probes back, what was sent to a prefix is its share of all: no lane counts it.

// came counts what came back to the first try of a position. connect(2) has one error for what is prohibited and for what no router
// finds (EHOSTUNREACH: icmp_err_convert of Linux' net/ipv4/icmp.c), so there it says nothing.
func came(c *backoff.Counts, addr netip.Addr, reason results.Reason) {
	if c == nil {
		return
	}
	switch reason {
	case results.SYNACK, results.Connect:
		c.Came(addr, backoff.Open)
	case results.RST, results.Refused:
		c.Came(addr, backoff.Reset)
	default:
		if prohibits(reason) {
			c.Came(addr, backoff.Prohibited)
		}
	}
}

// prohibits tells whether an ICMP error says that somebody forbids the communication: RFC 1812 section 5.2.7.1.
func prohibits(r results.Reason) bool {
	return r == results.ICMPNetProhibited || r == results.ICMPHostProhibited || r == results.ICMPAdminProhibited
}

// echoed counts an answer to a beacon.
func echoed(c *backoff.Counts, addr netip.Addr, e beacon.Echo) {
	if c == nil {
		return
	}
	switch e {
	case beacon.Kept:
		c.Came(addr, backoff.Kept)
	case beacon.TurnedNow:
		c.Came(addr, backoff.TurnedNew)
		c.Came(addr, backoff.Turned)
	case beacon.Turned:
		c.Came(addr, backoff.Turned)
	}
}

// postponed tells whether an ICMP error settles nothing: its prefix is slowed because of such errors, and the position is asked again.
func (a *answers) postponed(reason results.Reason, attempt uint8) bool {
	return a.refusals != nil && attempt < a.lastAttempt && prohibits(reason) && a.refusals.Refuses(a.reply.Target)
}

// lastAttempt is the number, from 0, of the attempt behind which no other follows in any case. Where a policy decides it is the first.
func (ph *Phase) lastAttempt() uint8 {
	if ph.plan.Asked.TargetRecall > 0 {
		return 0
	}
	return uint8(ph.plan.Asked.Attempts - 1)
}

// refused is what the sentinel knows of prefixes that refuse probes.
type refused struct {
	watch *backoff.Watch           // nil: nobody backs off
	rates map[netip.Prefix]float64 // those of slowed prefixes
	rouse map[netip.Prefix]int     // whose positions are to be asked about again, and so many times: lanes have some in hand meanwhile
}

// rouseTimes is how often what is put off is asked about again where a rate has changed, at a look each.
const rouseTimes = 2

func newRefused(ph *Phase) refused {
	if ph.refusals == nil {
		return refused{}
	}
	all := ph.plan.Space.Addrs()
	return refused{
		watch: backoff.NewWatch(backoff.Config{
			Share:     func(p netip.Prefix) float64 { return float64(within(all, p)) / float64(all.Len()) },
			Trip:      ph.ev.rtts.Longest,
			Powerless: ph.session.choice.Backend == plan.BackendEBPF,
		}, ph.refusals),
		rates: map[netip.Prefix]float64{}, rouse: map[netip.Prefix]int{},
	}
}

// within is how many addresses of a set are in a prefix.
func within(all *target.Set, p netip.Prefix) int {
	r := netipx.RangeOfPrefix(p)
	first := sort.Search(int(all.Len()), func(i int) bool { return all.At(uint64(i)).Compare(r.From()) >= 0 })
	return sort.Search(int(all.Len())-first, func(i int) bool { return all.At(uint64(first+i)).Compare(r.To()) > 0 })
}

// crowded is the share of the room for what is put off from which on slowed prefixes give way: without room, all others
// would wait for them.
const crowded = 0.5

// lookAtRefusals slows what has begun to refuse probes, and speeds up what has ended to.
func (w *sentinel) lookAtRefusals(now int64) {
	r := &w.refused
	if r.watch == nil {
		return
	}
	for _, c := range r.watch.Look(now) {
		w.backOff(&c)
	}
	if r.watch.Slowed() > 0 && w.session.gate.Parked() > int(crowded*gate.MaxParked) {
		for _, c := range r.watch.GiveWay(now) {
			w.backOff(&c)
		}
	}
	if len(r.rouse) > 0 {
		for p := range r.rouse {
			w.hold(p) // with an empty queue
		}
		w.asked.rouse(func(addr netip.Addr) bool { return r.rouse[gate.Neighbourhood(addr)] > 0 })
	}
	for p, n := range r.rouse {
		if r.rouse[p] = n - 1; n == 1 {
			delete(r.rouse, p)
		}
	}
}

// endRefusals lets all go.
func (w *sentinel) endRefusals() {
	if w.refused.watch == nil {
		return
	}
	for _, c := range w.refused.watch.End() {
		w.backOff(&c)
	}
}

var refusalCauses = [...]string{backoff.Prohibitions: results.CauseProhibited, backoff.Resets: results.CauseResets, backoff.Storm: results.CauseRSTStorm}

var refusalWords = [...]string{
	backoff.Prohibitions: "is answered by ICMP errors (administratively prohibited) in the place of other answers",
	backoff.Resets:       "is answered by resets where ports were open before",
	backoff.Storm:        "is answered by more resets than probes were sent",
}

var endingWords = [...]string{
	backoff.Over:     "has ended to refuse probes: it gets as many as others again",
	backoff.Vain:     "refuses as much however slow it is probed: it gets as many probes as others again",
	backoff.Crowded:  "gets as many probes as others again: there is no room for more that waits for it",
	backoff.Finished: "was slowed to the end of the scan",
}

// backOff does what was decided on a prefix, and tells when it begins and ends.
func (w *sentinel) backOff(c *backoff.Change) {
	e := results.Event{Kind: results.EventBackoff, Scope: results.ScopePrefix, Prefix: c.Prefix, Cause: refusalCauses[c.Reason], Begin: c.Begin}
	w.refused.rates[c.Prefix] = c.Rate
	w.hold(c.Prefix)
	if !c.Began {
		w.refused.rouse[c.Prefix] = rouseTimes
	}
	switch {
	case c.Began && c.Rate == 0:
		e.Message = fmt.Sprintf("%v %s; programs in the kernel cannot slow one prefix, so it gets as many probes as others", c.Prefix, refusalWords[c.Reason])
	case c.Began:
		e.Rate = uint64(math.Ceil(c.Rate))
		e.Message = fmt.Sprintf("%v %s: it gets %d probes a second now, before %.0f", c.Prefix, refusalWords[c.Reason], e.Rate, c.Full)
	case c.Rate > 0:
		return
	default:
		e.End = time.Now().UnixNano()
		e.Message = fmt.Sprintf("%v %s", c.Prefix, endingWords[c.Ended])
	}
	w.emit(e)
}

// hold has the gate keep a prefix to its rate.
func (w *sentinel) hold(p netip.Prefix) {
	rate := w.refused.rates[p]
	if rate == 0 {
		delete(w.refused.rates, p)
		w.session.gate.Release(p)
		return
	}
	if err := w.session.gate.Slow(p, rate); err != nil { // cannot be: the rate is above zero
		w.phase.errors.keep(err)
	}
}

// rouse has positions that were put off asked about at once.
func (s *sharedSchedule) rouse(some func(netip.Addr) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.schedule.Rouse(time.Now(), func(pos uint64) bool {
		addr, _ := s.phase.id.endpoint(pos)
		return some(addr)
	})
}
