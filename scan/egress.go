package scan

import (
	"context"
	"fmt"
	"iter"
	"net/netip"

	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/scan/probe"
)

// egress is one way out of the host, ready to send: a socket, the constant bytes, and what is
// needed to address the next hop. One sender lane owns it.
type egress struct {
	path       *route.Path
	tmpl       *probe.Template
	tx         *rawsock.Tx
	neighbours *route.Table // link addresses of on-link targets; nil where the template has the next hop's

	positions []uint64 // of the frames batched in tx, [0, n)
	n         int
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

// openEgress resolves the next hops and opens one sender per path. take is the rate limiter's
// grant: address resolution is paced like probes.
func openEgress(ctx context.Context, p *Plan, take func(int) int) (out []*egress, err error) {
	defer func() {
		if err != nil {
			closeAll(out)
		}
	}()
	for i := range p.Routes.Paths {
		e, err := newEgress(ctx, p, i, take)
		if err != nil {
			return out, err
		}
		out = append(out, e)
	}
	return out, nil
}

func newEgress(ctx context.Context, p *Plan, path int, take func(int) int) (*egress, error) {
	e := &egress{path: &p.Routes.Paths[path]}
	gateway := p.GatewayMAC
	switch {
	case e.path.Link.Framing != rawsock.Ethernet:
		gateway = nil
	case !e.path.Gateway.IsValid():
		gateway = nil
		var err error
		if e.neighbours, err = route.Resolve(ctx, e.path.Link, e.path.Src, onLink(p.Routes, path), route.ResolveOptions{Take: take}); err != nil {
			return nil, fmt.Errorf("resolve link addresses on %s: %w", e.path.Link.Name, err)
		}
	case gateway == nil:
		var err error
		if gateway, err = route.ResolveGateway(ctx, e.path); err != nil {
			return nil, err
		}
	}
	var err error
	if e.tmpl, err = p.template(e.path, gateway); err != nil {
		return nil, err
	}
	e.tx, err = rawsock.NewTx(rawsock.TxConfig{Interface: e.path.Link.Index, Framing: e.path.Link.Framing, FrameLen: e.tmpl.Len()})
	if err != nil {
		return nil, fmt.Errorf("send on %s: %w", e.path.Link.Name, err)
	}
	for i := range e.tx.Batch() {
		e.tmpl.Fill(e.tx.Frame(i))
	}
	e.positions = make([]uint64, e.tx.Batch())
	return e, nil
}

// onLink walks the addresses that a path reaches without a gateway.
func onLink(routes *route.Plan, path int) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		for _, s := range routes.Segments {
			if s.Path != path {
				continue
			}
			for a := s.From; a.Compare(s.To) <= 0 && a.IsValid(); a = a.Next() {
				if !yield(a) {
					return
				}
			}
		}
	}
}

// Close closes the path's socket.
func (e *egress) Close() error { return e.tx.Close() }

func closeAll[C interface{ Close() error }](all []C) {
	for _, c := range all {
		c.Close() // nothing is buffered in a packet socket: there is nothing to lose by a failing close
	}
}
