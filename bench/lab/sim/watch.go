package sim

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"slices"
	"time"

	"synoptic/rawsock/route"
	"synoptic/scan"
)

// Watch tells of links that go down or lose their carrier, and come back.
func (n *Network) Watch(ctx context.Context) (scan.Watcher, error) {
	w := &watcher{net: n, changes: make(chan route.Change)}
	go w.run(ctx)
	return w, nil
}

// watcher is what the host tells of its links.
type watcher struct {
	net     *Network
	changes chan route.Change
}

func (w *watcher) Changes() <-chan route.Change { return w.changes }

// Check tells what is wrong with a path's link at the moment.
func (w *watcher) Check(p *route.Path, _ netip.Addr, _ route.Options) error {
	now := w.net.Now()
	switch {
	case w.net.faults.link(LinkDown, now, p.Link.Name) != nil:
		return &route.FaultError{Cause: route.CauseInterfaceDown, Path: *p}
	case w.net.faults.link(CarrierOut, now, p.Link.Name) != nil:
		return &route.FaultError{Cause: route.CauseNoCarrier, Path: *p}
	}
	return nil
}

func (w *watcher) run(ctx context.Context) {
	defer close(w.changes)
	type news struct {
		at time.Duration
		route.Change
	}
	var all []news
	for _, l := range w.net.links {
		for i := range w.net.faults {
			f := &w.net.faults[i]
			if f.Kind != LinkDown && f.Kind != CarrierOut || !f.of(l.Name) {
				continue
			}
			begins, ends := route.CarrierLost, route.CarrierBack
			if f.Kind == LinkDown {
				begins, ends = route.LinkDown, route.LinkUp
			}
			all = append(all, news{f.Begin, route.Change{Kind: begins, Link: l.Index, Name: l.Name}})
			if f.End != 0 {
				all = append(all, news{f.End, route.Change{Kind: ends, Link: l.Index, Name: l.Name}})
			}
		}
	}
	slices.SortFunc(all, func(a, b news) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.Link, b.Link)) })
	for _, n := range all {
		if !sleep(ctx, n.at+w.net.config.NewsLate-w.net.Now()) {
			return
		}
		n.Time = time.Now()
		select {
		case w.changes <- n.Change:
		case <-ctx.Done():
			return
		}
	}
	<-ctx.Done()
}

// Listen hears gateways announce another MAC address, as soon as they have it.
func (n *Network) Listen(ctx context.Context, link route.Link, _ netip.Addr, hops []route.Hop) (scan.Ear, error) {
	e := &ear{net: n, link: link, claims: make(chan route.Claim)}
	go e.run(ctx, hops)
	return e, nil
}

// ear is what the host hears by ARP.
type ear struct {
	net    *Network
	link   route.Link
	claims chan route.Claim
}

func (e *ear) Claims() <-chan route.Claim { return e.claims }

// Confirm asks a gateway.
func (e *ear) Confirm(ctx context.Context, hop netip.Addr) (net.HardwareAddr, []route.Conflict, error) {
	return e.net.ResolveGateway(ctx, &route.Path{Link: e.link, Gateway: hop}, route.ResolveOptions{})
}

func (e *ear) run(ctx context.Context, hops []route.Hop) {
	defer close(e.claims)
	var moments []time.Duration
	for _, f := range e.net.faults {
		if f.Kind == NewMAC && !f.Silent {
			if moments = append(moments, f.Begin); f.End != 0 {
				moments = append(moments, f.End)
			}
		}
	}
	slices.Sort(moments)
	for _, at := range moments {
		if !sleep(ctx, at-e.net.Now()) {
			return
		}
		for _, h := range hops {
			mac, _, err := e.Confirm(ctx, h.Addr)
			if err != nil {
				continue
			}
			select {
			case e.claims <- route.Claim{Time: time.Now(), Link: e.link.Name, Addr: h.Addr, MAC: mac}:
			case <-ctx.Done():
				return
			}
		}
	}
	<-ctx.Done()
}
