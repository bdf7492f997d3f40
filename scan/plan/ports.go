package plan

import "fmt"

// PortRange is an inclusive range of TCP ports.
type PortRange struct {
	Min uint16 `json:"min"`
	Max uint16 `json:"max"`
}

// AttemptPorts is how many source ports a scan reserves: the attempt's number is added to the first.
const AttemptPorts = 16

// sourcePorts takes ports outside the host's ephemeral range low to high, so that no reply to us can
// belong to a connection of the host, and none of its connections is disturbed. Where the range
// leaves no room, only the user can know which ports are free. asked is the first port, or 0.
func sourcePorts(asked, low, high int) (PortRange, error) {
	above, below := high+AttemptPorts <= 65535, low >= 1024+AttemptPorts
	first := asked
	switch {
	case asked > 65535-AttemptPorts+1:
		return PortRange{}, refuse("SourcePort", fmt.Sprintf("choose a source port up to %d", 65535-AttemptPorts+1),
			"source port %d leaves no room for %d attempts", asked, AttemptPorts)
	case asked != 0 && asked <= high && asked+AttemptPorts > low && (above || below):
		hint := fmt.Sprintf("choose a source port from %d on", high+1)
		if below {
			hint = fmt.Sprintf("choose a source port up to %d", low-AttemptPorts)
		}
		return PortRange{}, refuse("SourcePort", hint, "source ports %d-%d reach into the host's ephemeral range %d-%d, where its own connections are",
			asked, asked+AttemptPorts-1, low, high)
	case asked != 0:
	case above:
		first = high + 1
	case below:
		first = low - AttemptPorts
	default:
		return PortRange{}, refuse("SourcePort", "give a port that no local program uses with SourcePort",
			"the ephemeral range %d-%d leaves no room for source ports", low, high)
	}
	return PortRange{uint16(first), uint16(first + AttemptPorts - 1)}, nil
}
