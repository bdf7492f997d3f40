package main

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"synoptic/bench/lab/replies"
	"synoptic/bench/lab/testnet"
)

// The frames of a hostile peer: those of package replies.

const (
	etherLen = replies.EtherLen
	ipLen    = replies.IPLen
	tcpLen   = replies.TCPLen
)

// synProbe is a probe as the peer sees it: all that a peer can know.
type synProbe struct {
	local, target netip.Addr
	sport, dport  uint16
	seq           uint32
	frame         []byte
	earlier       []synProbe // to the same port
}

// parseProbe reads a frame that the responder's filter passed: IPv4 without options, TCP.
func parseProbe(frame []byte) synProbe {
	p := replies.Read(frame)
	return synProbe{local: p.Local, target: p.Target, sport: p.LocalPort, dport: p.Port, seq: p.Seq, frame: p.Frame}
}

func (p synProbe) endpoint() endpoint { return netip.AddrPortFrom(p.target, p.dport) }

// known is the probe as package replies knows it.
func (p synProbe) known() replies.Probe {
	return replies.Probe{Local: p.local, Target: p.target, LocalPort: p.sport, Port: p.dport, Seq: p.seq, Frame: p.frame}
}

// tcp is an answer with these flags (of S A R F P U E) and acknowledgement; more changes what else it says.
func (p synProbe) tcp(_ testing.TB, flags string, ack uint32, more ...replies.Change) []byte {
	return p.known().TCP(flags, ack, more...)
}

func (p synProbe) synAck(testing.TB) []byte { return p.known().SYNACK() }
func (p synProbe) rst(testing.TB) []byte    { return p.known().RST() }

// icmp is an error message from a router about the packet that it quotes.
func (p synProbe) icmp(_ testing.TB, router netip.Addr, typ, code uint8, quote []byte) []byte {
	return p.known().ICMP(router, typ, code, quote)
}

// quote is the probe's IP header and the first n bytes behind it (RFC 792: 8).
func (p synProbe) quote(n int) []byte { return p.known().Quote(n) }

// firstTries are the first probes that have come to each port.
type firstTries struct {
	from  map[endpoint]uint16 // source ports
	again []endpoint          // ports that were probed from the same source port once more, by what is no beacon
}

func newFirstTries() *firstTries { return &firstTries{from: map[endpoint]uint16{}} }

// first tells whether a probe is the first to its port. Another attempt has another source port.
func (f *firstTries) first(p synProbe) bool {
	port, known := f.from[p.endpoint()]
	switch {
	case !known:
		f.from[p.endpoint()] = p.sport
	case port == p.sport:
		f.again = append(f.again, p.endpoint())
	}
	return !known
}

// beacon answers a beacon, which asks what has answered again, from the last of the source ports.
func (f *firstTries) beacon(t *testing.T, r *testnet.Responder, p synProbe) bool {
	first, asked := f.from[p.endpoint()]
	if !asked || p.sport != first+15 {
		return false
	}
	if err := r.Send(p.synAck(t)); err != nil {
		t.Error(err)
	}
	return true
}

// check says that nothing was probed twice but for an outage, which a peer makes that stands still for so long.
func (f *firstTries) check(t *testing.T, s hostileStream) {
	t.Helper()
	if len(f.again) > 0 && s.outages == 0 {
		t.Errorf("probed twice without an outage: %v", f.again)
	}
}

// What package replies does, by the names that the cases have for it.
var (
	tcpOptions = replies.TCPOptions
	nops       = replies.NOPs
	mss        = replies.MSS
	ipOptions  = replies.IPOptions
	edit       = replies.Edit
	cut        = replies.Cut
	tagged     = replies.Tagged
	seal       = replies.Seal
)

// The checksums here and gopacket's are the same.
func TestSeal(t *testing.T) {
	p := synProbe{local: netip.MustParseAddr("10.76.0.1"), target: netip.MustParseAddr("10.77.1.2"), sport: 61000, dport: 80, seq: 5, frame: make([]byte, 58)}
	for i, frame := range [][]byte{
		p.synAck(t), p.rst(t), p.tcp(t, "SA", 1, ipOptions(8), nops(12)),
		p.icmp(t, netip.MustParseAddr("10.1.2.3"), 3, 13, []byte("an odd number of bytes")),
		p.icmp(t, netip.MustParseAddr("10.1.2.3"), 3, 13, []byte("an even number of bytes")),
	} {
		broken := slices.Clone(frame)
		broken[etherLen+10]++
		if got := edit(broken, func([]byte) {}); fmt.Sprintf("%x", got) != fmt.Sprintf("%x", frame) {
			t.Errorf("frame %d:\n% x, gopacket made\n% x", i, got, frame)
		}
	}
}
