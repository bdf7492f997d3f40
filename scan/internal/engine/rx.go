package engine

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"synoptic/rawsock"
	"synoptic/results"
	"synoptic/results/window"
	"synoptic/scan/backoff"
	"synoptic/scan/probe"
)

// rxLane turns the packets of one ring into news, those of every interface or a share of them:
//
//	packet → parse → genuine? → position → mark → news?
//
// It never waits for anything but packets: news are handed over without blocking.
type rxLane struct {
	answers
	ring    *ring
	packets []rawsock.Packet // as read
	// shift is from the clock of the packets to that of the send times, now; nil: it is the same.
	shift func() time.Duration
}

// answers is what a reply goes through, wherever it comes from.
type answers struct {
	id      *identity
	results *window.Map
	ev      *evidence
	rec     *recorder
	tally   *tally
	ifaces  interfaceNames
	frames  *frames // nil where no output keeps any
	beacons *beacons
	feed    *feed // nil where a schedule says what is asked
	fault   *atomic.Bool

	refusals    *backoff.Counts // nil: nobody backs off
	lastAttempt uint8

	news  []results.Port
	reply probe.Reply
	seen  rxTally
}

func newAnswers(ph *Phase, ifaces interfaceNames) answers {
	return answers{
		id: &ph.id, results: ph.results, ev: &ph.ev, rec: &ph.rec, tally: &ph.tally, ifaces: ifaces,
		beacons: ph.session.beacons, fault: &ph.fault, refusals: ph.refusals, lastAttempt: ph.lastAttempt(),
	}
}

// interfaceNames are of those that packets come in by. A name is asked for once.
type interfaceNames struct {
	only string // all come in by it
	of   interface{ InterfaceName(index int) string }
	seen map[int]string
}

func (n *interfaceNames) name(p *rawsock.Packet) string {
	if n.of == nil {
		return n.only
	}
	name, ok := n.seen[p.Interface]
	if !ok {
		if name = n.of.InterfaceName(p.Interface); name != "" {
			if n.seen == nil {
				n.seen = map[int]string{}
			}
			n.seen[p.Interface] = name
		}
	}
	return name
}

// rxTally is a lane's own count, published once per wake-up.
type rxTally struct {
	replies, duplicates, outranked, invalid, late uint64

	heard int64 // when the newest probe that was answered was sent, Unix time in ns
}

const (
	// rxWait bounds how long a lane sleeps without looking at the kernel's drop counter.
	rxWait = 100 * time.Millisecond
	// rxLast is how long a stopped lane waits for what the kernel still holds: blocks that are not full
	// are handed over within half of it.
	rxLast = 10 * time.Millisecond
	// rxBatch packets at most are read at a time.
	rxBatch = 256
)

func (l *rxLane) wake() { l.ring.rx.Wake() }

// run reads until stop is closed (with wake), and then on until the ring is empty, or what it holds has come
// since: where packets come without end, it ends all the same.
func (l *rxLane) run(stop <-chan struct{}) error {
	l.news = l.rec.queue.batch()
	l.packets = make([]rawsock.Packet, rxBatch)
	wait, quiet := rxWait, 0
	last, newest := int64(math.MaxInt64), int64(0) // Unix times in ns: what comes after last had not come before the stop
	for quiet < 2 && newest < last {               // the first wait after the stop may be cut short by the wake
		ready, err := l.ring.rx.Wait(wait)
		switch {
		case errors.Is(err, rawsock.ErrInterface):
			l.fault.Store(true) // the ring goes on when the interface is up again
		case err != nil:
			return err
		}
		select {
		case <-stop:
			if wait != rxLast {
				wait, last = rxLast, time.Now().Add(rxLast).UnixNano()
			}
			if quiet++; ready {
				quiet = 0
			}
		default:
		}
		shift := int64(0)
		if l.shift != nil {
			shift = int64(l.shift())
		}
		for n := l.ring.rx.Read(l.packets); n > 0; n = l.ring.rx.Read(l.packets) {
			newest = l.packets[n-1].Time
			for i := range l.packets[:n] {
				l.packets[i].Time += shift
				l.packet(&l.packets[i])
			}
			if newest >= last {
				break
			}
		}
		l.news = l.rec.queue.put(l.news)
		if err := l.publish(); err != nil {
			return err
		}
	}
	return nil
}

// packet takes a packet, received at Unix time in ns.
func (a *answers) packet(p *rawsock.Packet) {
	r := &a.reply
	if !a.parse(p.Data) || !a.id.key.Genuine(r) {
		a.seen.invalid++
		return
	}
	if a.beacons.answer(r, p.Time, a.refusals) {
		return
	}
	reason := reasonOf(r)
	if reason == results.ReasonNone {
		a.seen.invalid++ // probe accepts only what has a reason
		return
	}
	if a.feed != nil {
		a.fed(reason, p)
		return
	}
	pos, ok := a.id.position(r)
	if !ok {
		a.seen.invalid++
		return
	}
	state := reason.State()
	a.seen.replies++
	attempt := a.id.attempt(r)
	if a.postponed(reason, attempt) {
		a.count(reason, attempt)
		return
	}
	old, ok := a.results.Mark(pos, state)
	if !ok {
		a.seen.late++
		return
	}
	switch {
	case old&state != 0:
		a.seen.duplicates++
		if reason == results.RST && a.refusals != nil {
			a.refusals.Came(r.Target, backoff.Extra)
		}
		return
	case old.Best() != 0 && old.Best() < state: // lower bits rank higher
		a.seen.outranked++
		return
	}
	a.tally.count(old, reason)
	if old.Best() == 0 {
		a.count(reason, attempt)
		a.ev.loss.Answer(pos, reason, attempt)
		if old != 0 { // it counted as not sent, for a later probe was refused
			a.tally.unsent.Add(^uint64(0))
		}
	}
	rtt, hasRTT := a.ev.roundTrip(r.Target, pos, attempt, p.Time)
	a.heard(reason, p.Time, rtt, hasRTT)
	if a.rec.emits&state != 0 {
		a.report(reason, p, rtt, hasRTT)
	}
}

// count counts an answer by its prefix, if it is to a first try, or to one that may have been postponed.
func (a *answers) count(reason results.Reason, attempt uint8) {
	if attempt == 0 || a.refusals != nil && a.refusals.Refuses(a.reply.Target) {
		came(a.refusals, a.reply.Target, reason)
	}
}

// heard takes a first answer, received at Unix time in ns, for evidence that probes travel.
func (a *answers) heard(reason results.Reason, received int64, rtt time.Duration, hasRTT bool) {
	if !hasRTT || reason != results.SYNACK && reason != results.RST {
		return
	}
	sent := received - int64(rtt)
	a.seen.heard = max(a.seen.heard, sent)
	a.beacons.heard(a.reply.Target, sent)
	a.beacons.offer(a.reply.Target, a.reply.Port, reason == results.SYNACK, sent, rtt)
}

// parse reads a packet into the lane's reply.
func (a *answers) parse(packet []byte) bool { return probe.Parse(packet, &a.reply) == probe.Accepted }

// fed takes an answer to what an Asker has handed out.
func (a *answers) fed(reason results.Reason, p *rawsock.Packet) {
	rtt, ok := a.feed.answered(&a.reply, p.Time)
	if !ok {
		a.seen.late++
		return
	}
	a.seen.replies++
	a.tally.count(0, reason)
	a.ev.rtts.Observe(a.reply.Target, rtt)
	a.heard(reason, p.Time, rtt, true)
	a.feed.came(a.rec.complete(a.record(reason, p, rtt, true)))
}

// report makes a record of the reply, and hands it over.
func (a *answers) report(reason results.Reason, p *rawsock.Packet, rtt time.Duration, hasRTT bool) {
	a.news = a.rec.emit(a.news, a.record(reason, p, rtt, hasRTT))
}

// record is that of the reply.
func (a *answers) record(reason results.Reason, p *rawsock.Packet, rtt time.Duration, hasRTT bool) results.Port {
	r := &a.reply
	var frame []byte
	var length uint32
	var link results.LinkType
	if a.frames != nil {
		frame, length, link = a.frames.keep(p)
	}
	return results.Port{
		Time: p.Time, Addr: r.Target, Port: r.Port, Reason: reason,
		TTL: r.TTL, RTT: rtt, HasRTT: hasRTT, Attempt: a.id.attempt(r) + 1,
		Suspect: suspectOf(r), Window: r.Window, MSS: r.MSS, Source: r.Local, SourcePort: r.LocalPort, Iface: a.ifaces.name(p), Router: r.Router,
		Frame: frame, FrameLen: length, Link: link,
	}
}

// suspectOf is what the reply alone gives away: SYN proxies answer so (naabu issue 1733).
func suspectOf(r *probe.Reply) results.Suspect {
	if r.Kind == probe.KindSYNACK && r.Window == 0 && r.OptionLen == 0 {
		return results.Win0NoOpts
	}
	return 0
}

func reasonOf(r *probe.Reply) results.Reason {
	switch r.Kind {
	case probe.KindSYNACK:
		return results.SYNACK
	case probe.KindRST:
		return results.RST
	}
	return results.FromICMP(r.ICMPType, r.ICMPCode)
}

// publishSeen adds what the lane has counted to the phase's counters.
func (a *answers) publishSeen() {
	a.tally.replies.Add(a.seen.replies)
	a.tally.duplicates.Add(a.seen.duplicates)
	a.tally.outranked.Add(a.seen.outranked)
	a.tally.invalid.Add(a.seen.invalid)
	a.tally.late.Add(a.seen.late)
	if a.seen.heard > 0 {
		a.beacons.set.Heard(a.seen.heard)
	}
	a.seen = rxTally{}
}

// publish adds what the lane and its ring have counted.
func (l *rxLane) publish() error {
	l.publishSeen()
	stats, err := l.ring.rx.Stats()
	if err != nil {
		return fmt.Errorf("read drop counter: %w", err)
	}
	l.tally.rxDrops.Add(stats.Drops - l.ring.drops)
	l.ring.drops = stats.Drops
	return nil
}
