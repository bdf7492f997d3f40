package engine

import (
	"context"
	"fmt"
	"iter"
	"net/netip"
	"sync/atomic"

	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/scan/plan"
	"synoptic/scan/probe"
)

// hop is what is known of one way out of the host, and what is needed to address the next hop. All lanes read it; only
// the sentinel changes it, by the words that say so.
type hop struct {
	now        atomic.Pointer[way] // another one once the interface was made anew
	neighbours *route.Table        // MAC addresses of on-link targets; nil where the template has the next hop's
	conflicts  []route.Conflict
	mac        route.NextHop // of the gateway, by now; zero where there is none
	away       atomic.Bool   // the path is at fault and the others go on: lanes walk over its positions without asking them
	ear        Ear           // that hears of the gateway; nil where none does
}

// way is a path and the constant bytes of the probes that leave by it. Nobody changes it.
type way struct {
	path *route.Path
	tmpl *probe.Template
}

// egress is one lane's own way out, ready to send.
type egress struct {
	*hop
	*way // the one that tx and the frames are for
	tx   Tx
	open func(*way) (Tx, error) // makes another one
	full uint64                 // backpressure of those before it

	mac       [6]byte  // of the gateway, as the frames have it
	moved     bool     // or not: then each is patched
	skips     bool     // hop.away, as of the batch in the making
	frames    [][]byte // tx's, of the batch in the making
	positions []uint64 // of these, [0, n)
	n         int
}

// resolveHops finds the next hops of all paths. take is the pace's grant: address resolution is paced like
// probes. found is told how far it is.
func resolveHops(ctx context.Context, p *plan.Plan, m Medium, take func(int) int, wanted func(netip.Addr) bool, found *Neighbours) (hops []*hop, err error) {
	for i := range p.Routes.Paths {
		h, path := &hop{}, &p.Routes.Paths[i]
		gateway := p.Asked.GatewayMAC
		switch {
		case path.Link.Framing != rawsock.Ethernet:
			gateway = nil
		case path.ByMAC:
		case !path.Gateway.IsValid():
			gateway = nil
			h.neighbours, err = m.Resolve(ctx, path.Link, path.Asker(), onLink(p.Routes, i, wanted), route.ResolveOptions{Take: take, Progress: found.onPath()})
			if err == nil {
				h.conflicts = h.neighbours.Conflicts()
			}
		case gateway == nil:
			gateway, h.conflicts, err = m.ResolveGateway(ctx, path, route.ResolveOptions{Patience: p.Asked.Patience})
		}
		if err != nil {
			return nil, err
		}
		tmpl, err := p.Template(path, gateway)
		if err != nil {
			return nil, err
		}
		h.now.Store(&way{path, tmpl})
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
		e := &egress{hop: h, way: h.now.Load(), mac: h.mac.Load(), open: func(w *way) (Tx, error) {
			link := &w.path.Link
			return open(lane, rawsock.TxConfig{Interface: link.Index, Framing: link.Framing, FrameLen: w.tmpl.Len(), Batch: plan.MaxBatch})
		}}
		if e.tx, err = e.open(e.way); err != nil {
			closeAll(out)
			return nil, fmt.Errorf("send on %s: %w", e.path.Link.Name, err)
		}
		e.tx.Prepare(e.tmpl.Fill)
		e.positions = make([]uint64, e.tx.Batch())
		out = append(out, e)
	}
	return out, nil
}

// reopen puts another socket in the place of one whose interface went down or away: some are of no use after that. When
// it fails, the old one is of no use either. A queue takes one AF_XDP socket, so the old one is closed first.
func (e *egress) reopen() error {
	e.tx.Close()
	return e.renew()
}

// replace puts another socket in the place of one whose interface went down or away, if that can be had now.
func (e *egress) replace() error {
	old := e.tx
	if err := e.renew(); err != nil {
		return err
	}
	return old.Close()
}

// renew puts another socket in the place of the old one, which is not closed. When it fails, the old one stays.
func (e *egress) renew() error {
	w := e.now.Load()
	tx, err := e.open(w)
	if err != nil {
		return err
	}
	e.full += e.tx.Stats().Backpressure
	tx.Prepare(w.tmpl.Fill)
	e.tx, e.way, e.moved = tx, w, true // the template may have an older MAC address of the gateway
	e.mac = e.hop.mac.Load()
	return nil
}

// backpressure is how often what it sends to had no room.
func (e *egress) backpressure() uint64 { return e.full + e.tx.Stats().Backpressure }

// begin makes room for a batch.
func (e *egress) begin() {
	e.frames = e.tx.Frames()
	e.skips = e.away.Load()
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

// onLink walks the wanted addresses that a path reaches without a gateway.
func onLink(routes *route.Plan, path int, wanted func(netip.Addr) bool) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		for _, s := range routes.Segments {
			if s.Path != path {
				continue
			}
			for a := s.From; a.Compare(s.To) <= 0 && a.IsValid(); a = a.Next() {
				if wanted(a) && !yield(a) {
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
