package plan

import (
	"io"
	"iter"
	"math"
	"net"
	"net/netip"
	"strings"
	"testing"

	"go4.org/netipx"

	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/scan/target"
)

// fakeHost is a host of which a test says everything; the zero value is one that can do it all, behind a
// gateway on a veth interface.
type fakeHost struct {
	speed              float64
	canRaw, xdp, bind  error
	portsErr, localErr error
	paths              []route.Path
	table              []route.Entry // in place of paths: who goes which way
	broadcast          []netip.Addr
	routesErr          error
	driver             string // "" is veth
	low, high          uint16
	local              []netip.Addr
	processors         int
	reserved           rawsock.PortSet
	used               rawsock.PortSet
	memory             rawsock.MemoryLeft // the zero value has no limit
	files              uint64             // that may be open; 0: 1024

	asked int      // questions
	loads []string // of the XDP programs: "load" or "look"
}

var (
	gatewayAddr = netip.MustParseAddr("192.0.2.1")
	hostAddr    = netip.MustParseAddr("192.0.2.9")
)

func ethernet(index int, name string) route.Link {
	return route.Link{Index: index, Name: name, MTU: 1500, HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, byte(index)}, Framing: rawsock.Ethernet}
}

// routed is a way through a gateway, onLink one to neighbours.
func routed(link route.Link) route.Path {
	return route.Path{Link: link, Src: hostAddr, Gateway: gatewayAddr}
}

func onLink(link route.Link) route.Path { return route.Path{Link: link, Src: hostAddr} }

func (h *fakeHost) CanRaw() error {
	h.asked++
	return h.canRaw
}

func (h *fakeHost) EphemeralPorts() (lo, hi uint16, err error) {
	h.asked++
	if h.high == 0 {
		return 32768, 60999, h.portsErr
	}
	return h.low, h.high, h.portsErr
}

func (h *fakeHost) ReservedPorts() (*rawsock.PortSet, error) {
	h.asked++
	return &h.reserved, nil
}

func (h *fakeHost) HoldPorts(r PortRange) (io.Closer, error) {
	h.asked++
	for p := r.Min; p >= r.Min && p <= r.Max; p++ {
		if h.used.Has(p) {
			return nil, &rawsock.PortInUseError{Port: p}
		}
	}
	return io.NopCloser(nil), nil
}

func (h *fakeHost) Memory() rawsock.MemoryLeft {
	h.asked++
	if h.memory == (rawsock.MemoryLeft{}) {
		return rawsock.MemoryLeft{Bytes: math.MaxUint64}
	}
	return h.memory
}

func (h *fakeHost) Routes(ranges iter.Seq[netipx.IPRange], o route.Options) (*route.Plan, error) {
	h.asked++
	if h.table != nil {
		return route.Static(ranges, h.table, o)
	}
	if h.routesErr != nil {
		return nil, h.routesErr
	}
	if h.paths == nil {
		h.paths = []route.Path{routed(ethernet(2, "veth0"))}
	}
	return &route.Plan{Paths: h.paths, Broadcast: h.broadcast}, nil
}

func (h *fakeHost) Driver(*route.Link) (name string, harmless bool) {
	h.asked++
	if h.driver == "" {
		return "veth", true
	}
	return h.driver, false
}

func (h *fakeHost) CheckXDP(_ *route.Link, load bool) error {
	h.asked++
	h.loads = append(h.loads, map[bool]string{true: "load", false: "look"}[load])
	return h.xdp
}

func (h *fakeHost) LocalAddrs() ([]netip.Addr, error) {
	h.asked++
	return h.local, h.localErr
}

func (h *fakeHost) CanBind(netip.Addr) error {
	h.asked++
	return h.bind
}

func (h *fakeHost) FileLimit() (uint64, error) {
	h.asked++
	if h.files == 0 {
		return 1024, nil
	}
	return h.files, nil
}

func (h *fakeHost) Speed(*route.Link) float64 {
	h.asked++
	return h.speed
}

func (h *fakeHost) Processors() int {
	h.asked++
	return max(h.processors, 1)
}

// targets reads words on ports; "-" before a word excludes it.
func targets(t testing.TB, ports string, words ...string) *target.Targets {
	t.Helper()
	c := target.Config{}
	for _, w := range words {
		if w[0] == '-' {
			c.Exclude = append(c.Exclude, w[1:])
		} else {
			c.Targets = append(c.Targets, w)
		}
	}
	var err error
	if ports != "" {
		if c.Ports, err = target.ParsePorts(ports); err != nil {
			t.Fatal(err)
		}
	}
	all, err := target.Load(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// hinted is an error that another package says how to mend.
type hinted struct{ text, hint string }

func (h *hinted) Error() string { return h.text }
func (h *hinted) Hint() string  { return h.hint }

// setOf is a set of addresses in the words of targets.
func setOf(t testing.TB, words string) *target.Set {
	t.Helper()
	return targets(t, "1", strings.Fields(words)...).Space.Addrs()
}
