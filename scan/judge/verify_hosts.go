package judge

import (
	"net/netip"

	"synoptic/results"
)

// A host can demand work without bound: one that opens every port and says nothing holds each connection for
// verifyListen. What a scan does for one host is therefore bounded, and what is left out is told.
const (
	// hostConnections to one host are under way at most.
	hostConnections = 32
	// hostVerified ports of one host are verified at most.
	hostVerified = 256
	// suspectVerified ports are verified of a host that is not to be believed: a sample, which tells whether
	// connections can be made at all.
	suspectVerified = 16
)

// verifiedHost is what was done for a host so far.
type verifiedHost struct {
	open    int // ports
	tried   int // of these: verified, being verified, or waiting
	active  int // connections
	waiting []results.Port
}

// worth tells whether an open port is to be verified. One that is not is handed on.
func (v *Verifier) worth(p *results.Port) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	h := v.host(p.Addr)
	if h == nil {
		return true
	}
	h.open++
	suspect := v.Liars[p.Addr] || implausible(h.open, v.Expected)
	if suspect {
		v.drop(h)
	}
	var why *uint64
	switch {
	case suspect && h.tried >= suspectVerified:
		why = &v.left.Suspect
	case h.tried >= hostVerified:
		why = &v.left.HostLimit
	default:
		h.tried++
		return true
	}
	*why++
	v.out = append(v.out, *p)
	return false
}

// host is nil where no host can have enough open ports to be bounded, and where there are too many hosts.
func (v *Verifier) host(a netip.Addr) *verifiedHost {
	if v.VerifierConfig.Ports <= suspectVerified {
		return nil
	}
	h := v.hosts[a]
	if h == nil && len(v.hosts) < maxJudged {
		h = &verifiedHost{}
		v.hosts[a] = h
	}
	return h
}

// drop hands on what waits of a host that has turned out to be suspect, but for the sample.
func (v *Verifier) drop(h *verifiedHost) {
	for len(h.waiting) > 0 && h.tried > suspectVerified {
		last := len(h.waiting) - 1
		v.out = append(v.out, h.waiting[last])
		h.waiting = h.waiting[:last]
		h.tried--
		v.left.Suspect++
		<-v.room
	}
}

// begin tells whether a port can be verified now. Otherwise it waits for another one of its host.
func (v *Verifier) begin(p *results.Port) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	h := v.hosts[p.Addr]
	if h == nil {
		return true
	}
	if h.active >= hostConnections {
		h.waiting = append(h.waiting, *p)
		return false
	}
	h.active++
	return true
}

// end gives the port's room back, and puts the next one of its host in its place.
func (v *Verifier) end(p *results.Port) (more bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	<-v.room
	h := v.hosts[p.Addr]
	switch {
	case h == nil:
		return false
	case len(h.waiting) == 0:
		h.waiting = nil
		h.active--
		return false
	}
	*p = h.waiting[0]
	h.waiting = h.waiting[1:]
	return true
}
