package plan

import (
	"errors"
	"fmt"
	"io"

	"synoptic/rawsock"
)

// PortRange is an inclusive range of TCP ports.
type PortRange struct {
	Min uint16 `json:"min"`
	Max uint16 `json:"max"`
}

// AttemptPorts is how many source ports a scan reserves: the attempt's number is added to the first.
const AttemptPorts = 16

const (
	firstUserPort = 1024                     // RFC 6335 section 6: those below are the system's
	lastFirst     = 65535 - AttemptPorts + 1 // the last port that AttemptPorts can begin with
)

// hostPorts is what the host says of its own ports.
type hostPorts struct {
	low, high int // the range that connections of its own get theirs from
	reserved  *rawsock.PortSet
	hold      func(PortRange) (io.Closer, error)
}

// sourcePorts takes ports that the host gives to no connection of its own, so that no reply to us can belong to one,
// and none is disturbed: outside the ephemeral range, or reserved in it. Where there are not so many, it takes some that
// are not in use; those have to be held while the scan runs, and warning says so. asked is the first port, or 0.
func sourcePorts(asked int, h hostPorts) (ports PortRange, held bool, warning string, err error) {
	safe := h.firstSafe()
	switch {
	case asked > lastFirst:
		return ports, false, "", refuse("SourcePort", fmt.Sprintf("choose a source port up to %d", lastFirst),
			"source port %d leaves no room for %d attempts", asked, AttemptPorts)
	case asked != 0 && h.allSafe(asked):
		return from(asked), false, "", nil
	case asked != 0 && safe != 0:
		hint := fmt.Sprintf("choose a source port from %d on", safe)
		if safe != h.high+1 {
			hint = fmt.Sprintf("choose source port %d", safe)
		}
		if safe == h.low-AttemptPorts {
			hint = fmt.Sprintf("choose a source port up to %d", safe)
		}
		return ports, false, "", refuse("SourcePort", hint, "source ports %d-%d reach into the host's ephemeral range %d-%d, where its own connections are",
			asked, asked+AttemptPorts-1, h.low, h.high)
	case safe != 0:
		return from(safe), false, "", nil
	}
	first, free := asked, asked != 0 && h.inUse(asked) == 0
	if asked == 0 {
		first, free = h.firstFree()
	}
	ports = from(first)
	what := "none of them is in use, and they are kept from the host's connections while the scan runs"
	if !free {
		what = "some of them are in use by connections of this host, which may be disturbed, or taken for answers"
	}
	return ports, true, fmt.Sprintf("source ports %d-%d lie in the host's ephemeral range %d-%d, which leaves no others: %s; better reserve 16 in net.ipv4.ip_local_reserved_ports",
		ports.Min, ports.Max, h.low, h.high, what), nil
}

func from(first int) PortRange { return PortRange{uint16(first), uint16(first + AttemptPorts - 1)} }

// isSafe tells whether no connection of the host's gets a port that does not ask for it.
func (h *hostPorts) isSafe(port int) bool {
	return port < h.low || port > h.high || h.reserved.Has(uint16(port))
}

func (h *hostPorts) allSafe(first int) bool {
	for p := first; p < first+AttemptPorts; p++ {
		if !h.isSafe(p) {
			return false
		}
	}
	return true
}

// firstSafe is where the ports begin that are taken if nobody says otherwise: above the ephemeral range, below it, or as high as
// can be in what is reserved; 0 where no run is long enough.
func (h *hostPorts) firstSafe() int {
	for _, first := range []int{h.high + 1, h.low - AttemptPorts} {
		if first >= firstUserPort && first <= lastFirst && h.allSafe(first) {
			return first
		}
	}
	for first := lastFirst; first >= firstUserPort; first-- {
		if h.allSafe(first) {
			return first
		}
	}
	return 0
}

// firstFree is where ports begin of which the host uses none, as high as can be; false where there are none, or
// nobody can say.
func (h *hostPorts) firstFree() (first int, free bool) {
	for first = lastFirst; first >= firstUserPort; {
		used := h.inUse(first)
		if used == 0 {
			return first, true
		}
		first = used - AttemptPorts
	}
	return lastFirst, false
}

// inUse is the lowest port known to be in use of those from first on; 0 where they are free.
func (h *hostPorts) inUse(first int) int {
	c, err := h.hold(from(first))
	if err == nil {
		c.Close() // they were bound and nothing else
		return 0
	}
	if used, ok := errors.AsType[*rawsock.PortInUseError](err); ok {
		return int(used.Port)
	}
	return first
}
