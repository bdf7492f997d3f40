package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// checkForeign refuses a source address that is not this host's, whose answers would go to somebody else or to nobody,
// unless that was asked for. What this host answers to one of its own addresses never comes back from a foreign one: targets that
// are its own are probed from its own addresses where there are others, and refused where there are none.
func (p *Plan) checkForeign(c *Config) error {
	var foreign, answered []string
	var own float64 // targets that are this host's, and cannot be probed from Source
	others := len(p.Apart) > 0
	for path, targets := range p.paths() {
		switch {
		case path.Local && c.Source.IsValid() && path.Src != c.Source:
			own += targets
			continue
		case path.Foreign:
			foreign = append(foreign, path.Link.Name)
			if path.Answers && !slices.Contains(answered, path.Link.Name) {
				answered = append(answered, path.Link.Name)
			}
		}
		others = true
	}
	switch {
	case own > 0 && !others:
		return refuse("Source", "leave Source out, or "+p.ownAddresses(),
			"source address %v is not an address of this host, and every target is: what this host answers to it would not come back", c.Source)
	case own > 0 && c.SpoofSource:
		p.warn(fmt.Sprintf("source address %v is not for %s of this host itself, whose answers would not come back: they are probed from its own addresses", c.Source, addresses(uint64(own), "")))
	}
	switch {
	case c.SpoofSource && !c.Source.IsValid():
		return refuse("SpoofSource", "give the address with Source, or leave SpoofSource out", "there is no Source to spoof")
	case !c.SpoofSource && (foreign != nil || own > 0):
		return refuse("Source", p.ownAddresses()+"; or add SpoofSource, where answers to it come to this host or nobody else has it",
			"source address %v is not an address of this host, so its answers would not come back", c.Source)
	case foreign == nil && own == 0 && c.SpoofSource:
		p.warn(fmt.Sprintf("SpoofSource changes nothing: %v is an address of this host", c.Source))
	case foreign == nil:
	case answered != nil:
		p.warn(fmt.Sprintf("source address %v is not an address of this host: ARP requests for it are answered on %s while the scan runs", c.Source, strings.Join(answered, " and ")))
	default:
		p.warn(fmt.Sprintf("source address %v is not an address of this host: nothing responds unless answers to it are routed here", c.Source))
	}
	if foreign != nil && c.Verify {
		p.warn("Verify connects from an address of this host, not from Source")
	}
	return nil
}

// ownAddresses is a hint that names the addresses that a scan could come from.
func (p *Plan) ownAddresses() string {
	const most = 4
	var all []string
	own, _ := p.Asked.Host.LocalAddrs() // without them the hint says less
	for _, a := range own {
		if a.Is4() && !a.IsLoopback() && len(all) < most {
			all = append(all, a.String())
		}
	}
	if all == nil {
		return "give an address of this host"
	}
	return "give an address of this host: " + strings.Join(all, ", ")
}

// OwnSource is the source address that the host's own connections can have; invalid where the kernel chooses.
func (p *Plan) OwnSource() netip.Addr {
	if p.Asked.SpoofSource {
		return netip.Addr{}
	}
	return p.Asked.Source
}
