package engine

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"synoptic/rawsock/route"
	"synoptic/results"
	"synoptic/results/crash"
	"synoptic/scan/plan"
)

// What the sentinel knows of the host, and how it finds out why nothing travels.

// news are the channels of what the session follows; nil where that cannot be.
func (h *host) news() (changes <-chan route.Change, claims <-chan route.Claim) {
	if h.watcher != nil {
		changes = h.watcher.Changes()
	}
	return changes, h.claims
}

// stray is a target whose route is another, or may be.
type stray struct {
	path   int
	target netip.Addr
}

// maxStrayed bounds how many such targets are looked up again and again: each costs two questions to the kernel.
const maxStrayed = 64

// changed looks at the paths that a change of the host may concern.
func (w *sentinel) changed(ctx context.Context, c *route.Change) {
	switch c.Kind {
	case route.NeighbourChanged, route.NeighbourFailed, route.AddressAdded:
		return // gateways are listened to
	case route.RouteChanged:
		concerned := false
		if w.session.routes == nil {
			return
		}
		for path, target := range w.session.routes.Within(c.Prefix) {
			if len(w.strayed) == maxStrayed {
				break
			}
			if s := (stray{path, target}); w.session.host.targets[path].IsValid() && !slices.Contains(w.strayed, s) {
				w.strayed = append(w.strayed, s)
				concerned = true
			}
		}
		if !concerned {
			return
		}
	}
	now := time.Now().UnixNano()
	w.late(now, c, w.check(ctx, now))
}

// check asks the host about the paths. Those that are at fault are left; where no other would be, all pauses. A fault that
// is over may end either. It gives what the host has to say of each path; nil where the host cannot be asked.
func (w *sentinel) check(ctx context.Context, now int64) []*route.FaultError {
	w.checked = now
	if w.session.host.watcher == nil {
		return nil
	}
	faults, usable := w.faults(), 0
	for i, f := range faults {
		if f == nil && w.away[i] == nil {
			usable++
		}
	}
	named := false // the cause of a pause
	for i, f := range faults {
		if f != nil && w.shared != nil {
			w.remake(ctx, i, f)
		}
		if a := w.away[i]; a != nil {
			if a.faulted && f == nil {
				a.again = now // mended; a beacon that is sent from now on will tell
			}
			a.faulted = f != nil
			continue
		}
		if f == nil || named {
			continue
		}
		c := cause{word: string(f.Cause), path: &w.session.paths()[i], err: f}
		if usable > 0 && w.shared != nil {
			w.leave(now, w.newestOn(now, i), i, c, true)
			continue
		}
		named = true
		switch {
		case w.release == nil:
			w.pause(now, w.newest(now), c)
		case w.cause.word != c.word || w.cause.path != c.path:
			w.waitFor(c)
			if w.first.path == nil {
				w.first = c
			}
		}
	}
	if !named && w.release != nil && w.cause.path != nil {
		w.again = now // mended; a beacon that is sent from now on will tell
		w.waitFor(cause{})
	}
	return faults
}

// faults are what the host has to say of each path, or nil; of targets whose route has changed it tells until it is back.
func (w *sentinel) faults() []*route.FaultError {
	host := &w.session.host
	all := make([]*route.FaultError, len(w.session.paths()))
	ask := func(i int, target netip.Addr) (f *route.FaultError) {
		err := host.watcher.Check(w.session.path(i), target, w.session.routeOptions())
		if !errors.As(err, &f) || w.session.bears(f.Cause) {
			return nil
		}
		return f
	}
	for i := range all {
		all[i] = ask(i, host.targets[i])
	}
	w.strayed = slices.DeleteFunc(w.strayed, func(s stray) bool {
		f := ask(s.path, s.target)
		if all[s.path] == nil {
			all[s.path] = f
		}
		return f == nil
	})
	return all
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
	w.moved(c.Link, c.Addr, c.MAC)
}

// finding is what asking the gateways has come to.
type finding struct {
	silent map[int]cause // by path
	claims []route.Claim
}

// seek asks the gateways whether they are there, beside everything else: it takes a second where one is not.
func (w *sentinel) seek(ctx context.Context) {
	type question struct {
		path int
		ear  Ear
	}
	var all []question
	for i, h := range w.session.hops {
		if h.ear != nil {
			all = append(all, question{i, h.ear})
		}
	}
	if len(all) == 0 || w.seeking {
		return
	}
	w.seeking = true
	paths := w.session.paths()
	crash.Go(func() {
		f := finding{silent: map[int]cause{}}
		for _, q := range all {
			path := &paths[q.path]
			mac, conflicts, err := q.ear.Confirm(ctx, path.Gateway)
			var silent *route.NoNeighbourError
			switch {
			case errors.As(err, &silent):
				f.silent[q.path] = cause{word: results.CauseNextHopSilent, path: path, err: err}
			case err == nil:
				f.claims = append(f.claims, route.Claim{Link: path.Link.Name, Addr: path.Gateway, MAC: mac, Conflicts: conflicts})
			}
		}
		w.found <- f
	})
}

// explained takes over what seek has found.
func (w *sentinel) explained(f *finding) {
	moved := map[int]bool{}
	for _, claim := range f.claims {
		w.tellConflicts(claim.Conflicts)
		moved[w.moved(claim.Link, claim.Addr, claim.MAC)] = true
	}
	w.judgeSuspects(f, moved)
	if w.release != nil && w.cause.path == nil && w.cause.word != results.CauseNextHopMoved {
		c := cause{word: results.CausePath}
		for _, silent := range f.silent {
			c = cause{word: silent.word, err: silent.err}
		}
		w.waitFor(c)
		if w.first.path == nil && w.first.word == results.CausePath {
			w.first = w.cause
		}
	}
}
