package engine

import (
	"context"
	"net/netip"

	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/results/crash"
)

// host is what the session follows on the host: links, addresses, routes, and the MAC addresses of gateways.
type host struct {
	ctx     context.Context // ends with the session
	unwatch context.CancelFunc
	watcher Watcher          // nil where the host cannot be followed
	claims  chan route.Claim // of all gateways that are listened to
	targets []netip.Addr     // by path: the one that its route is looked up for; invalid where the kernel's tables do not say so
}

// follow has the host watched, where that can be: without, only silence tells of faults.
func (s *Session) follow(ctx context.Context) {
	s.host.leave()
	h := &s.host
	h.ctx, h.unwatch = context.WithCancel(ctx)
	h.watcher, h.claims = nil, make(chan route.Claim)
	if w, err := s.medium.Watch(h.ctx); err == nil {
		h.watcher = w
	}
	h.targets = make([]netip.Addr, len(s.paths()))
	for i, hop := range s.hops {
		for _, seg := range s.routes.Segments {
			if seg.Path == i {
				h.targets[i] = seg.From
				break
			}
		}
		if h.watcher == nil || h.watcher.Check(hop.now.Load().path, h.targets[i], s.routeOptions()) != nil {
			h.targets[i] = netip.Addr{} // it was chosen in another way, or has changed already
		}
	}
	byLink := map[int][]*hop{}
	for _, hop := range s.hops {
		if s.asksGateway(hop.now.Load().path) {
			index := hop.now.Load().path.Link.Index
			byLink[index] = append(byLink[index], hop)
		}
	}
	for _, hops := range byLink { // each in one ear
		var gateways []route.Hop
		for _, hop := range hops {
			mac := hop.mac.Load()
			gateways = append(gateways, route.Hop{Addr: hop.now.Load().path.Gateway, MAC: mac[:]})
		}
		ear := s.listen(hops[0].now.Load().path, gateways)
		for _, hop := range hops {
			hop.ear = ear
		}
	}
}

// asksGateway tells whether a path's gateway is found by ARP.
func (s *Session) asksGateway(path *route.Path) bool {
	return path.Gateway.IsValid() && path.Link.Framing == rawsock.Ethernet && s.plan.Asked.GatewayMAC == nil
}

// routeOptions are those that the plan's routes were made with.
func (s *Session) routeOptions() route.Options { return s.plan.Asked.RouteOptions() }

// listen opens an ear for gateways on a path's link; nil where none can be had.
func (s *Session) listen(path *route.Path, gateways []route.Hop) Ear {
	ctx, claims := s.host.ctx, s.host.claims
	ear, err := s.medium.Listen(ctx, path.Link, path.Asker(), gateways)
	if err != nil {
		return nil
	}
	crash.Go(func() {
		for c := range ear.Claims() {
			select {
			case claims <- c:
			case <-ctx.Done():
				return
			}
		}
	})
	return ear
}

// leave ends it. It may be called again.
func (h *host) leave() {
	if h.unwatch != nil {
		h.unwatch()
	}
}
