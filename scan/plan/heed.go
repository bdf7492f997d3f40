package plan

import (
	"fmt"
	"iter"
	"strings"

	"synoptic/rawsock"
	"synoptic/rawsock/route"
)

// heed looks at the whole plan for what was asked for and has come to nothing: it is told, or refused where nothing could
// come of the scan. Nothing is overruled without a word. asked is the Config without its defaults.
func (p *Plan) heed(asked *Config) error {
	if err := p.checkForeign(asked); err != nil {
		return err
	}
	p.warnUnrouted()
	p.warnInterface(asked)
	p.warnGatewayMAC(asked)
	if n := p.Choice.Lanes; p.Choice.Backend != BackendConnect && n < asked.Lanes {
		p.warn(fmt.Sprintf("Lanes %d is not heeded: backend %s has %d", asked.Lanes, p.Choice.Backend, n))
	}
	if ignored := connectIgnores(asked); ignored != "" && p.Choice.Backend == BackendConnect { // what else it ignores is refused
		p.warn("connect() leaves retries and how they are sent to the kernel, and ignores " + ignored)
	}
	p.hintContacts()
	return nil
}

// neighbourTable is how many neighbours a router with Linux's defaults knows at once (net.ipv4.neigh.default.gc_thresh3, arp(7)).
const neighbourTable = 1024

// hintContacts tells of next hops with more targets behind them than such a table holds: where the next hop is the last one, it asks for the
// MAC address of each, and first probes get lost where they come faster than its table lets go of those that nobody has.
func (p *Plan) hintContacts() {
	for path, targets := range p.paths() {
		if path.Local || targets <= neighbourTable || !path.Gateway.IsValid() && !path.ByMAC {
			continue
		}
		hop := "the next hop"
		if path.Gateway.IsValid() {
			hop = "next hop " + path.Gateway.String()
		}
		hint := fmt.Sprintf("%s lie behind %s: if they are on its own links, its table of neighbours may be too small for them (Linux: %d entries)",
			addresses(uint64(targets), ""), hop, neighbourTable)
		if !p.Auto {
			hint += ", and first probes get lost; Rate auto slows down where that shows"
		} else {
			hint += "; the rate is lowered where first probes get lost"
		}
		p.Hints = append(p.Hints, hint)
	}
}

// paths yields every way of raw packets, with the number of targets behind it.
func (p *Plan) paths() iter.Seq2[*route.Path, float64] {
	return func(yield func(*route.Path, float64) bool) {
		for _, part := range p.Parts() {
			if part.Routes == nil {
				continue
			}
			for i := range part.Routes.Paths {
				if !yield(&part.Routes.Paths[i], max(part.Routes.Targets(i), 1)) { // none is there for nobody
					return
				}
			}
		}
	}
}

// warnUnrouted tells which targets are left out, and why.
func (p *Plan) warnUnrouted() {
	const most = 4
	var all []string
	for i, u := range p.Unrouted {
		if i == most {
			all = append(all, fmt.Sprintf("and %d more ranges", len(p.Unrouted)-most))
			break
		}
		all = append(all, u.Error())
	}
	if all != nil {
		p.warn(fmt.Sprintf("%s left out: %s", addresses(p.Unreached(), ""), strings.Join(all, "; ")))
	}
}

// warnInterface tells of targets that leave by another interface than the one asked for: the host's own addresses.
func (p *Plan) warnInterface(asked *Config) {
	by, n := "", 0.0
	for path, targets := range p.paths() {
		if path.Local && asked.Interface != "" && path.Link.Name != asked.Interface {
			by, n = path.Link.Name, n+targets
		}
	}
	if by != "" {
		p.warn(fmt.Sprintf("Interface %s is not taken to %s of this host itself: they are reached by %s alone", asked.Interface, addresses(uint64(n), ""), by))
	}
}

// warnGatewayMAC tells of a gateway that no target is behind.
func (p *Plan) warnGatewayMAC(asked *Config) {
	raw := false
	for path := range p.paths() {
		if raw = true; path.Link.Framing == rawsock.Ethernet && (path.Gateway.IsValid() || path.ByMAC) {
			return
		}
	}
	if raw && asked.GatewayMAC != nil {
		p.warn(fmt.Sprintf("GatewayMAC %v changes nothing: no target is behind a gateway", asked.GatewayMAC))
	}
}
