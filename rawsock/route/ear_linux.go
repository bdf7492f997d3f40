package route

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"synoptic/rawsock"
	"synoptic/results/crash"
)

func listen(ctx context.Context, link Link, src netip.Addr, hops []Hop) (*Ear, error) {
	fail := func(err error) (*Ear, error) {
		return nil, fmt.Errorf("listen for next hops on %s: %w", link.Name, err)
	}
	if link.Framing != rawsock.Ethernet || len(link.HardwareAddr) != 6 || !src.Is4() {
		return fail(fmt.Errorf("framing %v, MAC address %q, source %v: want Ethernet and IPv4", link.Framing, link.HardwareAddr, src))
	}
	if len(hops) > maxEarHops {
		return fail(fmt.Errorf("%d next hops, at most %d", len(hops), maxEarHops))
	}
	b := src.As4()
	e := &Ear{
		claims: make(chan Claim, 16), ctx: ctx, link: link, hops: map[uint32]*heard{},
		mac: [6]byte(link.HardwareAddr), src: binary.BigEndian.Uint32(b[:]),
	}
	permanent, err := permanentNeighbours(link.Index)
	if err != nil {
		return fail(err)
	}
	var senders []uint32
	for _, hop := range hops {
		if !hop.Addr.Is4() || hop.MAC != nil && len(hop.MAC) != 6 {
			return fail(fmt.Errorf("next hop %v at %q: want IPv4 and 48 bits", hop.Addr, hop.MAC))
		}
		b := hop.Addr.As4()
		h := &heard{}
		copy(h.mac[:], hop.MAC)
		if mac, ok := permanent[hop.Addr]; ok {
			h.mac, h.fixed = mac, true
		}
		if link.NoARP {
			h.mac, h.fixed = e.mac, true
		}
		e.hops[binary.BigEndian.Uint32(b[:])] = h
		senders = append(senders, binary.BigEndian.Uint32(b[:]))
	}
	s, err := newARPSocket(link, senderFilter(senders))
	if err != nil {
		return fail(err)
	}
	file := os.NewFile(uintptr(s.fd), "ear") // non-blocking: its reader sleeps in the runtime's poller
	e.request = func(addr uint32) error { return request(file, e.mac, e.src, addr) }
	stop := context.AfterFunc(ctx, crash.Guarded(func() { file.Close() }))
	crash.Go(func() {
		defer stop()
		for b := make([]byte, 128); ; {
			n, err := file.Read(b)
			if err == nil {
				e.hear(b[:n])
			} else if ctx.Err() != nil || errors.Is(err, os.ErrClosed) {
				break
			} // else the interface went down, which is said once; it may come up again
		}
		e.mu.Lock()
		e.over = true
		e.mu.Unlock()
		e.rounds.Wait() // they end with ctx
		close(e.claims)
	})
	return e, nil
}

// request sends one. What cannot be sent at the moment gets no answer, and the next try makes up for it.
func request(file *os.File, mac [6]byte, src, addr uint32) error {
	b := newRequest(mac, src)
	setTarget(b, addr)
	_, err := file.Write(b)
	if err == nil || errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.ENETDOWN) {
		return nil
	}
	return fmt.Errorf("send an ARP request: %w", err)
}
