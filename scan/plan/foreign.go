package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// checkForeign refuses a source address that is not this host's, whose answers would go to somebody else or to nobody,
// unless that was asked for. It knows the routes.
func (p *Plan) checkForeign() error {
	c := &p.Asked
	var foreign, answered []string
	for i := range p.Routes.Paths {
		path := &p.Routes.Paths[i]
		if !path.Foreign {
			continue
		}
		foreign = append(foreign, path.Link.Name)
		if path.Answers && !slices.Contains(answered, path.Link.Name) {
			answered = append(answered, path.Link.Name)
		}
	}
	switch {
	case c.SpoofSource && !c.Source.IsValid():
		return refuse("SpoofSource", "give the address with Source, or leave SpoofSource out", "there is no Source to spoof")
	case foreign == nil && c.SpoofSource:
		p.warn(fmt.Sprintf("SpoofSource changes nothing: %v is an address of this host", c.Source))
	case foreign == nil:
	case !c.SpoofSource:
		return refuse("Source", p.ownAddresses()+"; or add SpoofSource, where answers to it come to this host or nobody else has it",
			"source address %v is not an address of this host, so its answers would not come back", c.Source)
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
