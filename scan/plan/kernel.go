package plan

import (
	"fmt"

	"synoptic/rawsock"
	"synoptic/rawsock/route"
)

const (
	// kernelRate in probes per second is where auto looks for more than packet sockets, which are good
	// for it on one core.
	kernelRate = 200_000
	// MinGeneratorRate in probes per second is the least that the generator is used for. Between probes
	// it spins, so below this it would burn a processor for what a packet socket does in passing.
	MinGeneratorRate = 100_000
)

// kernel is what decides how raw packets go: what the pace needs, the host allows and does no harm.
type kernel struct {
	asked  *Config
	host   Host
	routes *route.Plan
	rate   float64 // probes per second, the most that the scan may come to
}

// choose goes on from a choice that raw packets are sent.
func (k kernel) choose(c Choice) (Choice, error) {
	switch c.Backend {
	case BackendXDP:
		return c, backendError(c.Backend, k.refusesXDP(c.Auto))
	case BackendEBPF:
		if k.rate < MinGeneratorRate {
			c.Backend = BackendXDP
			c.Reason = fmt.Sprintf("ebpf is for %s pps and more: it spins between probes", shortRate(MinGeneratorRate))
			return c, backendError(c.Backend, k.refusesXDP(c.Auto))
		}
		if k.asked.Lanes > 1 {
			return c, refuse("Lanes", "leave Lanes out", "backend ebpf: %d lanes were requested, and the generator is one", k.asked.Lanes)
		}
		err := k.refusesXDP(c.Auto)
		if err == nil {
			err = k.refusesGenerator()
		}
		return c, backendError(c.Backend, err)
	case BackendAFPacket:
		if c.Auto {
			return k.auto(c), nil
		}
	}
	return c, nil
}

func backendError(backend string, err error) error {
	if err == nil {
		return nil
	}
	hint := hintOf(err)
	if hint == "" {
		hint = "Backend afpacket has no such limit"
	}
	return refuse("Backend", hint, "backend %s: %w", backend, err)
}

// auto takes the fastest backend where the rate asks for it and nobody is harmed.
func (k kernel) auto(c Choice) Choice {
	if k.rate < kernelRate {
		c.Reason = fmt.Sprintf("%s; fast enough for %s pps", permitted, shortRate(k.rate))
		return c
	}
	if k.asked.Frames {
		c.Reason = permitted + "; no XDP: an output keeps the replies' frames"
		return c
	}
	link, err := onlyLink(k.routes)
	if err != nil {
		c.Reason = permitted + "; no XDP: " + err.Error()
		return c
	}
	if driver, harmless := k.host.Driver(link); !harmless {
		c.Reason = fmt.Sprintf("%s; XDP could interrupt the traffic of %s (driver %s)", permitted, link.Name, driver)
		c.Hint = "Backend ebpf is many times faster; choose it where a short interruption of the interface's traffic does no harm"
		return c
	}
	if err := k.refusesXDP(c.Auto); err != nil {
		c.Reason, c.Hint = permitted+"; no XDP: "+err.Error(), hintOf(err)
		return c
	}
	if err := k.refusesGenerator(); err != nil {
		return c.WithoutGenerator(err)
	}
	c.Backend, c.Reason = BackendEBPF, fmt.Sprintf("%s pps, and XDP leaves the other traffic of %s alone", shortRate(k.rate), link.Name)
	return c
}

// onlyLink is the interface of the scan, which the programs need to be one, with Ethernet and one
// source address.
func onlyLink(routes *route.Plan) (*route.Link, error) {
	first := &routes.Paths[0]
	for i := range routes.Paths {
		path := &routes.Paths[i]
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
func (k kernel) refusesXDP(load bool) error {
	link, err := onlyLink(k.routes)
	if err != nil {
		return err
	}
	if n := len(k.routes.Paths); n > 1 {
		// An egress has a socket of its own, and a queue takes one AF_XDP socket.
		return fmt.Errorf("the targets lie behind %d next hops", n)
	}
	return k.host.CheckXDP(link, load)
}

// refusesGenerator says why a scan that can go by the backend xdp cannot go by ebpf.
func (k kernel) refusesGenerator() error {
	if len(k.asked.binding(k.rate, k.asked.Targets.Space.Addrs())) > 0 {
		return refuse("", "Backend xdp keeps limits by host and by prefix", "the generator cannot keep limits by host or by prefix")
	}
	if path := &k.routes.Paths[0]; !path.Gateway.IsValid() && !path.ByMAC {
		return fmt.Errorf("targets on %s itself each have a MAC address, which the generator does not know", path.Link.Name)
	}
	return nil
}
