package scan

import (
	"context"
	"fmt"
	"sync"
	"time"

	"synoptic/rawsock"
	"synoptic/rawsock/route"
)

// packetLanes is the backend afpacket: one sender lane over all paths, one receiver lane per interface.
type packetLanes struct {
	*engine
	rxs    []*rawsock.Rx
	links  []*route.Link
	egress []*egress
}

func (b *packetLanes) open(ctx context.Context) (err error) {
	if b.rxs, b.links, err = openReceivers(b.Plan); err != nil {
		return err
	}
	limiter, err := b.limiter()
	if err != nil {
		closeAll(b.rxs)
		return err
	}
	take := func(n int) int {
		granted, err := limiter.Take(ctx, n)
		if err != nil {
			return 0 // stopped: Resolve sees it by its own context
		}
		return granted
	}
	if b.egress, err = openEgress(ctx, b.Plan, take); err != nil {
		closeAll(b.rxs)
		return err
	}
	return nil
}

// openReceivers opens one receiver per interface in use. When it returns, no reply can be missed.
func openReceivers(p *Plan) (rxs []*rawsock.Rx, links []*route.Link, err error) {
	seen := map[int]bool{}
	for i := range p.Routes.Paths {
		link := &p.Routes.Paths[i].Link
		if seen[link.Index] {
			continue
		}
		seen[link.Index] = true
		rx, err := rawsock.NewRx(rawsock.RxConfig{Interface: link.Index, PortMin: p.SourcePorts.Min, PortMax: p.SourcePorts.Max})
		if err != nil {
			closeAll(rxs)
			return nil, nil, fmt.Errorf("receive on %s: %w", link.Name, err)
		}
		rxs, links = append(rxs, rx), append(links, link)
	}
	return rxs, links, nil
}

func (b *packetLanes) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := make(chan struct{})
	var receivers sync.WaitGroup
	for i, rx := range b.rxs {
		lane := &rxLane{engine: b.engine, rx: rx, iface: b.links[i].Name}
		receivers.Go(func() {
			if err := lane.run(stop); err != nil {
				cancel(fatal{err})
			}
		})
	}
	begun := time.Now()
	err := b.send(ctx)
	b.sending.Store(int64(time.Since(begun)))
	if err == nil {
		b.cool(ctx)
	}
	close(stop)
	for _, rx := range b.rxs {
		rx.Wake()
	}
	receivers.Wait()
	if err == nil && ctx.Err() != nil {
		err = stopCause(ctx)
	}
	return err
}

func (b *packetLanes) send(ctx context.Context) error {
	limiter, err := b.limiter()
	if err != nil {
		return err
	}
	lane := &txLane{engine: b.engine, schedule: b.newSchedule(b.Positions), egress: b.egress, limiter: limiter}
	err = lane.run(ctx)
	for _, e := range b.egress {
		b.tally.txRetries.Add(e.tx.Stats().Backpressure)
	}
	return err
}

func (b *packetLanes) close() {
	closeAll(b.egress)
	closeAll(b.rxs)
}
