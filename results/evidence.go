package results

import "net/netip"

// What Evidence.State says.
const (
	EvidenceStateHeld = "held" // whatever was silent was asked while others answered
	EvidenceStateLost = "lost" // not so for some positions: they are unknown
	EvidenceStateNone = "none" // nobody ever answered: silence proves nothing
)

// Evidence is how far the silence of a scan can be trusted: positions that had answered were asked again while it
// ran (beacons), and answered again or not.
type Evidence struct {
	State    string         `json:"state"`           // EvidenceStateHeld, EvidenceStateLost or EvidenceStateNone
	Asked    uint64         `json:"asked"`           // probes to beacons
	Answered uint64         `json:"answered"`        // of these
	Paths    []PathEvidence `json:"paths,omitempty"` // by interface and next hop
	Without  float64        `json:"without_s"`       // seconds without evidence while the scan had something to ask
	Outages  int            `json:"outages"`
	Again    uint64         `json:"again"`   // positions asked again because of outages
	Unknown  uint64         `json:"unknown"` // positions whose state is unknown at the end
}

// Lost tells that something is unknown for want of evidence; not so where none was kept.
func (e *Evidence) Lost() bool { return e != nil && e.State == EvidenceStateLost }

// PathEvidence is that of one path.
type PathEvidence struct {
	Iface    string     `json:"iface"`
	NextHop  netip.Addr `json:"next_hop,omitzero"` // zero where targets are on-link
	Asked    uint64     `json:"asked"`
	Answered uint64     `json:"answered"`
}
