package engine

import (
	"context"
	"fmt"
	"time"

	"synoptic/rawsock"
	"synoptic/rawsock/route"
)

// packetBackend sends and receives raw packets over the session's medium: sender lanes that share a schedule, each
// with a socket per path, and receiver lanes that share what comes in on an interface.
type packetBackend struct {
	session *Session
	rings   []*ring
	lanes   [][]*egress
}

// ring is a receiver's socket.
type ring struct {
	rx    Rx
	link  *route.Link
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
	if err := b.openRings(); err != nil {
		return err
	}
	hops, err := s.resolve(ctx)
	if err != nil {
		return err
	}
	b.lanes, err = openLanes(hops, s.choice.Lanes, func(lane int, c rawsock.TxConfig) (Tx, error) {
		// Lanes that are there for the rate's sake go past the interface's queueing discipline, whose lock
		// they would wait for each other at; a driver without room then says so to them.
		c.BypassQdisc = s.choice.Lanes > 1 && c.Framing == rawsock.Ethernet
		return s.medium.OpenTx(lane, c)
	})
	return err
}

// resolve finds the next hops, paced like probes.
func (s *Session) resolve(ctx context.Context) ([]*hop, error) {
	begun := time.Now()
	defer func() { s.resolving.Store(int64(time.Since(begun))) }()
	s.pacer.Restart()
	hops, err := resolveHops(ctx, s.plan, s.medium, func(n int) int {
		granted, err := s.pacer.Take(ctx, n)
		if err != nil {
			return 0 // stopped: Resolve sees it by its own context
		}
		return granted
	})
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

// openRings opens receivers on each interface in use.
func (b *packetBackend) openRings() error {
	p := b.session.plan
	seen := map[int]bool{}
	for i := range p.Routes.Paths {
		link := &p.Routes.Paths[i].Link
		if seen[link.Index] {
			continue
		}
		seen[link.Index] = true
		config := rawsock.RxConfig{Interface: link.Index, PortMin: p.SourcePorts.Min, PortMax: p.SourcePorts.Max}
		if p.Asked.Frames {
			_, config.LinkHeader = linkOf(link)
			config.Snap = frameSnap
		}
		group, err := b.session.medium.OpenRx(config, b.session.choice.ReceiverLanes())
		if err != nil {
			return fmt.Errorf("receive on %s: %w", link.Name, err)
		}
		for _, rx := range group {
			b.rings = append(b.rings, &ring{rx: rx, link: link})
		}
	}
	return nil
}

func (b *packetBackend) run(ctx context.Context, ph *Phase) error {
	shared := newSharedSchedule(ph)
	var receivers []receiver
	for _, r := range b.rings {
		lane := &rxLane{answers: newAnswers(ph, r.link.Name), ring: r}
		if ph.plan.Asked.Frames {
			t, _ := linkOf(r.link)
			lane.frames = &frames{source: r.rx, link: t}
		}
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
