package route

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"synoptic/results/crash"
)

// Hop is a next hop, and the MAC address that frames for it bear; nil: not known yet.
type Hop struct {
	Addr netip.Addr
	MAC  net.HardwareAddr
}

// Claim is what an Ear has found out about a next hop.
type Claim struct {
	Time time.Time
	Link string
	Addr netip.Addr
	// MAC is to be used from now on. It has answered, and Was, in use until now, has not.
	Was, MAC net.HardwareAddr
	// Conflicts are not empty where two or more have answered. Then MAC is the old one if that was among them.
	Conflicts []Conflict
}

// Ear listens on a link for ARP of a few next hops, be it an announcement (gratuitous ARP, after a failover), a
// request of theirs or a reply. Where one bears another MAC address than the one in use, the ear asks by a request
// of its own before it believes it. It needs no entry in the kernel's neighbour table, which without one learns
// nothing from announcements.
//
// It is for gateways only: the kernel's filter passes ARP of these few senders. Hosts of a large on-link network
// ask for each other all day, each frame would wake the scanner up, and a wrong MAC address of one of them
// harms that one only; a host that falls silent can be asked for again by Resolve.
type Ear struct {
	claims  chan Claim
	link    Link
	mac     [6]byte
	src     uint32
	request func(addr uint32) error // sends one

	ctx    context.Context // ends the ear
	rounds sync.WaitGroup
	mu     sync.Mutex // of what hops point to, and of:
	over   bool       // no more rounds
	hops   map[uint32]*heard
}

// heard is what an ear knows of a next hop.
type heard struct {
	mac   [6]byte   // in use
	fixed bool      // whatever anybody says
	round *round    // under way
	due   bool      // a claim waits for its round
	asked time.Time // when a claim was last looked into
	loser [6]byte   // of the conflict told last; zero: none
}

// round is a question and its answers.
type round struct {
	answers [][6]byte
	news    chan struct{} // an answer, perhaps several
	done    chan struct{} // closed with the next three set
	mac     net.HardwareAddr
	losers  []Conflict
	err     error
}

const (
	// earPace bounds how often claims about one hop are looked into, as anybody on the link can make them.
	earPace = time.Second
	// earGap is the wait after the first of earTries requests; it doubles. An answer takes a millisecond.
	earGap   = 200 * time.Millisecond
	earTries = 3
	// maxAnswers bounds what is remembered of a round.
	maxAnswers = 8
)

// Listen opens an ear on a link for hops; src and the link's MAC address are whose name it asks in. The socket is
// open when it returns, in the network namespace of the calling thread. It is closed when ctx ends.
//
// A hop with a PERMANENT entry in the kernel's neighbour table is never believed to be elsewhere: that is what
// such entries are for. Nor is one on a link without ARP.
func Listen(ctx context.Context, link Link, src netip.Addr, hops []Hop) (*Ear, error) {
	return listen(ctx, link, src, hops)
}

// Claims are the news. An ear whose claims nobody reads waits. It is closed when the ear's ctx has ended.
func (e *Ear) Claims() <-chan Claim { return e.claims }

// Confirm asks one of the hops for its MAC address now. What it returns is in use for the ear from then on, without a
// claim. No answer is a *NoNeighbourError. Any goroutine may call it.
func (e *Ear) Confirm(ctx context.Context, hop netip.Addr) (net.HardwareAddr, []Conflict, error) {
	u, h := e.hop(hop)
	if h == nil {
		return nil, nil, &NoNeighbourError{Addr: hop, Link: e.link.Name}
	}
	if h.fixed {
		return slices.Clone(h.mac[:]), nil, nil
	}
	r := e.begin(u, h)
	select {
	case <-r.done:
		return r.mac, r.losers, r.err
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

func (e *Ear) hop(a netip.Addr) (uint32, *heard) {
	if !a.Is4() {
		return 0, nil
	}
	b := a.As4()
	u := binary.BigEndian.Uint32(b[:])
	return u, e.hops[u] // the map does not change
}

// begin joins the round under way, or begins one.
func (e *Ear) begin(u uint32, h *heard) *round {
	e.mu.Lock()
	defer e.mu.Unlock()
	if h.round != nil {
		return h.round
	}
	r := &round{news: make(chan struct{}, 1), done: make(chan struct{})}
	if e.over {
		r.err = net.ErrClosed
		close(r.done)
		return r
	}
	h.round = r
	e.rounds.Add(1)
	crash.Go(func() {
		defer e.rounds.Done()
		err := e.ask(u, r)
		e.mu.Lock()
		defer e.mu.Unlock()
		h.round = nil
		e.judge(u, h, r, err)
		close(r.done)
	})
	return r
}

// ask sends requests until there is an answer, and waits a moment for a second one.
func (e *Ear) ask(u uint32, r *round) error {
	gap := earGap
	for range earTries {
		if err := e.request(u); err != nil {
			return err
		}
		select {
		case <-e.ctx.Done():
			return e.ctx.Err()
		case <-r.news:
			return e.pause(settle)
		case <-time.After(gap):
		}
		gap *= 2
	}
	return nil
}

func (e *Ear) pause(d time.Duration) error {
	select {
	case <-e.ctx.Done():
		return e.ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// judge is called with e.mu held.
func (e *Ear) judge(u uint32, h *heard, r *round, err error) {
	a := addr4(u)
	switch {
	case err != nil:
		r.err = err
		return
	case len(r.answers) == 0:
		r.err = &NoNeighbourError{Addr: a, Link: e.link.Name}
		return
	}
	use := r.answers[0]
	if slices.Contains(r.answers, h.mac) {
		use = h.mac
	}
	for _, other := range r.answers {
		if other != use {
			r.losers = append(r.losers, Conflict{e.link.Name, a, slices.Clone(use[:]), slices.Clone(other[:])})
		}
	}
	h.mac, r.mac = use, slices.Clone(use[:])
}

// hear takes a frame.
func (e *Ear) hear(b []byte) {
	sender, mac, ok := parseSender(b)
	if !ok {
		return
	}
	_, _, answer := parseReply(b, e.mac, e.src)
	e.mu.Lock()
	defer e.mu.Unlock()
	h := e.hops[sender]
	if h == nil {
		return
	}
	if r := h.round; r != nil && answer {
		if len(r.answers) < maxAnswers && !slices.Contains(r.answers, mac) {
			r.answers = append(r.answers, mac)
		}
		select {
		case r.news <- struct{}{}:
		default:
		}
		return
	}
	if h.fixed || mac == h.mac || h.due {
		return
	}
	h.due = true
	wait := earPace - time.Since(h.asked)
	e.rounds.Add(1)
	crash.Go(func() {
		defer e.rounds.Done()
		if e.pause(wait) == nil {
			e.lookInto(sender, h)
		}
	})
}

// lookInto asks because of a claim, and makes the outcome known.
func (e *Ear) lookInto(u uint32, h *heard) {
	e.mu.Lock()
	was := h.mac
	h.due, h.asked = false, time.Now()
	e.mu.Unlock()
	r := e.begin(u, h)
	<-r.done
	if r.err != nil { // nobody answers, or it is over: there is nothing to believe
		return
	}
	c := Claim{Time: time.Now(), Link: e.link.Name, Addr: addr4(u), MAC: r.mac, Conflicts: r.losers}
	if was != [6]byte{} {
		c.Was = was[:]
	}
	var loser [6]byte
	if len(r.losers) > 0 {
		loser = [6]byte(r.losers[0].Other)
	}
	e.mu.Lock()
	told := loser == [6]byte{} || loser == h.loser
	if !told {
		h.loser = loser
	}
	e.mu.Unlock()
	if told && [6]byte(r.mac) == was {
		return
	}
	select {
	case e.claims <- c:
	case <-e.ctx.Done():
	}
}

func addr4(u uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, u)))
}
