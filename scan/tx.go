package scan

import (
	"context"
	"errors"
	"fmt"
	"time"

	"synoptic/ratelimit"
	"synoptic/rawsock"
	"synoptic/results"
	"synoptic/scan/permute"
)

// txLane sends the probes of a range of positions, in order:
//
//	limiter grants n → window advances → position → index → (address, port) → path
//	→ frame patched in the path's next slot → one kick per path and batch
//
// It owns its egresses. With receivers it shares only the result map, the send times and counters.
type txLane struct {
	*engine
	positions permute.Range
	egress    []*egress
	limiter   *ratelimit.Limiter
	news      []results.Port
}

// errGone ends a lane whose interface has vanished or gone down.
var errGone = errors.New("the interface is gone")

func (l *txLane) run(ctx context.Context) error {
	l.news = l.queue.batch()
	silent := l.silentRecorder(&l.news)
	defer func() { l.queue.put(l.news) }()
	batch := uint64(l.egress[0].tx.Batch())
	for pos := l.positions.Begin; pos < l.positions.End; {
		if !l.queue.waitRoom(ctx) {
			return nil
		}
		n, err := l.limiter.Take(ctx, int(min(batch, l.positions.End-pos)))
		if err != nil {
			return nil // stopped
		}
		end := l.trim(pos, uint64(n))
		l.limiter.Return(n - int(end-pos))
		l.advance(end, silent)
		for ; pos < end; pos++ {
			l.craft(pos)
		}
		for _, e := range l.egress {
			if err := l.flush(ctx, e); err != nil {
				return err
			}
		}
		l.news = l.queue.put(l.news)
	}
	return nil
}

// trim ends a batch where an entry of the send-time table ends, if it can, so that no entry spans
// two batches and the pause between them.
func (l *txLane) trim(pos, n uint64) (end uint64) {
	end = pos + n
	if aligned := end &^ (l.times.granule() - 1); aligned > pos {
		return aligned
	}
	return end
}

// craft puts the probe of one position into its path's batch.
func (l *txLane) craft(pos uint64) {
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
	sport := l.SourcePorts.Min
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
	if l.Show&p.Reason.State() == 0 {
		return
	}
	p.Time = time.Now().UnixNano()
	l.news = l.emit(l.news, p)
}

// flush hands a path's batch to the kernel. What the kernel refuses for good is counted, marked as
// not sent and reported; the scan goes on unless the interface is gone.
func (l *txLane) flush(ctx context.Context, e *egress) error {
	n := e.n
	if n == 0 {
		return nil
	}
	e.n = 0
	begun := time.Now().UnixNano()
	for _, pos := range e.positions[:n] {
		l.times.set(pos, begun) // provisional: a reply may come before the kick returns
	}
	for sent := 0; sent < n; {
		k, err := e.tx.Send(sent, n)
		l.tally.sent.Add(uint64(k))
		l.sentAt(e.positions[sent:sent+k], begun)
		sent += k
		switch {
		case err == nil:
		case errors.Is(err, rawsock.ErrBackpressure):
			l.tally.txRetries.Add(1)
			if ctx.Err() != nil {
				l.unsent(e.positions[sent:n])
				return nil
			}
		case errors.Is(err, rawsock.ErrInterface):
			l.unsent(e.positions[sent:n])
			return fmt.Errorf("send on %s: %w: %w", e.path.Link.Name, errGone, err)
		default:
			l.unsent(e.positions[sent : sent+1])
			l.sendError(fmt.Errorf("send on %s: %w", e.path.Link.Name, err))
			sent++
		}
		begun = time.Now().UnixNano()
	}
	return nil
}

// sentAt spreads the duration of a kick evenly over its packets.
func (l *txLane) sentAt(positions []uint64, begun int64) {
	if len(positions) == 0 {
		return
	}
	step := (time.Now().UnixNano() - begun) / int64(len(positions))
	for i, pos := range positions {
		l.times.set(pos, begun+int64(i)*step)
	}
}

// unsent marks positions whose probe the kernel did not accept, so that they do not pass for silent.
func (l *txLane) unsent(positions []uint64) {
	for _, pos := range positions {
		l.results.Mark(pos, results.Unsent)
	}
	l.tally.txErrors.Add(uint64(len(positions)))
}
