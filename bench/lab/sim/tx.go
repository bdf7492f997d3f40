package sim

import (
	"errors"
	"fmt"
	"os"
	"time"

	"synoptic/rawsock"
)

// errRefused is what a driver says under TxError.
var errRefused = errors.New("the driver refuses the frame")

// Tx is a sender lane's way into the network. As that of AF_XDP, its frames change their memory when they are
// sent.
type Tx struct {
	net    *Network
	link   *link
	lane   int
	frames [][]byte // the batch
	spare  [][]byte // as many
	stats  rawsock.TxStats
	calls  uint64
	closed bool
}

// NewTx opens the transmitter of a lane.
func (n *Network) NewTx(lane int, c rawsock.TxConfig) (*Tx, error) {
	l := n.byIndex(c.Interface)
	switch {
	case l == nil:
		return nil, fmt.Errorf("open packet sender: interface %d: %w", c.Interface, rawsock.ErrInterface)
	case n.faults.link(LinkDown, n.Now(), l.Name) != nil:
		return nil, fmt.Errorf("open packet sender: interface %s: %w", l.Name, rawsock.ErrInterface)
	case c.Framing != l.Framing:
		return nil, fmt.Errorf("open packet sender: framing %v on %s, which has %v", c.Framing, l.Name, l.Framing)
	}
	batch := c.Batch
	if n.config.Batch > 0 {
		batch = min(batch, n.config.Batch)
	}
	t := &Tx{net: n, link: l, lane: lane}
	memory := make([]byte, 2*batch*c.FrameLen)
	for ; len(memory) > 0; memory = memory[c.FrameLen:] {
		t.frames = append(t.frames, memory[:c.FrameLen:c.FrameLen])
	}
	t.frames, t.spare = t.frames[:batch:batch], t.frames[batch:]
	return t, nil
}

// Batch is the number of frames.
func (t *Tx) Batch() int { return len(t.frames) }

// Frames is the memory of the next batch.
func (t *Tx) Frames() [][]byte { return t.frames }

// Prepare calls f with all memory there is.
func (t *Tx) Prepare(f func(frame []byte)) {
	for i := range t.frames {
		f(t.frames[i])
		f(t.spare[i])
	}
}

// Send hands frames [from, to) to the network; its errors are rawsock.Tx's.
func (t *Tx) Send(from, to int) (accepted int, err error) {
	if t.closed {
		return 0, fmt.Errorf("send: %w", os.ErrClosed)
	}
	n := t.net
	begun, first := n.Now(), n.logged()
	defer t.returned(first)
	t.calls++
	t.stats.Calls++
	late := n.chance.bits(ofStall, uint64(t.lane), t.calls)%2 == 0 // before frames are taken, or after
	if !late {
		n.stall(SendStall, t.link.Name)
	}
	for at := from; at < to; {
		now := n.Now()
		if n.faults.link(LinkDown, now, t.link.Name) != nil {
			return at - from, fmt.Errorf("send: interface %s: %w", t.link.Name, rawsock.ErrInterface)
		}
		full := n.faults.link(TxFull, now, t.link.Name)
		if full == nil {
			full = n.faults.link(CarrierOut, now, t.link.Name)
		}
		room := to - at
		if full != nil {
			room = int(n.chance.bits(ofRoom, uint64(t.lane), t.calls) % uint64(room+1))
			if full.Kind == CarrierOut || at > from {
				room = 0
			}
		}
		k, err := t.hand(at, at+room, begun)
		at += k
		if err != nil {
			t.stats.Errors++
			return at - from, err
		}
		if at == to || full == nil {
			break
		}
		t.stats.Backpressure++
		wait := full.left(now)
		time.Sleep(min(wait, rawsock.MaxSendWait))
		if wait > rawsock.MaxSendWait {
			return at - from, rawsock.ErrBackpressure
		}
	}
	if late {
		n.stall(SendStall, t.link.Name)
	}
	return to - from, nil
}

// hand gives frames [from, to) to the network, up to one that the driver refuses.
func (t *Tx) hand(from, to int, begun time.Duration) (accepted int, err error) {
	n := t.net
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.Now()
	n.advance(now)
	refuses := n.faults.link(TxError, now, t.link.Name)
	for i := from; i < to; i++ {
		s, err := parseProbe(t.frames[i], t.link.Framing)
		if err != nil {
			n.log.Malformed = append(n.log.Malformed, fmt.Errorf("% x: %w", t.frames[i], err))
			s = segment{}
		}
		probe := len(n.log.Probes)
		n.log.Probes = append(n.log.Probes, Probe{
			At: now, Begun: begun, Ended: now, Addr: s.dst, Port: s.dport, SourcePort: s.sport, Lane: uint8(t.lane),
		})
		if refuses != nil && (refuses.Share == 0 || n.chance.hit(refuses.Share, ofRefusal, about(s.dst), uint64(s.sport)<<16|uint64(s.dport))) {
			n.log.Probes[probe].Fate = Refused
			return i - from, errRefused
		}
		if err == nil {
			n.transmit(&s, probe)
		}
		t.stats.Sent++
		t.frames[i], t.spare[i] = t.spare[i], t.frames[i]
	}
	return to - from, nil
}

// logged is the number of probes in the log.
func (n *Network) logged() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.log.Probes)
}

// returned notes when the call that took the lane's frames from index first on has ended.
func (t *Tx) returned(first int) {
	t.net.mu.Lock()
	defer t.net.mu.Unlock()
	now := t.net.Now()
	for i := first; i < len(t.net.log.Probes); i++ {
		if p := &t.net.log.Probes[i]; int(p.Lane) == t.lane {
			p.Ended = now
		}
	}
}

// stall stands still as long as a fault of the kind lasts.
func (n *Network) stall(k Kind, link string) {
	for now := n.Now(); ; now = n.Now() {
		f := n.faults.link(k, now, link)
		if f == nil {
			return
		}
		time.Sleep(f.left(now))
	}
}

// Stats are counts since the transmitter was opened.
func (t *Tx) Stats() rawsock.TxStats { return t.stats }

// Close ends it.
func (t *Tx) Close() error {
	t.closed = true
	return nil
}
