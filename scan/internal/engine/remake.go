package engine

import (
	"context"
	"fmt"
	"time"

	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/results"
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
	go func() {
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
	}()
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

// mostVain outages that follow one another, each within soonAgain, without anything new end a scan: somebody shuts us out whenever
// we send.
const (
	mostVain  = 10
	soonAgain = int64(10 * time.Second)
)

// hopeless tells whether waiting is in vain: the programs' interface is gone for good, or one outage follows another.
func (w *sentinel) hopeless() bool {
	return w.cause.word == results.CauseInterfaceGone && !w.session.reopens() || w.vain > mostVain
}

// lostBecause says why an outage is not waited for any more.
func (w *sentinel) lostBecause() string {
	if w.vain > mostVain {
		return fmt.Sprintf("%d outages followed one another, and nothing was found between them: the network, or a target, drops what we send at this rate", w.vain)
	}
	return fmt.Sprintf("evidence did not come back within %v", w.session.plan.Asked.Patience)
}
