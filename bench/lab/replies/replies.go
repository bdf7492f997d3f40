// Package replies is the table of what can come back for a probe, and of what must be made of it: Table gives the rows.
// One table is played to everything that reads replies:
//
//   - the parser, the kernel's filter and the XDP receiver, each alone (scan/probe, rawsock, rawsock/xdp);
//   - the whole program, once for each backend, over a real link (cmd/synoptic).
//
// So a kind of reply that one of them takes and another does not is found by a row, and a new kind is one more row.
// Frames are made by gopacket, then edited where gopacket refuses to be wrong.
package replies

import (
	"net/netip"
	"slices"
)

// Row is one kind of reply.
type Row struct {
	Name string
	// Frames are what comes back for a probe, in order.
	Frames func(p Probe) [][]byte
	// Want is what a scan by raw probes must say of the position in the end: state, reason, router=ADDRESS and mss=N where
	// the record has them. Ignored: it is as if nothing had come.
	Want string
	// Connect is what a scan by connect(2) says: state and reason. The kernel is of another mind than we in places: it
	// checks checksums, believes no reset that does not acknowledge the SYN, and tells no port unreachable from a reset.
	Connect string
}

// Ignored is the verdict on what is no reply to the probe.
const Ignored = "filtered no-response"

// What connect(2) says.
const (
	kernelOpen    = "open connect"
	kernelClosed  = "closed refused"
	kernelNoHost  = "unreachable host-unreachable"
	kernelNoNet   = "unreachable net-unreachable"
	kernelIgnores = "filtered timeout"
)

// Router is who sends the ICMP errors of the table.
var Router = netip.MustParseAddr("10.99.0.1")

// Table gives all rows. Their names are unique.
func Table() []Row {
	return slices.Concat(synAcks(), resets(), lengths(), notForUs(), several(), errorCodes(), quotations(), errorPackets())
}

// one makes Frames of a single frame.
func one(frame func(p Probe) []byte) func(Probe) [][]byte {
	return func(p Probe) [][]byte { return [][]byte{frame(p)} }
}
