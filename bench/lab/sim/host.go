package sim

import (
	"errors"
	"io"
	"iter"
	"math"
	"net/netip"
	"slices"

	"go4.org/netipx"

	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/scan/plan"
)

// Host is what a plan sees of the scanner's host: give it to the plan's Config.
func (n *Network) Host() plan.Host { return host{n} }

// host has the network's links and routes, and nothing else.
type host struct{ net *Network }

// errNoKernel is why nothing can be had that needs one.
var errNoKernel = errors.New("the host is simulated")

func (host) CanRaw() error { return nil }

// EphemeralPorts are Linux' default.
func (host) EphemeralPorts() (lo, hi uint16, err error) { return 32768, 60999, nil }

// ReservedPorts are none.
func (host) ReservedPorts() (*rawsock.PortSet, error) { return &rawsock.PortSet{}, nil }

// HoldPorts has nobody to keep them from.
func (host) HoldPorts(plan.PortRange) (io.Closer, error) { return io.NopCloser(nil), nil }

func (h host) Routes(targets iter.Seq[netipx.IPRange], o route.Options) (*route.Plan, error) {
	var table []route.Entry
	for _, r := range h.net.config.Routes {
		table = append(table, route.Entry{Prefix: r.Prefix, Path: route.Path{Link: r.Link, Src: r.Src, Gateway: r.Gateway}})
	}
	return route.Static(targets, table, o)
}

func (host) Driver(*route.Link) (name string, harmless bool) { return "sim", false }

func (host) CheckXDP(*route.Link, bool) error { return errNoKernel }

func (h host) LocalAddrs() (all []netip.Addr, err error) {
	for _, r := range h.net.config.Routes {
		if !slices.Contains(all, r.Src) {
			all = append(all, r.Src)
		}
	}
	return all, nil
}

func (host) CanBind(netip.Addr) error { return errNoKernel }

// Memory has no limit.
func (host) Memory() rawsock.MemoryLeft { return rawsock.MemoryLeft{Bytes: math.MaxUint64} }

// FileLimit is that of a common host.
func (host) FileLimit() (uint64, error) { return 1024, nil }

// Processors is a number that has nothing to do with the machine that the laboratory runs on.
func (host) Processors() int { return 4 }

// Speed is that of no link.
func (host) Speed(*route.Link) float64 { return 0 }
