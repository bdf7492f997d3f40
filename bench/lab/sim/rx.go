package sim

import (
	"fmt"
	"os"
	"time"

	"synoptic/rawsock"
)

// Rx is a receiver: a share of what comes in on a link, or on all.
type Rx struct {
	net    *Network
	link   *link // nil: all
	config rawsock.RxConfig
	coming heap      // on its way, by the network's lock
	ring   []arrival // there, not read yet
	lent   []arrival // read, and its memory not given back yet
	stats  rawsock.RxStats
	told   *Fault // of the link, that Wait has told of: it does so once

	wake   chan struct{} // holds one token after Wake
	sooner chan struct{} // holds one when something has been added to coming
	timer  *time.Timer
	closed bool
}

// NewRx opens n receivers that share what comes in on a link, or on all.
func (n *Network) NewRx(c rawsock.RxConfig, count int) (group []*Rx, err error) {
	l := n.byIndex(c.Interface)
	switch {
	case c.Interface != 0 && (l == nil || n.faults.link(LinkDown, n.Now(), l.Name) != nil):
		return nil, fmt.Errorf("open packet receiver: interface %d: %w", c.Interface, rawsock.ErrInterface)
	case c.PortMin == 0 || c.PortMin > c.PortMax || count < 1:
		return nil, fmt.Errorf("open %d packet receivers for source ports %d to %d", count, c.PortMin, c.PortMax)
	}
	for range count {
		timer := time.NewTimer(never)
		timer.Stop()
		group = append(group, &Rx{
			net: n, link: l, config: c, wake: make(chan struct{}, 1), sooner: make(chan struct{}, 1), timer: timer,
		})
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	*n.listeners(l) = append([]*Rx(nil), group...)
	return group, nil
}

// listeners are the receivers of a link, or of all.
func (n *Network) listeners(l *link) *[]*Rx {
	if l == nil {
		return &n.anywhere
	}
	return &l.receivers
}

// down is the fault by which the receiver's link is down, or nil; who hears all links outlives each.
func (r *Rx) down(now time.Duration) *Fault {
	if r.link == nil {
		return nil
	}
	return r.net.faults.link(LinkDown, now, r.link.Name)
}

// on is the name of the receiver's link as faults know it.
func (r *Rx) on() string {
	if r.link == nil {
		return anyLink
	}
	return r.link.Name
}

// Wait blocks until packets are there (true), or until the timeout has passed or Wake was called (false). A
// negative timeout means none.
func (r *Rx) Wait(timeout time.Duration) (bool, error) {
	n := r.net
	end := never
	if timeout >= 0 {
		end = n.Now() + timeout
	}
	for {
		n.stall(ReceiveStall, r.on())
		now := n.Now()
		ready, next := r.look(now)
		down := r.down(now)
		switch {
		case r.closed:
			return false, fmt.Errorf("wait for packets: %w", os.ErrClosed)
		case ready:
			return true, nil
		case down != nil && down != r.told:
			r.told = down
			return false, fmt.Errorf("receive: interface %s: %w", r.link.Name, rawsock.ErrInterface)
		case now >= end:
			return false, nil
		}
		next = min(next, n.faults.next(LinkDown, now, r.on()), n.faults.next(ReceiveStall, now, r.on()))
		r.timer.Reset(min(end, next) - now)
		select {
		case <-r.timer.C:
		case <-r.sooner:
		case <-r.wake:
			return false, nil
		}
	}
}

// look moves what has come into the ring. Where nothing is to be seen yet, next is when that may change.
func (r *Rx) look(now time.Duration) (ready bool, next time.Duration) {
	n := r.net
	n.mu.Lock()
	defer n.mu.Unlock()
	r.giveBack()
	r.collect(now)
	if len(r.ring) > 0 && r.ring[0].at+n.config.Retire <= now {
		return true, 0
	}
	next = n.stray
	if len(n.events) > 0 {
		next = min(next, n.events[0].at)
	}
	switch {
	case len(r.ring) > 0:
		next = min(next, r.ring[0].at+n.config.Retire)
	case len(r.coming) > 0:
		next = min(next, r.coming[0].at+n.config.Retire)
	}
	return false, next
}

// collect lets into the ring what has come by now, as far as there is room.
func (r *Rx) collect(now time.Duration) {
	r.net.advance(now)
	for len(r.coming) > 0 && r.coming[0].at <= now {
		a := r.net.pop(&r.coming)
		if most := r.net.config.Ring; most > 0 && len(r.ring) >= most {
			r.stats.Drops++
			r.net.log.Answers[a.answer].Fate = Dropped
			r.net.free = append(r.net.free, a.packet)
			continue
		}
		r.stats.Packets++
		r.ring = append(r.ring, a)
	}
}

// giveBack takes back the memory that was lent by Read, and spoils it for who looks at it still.
func (r *Rx) giveBack() {
	for i := range r.lent {
		clear(r.lent[i].packet)
		r.net.free = append(r.net.free, r.lent[i].packet)
	}
	r.lent = r.lent[:0]
}

// Read fills dst with packets that are there, without waiting. They are valid until the next Read or Wait.
func (r *Rx) Read(dst []rawsock.Packet) int {
	n := r.net
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.Now()
	r.giveBack()
	r.collect(now)
	k := min(len(dst), len(r.ring))
	for i, a := range r.ring[:k] {
		answer := &n.log.Answers[a.answer]
		answer.Handed, answer.Turn, answer.Fate = now, n.handed, Handed
		n.handed++
		data := a.packet
		if snap := r.snap(); len(data) > snap {
			data = data[:snap:snap]
		}
		dst[i] = rawsock.Packet{Data: data, Time: n.start.Add(a.at).UnixNano(), Len: len(a.packet)}
		if a.link != nil {
			dst[i].Interface = a.link.Index
		}
	}
	r.lent = append(r.lent, r.ring[:k]...)
	r.ring = append(r.ring[:0], r.ring[k:]...)
	return k
}

// snap is how much of a packet is kept.
func (r *Rx) snap() int {
	if r.config.Snap == 0 {
		return 160
	}
	return r.config.Snap - r.config.LinkHeader
}

// AppendFrame appends a packet that Read returned as it came over the link.
func (r *Rx) AppendFrame(b []byte, p rawsock.Packet) (frame []byte, length int) {
	if r.config.LinkHeader > 0 {
		b = append(b, make([]byte, r.config.LinkHeader-2)...)
		b = append(b, 0x08, 0x00)
	}
	return append(b, p.Data...), p.Len + r.config.LinkHeader
}

// InterfaceName is the name of the link with an index.
func (r *Rx) InterfaceName(index int) string {
	if l := r.net.byIndex(index); l != nil {
		return l.Name
	}
	return ""
}

// Wake makes the Wait that runs, or else the next one that would block, return false.
func (r *Rx) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Stats are counts since the receiver was opened.
func (r *Rx) Stats() (rawsock.RxStats, error) {
	r.net.mu.Lock()
	defer r.net.mu.Unlock()
	if !r.closed {
		r.collect(r.net.Now())
	}
	return r.stats, nil
}

// Close ends the receiver: what still comes is not heard.
func (r *Rx) Close() error {
	r.net.mu.Lock()
	defer r.net.mu.Unlock()
	r.closed = true
	r.giveBack()
	*r.net.listeners(r.link) = nil
	return nil
}
