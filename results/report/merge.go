package report

import (
	"cmp"
	"maps"
	"slices"
)

// notConfirmed is noted on changes: one scan has seen them, and a lost packet looks the same.
const notConfirmed = "seen by one scan, not confirmed"

// close ends the scan under way: what it found is put together with what was known.
func (l *Ledger) close() {
	c := l.current
	if c == nil {
		return
	}
	l.current = nil
	found := folded(c.found)
	if c.scan.Result == nil { // cut: nothing says that it asked everything
		c.proves = false
	}
	if c.scan.Begin == 0 && len(c.found) > 0 {
		c.scan.Begin = c.found[0].at
	}
	if _, again := l.spaces[c.space]; again {
		l.compared = true
	}
	l.known = l.merged(c, found)
	if c.proves || l.spaces[c.space] == 0 {
		l.spaces[c.space] = 0
		if c.proves {
			l.spaces[c.space] = c.scan.Begin
		}
	}
	maps.Copy(l.suspects, c.suspects)
	l.scans = append(l.scans, c.scan)
}

// folded sorts what a scan found, and keeps one entry of each endpoint: the better state wins, and of two equals the first.
func folded(found []entry) []entry {
	slices.SortStableFunc(found, func(a, b entry) int { return cmp.Or(byEndpoint(a, b), cmp.Compare(a.state, b.state)) })
	return slices.CompactFunc(found, func(a, b entry) bool { return byEndpoint(a, b) == 0 })
}

// merged walks both lists.
func (l *Ledger) merged(c *session, found []entry) []entry {
	if len(l.known) == 0 {
		for i := range found {
			l.first(c, &found[i])
		}
		return found
	}
	all := make([]entry, 0, max(len(l.known), len(found)))
	old := l.known
	for len(old) > 0 || len(found) > 0 {
		var order int
		switch {
		case len(old) == 0:
			order = 1
		case len(found) == 0:
			order = -1
		default:
			order = byEndpoint(old[0], found[0])
		}
		switch {
		case order < 0:
			l.missing(c, &old[0])
			all, old = append(all, old[0]), old[1:]
		case order > 0:
			l.first(c, &found[0])
			all, found = append(all, found[0]), found[1:]
		default:
			l.again(&old[0], &found[0])
			all, old, found = append(all, old[0]), old[1:], found[1:]
		}
	}
	return all
}

// missing is for an endpoint that the scan has no record of.
func (l *Ledger) missing(c *session, e *entry) {
	switch {
	case e.words.space != c.space || e.state != Open && e.state != Unknown:
	case c.suspects[e.addr] || !c.proves:
		e.state = Unknown
	case e.settled == Open:
		l.change(e, Change{Kind: "ended", Before: Open.String(), After: Shut.String(), NotBefore: e.seen, NotAfter: c.scan.End, Notes: notConfirmed})
		e.settle(Shut, c.scan.End, e.seen)
	}
}

// first is for an endpoint of which nothing was known.
func (l *Ledger) first(c *session, e *entry) {
	if e.state != Open {
		return
	}
	switch proved, again := l.spaces[c.space]; {
	case proved > 0:
		e.after = proved
		l.change(e, Change{Kind: "opened", Before: Shut.String(), After: Open.String(), NotBefore: proved, NotAfter: e.at, Notes: notConfirmed})
	case again:
		l.change(e, Change{Kind: "found", Before: Unknown.String(), After: Open.String(), NotAfter: e.at})
	}
}

// again is for an endpoint that was known, and of which the scan n has a record.
func (l *Ledger) again(e, n *entry) {
	before, at := e.settled, e.at
	l.compared = l.compared || n.state != Unknown
	was, is := *e.words, *n.words
	was.space = is.space
	if n.state != Open {
		e.words = l.share(was)
	}
	switch n.state {
	case Unknown:
		e.state = Unknown
		return
	case Open:
		if before == Open && was.detected != "" && is.detected != "" && was.detected != is.detected {
			l.change(e, Change{Kind: "service", Before: was.detected, After: is.detected, NotBefore: at, NotAfter: n.at})
		}
		is.detected = cmp.Or(is.detected, was.detected)
		e.words, e.banner, e.seen, e.name = l.share(is), n.banner, n.at, cmp.Or(n.name, e.name)
	}
	if before == Unknown {
		at = 0 // what was asked then says nothing
	}
	kind := map[State]string{Closed: "closed", Filtered: "gone"}[n.state]
	switch {
	case n.state == before:
		e.state, e.at = n.state, n.at
		return
	case before == Unknown && n.state == Open:
		kind = "found"
	case n.state == Open && e.ever:
		kind = "reopened"
	case n.state == Open:
		kind = "opened"
	}
	if before == Open || n.state == Open {
		l.change(e, Change{Kind: kind, Before: before.String(), After: n.state.String(), NotBefore: at, NotAfter: n.at, Notes: notConfirmed})
	}
	e.ever = e.ever || n.state == Open
	e.settle(n.state, n.at, at)
}

// settle notes a new state that is known from a time on, and was not so at another.
func (e *entry) settle(s State, at, after int64) {
	e.state, e.settled, e.since, e.after, e.at = s, s, at, after, at
}

func (l *Ledger) change(e *entry, c Change) {
	c.Addr, c.Port, c.Vantage, c.Service = e.addr, e.port, e.words.vantage, e.words.service
	l.changes = append(l.changes, c)
}
