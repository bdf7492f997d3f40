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
	gateway, err := p.GatewayMAC, error(nil)
	switch {
	case e.path.Link.Framing != rawsock.Ethernet:
		gateway = nil
	case !e.path.Gateway.IsValid():
		gateway = nil
		e.neighbours, err = route.Resolve(ctx, e.path.Link, e.path.Src, onLink(p.Routes, path), route.ResolveOptions{Take: take})
	case gateway == nil:
		gateway, err = route.ResolveGateway(ctx, e.path)
	}
	if err != nil {
		return nil, err
	}
	if e.tmpl, err = p.template(e.path, gateway); err != nil {
		return nil, err
	}
	e.tx, err = rawsock.NewTx(rawsock.TxConfig{Interface: e.path.Link.Index, Framing: e.path.Link.Framing, FrameLen: e.tmpl.Len(), Batch: MaxBatch})
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
