package inventory

import (
	"cmp"
	"math"
	"net/netip"
	"slices"

	"github.com/ncruces/go-sqlite3"

	"synoptic/results/coverage"
)

// timeline reads that of a vantage: which sweeps there are. What they are made of is read where it is asked for, as most questions are about a few of
// them, and a monitor makes thousands.
func (db *DB) timeline(vantage int64) (*timeline, error) {
	t := &timeline{db: db, vantage: vantage, suspects: map[key][]suspicion{}}
	type row struct{ id, place int64 }
	var all []row
	err := each(db.conn, `SELECT id, place FROM sweep WHERE vantage = ?`, func(s *sqlite3.Stmt) error {
		all = append(all, row{s.ColumnInt64(0), s.ColumnInt64(1)})
		if all[len(all)-1].id > math.MaxInt32 { // nobody makes so many, and a toggle has no room for it
			return errBlob
		}
		return nil
	}, vantage)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b row) int { return cmp.Compare(a.place, b.place) }) // most often they are: SQLite would sort them anyway
	sweeps := make([]sweep, len(all))
	t.sweeps, t.index = make([]*sweep, len(all)), make(map[int64]int, len(all))
	for i, r := range all {
		sweeps[i].id = r.id
		t.sweeps[i], t.index[r.id] = &sweeps[i], i
	}
	return t, each(db.conn, `SELECT host, since, coalesce(until, 0) FROM suspect ORDER BY host, since`, func(s *sqlite3.Stmt) error {
		if host := key(s.ColumnInt64(0)); host.vantage() == vantage {
			t.suspects[host] = append(t.suspects[host], suspicion{s.ColumnInt64(1), s.ColumnInt64(2)})
		}
		return nil
	})
}

// mostLooks is how many sweeps are read by themselves before all are read at once, which takes about as long as a few hundred of them.
const mostLooks = 64

// pieces are those of a sweep, at least one: an empty one after an error, which is in t.err.
func (t *timeline) pieces(i int) []*piece {
	s := t.sweeps[i]
	if len(s.read) == 0 && t.err == nil {
		if t.looks++; t.looks <= mostLooks {
			t.err = t.look(s)
		} else {
			t.err = t.readAll()
		}
		if t.err == nil && len(s.read) == 0 {
			t.err = errBlob
		}
	}
	if len(s.read) == 0 {
		return []*piece{{}}
	}
	return s.read
}

// pieceColumns are what takePiece takes.
const pieceColumns = `id, scan_id, t0, t1, monitor`

func takePiece(s *sqlite3.Stmt) *piece {
	return &piece{scan: s.ColumnInt64(0), scanID: s.ColumnText(1), t0: s.ColumnInt64(2), t1: s.ColumnInt64(3), monitor: s.ColumnBool(4)}
}

// partColumns are what takePart takes, but for how many positions the space has.
const partColumns = `part, space, seed`

func takePart(s *sqlite3.Stmt, n uint64) part {
	return part{s.ColumnInt64(0), s.ColumnInt64(1), s.ColumnInt64(2), n, &coverage.Set{}}
}

// look reads the pieces of one sweep.
func (t *timeline) look(into *sweep) error {
	err := t.db.again(`SELECT `+pieceColumns+` FROM scan WHERE sweep = ? ORDER BY id`, func(s *sqlite3.Stmt) error {
		into.read = append(into.read, takePiece(s))
		return nil
	}, into.id)
	for _, p := range into.read {
		if err == nil {
			err = t.db.again(`SELECT `+partColumns+`, (SELECT n FROM space WHERE id = space) FROM part WHERE scan = ? ORDER BY part`, func(s *sqlite3.Stmt) error {
				p.parts = append(p.parts, takePart(s, uint64(s.ColumnInt64(3))))
				return nil
			}, p.scan)
		}
	}
	return err
}

// readAll reads the pieces of all sweeps that were not read yet.
func (t *timeline) readAll() error {
	byScan, sizes := make(map[int64]*piece, len(t.sweeps)), map[int64]uint64{}
	known := map[*sweep]bool{}
	for _, s := range t.sweeps {
		if len(s.read) > 0 {
			known[s] = true
		}
	}
	err := each(t.db.conn, `SELECT `+pieceColumns+`, sweep FROM scan ORDER BY id`, func(s *sqlite3.Stmt) error {
		i, mine := t.index[s.ColumnInt64(5)]
		if !mine || known[t.sweeps[i]] {
			return nil
		}
		p := takePiece(s)
		t.sweeps[i].read, byScan[p.scan] = append(t.sweeps[i].read, p), p
		return nil
	})
	if err != nil {
		return err
	}
	err = each(t.db.conn, `SELECT id, n FROM space`, func(s *sqlite3.Stmt) error { sizes[s.ColumnInt64(0)] = uint64(s.ColumnInt64(1)); return nil })
	if err != nil {
		return err
	}
	return each(t.db.conn, `SELECT `+partColumns+`, scan FROM part ORDER BY scan, part`, func(s *sqlite3.Stmt) error {
		if p := byScan[s.ColumnInt64(3)]; p != nil {
			p.parts = append(p.parts, takePart(s, sizes[s.ColumnInt64(1)]))
		}
		return nil
	})
}

// covered reads what a scan covered of a part.
func (db *DB) covered(scan, number int64) (*coverage.Set, error) {
	var all []coverage.Range
	err := db.again(`SELECT begin, "end" FROM covered WHERE scan = ? AND part = ?`, func(s *sqlite3.Stmt) error {
		all = append(all, coverage.Range{Begin: uint64(s.ColumnInt64(0)), End: uint64(s.ColumnInt64(1))})
		return nil
	}, scan, number)
	return coverage.Of(all...), err
}

// pieceOf is the piece of a sweep that covers an endpoint, or the first where none is known to.
func (t *timeline) pieceOf(at netip.AddrPort, sweep int) *piece {
	pieces := t.pieces(sweep)
	if len(pieces) > 1 {
		if p := t.coveredBy(at, sweep); p != nil {
			return p
		}
	}
	return pieces[0]
}

// times are when a sweep asked an endpoint, as far as that is known: those of the piece that covers it.
func (t *timeline) times(at netip.AddrPort, sweep int) (t0, t1 int64) {
	if len(t.pieces(sweep)) > 1 {
		if p := t.coveredBy(at, sweep); p != nil {
			return p.t0, p.t1
		}
	}
	return t.bounds(sweep)
}

// bounds are when a sweep began and when it ended.
func (t *timeline) bounds(sweep int) (t0, t1 int64) {
	pieces := t.pieces(sweep)
	t0, t1 = pieces[0].t0, pieces[0].t1
	for _, p := range pieces[1:] {
		t0, t1 = min(t0, p.t0), max(t1, p.t1)
	}
	return t0, t1
}
