package engine

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"synoptic/rawsock/route"
	"synoptic/results"
	"synoptic/scan/beacon"
)

// sentinel watches over a phase: it sends beacons, and where nothing travels any more it has the senders
// pause, finds the cause, waits, and takes back what was sent meanwhile.
//
//	beacons, hit share, news of the host ─▶ outage: lanes pause, beacons go on ─▶ one is answered: take back, resume
//	                                                                          └─▶ patience is over, or one follows another in vain: the scan ends
type sentinel struct {
	session *Session
	phase   *Phase
	asked   asked
	shared  *sharedSchedule // that is, of raw probes; else nil
	set     *beacon.Set
	end     context.CancelCauseFunc

	begun    int64 // Unix time in ns, as all that follow
	done     history
	contacts contacts
	looked   int64 // when parts were last looked for
	checked  int64 // when paths were last looked at
	lull     lull
	gaps     []gaps // by path

	release func() // ends the pause; nil while there is none
	paused  int64  // when it began
	faulted int64  // when a lane was last told that an interface is down
	again   int64  // since when a beacon that is answered ends it
	since   int64  // the newest probe that was answered before it
	past    bool   // it was over when it was seen: answers to what was sent since say nothing of it
	before  int64  // the newest probe that was answered so far, of those sent until it began; 0: none was
	resumed int64  // when the last one was over,
	found0  int64  // how many positions had answered when it began,
	vain    int    // and how many followed so soon that nothing more was found
	reached uint64 // how far the scan was done when the first of them came that was over before it was believed
	cause   cause
	first   cause          // the first that the host has named in this outage
	later   *results.Event // of what is over, until it is known what came of it
	again0  uint64         // positions asked again before that
	due     int64          // when it is to be told
	found   chan finding   // what a search for the cause has found
	seeking bool
	sought  int64 // when the last one ended

	stood time.Duration // how long somebody had it paused, up to the last tick outside of a pause
	base  base

	refused refused

	away     []*away        // by path; nil: it is sent on
	suspects []*beacon.Part // that are lost, or their gateway is
	strayed  []stray        // targets whose routes may have changed
	remade   chan remade    // interfaces made anew
	remaking bool
}

// asked is what a phase has asked: passes of a schedule, or connections.
type asked interface {
	// takeBack says that what was sent since a time, up to now, has not travelled: it is asked again.
	takeBack(since time.Time)
	// lose says that a part has stopped answering, and tells how many positions have become unknown by that; back, that
	// it answers again.
	lose(p *beacon.Part) (unknown uint64)
	back(p *beacon.Part)
	// rouse has positions that the gate has put off asked about again at once, of some addresses.
	rouse(some func(netip.Addr) bool)
	// reached tells how far it is done: the number grows as positions get their states for good.
	reached() uint64
}

// cause is why nothing travels.
type cause struct {
	word string
	path *route.Path // as it was planned
	err  error
}

func newSentinel(ph *Phase, asked asked, end context.CancelCauseFunc) *sentinel {
	s := ph.session
	shared, _ := asked.(*sharedSchedule)
	return &sentinel{
		session: s, phase: ph, asked: asked, shared: shared, set: s.beacons.set, end: end, contacts: newContacts(ph),
		refused: newRefused(ph), found: make(chan finding, 1), remade: make(chan remade, 1), away: make([]*away, len(s.paths())), gaps: make([]gaps, len(s.paths())),
	}
}

const (
	// lookEvery is how often parts are looked for.
	lookEvery = int64(100 * time.Millisecond)
	// checkEvery is how often the host is asked about its paths while something is wrong.
	checkEvery = int64(200 * time.Millisecond)
	// faultQuiet is how long no lane must have been told of a fault for it to be over: they try again every
	// interfaceWait.
	faultQuiet = int64(10 * interfaceWait)
)

// begin looks at the host before anything is sent: a fault from the beginning is no news. Only run may follow.
func (w *sentinel) begin(ctx context.Context) {
	w.begun = time.Now().UnixNano()
	_, w.stood = w.session.pacer.Standing()
	w.base.exclusions = w.session.exclusions.Load()
	for i := range w.gaps {
		w.gaps[i].look(max(w.begun, w.set.NewestOn(i)))
	}
	w.check(ctx, w.begun)
}

// run watches until stop is closed or ctx ends.
func (w *sentinel) run(ctx context.Context, stop <-chan struct{}) {
	tick := time.NewTicker(beacon.TickStep)
	defer tick.Stop()
	defer w.resume(true)
	defer w.part()
	defer w.endRefusals()
	changes, claims := w.session.host.news()
	for _, h := range w.session.hops {
		w.tellConflicts(h.conflicts)
	}
	for ctx.Err() == nil {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		case c, ok := <-changes:
			if !ok {
				changes = nil
				continue
			}
			w.changed(ctx, &c)
		case c := <-claims:
			w.claimed(&c)
		case f := <-w.found:
			w.seeking, w.sought = false, time.Now().UnixNano()
			w.explained(&f)
		case r := <-w.remade:
			w.remaking = false
			w.reattach(&r)
		case <-tick.C:
			w.tick(ctx, time.Now().UnixNano())
		}
	}
}

// tick looks at what there is to see.
func (w *sentinel) tick(ctx context.Context, now int64) {
	if w.stands() {
		return
	}
	w.rebase(now)
	w.set.Tick(now)
	if w.session.steering != nil && w.release == nil {
		w.steer(now)
	} else {
		w.session.beacons.send(w.rate(now))
	}
	if w.later != nil && now >= w.due {
		w.tellLater()
	}
	w.done.note(now, w.phase)
	w.contacts.note(now, w.phase.cur.done(), w.beacons())
	w.lookAtGaps()
	if w.phase.fault.Swap(false) {
		w.faulted = now
		if w.check(ctx, now); w.release == nil && !w.anyAway() { // the host does not know, or does not say
			w.pause(now, w.newest(now), cause{word: results.CauseInterfaceDown})
		}
	}
	if w.phase.stuck.Swap(false) && now-w.checked >= checkEvery {
		w.check(ctx, now) // the link may have lost its carrier, and the kernel be late to tell
	}
	w.lookAtAway(ctx, now)
	if w.release != nil {
		w.wait(ctx, now)
		return
	}
	if w.lookBack(now); w.release != nil {
		return
	}
	if since, silent := w.set.Silent(w.expected(now)); silent {
		if w.check(ctx, now); w.release == nil {
			w.pause(now, since, cause{word: results.CausePath})
			w.seek(ctx)
		}
		return
	}
	if now-w.looked >= lookEvery {
		w.looked = now
		w.lookAtRefusals(now)
		w.parts(ctx, now)
	}
	if now-w.contacts.looked >= contactsEvery {
		w.lookAtContacts(now)
	}
	if now-w.contacts.slower.looked >= slowerEvery {
		w.lookAtFirstTries(now)
	}
}

const (
	beaconShare               = 0.009       // of the rate
	beaconFloor, startFloor   = 50.0, 100.0 // a second, at least; in the first startTime
	startTime                 = int64(2 * time.Second)
	mostOfRate, mostPerSecond = 0.1, 1000.0
	leastPerSecond            = 4.0  // where the rate is tiny, or nothing else is sent
	pausedPerSecond           = 20.0 // in an outage
)

// BeaconRate is how many beacons leave a second at a rate, when a phase has run for a while.
func BeaconRate(rate float64) float64 { return beaconRate(rate, beaconFloor) }

func beaconRate(rate, floor float64) float64 {
	return min(max(beaconShare*rate, floor), mostOfRate*rate, mostPerSecond)
}

// rate is how many beacons leave a second.
func (w *sentinel) rate(now int64) float64 {
	rate := min(w.session.pacer.Rate(), w.phase.plan.LimitedRate())
	floor := beaconFloor
	if now-w.begun < startTime {
		floor = startFloor
	}
	r := beaconRate(rate, floor)
	switch {
	case w.release != nil:
		return min(pausedPerSecond, max(mostOfRate*rate, min(leastPerSecond, rate)))
	case !w.phase.fed && w.phase.cur.done() >= w.phase.plan.Positions.Len():
		return max(r, min(leastPerSecond, rate/4)) // first tries are over: little else is sent
	}
	return r
}

// pause stops the lanes.
func (w *sentinel) pause(now, since int64, c cause) {
	w.release = w.session.pacer.Hold()
	w.tellLater()
	w.paused, w.again, w.since, w.first = now, now, since, c
	if found := w.phase.tally.open.Load() + w.phase.tally.closed.Load(); found != w.found0 || now-w.resumed > soonAgain {
		w.found0, w.vain = found, 0
	}
	w.vain++
	w.set.Pause(now)
	w.before = w.set.Before()
	w.waitFor(c)
	w.session.trust.outage(now, since)
	w.tell(results.Event{Kind: results.EventOutage, Begin: since, Message: w.words("no packets get through any more")})
}

// waitFor takes note of what is waited for, which the progress line says.
func (w *sentinel) waitFor(c cause) {
	w.cause = c
	w.phase.outage.Store(&c.word)
}

// wait looks whether an outage is over.
func (w *sentinel) wait(ctx context.Context, now int64) {
	if now-w.checked >= checkEvery {
		w.check(ctx, now)
	}
	w.lookBehind()
	_, evidence := w.set.Trusted()
	switch {
	case evidence && w.good() > w.again, !evidence && w.cause.path == nil && w.cause.word != results.CausePath && now-w.faulted > faultQuiet:
		w.resume(false)
	case time.Duration(now-w.paused) >= w.session.plan.Asked.Patience, w.hopeless():
		w.giveUpAll()
	case !w.seeking && w.cause.word != "" && now-w.paused > int64(time.Second):
		w.seek(ctx)
	}
}

// good is when the newest probe was sent that shows the outage to be over: not before the host no longer says that a path
// is at fault, but where its interface has another MAC address: some take on frames for the old one.
func (w *sentinel) good() int64 {
	paths := w.session.paths()
	for i := range paths {
		if w.cause.path == &paths[i] {
			if w.cause.word != string(route.CauseInterfaceChanged) {
				return 0
			}
			return w.set.GoodOf(i)
		}
	}
	return w.set.Good()
}

// takenSince is from when on what was sent has not travelled.
func (w *sentinel) takenSince() time.Time {
	before := w.set.Before()
	if before == 0 || w.past {
		before = w.since
	}
	return time.Unix(0, before-int64(w.phase.ev.rtts.Longest()))
}

// resume lets the lanes go on, after what was sent meanwhile is taken back; over tells that the phase ends.
func (w *sentinel) resume(over bool) {
	if w.release == nil {
		return
	}
	if !over {
		w.again0 = w.phase.tally.again.Load()
		w.asked.takeBack(w.takenSince())
		w.later = &results.Event{
			Kind: results.EventResumed, Begin: w.since, End: time.Now().UnixNano(),
			Message: "answers arrive again: what was sent meanwhile is probed again",
		}
		w.due = time.Now().UnixNano() + tellAfter
	}
	w.resumed = time.Now().UnixNano()
	w.session.trust.resumed(w.resumed)
	doubtful := w.first.word == results.CausePath && w.resumed-w.paused < int64(beacon.Shortest)
	w.set.Resume(doubtful)
	w.lull.end(w.beacons(), doubtful)
	w.phase.outage.Store(nil)
	if w.session.steering != nil {
		w.session.steering.forget()
	}
	w.release()
	w.release, w.past = nil, false
}

// tellAfter is how long it takes at most until all lanes have said how far they had come.
const tellAfter = int64(100 * time.Millisecond)

// tellLater tells what is over, with what came of it.
func (w *sentinel) tellLater() {
	e := w.later
	if e == nil {
		return
	}
	w.later = nil
	if e.Kind == results.EventResumed {
		e.Again = w.phase.tally.again.Load() - w.again0
	} else {
		e.Unknown = w.phase.tally.unknown.Load()
	}
	w.cause = w.first
	w.tell(*e)
}

// parts takes note of hosts, prefixes and paths that have stopped answering while others go on.
func (w *sentinel) parts(ctx context.Context, now int64) {
	lost, back := w.set.Parts(now)
	for _, p := range lost {
		if !w.suspect(ctx, p) {
			w.tellLost(p)
		}
	}
	for _, p := range back {
		if i := slices.Index(w.suspects, p); i >= 0 {
			w.suspects = slices.Delete(w.suspects, i, i+1)
			w.awaited()
			w.tellLost(p)
		}
		w.asked.back(p)
		e := w.partEvent(p)
		e.Kind, e.Begin, e.End = results.EventResumed, p.Since, p.Until
		e.Message = fmt.Sprintf("%s answers again", w.partName(p))
		w.emit(e)
	}
}
