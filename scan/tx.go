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

// txLane sends the probes of a range of positions:
//
//	schedule gives a pass → silent positions → limiter grants n of them → window advances
//	→ index → (address, port) → path → frame patched in the path's next slot → one kick per path
//
// It owns its schedule and egresses. With receivers it shares only the result map, the send times and
// counters.
type txLane struct {
	*engine
	schedule *schedule
	egress   []*egress
	limiter  *ratelimit.Limiter
	news     []results.Port
	due      []uint64 // positions of the batch in the making
}

// errGone ends a lane whose interface has vanished or gone down.
var errGone = errors.New("the interface is gone")

// idleNap bounds how long a lane sleeps while chunks wait for their gap: the gap may shrink meanwhile.
const idleNap = 10 * time.Millisecond

func (l *txLane) run(ctx context.Context) error {
	l.news = l.queue.batch()
	silent := l.silentRecorder(&l.news)
	defer func() { l.queue.put(l.news) }()
	l.due = make([]uint64, 0, l.egress[0].tx.Batch())
	for {
		if !l.queue.waitRoom(ctx) {
			return nil
		}
		now := time.Now()
		pass, wait := l.schedule.next(now)
		if pass == nil {
			if wait < 0 {
				return nil // everything is sent
			}
			if l.news = l.queue.put(l.news); !nap(ctx, min(wait, idleNap)) {
				return nil // stopped
			}
			continue
		}
		if pass.first && pass.cursor == pass.begin {
			l.loss.open(pass.begin)
		}
		if l.due = pass.collect(l.results, l.due[:0]); len(l.due) == 0 {
			l.schedule.finish(now)
			continue
		}
		n, err := l.limiter.Take(ctx, len(l.due))
		if err != nil {
			return nil // stopped
		}
		n = l.trim(pass, n)
		pass.cursor = l.due[n-1] + 1
		if pass.first {
			l.advance(pass.cursor, silent)
		}
		for _, pos := range l.due[:n] {
			l.craft(pass, pos)
		}
		for i, e := range l.egress {
			if err := l.flush(ctx, pass, e); err != nil {
				for _, rest := range l.egress[i+1:] {
					l.unsent(pass, rest.positions[:rest.n])
				}
				return err
			}
		}
		l.news = l.queue.put(l.news)
	}
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
	frame := e.tx.Frame(e.n)
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
				l.unsent(p, e.positions[sent:n])
				return nil
			}
		case errors.Is(err, rawsock.ErrInterface):
			l.unsent(p, e.positions[sent:n])
			return fmt.Errorf("send on %s: %w: %w", e.path.Link.Name, errGone, err)
		default:
			l.unsent(p, e.positions[sent:sent+1])
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
	for i, pos := range positions {
		l.timesOf(p.attempt(pos)).set(pos, begun+int64(i)*step)
	}
	end := positions[len(positions)-1] + 1
	l.timesOf(p.probes).sent(end)
	if p.sampled {
		l.timesOf(p.probes + 1).sent(end)
	}
}

// unsent marks positions whose first probe the kernel did not accept, so that they do not pass for
// silent. A lost retry leaves its position as silent as it was.
func (l *txLane) unsent(p *pass, positions []uint64) {
	l.tally.txErrors.Add(uint64(len(positions)))
	if !p.first {
		return
	}
	for _, pos := range positions {
		l.results.Mark(pos, results.Unsent)
	}
	l.tally.unsent.Add(uint64(len(positions)))
}
