package engine

import (
	"context"
	"time"

	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/results/crash"
)

// An interface that is deleted and made anew under its name is another one to the kernel: it has another index, and often
// another MAC address.

// remade is a path over an interface that was made anew, its gateway asked.
type remade struct {
	path int
	way  *way
	mac  [6]byte // of the gateway; zero where it was not asked
}

// remake prepares a path whose interface is another one by now, beside everything else, where packet sockets send:
// programs in the kernel stay with the interface that they were attached to.
func (w *sentinel) remake(ctx context.Context, i int, f *route.FaultError) {
	s := w.session
	hop, now := s.hops[i], f.Now
	was := hop.now.Load().path
	if f.Cause != route.CauseInterfaceGone || now == nil || w.remaking || !s.reopens() ||
		now.Link.Name != was.Link.Name || now.Link.Framing != was.Link.Framing || now.Src != was.Src || now.Gateway != was.Gateway {
		return
	}
	w.remaking = true
	mac, asks := hop.mac.Load(), s.asksGateway(now)
	crash.Go(func() {
		r := remade{path: i}
		gateway := mac[:]
		if asks {
			answer, _, err := s.medium.ResolveGateway(ctx, now, route.ResolveOptions{Patience: time.Second})
			if err == nil && len(answer) == 6 {
				gateway, r.mac = answer, [6]byte(answer)
			} else {
				w.remade <- r // the next look tries again
				return
			}
		}
		if now.Link.Framing != rawsock.Ethernet || !now.Gateway.IsValid() {
			gateway = nil
		}
		if tmpl, err := s.plan.Template(now, gateway); err == nil {
			r.way = &way{now, tmpl}
		}
		w.remade <- r
	})
}

// reattach has lanes and beacons use the new interface: their sockets tell them that the old one is gone.
func (w *sentinel) reattach(r *remade) {
	if r.way == nil {
		return
	}
	s, hop := w.session, w.session.hops[r.path]
	hop.now.Store(r.way)
	if r.mac == [6]byte{} {
		return
	}
	hop.mac.Store(r.mac)
	hop.ear = s.listen(r.way.path, []route.Hop{{Addr: r.way.path.Gateway, MAC: r.mac[:]}})
}

// reopens tells whether lanes can go on by another interface than the one they have begun with.
func (s *Session) reopens() bool {
	_, programs := s.backend.(*kernelBackend)
	return !programs
}
