package plan

import (
	"errors"

	"synoptic/rawsock/route"
	"synoptic/scan/probe"
	"synoptic/scan/target"
)

// refusesConnect says what was asked for that connect(2) could not do; reason is why it was chosen.
func refusesConnect(asked *Config, reason string) error {
	no := func(field, what string) error {
		return refuse(field, "leave "+field+" out, or run where raw sockets are permitted", "backend connect (%s) %s", reason, what)
	}
	switch {
	case asked.Interface != "":
		return no("Interface", "leaves the interface to the kernel")
	case asked.GatewayMAC != nil:
		return no("GatewayMAC", "leaves MAC addresses to the kernel")
	case asked.SourcePort != 0:
		return no("SourcePort", "leaves source ports to the kernel")
	case asked.Lanes != 0:
		return no("Lanes", "has no lanes")
	case asked.TargetRecall > 0:
		return no("TargetRecall", "leaves retries to the kernel")
	case asked.Profile != probe.ProfileMSS:
		return no("Profile", "leaves TCP options to the kernel")
	}
	if asked.Source.IsValid() {
		if err := asked.Host.CanBind(asked.Source); err != nil {
			return refuse("Source", "give an address of this host, or leave Source out", "source address %v: %w", asked.Source, err)
		}
	}
	return nil
}

// connectRoutes finds the ways of connections to the targets, and the broadcast addresses among these; nil where the
// host does not say. What the routing table rules out is unrouted, as for raw probes, or refused before the first probe.
func connectRoutes(asked *Config, targets *target.Set) (_ *route.Plan, unrouted []*route.NoRouteError, err error) {
	routes, err := asked.Host.Routes(targets.Ranges(), route.Options{Source: asked.Source, LeaveOut: !asked.Strict && !asked.beside})
	var broadcast *route.BroadcastError
	var source *route.SourceError
	var none *route.NoRouteError
	switch {
	case errors.As(err, &broadcast), errors.As(err, &source), errors.As(err, &none) && none.Err != nil && !asked.beside:
		return nil, nil, err
	case err != nil:
		// Another system, or a way that only raw frames cannot go: each connect will tell.
		return nil, nil, nil
	}
	for _, u := range routes.Unrouted {
		if u.Err != nil {
			unrouted = append(unrouted, u)
		}
	}
	if len(unrouted) < len(routes.Unrouted) {
		return nil, unrouted, nil // of the others each connect will tell
	}
	return routes, unrouted, nil
}
