package sim

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"synoptic/rawsock/route"
	"synoptic/results"
)

// Network is what lies between a scanner's transmitters and its receivers. It has no goroutine of its own:
// what becomes of a probe is worked out when it is sent, and receivers sleep until what comes to them is there.
type Network struct {
	config Config
	chance chance
	whose  chance // of the targets
	faults faults
	start  time.Time

	mu       sync.Mutex // held for computation only: nobody sleeps with it
	log      Log
	out      way
	back     way
	times    map[tuple]uint32             // how often a four-tuple was probed
	table    map[netip.Addr]time.Duration // neighbours of the last router, and until when it keeps them
	guards   []*guard
	meters   map[netip.Addr]*meter // of targets that ban
	events   heap                  // answers that have yet to pass an ordered leg
	links    map[string]*link
	anywhere []*Rx  // receivers of every link
	sequence uint64 // of events: what comes at the same moment stays in order
	handed   int    // answers to the engine
	free     [][]byte
	aim      []netip.AddrPort // positions that stray packets pretend to be about
	strays   uint64
	stray    time.Duration // when the next one comes
}

// way is a direction with what it remembers.
type way struct {
	*Leg
	stream     stream
	bottleneck bottleneck
	bursts     *bursts
}

// link is an interface of the scanner's host.
type link struct {
	route.Link
	receivers []*Rx
}

// tuple is the four-tuple of a probe, without our address.
type tuple struct {
	addr  [16]byte
	ports uint32
}

// New makes a network, whose time begins now. Inside a bench/lab/bubble it is the bubble's.
func New(c Config) *Network {
	n := &Network{
		config: c, chance: chance{mix(c.Seed)}, whose: chance{mix(cmp.Or(c.Targets.Seed, c.Seed))}, faults: c.Faults, start: time.Now(),
		times: map[tuple]uint32{}, table: map[netip.Addr]time.Duration{}, meters: map[netip.Addr]*meter{}, guards: guards(c.Guards), links: map[string]*link{}, stray: never,
	}
	n.out = n.newWay(&n.config.Out, ofLeg)
	n.back = n.newWay(&n.config.Back, ofLeg+legStreams)
	for _, r := range c.Routes {
		if n.links[r.Link.Name] == nil {
			n.links[r.Link.Name] = &link{Link: r.Link}
		}
	}
	return n
}

func (n *Network) newWay(l *Leg, s stream) way {
	return way{Leg: l, stream: s, bottleneck: bottleneck{leg: l}, bursts: newBursts(n.chance, s+legBurst, l.BurstGood, l.BurstBad)}
}

// Now is the time since the start.
func (n *Network) Now() time.Duration { return time.Since(n.start) }

// Log is what has happened so far. It must not be asked for while a scan runs.
func (n *Network) Log() *Log {
	n.mu.Lock()
	defer n.mu.Unlock()
	return &n.log
}

// Start is the moment that the times of the log count from.
func (n *Network) Start() time.Time { return n.start }

// byIndex is the link with an interface index, or nil.
func (n *Network) byIndex(index int) *link {
	for _, l := range n.links {
		if l.Index == index {
			return l
		}
	}
	return nil
}

// receiversOf are those that hear what comes in on a link.
func (n *Network) receiversOf(l *link) []*Rx {
	if l != nil && len(l.receivers) > 0 {
		return l.receivers
	}
	return n.anywhere
}

// reached is the route to an address: the one with the longest prefix. nil: there is none.
func (n *Network) reached(a netip.Addr) (best *Route) {
	for i := range n.config.Routes {
		if r := &n.config.Routes[i]; r.Prefix.Contains(a) && (best == nil || r.Prefix.Bits() > best.Prefix.Bits()) {
			best = r
		}
	}
	return best
}

// through passes a packet, with its four-tuple as the choices know it, through a direction.
func (n *Network) through(w *way, at time.Duration, a netip.Addr, who, copies uint64) (arrives []time.Duration, fate Fate) {
	delay, fate := w.bottleneck.pass(at)
	switch {
	case fate != InFlight:
		return nil, fate
	case n.faults.path(at):
		return nil, Cut
	case w.bursts.in(at), n.chance.hit(w.Loss, w.stream+legLoss, who, copies):
		return nil, Lost
	}
	delay += w.Delay + n.chance.upTo(w.PerPrefix, w.stream+legJitter, prefixOf(a), 0)
	arrives = append(arrives, at+delay+n.jitter(w, who, copies))
	if n.chance.hit(w.Duplicate, w.stream+legDuplicate, who, copies) {
		arrives = append(arrives, at+delay+n.jitter(w, who, copies+1<<32))
	}
	return arrives, InFlight
}

// jitter is what one packet is late by.
func (n *Network) jitter(w *way, who, copies uint64) time.Duration {
	d := n.chance.upTo(w.Jitter, w.stream+legJitter, who, copies+1)
	if n.chance.hit(w.Reorder, w.stream+legReorder, who, copies) {
		d += w.ReorderBy
	}
	return d
}

// transmit takes a frame from a driver and works out what becomes of it. probe is its index in the log.
func (n *Network) transmit(s *segment, probe int) {
	p := &n.log.Probes[probe]
	at, r := p.At, n.reached(s.dst)
	if r == nil || r.Src != s.src || !n.hears(r, s, at) {
		p.Fate = Swallowed
		return
	}
	key := tuple{s.dst.As16(), uint32(s.sport)<<16 | uint32(s.dport)}
	copies := uint64(n.times[key]) << 40
	n.times[key]++
	who := about(s.dst) ^ uint64(key.ports)<<16
	arrives, fate := n.through(&n.out, at, s.dst, who, copies)
	if fate != InFlight {
		p.Fate = fate
		return
	}
	p.Fate = Unanswered
	for i, at := range arrives {
		if n.faults.path(at) {
			p.Fate = Cut
			continue
		}
		if !n.resolves(s.dst, at) {
			p.Fate = Swallowed
			continue
		}
		if n.bans(s.dst, at) {
			p.Fate = Cut
			continue
		}
		n.answer(s, r, probe, at, who, copies+uint64(i)<<36)
	}
}

// hears tells whether the frame's link address is that of somebody who takes it on.
func (n *Network) hears(r *Route, s *segment, at time.Duration) bool {
	switch {
	case len(r.Link.HardwareAddr) == 0:
		return true
	case r.Gateway.IsValid():
		if s.mac == n.hopMAC(r.Gateway, at) {
			return !n.faults.hop(at, r.Gateway)
		}
	case !n.alive(s.dst):
		return false
	case s.mac == n.hopMAC(s.dst, 0):
		return true
	}
	// Somebody may have had the address before; a probe to one that was nobody's is wrong.
	if !r.Gateway.IsValid() || !n.faults.ever(NewMAC) {
		n.log.Malformed = append(n.log.Malformed, fmt.Errorf("a probe to %v has the link address % x, which nobody has", s.dst, s.mac))
	}
	return false
}

// hopMAC is the link address of a neighbour at a moment.
func (n *Network) hopMAC(a netip.Addr, at time.Duration) [6]byte {
	v := n.chance.bits(ofMAC, about(a), n.faults.changes(at, a))
	return [6]byte{2, byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24), byte(v >> 32)} // locally administered
}

// deliver sends an answer, already in the log, back to the scanner from a moment on.
func (n *Network) deliver(a int, r *Route, packet []byte, at time.Duration, who, copies uint64) {
	if n.back.ordered() {
		n.push(&n.events, arrival{at: at, answer: a, packet: packet, route: r, who: who, copies: copies})
		return
	}
	n.comeBack(a, r, packet, at, who, copies)
}

// comeBack passes an answer through the direction back.
func (n *Network) comeBack(a int, r *Route, packet []byte, at time.Duration, who, copies uint64) {
	arrives, fate := n.through(&n.back, at, n.log.Answers[a].Addr, who, copies)
	n.log.Answers[a].Fate = fate
	for i, at := range arrives {
		if i > 0 {
			n.log.Answers = append(n.log.Answers, n.log.Answers[a])
			a, packet = len(n.log.Answers)-1, slices.Clone(packet)
		}
		n.arrive(a, r, packet, at)
	}
	if len(arrives) == 0 {
		n.free = append(n.free, packet)
	}
}

// arrive puts an answer before the receiver that will get it.
func (n *Network) arrive(i int, r *Route, packet []byte, at time.Duration) {
	a := &n.log.Answers[i]
	l := n.links[r.Link.Name]
	if r.Back != "" {
		l = n.links[r.Back]
	}
	receivers := n.receiversOf(l)
	if l == nil || len(receivers) == 0 {
		a.Fate = Unheard
		return
	}
	if n.faults.path(at) || n.faults.link(CarrierOut, at, l.Name) != nil || n.faults.link(LinkDown, at, l.Name) != nil {
		a.Fate = Cut
		return
	}
	a.Arrives = at
	// All answers about a position go to one receiver, as a kernel's hash of the four-tuple does for TCP.
	rx := receivers[n.chance.bits(ofLane, about(a.Addr), uint64(a.Port))%uint64(len(receivers))]
	n.push(&rx.coming, arrival{at: at, answer: i, packet: packet, link: l})
	select {
	case rx.sooner <- struct{}{}:
	default:
	}
}

// advance lets what is due by now happen.
func (n *Network) advance(now time.Duration) {
	for n.stray <= now {
		n.sendStray()
	}
	for len(n.events) > 0 && n.events[0].at <= now {
		e := n.pop(&n.events)
		n.comeBack(e.answer, e.route, e.packet, e.at, e.who, e.copies)
	}
}

// buffer is memory for a packet.
func (n *Network) buffer() []byte {
	if k := len(n.free); k > 0 {
		b := n.free[k-1]
		n.free = n.free[:k-1]
		return b[:0]
	}
	return make([]byte, 0, 160)
}

func (n *Network) record(a Answer) int {
	n.log.Answers = append(n.log.Answers, a)
	return len(n.log.Answers) - 1
}

// about the same thing as a probe's: an answer with a reason.
func answerTo(s *segment, probe int, reason results.Reason) Answer {
	return Answer{Probe: probe, Addr: s.dst, Port: s.dport, SourcePort: s.sport, Reason: reason}
}
