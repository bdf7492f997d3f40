package results

// NotVerified counts the open ports that --verify left out, by reason. Their records have no "verified".
type NotVerified struct {
	Suspect   uint64 `json:"suspect,omitempty"`    // the host is not to be believed: beyond a sample of its ports
	HostLimit uint64 `json:"host_limit,omitempty"` // the host has had as many connections as one gets
	Stopped   uint64 `json:"stopped,omitempty"`    // the scan was stopped before
	Excluded  uint64 `json:"excluded,omitempty"`   // the host was excluded before
}

// Total is how many there are.
func (n *NotVerified) Total() uint64 { return n.Suspect + n.HostLimit + n.Stopped + n.Excluded }
