package engine

import (
	"time"

	"synoptic/rawsock"
	"synoptic/rawsock/xdp"
)

// kernelRx makes records of what the program passes on:
//
//	news (marked already) → record; raw packet → the way of every other answer
type kernelRx struct {
	answers
	programs      *xdp.Programs
	generates     bool      // the generator sends, and writes the send times
	seenByProgram xdp.Tally // as published
}

const (
	// kernelWait is how often a lane looks: the program wakes nobody, for that would cost it more than
	// all its other work.
	kernelWait = 2 * time.Millisecond
	// kernelLast is how long a stopped lane still waits.
	kernelLast = 5 * time.Millisecond
	// kernelBatch records at most lie between two looks at the counters.
	kernelBatch = 4096
)

func (l *kernelRx) wake() {}

func (l *kernelRx) run(stop <-chan struct{}) error {
	l.news = l.rec.queue.batch()
	for last := false; ; {
		select {
		case <-stop:
			last = true
		default:
		}
		wait := kernelWait
		if last {
			wait = kernelLast
		}
		n, err := l.read(time.Now().Add(wait))
		if err != nil {
			return err
		}
		l.news = l.rec.queue.put(l.news)
		l.publishSeen()
		if err := l.publishTally(); err != nil {
			return err
		}
		if last && n == 0 {
			return nil
		}
	}
}

// read takes what comes until the deadline, and tells how many records.
func (l *kernelRx) read(deadline time.Time) (n int, err error) {
	p := l.programs
	offset := p.ClockOffset()
	sends := offset // to the clock of the send times
	if l.generates {
		sends = p.SendClockOffset()
	}
	for n < kernelBatch {
		r, ok, err := p.Next(deadline)
		if err != nil || !ok {
			return n, err
		}
		n++
		l.record(&r, int64(r.Time+offset), int64(r.Time+sends))
		if !p.More() {
			time.Sleep(min(time.Until(deadline), time.Millisecond)) // rather some at once than each at its time
		}
	}
	return n, nil
}

// record takes one: received by the clock, and by that of the send times, both Unix ns.
func (l *kernelRx) record(r *xdp.Record, received, bySends int64) {
	if r.Kind == xdp.Raw {
		l.packet(&rawsock.Packet{Data: r.Packet, Time: bySends})
		return
	}
	if !l.parse(r.Packet) {
		l.seen.invalid++ // cannot be: the program has read the same bytes
		return
	}
	attempt := l.id.attempt(&l.reply)
	l.count(reasonOf(&l.reply), attempt)
	rtt, ok := l.ev.roundTrip(l.reply.Target, r.Position, attempt, bySends)
	l.heard(reasonOf(&l.reply), bySends, rtt, ok)
	if r.Kind == xdp.News {
		l.report(reasonOf(&l.reply), &rawsock.Packet{Time: received}, rtt, ok)
	}
}

// publishTally adds what the program has counted since the last time to the scan's counters.
func (l *kernelRx) publishTally() error {
	now, err := l.programs.Tally()
	if err != nil {
		return err
	}
	was := &l.seenByProgram
	l.tally.replies.Add(now.Replies - was.Replies)
	l.tally.duplicates.Add(now.Duplicates - was.Duplicates)
	l.tally.outranked.Add(now.Outranked - was.Outranked)
	l.tally.invalid.Add(now.Invalid - was.Invalid)
	l.tally.late.Add(now.Late - was.Late)
	l.tally.rxDrops.Add(now.RingFull - was.RingFull)
	l.tally.overruns.Add(now.Overruns - was.Overruns)
	l.tally.open.Add(now.Open - was.Open)
	l.tally.closed.Add(now.Closed - was.Closed)
	l.tally.filtered.Add(now.Filtered - was.Filtered)
	if now.Repeated > 0 {
		l.ev.loss.SawLoss()
	}
	*was = now
	return nil
}
