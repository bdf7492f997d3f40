package plan

import (
	"io"
	"iter"
	"net"
	"net/netip"
	"runtime"

	"go4.org/netipx"

	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/rawsock/xdp"
)

// Host is what a plan asks of the host that it is made for. Nothing is sent for any of it.
type Host interface {
	// CanRaw says why raw packets cannot be sent and received; nil where they can.
	CanRaw() error
	// EphemeralPorts is the range, both ends included, of the source ports of the host's own connections.
	EphemeralPorts() (lo, hi uint16, err error)
	// ReservedPorts are those of that range that no connection gets which does not ask for them.
	ReservedPorts() (*rawsock.PortSet, error)
	// HoldPorts keeps ports from the host's own connections until it is closed. Its errors are those of
	// rawsock.HoldPorts.
	HoldPorts(PortRange) (io.Closer, error)
	// Routes finds the ways to ascending and disjoint ranges. Its errors are those of route.New.
	Routes(targets iter.Seq[netipx.IPRange], o route.Options) (*route.Plan, error)
	// Driver names an interface's driver, and tells whether attaching an XDP program leaves its other
	// traffic alone.
	Driver(link *route.Link) (name string, harmless bool)
	// CheckXDP says what is against XDP programs on an interface; with load, also what only loading them
	// can show.
	CheckXDP(link *route.Link, load bool) error
	// LocalAddrs are the host's own addresses.
	LocalAddrs() ([]netip.Addr, error)
	// CanBind says why connections cannot come from an address.
	CanBind(source netip.Addr) error
	// Memory is how much the program may still take, and FileLimit how many files and connections it may have open.
	Memory() rawsock.MemoryLeft
	FileLimit() (uint64, error)
	// Processors is how many of them the program may use at a time.
	Processors() int
	// Speed is what a link carries, in bits per second; 0: nobody knows.
	Speed(link *route.Link) float64
}

// ThisHost is the host that the program runs on, in its network namespace.
func ThisHost() Host { return thisHost{} }

type thisHost struct{}

func (thisHost) CanRaw() error { return rawsock.CanRaw() }

func (thisHost) EphemeralPorts() (lo, hi uint16, err error) { return rawsock.EphemeralPorts() }

func (thisHost) ReservedPorts() (*rawsock.PortSet, error) { return rawsock.ReservedPorts() }

func (thisHost) HoldPorts(r PortRange) (io.Closer, error) { return rawsock.HoldPorts(r.Min, r.Max) }

func (thisHost) Routes(targets iter.Seq[netipx.IPRange], o route.Options) (*route.Plan, error) {
	return route.New(targets, o)
}

func (thisHost) Driver(link *route.Link) (name string, harmless bool) {
	name = xdp.Driver(link.Index)
	return name, xdp.Harmless(name)
}

func (thisHost) CheckXDP(link *route.Link, load bool) error { return xdp.Check(link.Index, load) }

func (thisHost) LocalAddrs() (all []netip.Addr, err error) {
	own, err := net.InterfaceAddrs()
	for _, a := range own {
		if prefix, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(prefix.IP); ok {
				all = append(all, addr.Unmap())
			}
		}
	}
	return all, err
}

// CanBind binds a UDP socket, which sends nothing and takes no connections.
func (thisHost) CanBind(source netip.Addr) error {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(source, 0)))
	if err != nil {
		return err
	}
	return c.Close()
}

func (thisHost) Memory() rawsock.MemoryLeft { return rawsock.Memory() }

func (thisHost) FileLimit() (uint64, error) { return rawsock.FileLimit() }

func (thisHost) Processors() int { return runtime.GOMAXPROCS(0) }

func (thisHost) Speed(link *route.Link) float64 { return rawsock.LinkSpeed(link.Index) }
