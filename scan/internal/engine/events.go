package engine

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"synoptic/rawsock/route"
	"synoptic/results"
	"synoptic/scan/beacon"
)

// What the sentinel tells: events.

func (w *sentinel) partEvent(p *beacon.Part) results.Event {
	e := results.Event{Prefix: p.Prefix, Cause: results.CausePath}
	switch p.Scope {
	case beacon.Host:
		e.Scope = results.ScopeHost
	case beacon.Prefix:
		e.Scope = results.ScopePrefix
	case beacon.Path:
		path := &w.session.paths()[p.Path]
		e.Scope, e.Iface, e.NextHop = results.ScopeNextHop, path.Link.Name, path.Gateway
		if !path.Gateway.IsValid() {
			e.Scope = results.ScopeInterface
		}
	}
	return e
}

func (w *sentinel) partName(p *beacon.Part) string {
	switch p.Scope {
	case beacon.Host:
		return p.Prefix.Addr().String()
	case beacon.Path:
		return "what is reached " + w.session.paths()[p.Path].String()
	}
	return p.Prefix.String()
}

// tell emits an event about everything.
func (w *sentinel) tell(e results.Event) {
	e.Scope, e.Cause = results.ScopeAll, w.cause.word
	if e.Cause == "" {
		e.Cause = results.CausePath
	}
	if p := w.cause.path; p != nil {
		e.Scope, e.Iface, e.NextHop = results.ScopeInterface, p.Link.Name, p.Gateway
	}
	w.emit(e)
}

func (w *sentinel) emit(e results.Event) {
	e.Time = time.Now().UnixNano()
	w.phase.rec.queue.tell(e)
}

// words are a sentence with the cause, where it is known.
func (w *sentinel) words(what string) string {
	if w.cause.err != nil {
		return fmt.Sprintf("%s: %v", what, w.cause.err)
	}
	return what
}

// tellConflicts emits an event for addresses that two hosts answer for.
func (w *sentinel) tellConflicts(all []route.Conflict) {
	for _, c := range all {
		w.emit(results.Event{
			Kind: results.EventNextHopChanged, Scope: results.ScopeNextHop, Cause: results.CauseTwoNextHops,
			Iface: c.Link, NextHop: c.Addr, MAC: c.Used, OldMAC: c.Other, Message: c.String(),
		})
	}
}

// moved has the lanes use another MAC address for a gateway. again is the path of which all since its newest answer is asked
// again for that; -1: none is.
func (w *sentinel) moved(link string, gateway netip.Addr, mac net.HardwareAddr) (again int) {
	h := w.session.hopOf(link, gateway)
	if h == nil || len(mac) != 6 {
		return -1
	}
	old := h.mac.Load()
	if old == [6]byte(mac) {
		return -1
	}
	path := slices.Index(w.session.hops, h)
	back := w.swallowed(path)
	err := w.session.move(h, [6]byte(mac))
	e := results.Event{
		Kind: results.EventNextHopChanged, Scope: results.ScopeNextHop, Cause: results.CauseNextHopMoved,
		Iface: link, NextHop: gateway, MAC: mac, OldMAC: old[:],
		Message: fmt.Sprintf("next hop %v has the MAC address %v now, before %v", gateway, mac, net.HardwareAddr(old[:])),
	}
	if err != nil {
		e.Message += fmt.Sprintf("; the programs in the kernel do not know it: %v", err)
	}
	w.emit(e)
	if !back {
		return -1
	}
	w.comeBack(time.Now().UnixNano(), path)
	return path
}
