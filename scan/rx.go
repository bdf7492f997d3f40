package scan

import (
	"fmt"
	"time"

	"synoptic/rawsock"
	"synoptic/results"
	"synoptic/scan/probe"
)

// rxLane turns the packets of one ring into news, those of an interface or a share of them:
//
//	packet → parse → genuine? → index → position → mark → news?
//
// It never waits for anything but packets: news are handed over without blocking.
type rxLane struct {
	*engine
	rx      *rawsock.Rx
	packets []rawsock.Packet // as read
	at      int              // of these, the one at hand
	iface   string
	news    []results.Port
	reply   probe.Reply
	frames  *frames // nil where no output keeps any
	seen    rxTally
	drops   uint64 // of the kernel, as published
}

// rxTally is the lane's own count, published once per wake-up.
type rxTally struct{ replies, duplicates, outranked, invalid, late uint64 }

// rxNap bounds how long a lane sleeps without looking at the kernel's drop counter.
const rxNap = 100 * time.Millisecond

// rxBatch packets at most are read at a time.
const rxBatch = 256

// rxLast is how long a stopped lane waits for what the kernel still holds: blocks that are not full
// are handed over within half of it.
const rxLast = 10 * time.Millisecond

func (l *rxLane) wake() { l.rx.Wake() }

// Close closes the lane's ring.
func (l *rxLane) Close() error { return l.rx.Close() }

// run reads until stop is closed (with wake), and then on until the ring is empty.
func (l *rxLane) run(stop <-chan struct{}) error {
	l.news = l.queue.batch()
	l.packets = make([]rawsock.Packet, rxBatch)
	nap, quiet := rxNap, 0
	for quiet < 2 { // the first wait after the stop may be cut short by the wake
		ready, err := l.rx.Wait(nap)
		if err != nil {
			return err
		}
		select {
		case <-stop:
			nap = rxLast
			if quiet++; ready {
				quiet = 0
			}
		default:
		}
		for n := l.rx.Read(l.packets); n > 0; n = l.rx.Read(l.packets) {
			for l.at = range n {
				l.packet(l.packets[l.at].Data, l.packets[l.at].Time)
			}
		}
		l.news = l.queue.put(l.news)
		if err := l.publish(); err != nil {
			return err
		}
	}
	return nil
}

// AppendFrame appends the frame of the packet at hand, as frames.source.
func (l *rxLane) AppendFrame(b []byte) ([]byte, int) { return l.rx.AppendFrame(b, l.packets[l.at]) }

func (l *rxLane) packet(data []byte, received int64) {
	r := &l.reply
	if !l.parse(data) || !l.key.Genuine(r) {
		l.seen.invalid++
		return
	}
	index, ok := l.Space.Index(r.Target, r.Port)
	if !ok || r.LocalPort < l.SourcePorts.Min || r.LocalPort > l.SourcePorts.Max {
		l.seen.invalid++
		return
	}
	pos := l.Permutation.Position(index)
	reason := reasonOf(r)
	if reason == results.ReasonNone {
		l.seen.invalid++ // probe accepts only what has a reason
		return
	}
	state := reason.State()
	l.seen.replies++
	old, ok := l.results.Mark(pos, state)
	if !ok {
		l.seen.late++
		return
	}
	switch {
	case old&state != 0:
		l.seen.duplicates++
		return
	case old.Best() != 0 && old.Best() < state: // lower bits rank higher
		l.seen.outranked++
		return
	}
	l.tally.count(old, reason)
	if old.Best() == 0 {
		l.loss.answer(pos, reason, l.attempt())
	}
	rtt, hasRTT := l.roundTrip(pos, received)
	if l.emits&state != 0 {
		l.report(reason, received, rtt, hasRTT)
	}
}

// parse reads a packet into the lane's reply.
func (l *rxLane) parse(packet []byte) bool { return probe.Parse(packet, &l.reply) == probe.Accepted }

// attempt is the one that the reply answers, from 0.
func (l *rxLane) attempt() uint8 { return uint8(l.reply.LocalPort - l.SourcePorts.Min) }

// roundTrip is the time from the probe that the reply answers, where it is known.
func (l *rxLane) roundTrip(pos uint64, received int64) (rtt time.Duration, ok bool) {
	rtt, ok = l.rtt(pos, l.attempt(), received)
	if ok {
		l.rtts.observe(l.reply.Target, rtt)
	}
	return rtt, ok
}

// report makes a record of the reply.
func (l *rxLane) report(reason results.Reason, received int64, rtt time.Duration, hasRTT bool) {
	r := &l.reply
	var frame []byte
	var length uint32
	var link results.LinkType
	if l.frames != nil {
		frame, length, link = l.frames.keep()
	}
	l.news = l.emit(l.news, results.Port{
		Time: received, Addr: r.Target, Port: r.Port, Reason: reason,
		TTL: r.TTL, RTT: rtt, HasRTT: hasRTT, Attempt: l.attempt() + 1,
		Suspect: suspectOf(r), Window: r.Window, MSS: r.MSS, Source: r.Local, SourcePort: r.LocalPort, Iface: l.iface, Router: r.Router,
		Frame: frame, FrameLen: length, Link: link,
	})
}

// suspectOf is what the reply alone gives away: SYN proxies answer so (naabu issue 1733).
func suspectOf(r *probe.Reply) results.Suspect {
	if r.Kind == probe.KindSYNACK && r.Window == 0 && r.OptionLen == 0 {
		return results.Win0NoOpts
	}
	return 0
}

// rtt is the round trip of the attempt that was answered.
func (l *rxLane) rtt(pos uint64, attempt uint8, received int64) (time.Duration, bool) {
	times := l.times[attempt].Load()
	if times == nil {
		return 0, false
	}
	return times.rtt(pos, received)
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

// publishSeen adds what the lane has counted to the scan's counters.
func (l *rxLane) publishSeen() {
	l.tally.replies.Add(l.seen.replies)
	l.tally.duplicates.Add(l.seen.duplicates)
	l.tally.outranked.Add(l.seen.outranked)
	l.tally.invalid.Add(l.seen.invalid)
	l.tally.late.Add(l.seen.late)
	l.seen = rxTally{}
}

// publish adds what the lane and its ring have counted.
func (l *rxLane) publish() error {
	l.publishSeen()
	stats, err := l.rx.Stats()
	if err != nil {
		return fmt.Errorf("read drop counter of %s: %w", l.iface, err)
	}
	l.tally.rxDrops.Add(stats.Drops - l.drops)
	l.drops = stats.Drops
	return nil
}
