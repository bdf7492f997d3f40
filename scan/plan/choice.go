package plan

import (
	"errors"
	"fmt"
	"math"

	"synoptic/rawsock"
	"synoptic/scan/target"
)

// Choice is how a scan's probes are sent, as far as the host has a say in it. It is a value: where a backend
// turns out not to be available when it is opened, PacketSockets, WithoutGenerator and WithGenericXDP give the
// Choice that is left, and the plan keeps its own.
type Choice struct {
	Backend  string `json:"backend"`
	Auto     bool   `json:"auto"`               // Backend was left to us
	Reason   string `json:"reason"`             // why Backend is what it is
	Hint     string `json:"hint,omitempty"`     // how to get a better one
	Fallback bool   `json:"fallback,omitempty"` // connect, although raw packets were wanted
	Generic  bool   `json:"generic,omitempty"`  // the kernel's generic XDP, as the driver has none of its own
	Lanes    int    `json:"lanes"`              // sender lanes; 0 for the connect backend
}

const permitted = "raw sockets"

// ReceiverLanes is how many receiver lanes each interface has: one for two sender lanes, for a reply costs
// less than a probe.
func (c Choice) ReceiverLanes() int { return (c.Lanes + 1) / 2 }

// PacketSockets is what is left where the programs cannot be used and the choice was ours.
func (p *Plan) PacketSockets(why error) Choice {
	return Choice{
		Backend: BackendAFPacket, Auto: p.Choice.Auto, Reason: permitted + "; no XDP: " + why.Error(), Hint: hintOf(why),
		Lanes: p.packetLanes,
	}
}

// WithoutGenerator is what is left of a choice of the backend ebpf where the driver does not take what the
// generator makes.
func (c Choice) WithoutGenerator(why error) Choice {
	c.Backend, c.Reason, c.Hint = BackendXDP, "no ebpf: "+why.Error(), hintOf(why)
	return c
}

// WithGenericXDP is what is left of a choice of the backend xdp where the driver has no XDP of its own.
func (c Choice) WithGenericXDP() Choice {
	c.Generic = true
	c.Reason += "; the driver has no native XDP, so the kernel's generic XDP is used"
	return c
}

// rawOrConnect decides between raw packets and connect(2). Which way raw packets take is seen when
// routes and pace are known: kernel.choose. canRaw is what is against raw packets.
func rawOrConnect(asked *Config, targets *target.Set, canRaw error) (Choice, error) {
	ipv6 := hasIPv6(targets)
	c := Choice{Backend: asked.Backend, Reason: "asked for"}
	switch asked.Backend {
	case BackendAFPacket, BackendXDP, BackendEBPF:
		switch {
		case asked.Frames && asked.Backend != BackendAFPacket:
			return c, refusesFrames(asked.Backend)
		case canRaw != nil:
			return c, refuse("Backend", hintOf(canRaw), "backend %s: %w", asked.Backend, canRaw)
		case ipv6:
			return c, refuse("Backend", "use Backend connect for IPv6 targets", "backend %s: IPv6 targets cannot be probed raw yet", asked.Backend)
		}
	case BackendConnect:
		if asked.Frames {
			return c, refusesFrames(asked.Backend)
		}
	case BackendAuto:
		return autoRaw(asked, targets, canRaw)
	default:
		return c, refuse("Backend", "the backends are auto, afpacket, xdp, ebpf and connect", "unknown backend %q", asked.Backend)
	}
	return c, nil
}

// autoRaw takes raw packets where they can be had.
func autoRaw(asked *Config, targets *target.Set, canRaw error) (Choice, error) {
	c := Choice{Backend: BackendConnect, Auto: true, Fallback: true}
	ipv6 := hasIPv6(targets)
	switch {
	case asked.Frames && ipv6:
		return c, refuse("", "leave that output out", "an output keeps the replies' frames, and IPv6 targets cannot be probed raw yet")
	case asked.Frames && canRaw != nil:
		return c, refuse("", hintOf(canRaw), "an output keeps the replies' frames: %w", canRaw)
	case ipv6:
		c.Reason = noRawIPv6
	case errors.Is(canRaw, rawsock.ErrPermission):
		c.Reason, c.Hint = "no permission for raw sockets (CAP_NET_RAW)", hintOf(canRaw)
	case canRaw != nil:
		c.Reason, c.Hint = canRaw.Error(), hintOf(canRaw)
	default:
		c.Backend, c.Fallback, c.Reason = BackendAFPacket, false, permitted
	}
	return c, nil
}

// refusesFrames says why a backend cannot be had where an output keeps frames.
func refusesFrames(backend string) error {
	return refuse("Backend", "Backend afpacket keeps them", "backend %s: the replies' frames, which an output keeps, do not pass through it", backend)
}

func hasIPv6(s *target.Set) bool {
	n := s.Len()
	return n > 0 && s.At(n-1).Is6() // IPv4 sorts first
}

const (
	// laneRate is what one sender lane is good for: up to it, others would only compete for the
	// limiter's grants.
	laneRate = 300_000
	// autoLanes bounds the lanes where nobody asks for a number of them.
	autoLanes = 8
)

// packetLanes takes no more lanes than the rate needs, and leaves half of the processors to receivers
// and to the kernel where there are more than two. With two, the second lane was worth more than what it
// took from the receivers (docs/architecture.md).
func packetLanes(asked int, rate float64, processors int) int {
	if asked > 0 {
		return asked
	}
	return min(int(min(math.Ceil(rate/laneRate), autoLanes)), max(processors/2, min(processors, 2)))
}

// withLanes completes a choice; packets is how many lanes packet sockets get.
func (c Choice) withLanes(asked, packets int) Choice {
	switch {
	case c.Backend == BackendConnect: // every connection is a goroutine of its own
		c.Lanes = 0
	case c.Backend == BackendEBPF: // the generator
		c.Lanes = 1
	case c.Backend == BackendXDP && c.Auto: // on the interface's first queue: there may be no other
		c.Lanes = 1
	case c.Backend == BackendXDP:
		c.Lanes = max(asked, 1)
	default:
		c.Lanes = packets
	}
	return c
}

// shortRate writes a rate as it is typed: "10k", "1.5M".
func shortRate(rate float64) string {
	switch {
	case rate >= 1e6:
		return fmt.Sprintf("%.4gM", rate/1e6)
	case rate >= 1e3:
		return fmt.Sprintf("%.4gk", rate/1e3)
	}
	return fmt.Sprintf("%.4g", rate)
}
