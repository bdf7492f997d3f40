package engine

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"synoptic/rawsock"
)

// packetBackend sends and receives raw packets over the session's medium: sender lanes that share a schedule, each
// with a socket per path, and receiver lanes that share what comes in.
type packetBackend struct {
	session *Session
	rings   []*ring
	lanes   [][]*egress
}

// ring is a receiver's socket.
type ring struct {
	rx    Rx
	drops uint64 // of the kernel, as published
}

// Close closes it.
func (r *ring) Close() error { return r.rx.Close() }

func (b *packetBackend) open(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	s := b.session
	if b.rings, err = s.openRings(s.choice.ReceiverLanes()); err != nil {
		return err
	}
	hops, err := s.resolve(ctx)
	if err != nil {
		return err
	}
	b.lanes, err = openLanes(hops, s.choice.Lanes, func(lane int, c rawsock.TxConfig) (Tx, error) {
		// Past the interface's queueing discipline the driver itself answers for each frame: without room or carrier it
		// takes none. Lanes that are there for the rate's sake would wait for each other at its lock, besides.
		c.BypassPlain = c.Framing == rawsock.Ethernet
		c.BypassQdisc = c.BypassPlain && s.choice.Lanes > 1
		return s.medium.OpenTx(lane, c)
	})
	return err
}

// resolve finds the next hops, paced like probes.
func (s *Session) resolve(ctx context.Context) ([]*hop, error) {
	begun := time.Now()
	_, stood := s.pacer.Standing()
	defer func() {
		_, now := s.pacer.Standing()
		s.resolving.Store(int64(max(time.Since(begun)-(now-stood), 0)))
	}()
	s.pacer.Restart()
	hops, err := resolveHops(ctx, s.plan, s.medium, func(n int) int {
		granted, err := s.pacer.Take(ctx, n)
		if err != nil {
			return 0 // stopped: Resolve sees it by its own context
		}
		return granted
	}, func(a netip.Addr) bool { return !s.excludes(a) }, &s.neighbours)
	s.hops = hops
	return hops, err
}

// openLanes opens n sender lanes.
func openLanes(hops []*hop, n int, open func(lane int, c rawsock.TxConfig) (Tx, error)) (lanes [][]*egress, err error) {
	for lane := range n {
		out, err := openEgress(hops, lane, open)
		if err != nil {
			return lanes, err
		}
		lanes = append(lanes, out)
	}
	return lanes, nil
}

// openRings opens n receivers that share what comes in on every interface but those excepted. A reply may come in
// by another way than its probe has left by, and on an interface that comes up later; its cookie makes it safe to take.
func (s *Session) openRings(n int, except ...int) (rings []*ring, err error) {
	p := s.plan
	config := rawsock.RxConfig{Except: except, PortMin: p.SourcePorts.Min, PortMax: p.SourcePorts.Max}
	if p.Asked.Frames {
		config.LinkHeader, config.Snap = linkHeader, frameSnap
	}
	group, err := s.medium.OpenRx(config, n)
	if err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	for _, rx := range group {
		rings = append(rings, &ring{rx: rx})
	}
	return rings, nil
}

// rxLanes makes a phase's receiver lanes over rings.
func rxLanes(ph *Phase, rings []*ring) (all []*rxLane) {
	for _, r := range rings {
		lane := &rxLane{answers: newAnswers(ph, interfaceNames{of: r.rx}), ring: r}
		if ph.plan.Asked.Frames {
			lane.frames = &frames{source: r.rx}
		}
		all = append(all, lane)
	}
	return all
}

func (b *packetBackend) run(ctx context.Context, ph *Phase) error {
	shared := newSharedSchedule(ph)
	var receivers []receiver
	for _, lane := range rxLanes(ph, b.rings) {
		receivers = append(receivers, lane)
	}
	return ph.drive(ctx, shared, txLanes(b.session, ph, shared, b.lanes), receivers)
}

// txLanes makes a phase's sender lanes over the session's sockets.
func txLanes(s *Session, ph *Phase, shared *sharedSchedule, lanes [][]*egress) (all []sender) {
	for _, out := range lanes {
		all = append(all, newTxLane(s, ph, shared, out))
	}
	return all
}

func (b *packetBackend) close() {
	for _, out := range b.lanes {
		closeAll(out)
	}
	closeAll(b.rings)
	b.lanes, b.rings = nil, nil
}
