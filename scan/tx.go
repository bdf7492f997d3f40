package scan

import (
	"context"
	"errors"
	"fmt"
	"time"

	"synoptic/ratelimit"
	"synoptic/rawsock"
	"synoptic/results"
)

// txLane is one of the workers that send:
//
//	shared schedule gives a pass over a chunk → silent positions → limiter grants n of them
//	→ index → (address, port) → path → frame patched in the path's next slot → one kick per path
//
// It owns the chunk while the pass is in flight, and its egresses. With other lanes it shares the schedule,
// the limiter, the result map, the send times and counters.
type txLane struct {
	*engine
	schedule *sharedSchedule
	egress   []*egress
	limiter  *ratelimit.Limiter
	news     []results.Port
	due      []uint64 // positions of the batch in the making
}

// errGone ends a lane whose interface has vanished or gone down.
var errGone = errors.New("the interface is gone")

// idleNap bounds how long a lane sleeps while chunks wait for their gap: the gap may shrink meanwhile.
const idleNap = 10 * time.Millisecond

func (l *txLane) assign(s *sharedSchedule, r *ratelimit.Limiter) { l.schedule, l.limiter = s, r }

// backpressure is how often a socket had no room.
func (l *txLane) backpressure() (n uint64) {
	for _, e := range l.egress {
		n += e.tx.Stats().Backpressure
	}
	return n
}

// Close closes the lane's sockets.
func (l *txLane) Close() error {
	closeAll(l.egress)
	return nil
}

// run takes passes until all is sent, or ctx ends.
func (l *txLane) run(ctx context.Context) error {
	l.news = l.queue.batch()
	defer func() { l.queue.put(l.news) }()
	l.due = make([]uint64, 0, l.egress[0].tx.Batch())
	for l.queue.waitRoom(ctx) && ctx.Err() == nil {
		pass, wait := l.schedule.take()
		if pass == nil {
			if wait < 0 || !nap(ctx, min(wait, idleNap)) {
				break // everything is sent, or stopped
			}
			continue
		}
		if ended, err := l.walk(ctx, pass); !ended {
			l.abandon(pass)
			return err
		}
		l.schedule.finish(pass)
	}
	return nil
}

// walk sends what a pass has to send; ended is false where it was stopped before the end.
func (l *txLane) walk(ctx context.Context, p *pass) (ended bool, err error) {
	for l.queue.waitRoom(ctx) {
		if l.due = p.collect(l.results, l.due[:0]); len(l.due) == 0 {
			return true, nil
		}
		n, err := l.limiter.Take(ctx, len(l.due))
		if err != nil {
			return false, nil // stopped
		}
		n = l.trim(p, n)
		for _, e := range l.egress {
			e.frames = e.tx.Frames()
		}
		for _, pos := range l.due[:n] {
			l.craft(p, pos)
		}
		l.moveTo(p, l.due[n-1]+1)
		for i, e := range l.egress {
			if err := l.flush(ctx, p, e); err != nil {
				for _, rest := range l.egress[i+1:] {
					l.refused(p, rest.positions[:rest.n])
				}
				return false, err
			}
		}
		l.news = l.queue.put(l.news)
	}
	return false, nil
}

// moveTo says that the positions of a pass before cursor are dealt with.
func (e *engine) moveTo(p *pass, cursor uint64) {
	if p.first {
		e.ahead.Add(p.cursor - cursor) // less than zero
	}
	p.cursor = cursor
}

// abandon gives up the rest of a pass: what no probe was sent to must not pass for silent.
func (e *engine) abandon(p *pass) {
	if !p.first {
		return
	}
	for pos := p.cursor; pos < p.end; pos++ {
		e.results.Mark(pos, results.Unsent)
	}
	e.tally.unsent.Add(p.end - p.cursor)
	e.moveTo(p, p.end)
}

// nap reports false when ctx ended first.
func nap(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// trim takes back from a grant of n what would split an entry of the send-time table between two
// batches and the pause between them.
func (l *txLane) trim(p *pass, n int) int {
	if !p.first {
		return n
	}
	end := l.due[n-1] + 1
	if aligned := end &^ (l.timesOf(0).granule() - 1); aligned > p.cursor {
		l.limiter.Return(int(end - aligned))
		return int(aligned - p.cursor)
	}
	return n
}

// craft puts the probe of one position into its path's batch.
func (l *txLane) craft(p *pass, pos uint64) {
	if !p.first {
		if state, ok := l.results.Get(pos); !ok || state != 0 {
			l.limiter.Return(1) // answered while the grant was waited for
			return
		}
	}
	addr, port := l.Space.At(l.Permutation.Index(pos))
	e := l.egress[l.Routes.Lookup(addr)]
	frame := e.frames[e.n]
	if e.neighbours != nil {
		mac, ok := e.neighbours.MAC(addr)
		if !ok {
			l.settleUnprobed(pos, results.Port{Addr: addr, Port: port, Reason: results.NoARP, Source: e.path.Src, Iface: e.path.Link.Name})
			return
		}
		e.tmpl.PatchMAC(frame, mac)
	}
	// The attempt rides in the source port, so that a reply tells which one it answers.
	sport := l.SourcePorts.Min + uint16(p.attempt(pos))
	e.tmpl.Patch(frame, addr, sport, port, l.key.Hash(e.path.Src, addr, sport, port))
	e.positions[e.n] = pos
	e.n++
}

// settleUnprobed gives a position its state without a probe.
func (l *txLane) settleUnprobed(pos uint64, p results.Port) {
	l.limiter.Return(1)
	if _, ok := l.results.Mark(pos, p.Reason.State()); !ok {
		return // cannot be: the window was just advanced over pos
	}
	l.tally.count(0, p.Reason)
	l.tally.noARP.Add(1)
	if l.emits&p.Reason.State() == 0 {
		return
	}
	p.Time = time.Now().UnixNano()
	l.news = l.emit(l.news, p)
}

// flush hands a path's batch to the kernel. What the kernel refuses for good is counted, marked as
// not sent and reported; the scan goes on unless the interface is gone.
func (l *txLane) flush(ctx context.Context, p *pass, e *egress) error {
	n := e.n
	if n == 0 {
		return nil
	}
	e.n = 0
	begun := time.Now().UnixNano()
	l.sentAt(p, e.positions[:n], begun, 0) // provisional: a reply may come before the kick returns
	for sent := 0; sent < n; {
		k, err := e.tx.Send(sent, min(sent+l.Batch, n))
		l.count(p, e.positions[sent:sent+k])
		if k > 0 {
			l.kicked(p, e.positions[sent:sent+k], begun, time.Now().UnixNano())
		}
		sent += k
		switch {
		case err == nil:
		case errors.Is(err, rawsock.ErrBackpressure):
			if ctx.Err() != nil {
				l.lost(p, e.positions[sent:n])
				return nil
			}
		case errors.Is(err, rawsock.ErrInterface):
			l.refused(p, e.positions[sent:n])
			return fmt.Errorf("send on %s: %w: %w", e.path.Link.Name, errGone, err)
		default:
			l.refused(p, e.positions[sent:sent+1])
			l.sendError(fmt.Errorf("send on %s: %w", e.path.Link.Name, err))
			sent++
		}
		begun = time.Now().UnixNano()
	}
	return nil
}

// count counts probes that the kernel has accepted.
func (l *txLane) count(p *pass, positions []uint64) {
	l.tally.sent.Add(uint64(len(positions)))
	if p.first {
		return
	}
	l.tally.retransmitted.Add(uint64(len(positions)))
	if p.step == stepSample {
		l.loss.retried.Add(uint64(len(positions)))
	}
}

// A kick that takes longer than kickSlack and kickSlow for each frame was interrupted, and nobody
// knows where: rather no round trip than a wrong one.
const (
	kickSlack = 100 * time.Microsecond
	kickSlow  = 10 * time.Microsecond
)

// kicked stores the send times of a kick's frames, spread evenly over its duration.
func (l *txLane) kicked(p *pass, positions []uint64, begun, ended int64) {
	n := int64(len(positions))
	if ended-begun > int64(kickSlack)+n*int64(kickSlow) {
		for _, pos := range positions {
			l.timesOf(p.attempt(pos)).forget(pos)
		}
		return
	}
	l.sentAt(p, positions, begun, (ended-begun)/n)
}

// sentAt stores send times, step nanoseconds apart.
func (l *txLane) sentAt(p *pass, positions []uint64, begun, step int64) {
	l.sentAttempt(p, p.probes, positions, begun, step)
	if p.sampled {
		l.sentAttempt(p, p.probes+1, positions, begun, step)
	}
}

// sentAttempt is sentAt for the positions that are at an attempt.
func (l *txLane) sentAttempt(p *pass, attempt uint8, positions []uint64, begun, step int64) {
	times := l.timesOf(attempt)
	if !times.holds(positions[0]) {
		return // other chunks are a whole span ahead: the entries are theirs
	}
	for i, pos := range positions {
		if p.attempt(pos) == attempt {
			times.set(pos, begun+int64(i)*step)
		}
	}
	times.sent(positions[len(positions)-1] + 1)
}

// refused counts probes that the kernel did not accept for good.
func (l *txLane) refused(p *pass, positions []uint64) {
	l.tally.txErrors.Add(uint64(len(positions)))
	l.lost(p, positions)
}

// lost takes note of probes that were not sent. A lost retry leaves its position as silent as it was.
func (l *txLane) lost(p *pass, positions []uint64) {
	if p.first {
		l.unsent(positions)
	}
}

// unsent marks positions whose first probe was not sent, so that they do not pass for silent.
func (e *engine) unsent(positions []uint64) {
	for _, pos := range positions {
		e.results.Mark(pos, results.Unsent)
	}
	e.tally.unsent.Add(uint64(len(positions)))
}
