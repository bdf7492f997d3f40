package scan

import (
	"fmt"

	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/scan/target"
)

const (
	// kernelRate in probes per second is where auto looks for more than packet sockets, which are good
	// for it on one core.
	kernelRate = 200_000
	// MinGeneratorRate in probes per second is the least that the generator is used for. Between probes
	// it spins, so below this it would burn a processor for what a packet socket does in passing.
	MinGeneratorRate = 100_000
)

// chooseBackend decides between raw packets and connect(2). Which way raw packets take is seen when
// routes and rate are known: chooseKernel.
func (p *Plan) chooseBackend() error {
	canRaw := rawsock.CanRaw()
	ipv6 := hasIPv6(p.Space.Addrs())
	if p.Frames && (p.Backend == BackendXDP || p.Backend == BackendEBPF || p.Backend == BackendConnect) {
		return refusesFrames(p.Backend)
	}
	switch p.Backend {
	case BackendAFPacket, BackendXDP, BackendEBPF:
		if canRaw != nil {
			return fmt.Errorf("backend %s: %w", p.Backend, canRaw)
		}
		if ipv6 {
			return refuse("use --backend connect for IPv6 targets", "backend %s: IPv6 targets cannot be probed raw yet", p.Backend)
		}
		p.BackendReason = "asked for"
	case BackendConnect:
		p.BackendReason = "asked for"
	case BackendAuto:
		p.Auto = true
		switch {
		case p.Frames && ipv6:
			return refuse("scan the IPv4 targets apart, or leave that output out", "an output keeps the replies' frames, and IPv6 targets cannot be probed raw yet")
		case p.Frames && canRaw != nil:
			return fmt.Errorf("an output keeps the replies' frames: %w", canRaw)
		case ipv6:
			p.Backend, p.BackendReason, p.Fallback = BackendConnect, "IPv6 targets cannot be probed raw yet", true
			if canRaw == nil && p.Space.Addrs().At(0).Is4() {
				p.BackendHint = "scan the IPv4 targets apart to have them probed raw"
			}
		case canRaw != nil:
			p.Backend, p.BackendReason, p.Fallback = BackendConnect, canRaw.Error(), true
			p.BackendHint = hintOf(canRaw)
		default:
			p.Backend, p.BackendReason = BackendAFPacket, "raw sockets are permitted"
		}
	default:
		return refuse("the backends are auto, afpacket, xdp, ebpf and connect", "unknown backend %q", p.Backend)
	}
	return nil
}

func hintOf(err error) string {
	if h, ok := err.(interface{ Hint() string }); ok {
		return h.Hint()
	}
	return ""
}

func hasIPv6(s *target.Set) bool {
	n := s.Len()
	return n > 0 && s.At(n-1).Is6() // IPv4 sorts first
}

// chooseKernel decides how raw packets go: what the rate needs, the host allows and does no harm.
func (p *Plan) chooseKernel() error {
	switch p.Backend {
	case BackendXDP:
		return backendError(p.Backend, p.refusesXDP())
	case BackendEBPF:
		if p.Rate < MinGeneratorRate {
			p.Backend = BackendXDP
			p.BackendReason = fmt.Sprintf("ebpf is for %d pps and more: it spins between probes", MinGeneratorRate)
			return backendError(p.Backend, p.refusesXDP())
		}
		if p.Lanes > 1 {
			return refuse("leave --lanes out", "backend ebpf: %d lanes were asked for, and the generator is one", p.Lanes)
		}
		err := p.refusesXDP()
		if err == nil {
			err = p.refusesGenerator()
		}
		return backendError(p.Backend, err)
	case BackendAFPacket:
		if p.Auto {
			p.autoKernel()
		}
	}
	return nil
}

func backendError(backend string, err error) error {
	if err == nil {
		return nil
	}
	hint := hintOf(err)
	if hint == "" {
		hint = "--backend afpacket has no such limit"
	}
	return refuse(hint, "backend %s: %w", backend, err)
}

// autoKernel takes the fastest backend where the rate asks for it and nobody is harmed.
func (p *Plan) autoKernel() {
	if p.Rate < kernelRate {
		p.BackendReason = fmt.Sprintf("raw sockets are permitted, and %s pps need no more", plainRate(p.Rate))
		return
	}
	if p.Frames {
		p.BackendReason = "raw sockets are permitted; no XDP, for an output keeps the replies' frames"
		return
	}
	link, err := p.onlyLink()
	if err != nil {
		p.BackendReason = "raw sockets are permitted; no XDP, for " + err.Error()
		return
	}
	if driver, harmless := driverOf(link); !harmless {
		p.BackendReason = fmt.Sprintf("raw sockets are permitted; XDP could interrupt the traffic of %s (driver %s)", link.Name, driver)
		p.BackendHint = "--backend ebpf is many times faster; ask for it where a pause of the interface's traffic hurts nobody"
		return
	}
	if err := p.refusesXDP(); err != nil {
		p.BackendReason = "raw sockets are permitted; no XDP, for " + err.Error()
		p.BackendHint = hintOf(err)
		return
	}
	if err := p.refusesGenerator(); err != nil {
		p.Backend, p.BackendReason = BackendXDP, "no ebpf, for "+err.Error()
		p.Lanes = 0 // each would need a queue of its own, and what the link has is one at least
		return
	}
	p.Backend, p.BackendReason = BackendEBPF, fmt.Sprintf("%s pps, and XDP leaves the other traffic of %s alone", plainRate(p.Rate), link.Name)
}

// plainRate writes a rate without an exponent.
func plainRate(rate float64) string {
	if rate < 1000 {
		return fmt.Sprintf("%.4g", rate)
	}
	return fmt.Sprintf("%.0f", rate)
}

// onlyLink is the interface of the scan, which the programs need to be one, with Ethernet and one
// source address.
func (p *Plan) onlyLink() (*route.Link, error) {
	first := &p.Routes.Paths[0]
	for i := range p.Routes.Paths {
		path := &p.Routes.Paths[i]
		switch {
		case path.Link.Framing != rawsock.Ethernet:
			return nil, fmt.Errorf("%s has no Ethernet frames", path.Link.Name)
		case path.Link.Index != first.Link.Index:
			return nil, fmt.Errorf("the targets lie behind several interfaces, %s and %s", first.Link.Name, path.Link.Name)
		case path.Src != first.Src:
			return nil, fmt.Errorf("the targets are reached from several addresses, %s and %s", first.Src, path.Src)
		}
	}
	return &first.Link, nil
}

// refusesXDP says why the scan cannot go by the backend xdp. Where it was asked for, loading the
// programs will tell the rest.
func (p *Plan) refusesXDP() error {
	link, err := p.onlyLink()
	if err != nil {
		return err
	}
	if n := len(p.Routes.Paths); n > 1 {
		// An egress has a socket of its own, and a queue takes one AF_XDP socket.
		return fmt.Errorf("the targets lie behind %d next hops", n)
	}
	return checkXDP(link, p.Auto)
}

// refusesGenerator says why a scan that can go by the backend xdp cannot go by ebpf.
func (p *Plan) refusesGenerator() error {
	if path := &p.Routes.Paths[0]; !path.Gateway.IsValid() {
		return fmt.Errorf("targets on %s itself have a link address each, which the generator does not know", path.Link.Name)
	}
	return nil
}
