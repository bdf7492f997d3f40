package scan

import (
	"context"
	"fmt"
	"sync"
	"time"

	"synoptic/ratelimit"
	"synoptic/rawsock"
)

// packetLanes is a backend of raw packets: sender lanes that share a schedule, each with a socket per
// path, and receiver lanes that share what comes in on an interface. How packets get out and in is
// openTx's and openRx's; newAFPacket's are packet sockets.
type packetLanes struct {
	*engine
	openTx openTransmitter
	// openSender opens a lane, from 0: openLane, or what stands in for sockets altogether.
	openSender func(hops []*hop, lane int) (sender, error)
	// openRx opens the receivers: when it returns, no reply can be missed.
	openRx func() ([]receiver, error)

	receivers []receiver
	senders   []sender
}

// sender is a sender lane.
type sender interface {
	assign(*sharedSchedule, *ratelimit.Limiter)
	// run takes passes of the schedule until all is sent, or ctx ends.
	run(ctx context.Context) error
	// backpressure is how often what it sends to had no room.
	backpressure() uint64
	Close() error
}

// receiver is a receiver lane.
type receiver interface {
	// run sees answers in until stop is closed, and then on until none is left that had come before.
	run(stop <-chan struct{}) error
	// wake makes run look at stop.
	wake()
	Close() error
}

// newAFPacket is the backend afpacket.
func newAFPacket(e *engine) *packetLanes {
	b := &packetLanes{engine: e, openTx: e.openPacketSocket, openRx: e.openRings}
	b.openSender = b.openLane
	return b
}

// openLane opens a lane with a socket for every hop.
func (b *packetLanes) openLane(hops []*hop, lane int) (sender, error) {
	egress, err := openEgress(hops, lane, b.openTx)
	if err != nil {
		return nil, err
	}
	return &txLane{engine: b.engine, egress: egress}, nil
}

// openPacketSocket opens a packet socket. Lanes that are there for the rate's sake go past the
// interface's queueing discipline, whose lock they would wait for each other at; a driver without room
// then says so to them.
func (e *engine) openPacketSocket(_ int, c rawsock.TxConfig) (transmitter, error) {
	c.BypassQdisc = e.Lanes > 1 && c.Framing == rawsock.Ethernet
	tx, err := rawsock.NewTx(c)
	if err != nil {
		return nil, err
	}
	return tx, nil
}

// openRings opens receivers on each interface in use.
func (e *engine) openRings() (all []receiver, err error) {
	seen := map[int]bool{}
	for i := range e.Routes.Paths {
		link := &e.Routes.Paths[i].Link
		if seen[link.Index] {
			continue
		}
		seen[link.Index] = true
		config := rawsock.RxConfig{Interface: link.Index, PortMin: e.SourcePorts.Min, PortMax: e.SourcePorts.Max}
		if e.Frames {
			_, config.LinkHeader = linkOf(link)
			config.Snap = frameSnap
		}
		group, err := rawsock.NewRxGroup(config, e.ReceiverLanes())
		if err != nil {
			closeAll(all)
			return nil, fmt.Errorf("receive on %s: %w", link.Name, err)
		}
		for _, rx := range group {
			lane := &rxLane{engine: e, rx: rx, iface: link.Name}
			if e.Frames {
				lane.keepFrames(link)
			}
			all = append(all, lane)
		}
	}
	return all, nil
}

func (b *packetLanes) open(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if b.receivers, err = b.openRx(); err != nil {
		return err
	}
	limiter, err := b.limiter()
	if err != nil {
		return err
	}
	hops, err := resolveHops(ctx, b.Plan, func(n int) int {
		granted, err := limiter.Take(ctx, n)
		if err != nil {
			return 0 // stopped: Resolve sees it by its own context
		}
		return granted
	})
	if err != nil {
		return err
	}
	for lane := range b.Lanes {
		s, err := b.openSender(hops, lane)
		if err != nil {
			return err
		}
		b.senders = append(b.senders, s)
	}
	return nil
}

// run ends when all is sent and answered, when ctx ends, or when a lane fails: then the others stop.
func (b *packetLanes) run(ctx context.Context) error {
	limiter, err := b.limiter()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := make(chan struct{})
	var receiving, sending sync.WaitGroup
	for _, r := range b.receivers {
		receiving.Go(func() {
			if err := r.run(stop); err != nil {
				cancel(fatal{err})
			}
		})
	}
	begun := time.Now()
	schedule := b.newSharedSchedule()
	for _, lane := range b.senders {
		lane.assign(schedule, limiter)
		sending.Go(func() {
			if err := lane.run(ctx); err != nil {
				cancel(fatal{err})
			}
		})
	}
	sending.Wait()
	b.sending.Store(int64(time.Since(begun)))
	for _, lane := range b.senders {
		b.tally.txRetries.Add(lane.backpressure())
	}
	b.cool(ctx)
	close(stop)
	for _, r := range b.receivers {
		r.wake()
	}
	receiving.Wait()
	return stopCause(ctx)
}

func (b *packetLanes) close() {
	closeAll(b.senders)
	closeAll(b.receivers)
	b.senders, b.receivers = nil, nil
}
