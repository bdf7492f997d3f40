package inventory

import (
	"net/netip"
	"slices"

	"github.com/ncruces/go-sqlite3"
)

// update is what one scan changes. A scan of the newest sweep is merged with what is open by now; one of an earlier sweep has every endpoint
// that it asked or saw looked at (rebuild.go).
type update struct {
	db    *DB
	t     *timeline
	at    int // the scan's sweep
	piece *piece
	in    *Ingest
	seen  []sighting // ascending, one for each endpoint

	archive *archive
	read    *sqlite3.Stmt // of cur
	insert  *sqlite3.Stmt
	remove  *sqlite3.Stmt

	edits         map[int64]map[key]*toggle // by sweep: what its delta has of an endpoint from now on, nil: nothing
	appeared      []key                     // that are in cur from now on
	vanished      []key                     // that are not any more
	events        []event
	protos        map[int64]string // by their rows
	opened, ended int
}

func (u *update) run() (err error) {
	if u.archive, err = newArchive(u.db); err != nil {
		return err
	}
	defer u.archive.close()
	return u.with(u.all)
}

// with calls a function that reads and writes cur.
func (u *update) with(do func() error) (err error) {
	for query, s := range map[string]**sqlite3.Stmt{
		`SELECT since, gap, svc FROM cur WHERE ep = ?`: &u.read,
		`INSERT INTO cur VALUES (?, ?, ?, ?, 0)`:       &u.insert,
		`DELETE FROM cur WHERE ep = ?`:                 &u.remove,
	} {
		if *s, _, err = u.db.conn.Prepare(query); err != nil {
			return err
		}
		defer (*s).Close()
	}
	if u.protos, err = u.db.protos(); err != nil {
		return err
	}
	return do()
}

// all changes what the whole scan changes.
func (u *update) all() error {
	front, err := u.db.front(u.t.vantage)
	if err != nil {
		return err
	}
	newest := u.at == len(u.t.sweeps)-1
	if !newest {
		if err := u.db.kept(u.t, u.at+1); err != nil {
			return err
		}
	}
	if newest {
		err = u.merge(front)
	} else {
		err = u.rebuildAll(front)
	}
	if err != nil {
		return err
	}
	if newest {
		if err := u.services(); err != nil {
			return err
		}
	}
	return u.save(front)
}

// merge walks through what the scan saw and what is open by now, side by side.
func (u *update) merge(front []key) error {
	seen := u.seen
	for len(seen) > 0 || len(front) > 0 {
		if u.t.err != nil {
			return u.t.err
		}
		switch {
		case len(front) == 0 || len(seen) > 0 && seen[0].key < front[0]:
			if err := u.appear(&seen[0]); err != nil {
				return err
			}
			seen = seen[1:]
		case len(seen) == 0 || front[0] < seen[0].key:
			if err := u.miss(front[0]); err != nil {
				return err
			}
			front = front[1:]
		default:
			seen, front = seen[1:], front[1:]
		}
	}
	return nil
}

// appear takes an endpoint that is open and was not known to be.
func (u *update) appear(s *sighting) error {
	before, err := u.archive.of(s.key)
	if err != nil {
		return err
	}
	now := u.t.sweeps[u.at].id
	if slices.ContainsFunc(before, func(r pastRow) bool { return r.until == now }) { // another piece of the sweep asked and did not see it
		return u.rebuild(s.key, true)
	}
	at, err := u.db.addrPort(s.key)
	if err != nil {
		return err
	}
	if err := u.unask(at); err != nil {
		return err
	}
	c := toggle{key: s.key, opened: true, first: true, sweep: int32(now), again: len(before) > 0}
	after := u.t.lastAsked(s.key, at, -1, u.at)
	if after >= 0 {
		c.gap = now - u.t.sweeps[after].id
	}
	u.edit(now, s.key, &c)
	u.opened++
	u.tellOpened(s, &c, at)
	return u.begin(s.key, now, c.gap, nil)
}

// begin makes an interval that lasts.
func (u *update) begin(k key, since, gap int64, svc any) error {
	u.appeared = append(u.appeared, k)
	if err := bind(u.insert, []any{k, since, nullable(gap), svc}); err != nil {
		return err
	}
	return u.insert.Exec()
}

// nullable is a gap as a column has it: a sweep is never its own predecessor.
func nullable(gap int64) any {
	if gap == 0 {
		return nil
	}
	return gap
}

// miss takes an endpoint that was open and was not seen. One that was not asked stays as it is.
func (u *update) miss(k key) error {
	if u.piece.asksNothing() {
		return nil
	}
	at, err := u.db.addrPort(k)
	if err != nil || !u.t.covers(u.piece, at) || u.t.suspected(k, u.at) {
		return err
	}
	row, _, err := u.current(k)
	if err != nil {
		return err
	}
	now := u.t.sweeps[u.at].id
	if row.since == now { // another piece of the sweep saw it
		return nil
	}
	return u.finish(k, at, row, now)
}

func (p *piece) asksNothing() bool {
	return !slices.ContainsFunc(p.parts, func(q part) bool { return q.covered.NumRanges() > 0 })
}

// curRow is a row of table cur; svc 0 is NULL.
type curRow struct {
	since int64
	gap   *int64
	svc   int64
}

// current reads the row of an endpoint.
func (u *update) current(k key) (r curRow, open bool, err error) {
	if err := bind(u.read, []any{k}); err != nil {
		return r, false, err
	}
	if u.read.Step() {
		open, r.since, r.svc = true, u.read.ColumnInt64(0), u.read.ColumnInt64(2)
		if u.read.ColumnType(1) != sqlite3.NULL {
			gap := u.read.ColumnInt64(1)
			r.gap = &gap
		}
	}
	if err := u.read.Err(); err != nil {
		return r, false, err
	}
	return r, open, u.read.Reset()
}

// finish ends the interval of an endpoint with this sweep.
func (u *update) finish(k key, at netip.AddrPort, row curRow, now int64) error {
	if err := u.unask(at); err != nil {
		return err
	}
	last := u.t.lastAsked(k, at, u.t.index[row.since], u.at)
	c := toggle{key: k, sweep: int32(now), how: u.in.howEnded(at), gap: now - u.t.sweeps[last].id}
	u.edit(now, k, &c)
	u.ended++
	u.tellEnded(&c, at, row.svc)
	if err := u.archive.add(k, pastRow{since: row.since, gap: row.gap, until: now, how: c.how}); err != nil {
		return err
	}
	if row.svc != 0 {
		if err := run(u.db.conn, `UPDATE service SET until = ? WHERE ep = ? AND until IS NULL`, now, k); err != nil {
			return err
		}
	}
	return u.drop(k)
}

// drop takes the row of an endpoint out of cur.
func (u *update) drop(k key) error {
	u.vanished = append(u.vanished, k)
	if err := bind(u.remove, []any{k}); err != nil {
		return err
	}
	return u.remove.Exec()
}

func (u *update) edit(sweep int64, k key, c *toggle) {
	if u.edits[sweep] == nil {
		u.edits[sweep] = map[key]*toggle{}
	}
	u.edits[sweep][k] = c
}

// save writes what is kept besides the rows: filters, deltas, the front, events.
func (u *update) save(front []key) error {
	if err := u.saveDeltas(); err != nil {
		return err
	}
	if len(u.appeared)+len(u.vanished) > 0 {
		if err := u.db.setFront(u.t.vantage, edited(front, u.vanished, u.appeared)); err != nil {
			return err
		}
	}
	return u.writeEvents()
}

// saveDeltas writes filters and deltas: of the scan's sweep always.
func (u *update) saveDeltas() error {
	if err := u.archive.save(); err != nil {
		return err
	}
	now := u.t.sweeps[u.at].id
	if u.edits[now] == nil {
		u.edits[now] = map[key]*toggle{}
	}
	for sweep, edits := range u.edits {
		if err := u.db.editDelta(sweep, edits); err != nil {
			return err
		}
	}
	return nil
}

// edited are keys without some and with others. An endpoint that is in both is in the result.
func edited(keys, without, with []key) []key {
	slices.Sort(without)
	slices.Sort(with)
	with = slices.Compact(with)
	all := make([]key, 0, len(keys)+len(with))
	for _, k := range keys {
		for len(with) > 0 && with[0] <= k {
			all, with = append(all, with[0]), with[1:]
		}
		if _, gone := slices.BinarySearch(without, k); !gone && (len(all) == 0 || all[len(all)-1] != k) {
			all = append(all, k)
		}
	}
	return append(all, with...)
}

// editDelta changes what the delta of a sweep has of some endpoints.
func (db *DB) editDelta(sweep int64, edits map[key]*toggle) error {
	all, err := db.delta(sweep)
	if err != nil {
		return err
	}
	kept := all[:0]
	for _, c := range all {
		if _, edited := edits[c.key]; !edited {
			kept = append(kept, c)
		}
	}
	fresh := make([]toggle, 0, len(edits))
	for _, c := range edits {
		if c != nil {
			fresh = append(fresh, *c)
		}
	}
	slices.SortFunc(fresh, func(a, b toggle) int { return compare(a.key, b.key) })
	all = mergeToggles(nil, kept, fresh)
	opened := 0
	for i := range all {
		if all[i].opened {
			opened++
		}
	}
	return run(db.conn, `INSERT OR REPLACE INTO delta VALUES (?, ?, ?, ?)`, sweep, opened, len(all)-opened, db.packer.packDelta(all))
}

// delta is what a sweep has changed, ascending.
func (db *DB) delta(sweep int64) (all []toggle, err error) {
	all, _, err = db.findDelta(sweep)
	return all, err
}

func (db *DB) findDelta(sweep int64) (all []toggle, known bool, err error) {
	err = each(db.conn, `SELECT blob FROM delta WHERE sweep = ?`, func(s *sqlite3.Stmt) error {
		known = true
		all, err = db.packer.unpackDelta(s.ColumnRawBlob(0), sweep)
		return err
	}, sweep)
	return all, known, err
}

// kept refuses what needs to know of changes that were pruned.
func (db *DB) kept(t *timeline, sweep int) error {
	_, known, err := db.findDelta(t.sweeps[sweep].id)
	if err == nil && !known {
		err = &Error{Path: db.path, msg: "scan " + t.pieces(sweep)[0].scanID + " is older than what synoptic inventory prune has left",
			hint: "of what is so old only the endpoints that are still open are known"}
	}
	return err
}
