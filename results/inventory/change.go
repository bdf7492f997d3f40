package inventory

import (
	"net/netip"
	"time"

	"github.com/ncruces/go-sqlite3"

	"synoptic/results"
)

// event is a change that one scan shows, with what the database does not keep of it.
type event = results.Change

// What a change says of an endpoint that was asked and not seen, and of one that was not asked.
const (
	stateOpen    = "open"
	stateShut    = "shut"
	stateUnknown = "unknown"
)

// ends are what is said of an interval that ended, by how.
var ends = [...]struct {
	name  string // as the documents have it
	kind  results.ChangeKind
	after string
}{
	howShut:        {"shut", results.ChangeShut, stateShut},
	howClosed:      {"closed", results.ChangeClosed, "closed"},
	howGone:        {"gone", results.ChangeGone, "filtered"},
	howUnreachable: {"unreachable", results.ChangeGone, "unreachable"},
}

// change is the record of a toggle of a sweep.
func (t *timeline) change(c *toggle, at netip.AddrPort, vantage string) results.Change {
	sweep := t.index[int64(c.sweep)]
	p := t.pieceOf(at, sweep)
	r := results.Change{
		ScanID: p.scanID, Addr: at.Addr(), Port: at.Port(), Proto: "tcp", Vantage: vantage,
		Time: moment(p.t1), NotAfter: p.end(),
	}
	if c.gap != 0 {
		r.NotBefore = t.begun(at, t.index[int64(c.sweep)-c.gap])
	}
	switch {
	case !c.opened:
		end := ends[c.how]
		r.Change, r.Before, r.After = end.kind, stateOpen, end.after
		return r
	case c.again:
		r.Change, r.Before = results.ChangeReopened, stateShut
	case c.gap == 0:
		r.Change, r.Before = results.ChangeFound, stateUnknown
	default:
		r.Change, r.Before = results.ChangeOpened, stateShut
	}
	r.After = stateOpen
	return r
}

// begun is when a sweep may have asked an endpoint at the earliest.
func (t *timeline) begun(at netip.AddrPort, sweep int) *results.Time {
	if pieces := t.pieces(sweep); len(pieces) == 1 {
		return pieces[0].begin()
	}
	t0, _ := t.times(at, sweep)
	return when(t0)
}

// begin and end are t0 and t1 as records have them: one value for all changes of a scan.
func (p *piece) begin() *results.Time {
	if p.first == nil {
		p.first = when(p.t0)
	}
	return p.first
}

func (p *piece) end() *results.Time {
	if p.last == nil {
		p.last = when(p.t1)
	}
	return p.last
}

func moment(ns int64) results.Time { return results.Time(time.Unix(0, ns)) }

func when(ns int64) *results.Time {
	t := moment(ns)
	return &t
}

// tells tells whether changes of the scan are events. Those of the first sweep are not: all that it finds is new.
func (u *update) tells() bool { return u.in.scan.Events && u.at > 0 && u.at == len(u.t.sweeps)-1 }

func (u *update) tellOpened(s *sighting, c *toggle, at netip.AddrPort) {
	if !u.tells() {
		return
	}
	e := u.t.change(c, at, u.in.scan.Vantage)
	e.ScanID, e.Time, e.NotAfter = u.in.start.ScanID, moment(s.at), when(s.at)
	if e.Reason = s.reason.String(); s.verified {
		e.Reason = "handshake"
	}
	if s.proto > 0 {
		e.Service = u.in.protos[s.proto-1]
	}
	u.tell(&e)
}

// tell puts an event among those of the scan, unless another one stands in its place.
func (u *update) tell(e *results.Change) {
	if u.in.recheck.tell(e) {
		u.events = append(u.events, *e)
	}
}

func (u *update) tellEnded(c *toggle, at netip.AddrPort, svc int64) {
	if !u.tells() {
		return
	}
	e := u.t.change(c, at, u.in.scan.Vantage)
	e.ScanID, e.Service, e.Reason = u.in.start.ScanID, u.protos[svc], u.in.refused[at].String()
	u.tell(&e)
}

// howEnded says how an endpoint is that was asked and not seen: by its record, or by the records that are not there.
func (in *Ingest) howEnded(at netip.AddrPort) how {
	if s, known := in.said[at]; known && s.ended {
		return s.how
	}
	shown := results.ParseStates(in.start.Show)
	switch reason := in.refused[at]; {
	case reason.State() == results.Closed:
		return howClosed
	case reason.State() == results.Filtered && reason.Label() != results.Filtered.String():
		return howUnreachable
	case reason.State() == results.Filtered:
		return howGone
	case shown&results.Closed != 0:
		return howGone
	case shown&results.Filtered != 0:
		return howClosed
	}
	return howShut
}

// services holds what the servers of open endpoints say against what they said before.
func (u *update) services() error {
	var said []sighting
	for _, s := range u.seen {
		if s.proto > 0 {
			said = append(said, s)
		}
	}
	if len(said) == 0 {
		return nil
	}
	numbers := make([]int64, len(u.in.protos))
	for i, name := range u.in.protos {
		id, err := u.db.protoOf(name)
		if err != nil {
			return err
		}
		numbers[i], u.protos[id] = id, name
	}
	type service struct {
		sighting
		before int64
	}
	var changed []service
	for _, span := range spansOf(u.t.vantage) {
		err := each(u.db.conn, `SELECT ep, svc FROM cur WHERE ep BETWEEN ? AND ? ORDER BY ep`, func(s *sqlite3.Stmt) error {
			k, svc := key(s.ColumnInt64(0)), s.ColumnInt64(1)
			for len(said) > 0 && said[0].key < k {
				said = said[1:]
			}
			if len(said) > 0 && said[0].key == k && numbers[said[0].proto-1] != svc {
				changed = append(changed, service{said[0], svc})
			}
			return nil
		}, span.first, span.last)
		if err != nil {
			return err
		}
	}
	for i := range changed {
		c := &changed[i]
		if err := u.setService(&c.sighting, c.before, numbers[c.proto-1]); err != nil {
			return err
		}
	}
	return nil
}

// setService begins the interval of a service, and ends that of the one before; before is 0 where none was known.
func (u *update) setService(s *sighting, before, now int64) error {
	sweep := u.t.sweeps[u.at].id
	if err := run(u.db.conn, `UPDATE service SET until = ? WHERE ep = ? AND until IS NULL`, sweep, s.key); err != nil {
		return err
	}
	if err := run(u.db.conn, `INSERT OR REPLACE INTO service VALUES (?, ?, NULL, ?)`, s.key, sweep, now); err != nil {
		return err
	}
	if err := run(u.db.conn, `UPDATE cur SET svc = ? WHERE ep = ?`, now, s.key); err != nil || before == 0 || !u.tells() {
		return err
	}
	at, err := u.db.addrPort(s.key)
	if err != nil {
		return err
	}
	u.events = append(u.events, results.Change{
		Time: moment(s.at), ScanID: u.in.start.ScanID, Change: results.ChangeService, Addr: at.Addr(), Port: at.Port(), Proto: "tcp",
		Vantage: u.in.scan.Vantage, Before: stateOpen, After: stateOpen, NotAfter: when(s.at), Reason: "banner",
		Service: u.protos[now], ServiceBefore: u.protos[before],
	})
	return nil
}

// writeEvents puts the changes into the outbox.
func (u *update) writeEvents() error {
	if u.tells() {
		for _, e := range u.in.recheck.events() {
			e.ScanID, e.Vantage = u.in.start.ScanID, u.in.scan.Vantage
			u.events = append(u.events, e)
		}
	}
	events := make([]results.Notice, len(u.events))
	for i := range u.events {
		events[i] = &u.events[i]
	}
	return u.db.enqueue(events)
}
