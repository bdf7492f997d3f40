package engine

import (
	"context"
	"fmt"
	"iter"
	"net/netip"

	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/scan/plan"
	"synoptic/scan/probe"
)

// hop is what is known of one way out of the host: the constant bytes, and what is needed to address
// the next hop. All lanes read it, nobody changes it.
type hop struct {
	path       *route.Path
	tmpl       *probe.Template
	neighbours *route.Table // MAC addresses of on-link targets; nil where the template has the next hop's
	conflicts  []route.Conflict
	mac        route.NextHop // of the gateway, by now; zero where there is none
	ear        Ear           // that hears of the gateway; nil where none does
}

// egress is one lane's own way out, ready to send.
type egress struct {
	*hop
	tx   Tx
	open func() (Tx, error) // makes another one
	full uint64             // backpressure of those before it

	mac       [6]byte  // of the gateway, as the frames have it
	moved     bool     // or not: then each is patched
	frames    [][]byte // tx's, of the batch in the making
	positions []uint64 // of these, [0, n)
	n         int
}

// resolveHops finds the next hops of all paths. take is the pace's grant: address resolution is paced like
// probes.
func resolveHops(ctx context.Context, p *plan.Plan, m Medium, take func(int) int) (hops []*hop, err error) {
	for i := range p.Routes.Paths {
		h := &hop{path: &p.Routes.Paths[i]}
		gateway := p.Asked.GatewayMAC
		switch {
		case h.path.Link.Framing != rawsock.Ethernet:
			gateway = nil
		case !h.path.Gateway.IsValid():
			gateway = nil
			h.neighbours, err = m.Resolve(ctx, h.path.Link, h.path.Src, onLink(p.Routes, i), route.ResolveOptions{Take: take})
			if err == nil {
				h.conflicts = h.neighbours.Conflicts()
			}
		case gateway == nil:
			gateway, h.conflicts, err = m.ResolveGateway(ctx, h.path, route.ResolveOptions{Patience: p.Asked.Patience})
		}
		if err != nil {
			return nil, err
		}
		if h.tmpl, err = p.Template(h.path, gateway); err != nil {
			return nil, err
		}
		if len(gateway) == 6 {
			h.mac.Store([6]byte(gateway))
		}
		hops = append(hops, h)
	}
	return hops, nil
}

// openEgress opens a lane's sender for every hop.
func openEgress(hops []*hop, lane int, open func(lane int, c rawsock.TxConfig) (Tx, error)) (out []*egress, err error) {
	for _, h := range hops {
		link := &h.path.Link
		e := &egress{hop: h, mac: h.mac.Load(), open: func() (Tx, error) {
			return open(lane, rawsock.TxConfig{Interface: link.Index, Framing: link.Framing, FrameLen: h.tmpl.Len(), Batch: plan.MaxBatch})
		}}
		if e.tx, err = e.open(); err != nil {
			closeAll(out)
			return nil, fmt.Errorf("send on %s: %w", link.Name, err)
		}
		e.tx.Prepare(h.tmpl.Fill)
		e.positions = make([]uint64, e.tx.Batch())
		out = append(out, e)
	}
	return out, nil
}

// reopen puts another socket in the place of one whose interface went down: some are of no use after that.
func (e *egress) reopen() error {
	e.tx.Close()
	tx, err := e.open()
	if err != nil {
		return err
	}
	e.full += e.tx.Stats().Backpressure
	tx.Prepare(e.tmpl.Fill)
	e.tx = tx
	return nil
}

// backpressure is how often what it sends to had no room.
func (e *egress) backpressure() uint64 { return e.full + e.tx.Stats().Backpressure }

// begin makes room for a batch.
func (e *egress) begin() {
	e.frames = e.tx.Frames()
	if mac := e.hop.mac.Load(); mac != e.mac {
		e.mac, e.moved = mac, true
	}
}

// craft makes the probe of an address and a port in the next frame; false where its host has no MAC address.
func (e *egress) craft(key probe.Key, addr netip.Addr, sport, port uint16) bool {
	frame := e.frames[e.n]
	switch {
	case e.neighbours != nil:
		mac, ok := e.neighbours.MAC(addr)
		if !ok {
			return false
		}
		e.tmpl.PatchMAC(frame, mac)
	case e.moved:
		e.tmpl.PatchMAC(frame, e.mac)
	}
	e.tmpl.Patch(frame, addr, sport, port, key.Hash(e.path.Src, addr, sport, port))
	return true
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

// Close closes the socket.
func (e *egress) Close() error { return e.tx.Close() }

func closeAll[C interface{ Close() error }](all []C) {
	for _, c := range all {
		c.Close() // nothing is buffered in a packet socket: there is nothing to lose by a failing close
	}
}
