package scan

import (
	"context"
	"fmt"
	"sync"
	"time"

	"synoptic/rawsock"
)

// packetLanes is a backend of raw packets: sender lanes that share a schedule, each with a socket per
// path, and receiver lanes that share what comes in on an interface. How packets get out and in is
// openTx's and openRx's; newAFPacket's are packet sockets.
type packetLanes struct {
	*engine
	openTx openTransmitter
	// openRx opens the receivers: when it returns, no reply can be missed.
	openRx func() ([]receiver, error)

	receivers []receiver
	senders   []*txLane
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
	return &packetLanes{engine: e, openTx: openPacketSocket, openRx: e.openRings}
}

func openPacketSocket(_ int, c rawsock.TxConfig) (transmitter, error) {
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
		group, err := rawsock.NewRxGroup(rawsock.RxConfig{Interface: link.Index, PortMin: e.SourcePorts.Min, PortMax: e.SourcePorts.Max}, e.ReceiverLanes())
		if err != nil {
			closeAll(all)
			return nil, fmt.Errorf("receive on %s: %w", link.Name, err)
		}
		for _, rx := range group {
			all = append(all, &rxLane{engine: e, rx: rx, iface: link.Name})
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
		egress, err := openEgress(hops, lane, b.openTx)
		if err != nil {
			return err
		}
		b.senders = append(b.senders, &txLane{engine: b.engine, egress: egress})
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
		lane.schedule, lane.limiter = schedule, limiter
		sending.Go(func() {
			if err := lane.run(ctx); err != nil {
				cancel(fatal{err})
			}
		})
	}
	sending.Wait()
	b.sending.Store(int64(time.Since(begun)))
	for _, lane := range b.senders {
		for _, e := range lane.egress {
			b.tally.txRetries.Add(e.tx.Stats().Backpressure)
		}
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
	for _, lane := range b.senders {
		closeAll(lane.egress)
	}
	closeAll(b.receivers)
}
