package engine

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"synoptic/rawsock/route"
	"synoptic/results"
	"synoptic/scan/plan"
)

// What the sentinel knows of the host, and how it finds out why nothing travels.

// news are the channels of what the session follows; nil where that cannot be.
func (s *Session) news() (changes <-chan route.Change, claims <-chan route.Claim) {
	if s.watcher != nil {
		changes = s.watcher.Changes()
	}
	switch len(s.ears) {
	case 0:
	case 1:
		claims = s.ears[0].Claims()
	default:
		all := make(chan route.Claim)
		for _, ear := range s.ears {
			go func() {
				for c := range ear.Claims() {
					all <- c
				}
			}()
		}
		claims = all
	}
	return changes, claims
}

// changed looks at the paths that a change of the host may concern.
func (w *sentinel) changed(c *route.Change) {
	switch c.Kind {
	case route.NeighbourChanged, route.NeighbourFailed, route.AddressAdded:
		return // gateways are listened to
	}
	w.check(time.Now().UnixNano())
}

// check asks the host about the paths: a fault begins an outage, and one that is over may end it.
func (w *sentinel) check(now int64) {
	w.checked = now
	if w.session.watcher == nil {
		return
	}
	paths := w.session.paths()
	for i := range paths {
		path := &paths[i]
		err := w.session.watcher.Check(path, netip.Addr{}, route.Options{})
		var fault *route.FaultError
		if !errors.As(err, &fault) || w.session.bears(fault.Cause) {
			continue
		}
		c := cause{word: string(fault.Cause), path: path, err: fault}
		switch {
		case w.release == nil:
			w.pause(now, w.newest(now), c)
		case w.cause.word != c.word:
			w.waitFor(c)
			if w.first.path == nil {
				w.first = c
			}
		}
		return
	}
	if w.release != nil && w.cause.path != nil {
		w.again = now // mended; a beacon that is sent from now on will tell
		w.waitFor(cause{})
	}
}

// bears tells whether what is sent travels in spite of a fault: the kernel gives its own connections the addresses that there are.
func (s *Session) bears(c route.Cause) bool {
	if s.choice.Backend != plan.BackendConnect {
		return false
	}
	return c == route.CauseInterfaceChanged || c == route.CauseAddressRemoved && !s.plan.Asked.Source.IsValid()
}

// newest is when the newest probe that was answered was sent. Where none was, the host says that there is a fault: what was
// sent before it may still be on its way, for as long as the scan waits for answers.
func (w *sentinel) newest(now int64) int64 {
	if good := w.set.Good(); good != 0 {
		return good
	}
	return max(w.begun, now-int64(w.session.plan.Asked.Wait))
}

// claimed takes another MAC address of a gateway, which the ear has confirmed.
func (w *sentinel) claimed(c *route.Claim) {
	w.tellConflicts(c.Conflicts)
	if h := w.session.hopOf(c.Link, c.Addr); h == nil || h.mac.Load() == [6]byte(c.MAC) {
		return // somebody else answers for it, too: that alone must not stop a scan
	}
	if now := time.Now().UnixNano(); w.release == nil {
		w.pause(now, w.newest(now), cause{word: results.CauseNextHopMoved})
	}
	w.moved(c.Link, c.Addr, c.MAC)
}

// seek asks the gateways whether they are there, beside everything else: it takes a second where one is not.
func (w *sentinel) seek(ctx context.Context) {
	if len(w.session.ears) == 0 {
		return
	}
	w.seeking = true
	hops := w.session.hops
	go func() {
		c := cause{word: results.CausePath}
		for _, h := range hops {
			if h.ear == nil {
				continue
			}
			mac, conflicts, err := h.ear.Confirm(ctx, h.path.Gateway)
			var silent *route.NoNeighbourError
			switch {
			case errors.As(err, &silent):
				c = cause{word: results.CauseNextHopSilent, path: h.path, err: err}
			case err == nil:
				c.claim = &route.Claim{Link: h.path.Link.Name, Addr: h.path.Gateway, MAC: mac, Conflicts: conflicts}
			}
		}
		w.found <- c
	}()
}

// explained takes over what seek has found.
func (w *sentinel) explained(c cause) {
	if c.claim != nil {
		w.tellConflicts(c.claim.Conflicts)
		w.moved(c.claim.Link, c.claim.Addr, c.claim.MAC)
	}
	if w.release != nil && w.cause.path == nil && w.cause.word != results.CauseNextHopMoved {
		w.waitFor(cause{word: c.word, err: c.err})
		if w.first.path == nil && w.first.word == results.CausePath {
			w.first = w.cause
		}
	}
}
