package inventory

import (
	"net/netip"
	"time"

	"github.com/ncruces/go-sqlite3"

	"synoptic/results"
	"synoptic/results/coverage"
)

// live is the sweep of a vantage's piece in progress, 0 where there is none.
func (db *DB) live(vantage int64) (int64, error) {
	return number(db.conn, `SELECT sweep FROM live WHERE vantage = ?`, vantage)
}

// allLive are the sweeps in progress.
func (db *DB) allLive() (sweeps []int64, err error) {
	return sweeps, each(db.conn, `SELECT sweep FROM live ORDER BY vantage`, func(s *sqlite3.Stmt) error {
		sweeps = append(sweeps, s.ColumnInt64(0))
		return nil
	})
}

// endPiece ends the piece of a vantage that is in progress, as far as it was written: front and filters get what it has changed. It is called
// before anything else is made of the vantage.
func (db *DB) endPiece(vantage int64) error {
	sweep, err := db.live(vantage)
	if err != nil || sweep == 0 {
		return err
	}
	a, err := newArchive(db)
	if err != nil {
		return err
	}
	defer a.close()
	_, err = db.endPieceWith(a, vantage, sweep)
	return err
}

// endPieceWith gives what is open of what the piece covers.
func (db *DB) endPieceWith(a *archive, vantage, sweep int64) (seen []sighting, err error) {
	if err := a.settle(db, sweep); err != nil {
		return nil, err
	}
	front, err := db.front(vantage)
	if err != nil {
		return nil, err
	}
	if err := db.setFront(vantage, front); err != nil {
		return nil, err
	}
	t, err := db.timeline(vantage)
	if err != nil {
		return nil, err
	}
	for _, k := range front {
		at, err := db.addrPort(k)
		if err != nil {
			return nil, err
		}
		if t.coveredBy(at, t.index[sweep]) != nil {
			seen = append(seen, sighting{key: k})
		}
	}
	if t.err != nil {
		return nil, t.err
	}
	if err := run(db.conn, `UPDATE scan SET open = ? WHERE sweep = ?`, len(seen), sweep); err != nil {
		return nil, err
	}
	return seen, run(db.conn, `DELETE FROM live WHERE vantage = ?`, vantage)
}

func (db *DB) endPieces() error {
	ids, _, err := db.vantages("")
	for _, id := range ids {
		if err := db.endPiece(id); err != nil {
			return err
		}
	}
	return err
}

// said is what a monitor's record of a change says of it, which its other records do not.
type said struct {
	ended               bool
	how                 how
	notBefore, notAfter int64 // nanoseconds since the Unix epoch, 0: not known
}

// saidBy takes a change record of the scan itself.
func saidBy(c *results.Change) (s said, ok bool) {
	if !c.Addr.IsValid() || c.Port == 0 || c.Change == results.ChangeService {
		return s, false
	}
	if c.NotBefore != nil {
		s.notBefore = time.Time(*c.NotBefore).UnixNano()
	}
	if c.NotAfter != nil {
		s.notAfter = time.Time(*c.NotAfter).UnixNano()
	}
	if c.After == stateOpen {
		return s, true
	}
	for h, end := range ends {
		if end.after == c.After {
			s.ended, s.how = true, how(h)
			return s, true
		}
	}
	return s, false
}

// howOf is how an endpoint has ended that answers so.
func howOf(reason results.Reason) how {
	switch {
	case reason.State() == results.Closed:
		return howClosed
	case reason.State() == results.Filtered && reason.Label() != results.Filtered.String():
		return howUnreachable
	}
	return howGone
}

// unask takes an endpoint out of what the pieces of a monitor's stream cover that asked it when it was in doubt already: those that began after it
// was last seen to be as before, or ended after it was first seen to be otherwise. Else they would say that it was as before.
func (u *update) unask(at netip.AddrPort) error {
	s, known := u.in.said[at]
	if !known {
		return nil
	}
	for i := u.at - 1; i >= 0; i-- {
		p := u.t.pieces(i)[0]
		if (s.notBefore == 0 || p.t0 <= s.notBefore) && (s.notAfter == 0 || p.t1 < s.notAfter) {
			return u.t.err
		}
		if !p.monitor || !u.t.covers(p, at) {
			continue
		}
		for j := range p.parts {
			if err := u.t.uncover(p, &p.parts[j], at); err != nil {
				return err
			}
		}
	}
	return u.t.err
}

// uncover takes an endpoint out of what a part covers.
func (t *timeline) uncover(p *piece, q *part, at netip.AddrPort) error {
	position, in := t.position(q, at)
	if !in || t.err != nil {
		return t.err
	}
	if p.loaded {
		q.covered = q.covered.Minus(coverage.Of(coverage.Range{Begin: position, End: position + 1}))
	}
	begin, end := int64(-1), int64(0)
	err := each(t.db.conn, `SELECT begin, "end" FROM covered WHERE scan = ? AND part = ? AND begin <= ? ORDER BY begin DESC LIMIT 1`, func(s *sqlite3.Stmt) error {
		begin, end = s.ColumnInt64(0), s.ColumnInt64(1)
		return nil
	}, p.scan, q.number, int64(position))
	if err != nil || begin < 0 || end <= int64(position) {
		return err
	}
	if err := run(t.db.conn, `DELETE FROM covered WHERE scan = ? AND part = ? AND begin = ?`, p.scan, q.number, begin); err != nil {
		return err
	}
	for _, r := range [][2]int64{{begin, int64(position)}, {int64(position) + 1, end}} {
		if r[0] == r[1] {
			continue
		}
		if err := run(t.db.conn, `INSERT INTO covered VALUES (?, ?, ?, ?)`, p.scan, q.number, r[0], r[1]); err != nil {
			return err
		}
	}
	return nil
}

// say keeps what a change record says.
func (in *Ingest) say(c *results.Change) {
	if in.said == nil {
		in.said = map[netip.AddrPort]said{}
	}
	if s, ok := saidBy(c); ok {
		in.said[netip.AddrPortFrom(c.Addr.Unmap().WithZone(""), c.Port)] = s
	}
}
