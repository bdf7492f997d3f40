package sim

import (
	"encoding/binary"
	"maps"
	"math"
	"net/netip"
	"time"

	"synoptic/results"
)

// This file is the far side: who is there, and what is said.

// repeatAfter is when a host sends its SYN-ACK again that nobody acknowledged: RFC 6298's initial timeout.
const repeatAfter = time.Second

func (n *Network) alive(a netip.Addr) bool {
	return !n.whose.hit(n.config.Targets.Dead, ofHost, about(a), 0)
}

// State is what a port answers while nothing goes wrong: the ground truth. Zero is silence. Of an address
// without a host that a router answers for it is filtered.
func (n *Network) State(a netip.Addr, port uint16) results.State {
	t := &n.config.Targets
	if !n.alive(a) {
		if r := n.reached(a); r != nil && r.Gateway.IsValid() && n.whose.hit(t.Unreachable, ofHost, about(a), 1) {
			return results.Filtered
		}
		return 0
	}
	switch u := n.whose.unit(ofPort, about(a), uint64(port)); {
	case u < t.Open:
		return results.Open
	case u < t.Open+t.Closed:
		return results.Closed
	case u < t.Open+t.Closed+t.Filtered:
		return results.Filtered
	}
	return 0
}

// asksFor is how long a router asks for a neighbour that does not answer: three times, a second each (Linux' mcast_solicit and
// retrans_time_ms, arp(7)).
const asksFor = 3 * time.Second

// resolves tells whether the last router has, or gets, an entry for a target in its table of neighbours.
func (n *Network) resolves(a netip.Addr, at time.Duration) bool {
	room := n.config.Neighbours
	if until, known := n.table[a]; room == 0 || known && until > at {
		return true
	}
	if len(n.table) >= room {
		maps.DeleteFunc(n.table, func(_ netip.Addr, until time.Duration) bool { return until <= at })
	}
	if len(n.table) >= room {
		return false
	}
	if n.table[a] = never; !n.alive(a) {
		n.table[a] = at + asksFor
	}
	return true
}

// meter is how many SYNs a target bears for the moment, and until when it drops everything.
type meter struct {
	left   float64
	at     time.Duration
	banned time.Duration
}

// bans tells whether a target drops a SYN.
func (n *Network) bans(a netip.Addr, at time.Duration) bool {
	b := &n.config.Ban
	if b.Burst == 0 {
		return false
	}
	m := n.meters[a]
	if m == nil {
		m = &meter{left: b.Burst, at: at}
		n.meters[a] = m
	}
	if at < m.banned {
		return true
	}
	m.left = min(b.Burst, m.left+b.Rate*(at-m.at).Seconds())
	m.at = at
	if m.left < 1 {
		m.banned = at + b.For
		return true
	}
	m.left--
	return false
}

// answer lets the target say to a probe what it has to say.
func (n *Network) answer(s *segment, r *Route, probe int, at time.Duration, who, copies uint64) {
	p := &n.log.Probes[probe]
	state := n.State(s.dst, s.dport)
	if n.faults.prefix(PrefixOut, at, s.dst) {
		if p.Fate != Answered {
			p.Fate = Cut
		}
		return
	}
	if g := n.refuses(s.dst, at); g != nil && !n.refuse(g, s, r, probe, at, who, copies) {
		return
	}
	if n.faults.prefix(RSTStorm, at, s.dst) {
		state = results.Closed
	} else if state == results.Open {
		t := &n.config.Targets
		if n.chance.hit(t.Both, ofBoth, about(s.dst), uint64(s.dport)) {
			apart := n.chance.upTo(20*time.Millisecond, ofBoth, who, 1)
			p.Fate = Answered
			n.closed(s, r, probe, at+apart, who, copies+1<<34)
			at += 20*time.Millisecond - apart
		}
		if n.chance.hit(t.Repeat, ofRepeat, about(s.dst), uint64(s.dport)) {
			n.open(s, r, probe, at+repeatAfter, who, copies+2<<34)
		}
	}
	switch state {
	case results.Open:
		n.open(s, r, probe, at, who, copies)
	case results.Closed:
		n.closed(s, r, probe, at, who, copies)
	case results.Filtered:
		n.filtered(s, r, probe, at, who, copies)
	default:
		return
	}
	n.log.Probes[probe].Fate = Answered
}

// open answers with a SYN-ACK.
func (n *Network) open(s *segment, r *Route, probe int, at time.Duration, who, copies uint64) {
	shape := n.chance.bits(ofShape, about(s.dst), uint64(s.dport))
	options := synOptions[shape%uint64(len(synOptions))]
	window := [...]uint16{64240, 29200, 65535, 0}[shape>>8%4]
	a := answerTo(s, probe, results.SYNACK)
	a.TTL, a.Window, a.MSS, a.Bare = n.ttl(s.dst), window, options.mss, options.bytes == nil
	n.tcp(s, r, a, uint32(shape>>32), s.seq+1, flagSYN|flagACK, options.bytes, at, who, copies)
}

// closed answers with a RST that acknowledges the SYN or, as some stacks do, the number before it.
func (n *Network) closed(s *segment, r *Route, probe int, at time.Duration, who, copies uint64) {
	a := answerTo(s, probe, results.RST)
	a.TTL = n.ttl(s.dst)
	ack := s.seq + 1
	if n.chance.hit(0.1, ofShape, about(s.dst), math.MaxUint64) {
		ack--
	}
	n.tcp(s, r, a, 0, ack, flagRST|flagACK, nil, at, who, copies)
}

func (n *Network) tcp(s *segment, r *Route, a Answer, seq, ack uint32, flags uint8, options []byte, at time.Duration, who, copies uint64) {
	if n.chance.hit(n.back.Corrupt, n.back.stream+legCorrupt, who, copies) {
		ack ^= 1 << (2 + who%30)
		a.Reason = results.ReasonNone
	}
	b := appendIP(n.buffer(), s.dst, s.src, protoTCP, a.TTL, n.ipOptions(s.dst), tcpLen+len(options))
	b = appendTCP(b, s, seq, ack, flags, a.Window, options)
	for len(b) < 46 { // an Ethernet frame is padded
		b = append(b, 0)
	}
	n.deliver(n.record(a), r, b, at, who, copies)
}

// filtered answers with an ICMP error, from the target itself or a router on the way.
func (n *Network) filtered(s *segment, r *Route, probe int, at time.Duration, who, copies uint64) {
	q := quotes[n.chance.bits(ofCode, about(s.dst), uint64(s.dport))%uint64(len(quotes))]
	if !n.alive(s.dst) {
		q = quotes[1] // host unreachable
	}
	n.unreachable(s, r, probe, at, who, copies, q)
}

// unreachable answers with an ICMP error that quotes the SYN.
func (n *Network) unreachable(s *segment, r *Route, probe int, at time.Duration, who, copies uint64, q quote) {
	a := answerTo(s, probe, results.FromICMP(q.kind, q.code))
	a.TTL, a.Router = n.ttl(s.dst), s.dst
	if v := n.chance.bits(ofRouter, prefixOf(s.dst), 0); v%4 != 0 {
		a.Router = netip.AddrFrom4([4]byte{192, 0, 2, byte(v >> 8)}) // RFC 5737
	}
	quoted := s.ip[:ipLen+8]
	if n.chance.bits(ofRouter, prefixOf(s.dst), 1)%2 == 0 {
		quoted = s.ip // RFC 1812 section 4.3.2.3: as much as fits
	}
	options := n.ipOptions(s.dst)
	b := appendIP(n.buffer(), a.Router, s.src, protoICMP, a.TTL, options, 8+len(quoted))
	b = appendICMP(b, q.kind, q.code, quoted)
	if n.chance.hit(n.back.Corrupt, n.back.stream+legCorrupt, who, copies) {
		tcp := b[ipLen+len(options)+8+ipLen:]
		binary.BigEndian.PutUint32(tcp[4:], s.seq^1<<(who%32))
		a.Reason = results.ReasonNone
	}
	n.deliver(n.record(a), r, b, at, who, copies)
}

// ttl is what is left of 64 or 128 when a host's packets arrive.
func (n *Network) ttl(a netip.Addr) uint8 {
	v := n.chance.bits(ofPrefix, prefixOf(a), 0)
	return uint8([...]uint64{64, 128}[v>>8%2] - v%20)
}

// ipOptions are those of a host's packets; nearly none has any.
func (n *Network) ipOptions(a netip.Addr) []byte {
	if n.chance.hit(0.02, ofShape, about(a), 1) {
		return []byte{148, 4, 0, 0} // router alert, RFC 2113
	}
	return nil
}
