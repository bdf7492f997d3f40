package engine

import (
	"errors"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"synoptic/ratelimit"
	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/results"
	"synoptic/scan/backoff"
	"synoptic/scan/beacon"
	"synoptic/scan/gate"
	"synoptic/scan/plan"
	"synoptic/scan/probe"
)

// beacons sends the session's beacons, and takes their answers from the receiver lanes. Their source port is the last of
// ours, which no attempt has. So they are told apart from probes by it, and to their target they are
// retransmissions of one SYN. The connect backend sends them otherwise.
type beacons struct {
	set      *beacon.Set
	key      probe.Key
	port     uint16
	routes   *route.Plan
	gate     *gate.Gate
	excluded func(netip.Addr) bool // while the scan runs
	pace     *ratelimit.Pacer
	connects *connectBeacons // where they are connections; else nil

	// mu is of all that follows: the sentinel sends beacons, and lanes let some ride with their probes. Nobody waits for it, for who
	// holds it may be held up by a driver: what is due leaves later.
	mu     sync.Mutex
	out    []*egress // one for each hop
	due    []beacon.Target
	every  float64      // one of those due leaves behind so many probes,
	until  float64      // the next one behind so many
	riding atomic.Int32 // how many are still due; a lane need not lock to see that none is
}

func newBeacons(s *Session) *beacons {
	b := &beacons{key: s.key, port: s.plan.SourcePorts.Max, routes: s.routes, gate: s.gate, excluded: s.excludes, pace: s.pacer}
	b.set = beacon.New(max(len(s.paths()), 1))
	for _, a := range s.plan.Asked.Beacons {
		b.set.Fix(b.target(a.Addr(), a.Port()))
	}
	return b
}

// target is what a beacon asks.
func (b *beacons) target(addr netip.Addr, port uint16) beacon.Target {
	return beacon.Target{Addr: addr, Port: port, Path: lookup(b.routes, addr)}
}

// lookup is the path to a target: the only one where the host does not say.
func lookup(routes *route.Plan, addr netip.Addr) int {
	if routes == nil {
		return 0
	}
	return routes.Lookup(addr)
}

// paths are the ways to the targets; none where the host does not say.
func (s *Session) paths() []route.Path {
	if s.routes == nil {
		return nil
	}
	return s.routes.Paths
}

// path is a way as it is now: its interface may have been made anew.
func (s *Session) path(i int) *route.Path {
	if i < len(s.hops) {
		return s.hops[i].now.Load().path
	}
	return &s.paths()[i]
}

// open opens packet sockets, whatever the backend is. lane is a number that no sender lane has.
func (b *beacons) open(m Medium, hops []*hop, lane int) (err error) {
	b.out, err = openEgress(hops, lane, func(lane int, c rawsock.TxConfig) (Tx, error) {
		c.Batch = beaconBatch
		return m.OpenTx(lane, c)
	})
	return err
}

// beaconBatch beacons at most leave at a time on a path: 1,000 a second are 10 in 10 ms.
const beaconBatch = plan.MaxBatch

func (b *beacons) close() {
	closeAll(b.out)
	b.out = nil
}

// answer takes a genuine reply if it is to a beacon. received is Unix time in ns.
func (b *beacons) answer(r *probe.Reply, received int64, counts *backoff.Counts) bool {
	if r.LocalPort != b.port {
		return false
	}
	switch reason := reasonOf(r); {
	case reason == results.SYNACK, reason == results.RST:
		echoed(counts, r.Target, b.set.Answered(r.Target, r.Port, reason == results.SYNACK, received))
	case prohibits(reason):
		b.set.Refused(r.Target, r.Port, received)
	}
	return true
}

// heard says that the probe to a target that was sent at a Unix time in ns was answered, where that tells of one path of several.
func (b *beacons) heard(addr netip.Addr, sent int64) {
	if b.routes != nil && len(b.routes.Paths) > 1 {
		b.set.HeardOn(b.routes.Lookup(addr), sent)
	}
}

// offer proposes a position that has answered the probe sent at a Unix time in ns, after a round trip.
func (b *beacons) offer(addr netip.Addr, port uint16, open bool, sent int64, rtt time.Duration) {
	if b.set.Wants(addr, open) && !b.excluded(addr) {
		b.set.Offer(b.target(addr, port), open, sent, rtt)
	}
}

// send sends the beacons that are due at a rate in packets per second. A driver that takes none is none of their
// business: a beacon that did not leave was not asked.
func (b *beacons) send(rate float64) {
	if !b.mu.TryLock() {
		return
	}
	defer b.mu.Unlock()
	b.next(rate)
	b.sendDue(len(b.due))
}

// next finds the beacons that are due. Those that were, and had no probes to ride with, leave before.
func (b *beacons) next(rate float64) {
	b.sendDue(len(b.due))
	b.due = b.set.Next(b.due[:0], time.Now().UnixNano(), rate)
}

// sendDue sends the first n of those that are due.
func (b *beacons) sendDue(n int) {
	defer func() { b.riding.Store(int32(len(b.due))) }()
	if b.connects != nil {
		b.connects.ask(b.due[:n])
		b.due = b.due[n:]
		return
	}
	for n > 0 {
		k := b.batch(n)
		b.due, n = b.due[k:], n-k
	}
}

// ride has the beacons that are due at a rate leave between the probes of the next tick, at their rate, where spread says so, or else at
// once. It tells how many they are. What leaves by itself, while lanes sleep, finds room that the next burst of probes does not.
func (b *beacons) ride(rate, probes float64, spread bool) int {
	if !b.mu.TryLock() {
		return 0
	}
	defer b.mu.Unlock()
	b.next(rate)
	n := len(b.due)
	if !spread || b.connects != nil {
		b.sendDue(n)
		return n
	}
	b.every = riders * probes * beacon.TickStep.Seconds() / float64(n+1)
	b.until = 2 * b.every * rand.Float64()
	b.riding.Store(int32(n))
	return n
}

// riders is the share of a tick's probes that beacons ride with.
const riders = 0.9

// seat is how many probes leave until the next beacon does: in the middle of a batch, for what is at the end of each meets more loss
// than the others.
func (b *beacons) seat() int {
	if b.riding.Load() == 0 || !b.mu.TryLock() {
		return plan.MaxBatch
	}
	defer b.mu.Unlock()
	return int(min(max(math.Ceil(b.until), 1), plan.MaxBatch))
}

// carry says that a lane has just sent so many probes: beacons that are to leave among them follow.
func (b *beacons) carry(probes int) {
	if b.riding.Load() == 0 || !b.mu.TryLock() {
		return
	}
	defer b.mu.Unlock()
	n := 0
	for b.until -= float64(probes); b.until <= 0 && n < len(b.due); n++ {
		b.until += b.every
	}
	b.sendDue(n)
}

// batch sends the first of the beacons that are due, most at the most and as many as have room, and tells how many that are.
func (b *beacons) batch(most int) (n int) {
	asked := make([]beacon.Target, 0, beaconBatch)
	for _, e := range b.out {
		e.begin()
	}
	for _, t := range b.due[:most] {
		e := b.out[t.Path]
		if e.n == len(e.frames) {
			break
		}
		n++
		if !b.goes(t) {
			continue
		}
		if e.craft(b.key, t.Addr, b.port, t.Port) {
			e.n++
			asked = append(asked, t)
		}
	}
	for _, e := range b.out {
		now := time.Now().UnixNano()
		k := 0
		if e.n > 0 {
			var err error
			k, err = e.tx.Send(0, e.n)
			b.pace.Spend(e.n) // what the driver refuses, too, as with probes
			if errors.Is(err, rawsock.ErrInterface) {
				_ = e.replace() // or the next time
			}
		}
		for _, t := range asked {
			if b.out[t.Path] == e && k > 0 {
				b.set.Sent(t, now)
				k--
			}
		}
		e.n = 0
	}
	return n
}

// goes tells whether the gate lets a beacon go. In a pause it takes nobody's place.
func (b *beacons) goes(t beacon.Target) bool {
	if b.pace.Paused() {
		return b.gate.Ask(0, t.Addr, t.Port) == gate.Go
	}
	return b.gate.AskBeacon(t.Addr, t.Port) == gate.Go
}

// hopOf is the hop with a gateway on a link, or nil.
func (s *Session) hopOf(link string, gateway netip.Addr) *hop {
	for _, h := range s.hops {
		if path := h.now.Load().path; path.Link.Name == link && path.Gateway == gateway {
			return h
		}
	}
	return nil
}

// move has all lanes address a gateway by another MAC address.
func (s *Session) move(h *hop, mac [6]byte) error {
	h.mac.Store(mac)
	k, ok := s.backend.(*kernelBackend)
	if !ok || !k.generates || k.attached == nil {
		return nil
	}
	tmpl := h.now.Load().tmpl
	frame, ipSum, tcpSum := tmpl.Constants()
	frame = slices.Clone(frame)
	tmpl.PatchMAC(frame, mac)
	return k.attached.kernel.programs.SetFrame(frame, ipSum, tcpSum)
}
