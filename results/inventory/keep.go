package inventory

import (
	"time"

	"github.com/ncruces/go-sqlite3"
)

// Stats is how much a database holds.
type Stats struct {
	Bytes     int64
	Schema    int
	Scans     int64
	Open      int64 // endpoints that are open by all that is known
	Intervals int64 // that ended and are kept
	Folded    int64 // that ended and were pruned
	Outbox    int64 // events that wait for delivery
	Acks      int64
	Findings  int64 // violations that stand by the last judgement
	Vantages  []VantageStats
}

// VantageStats is what is known from one vantage.
type VantageStats struct {
	Name        string
	Sweeps      int64
	Scans       int64
	Open        int64
	Suspects    int64 // hosts that open every port by now
	First, Last time.Time
}

// countIntervals counts those that ended: eras do not count those that pieces in progress have ended.
const countIntervals = `SELECT (SELECT coalesce(sum(n), 0) FROM era) + (SELECT coalesce(sum(ended), 0) FROM live JOIN delta USING (sweep))`

// Stats counts.
func (db *DB) Stats() (s Stats, err error) {
	s.Schema = SchemaVersion
	for query, into := range map[string]*int64{
		`SELECT page_count * page_size FROM pragma_page_count, pragma_page_size`: &s.Bytes,
		`SELECT count(*) FROM scan`: &s.Scans,
		`SELECT (SELECT coalesce(sum(n), 0) FROM front) + (SELECT coalesce(sum(opened - ended), 0) FROM live JOIN delta USING (sweep))`: &s.Open,
		countIntervals: &s.Intervals,
		`SELECT coalesce(sum(intervals), 0) FROM folded`:    &s.Folded,
		`SELECT count(*) FROM outbox`:                       &s.Outbox,
		`SELECT count(*) FROM ack`:                          &s.Acks,
		`SELECT count(*) FROM finding WHERE closed IS NULL`: &s.Findings,
	} {
		if *into, err = number(db.conn, query); err != nil {
			return s, db.failed(err)
		}
	}
	err = each(db.conn, `SELECT v.name, count(DISTINCT w.id), count(*), min(c.t0), max(c.t1),
		(SELECT coalesce(sum(n), 0) FROM front WHERE vantage = v.id)
		+ (SELECT coalesce(sum(opened - ended), 0) FROM live JOIN delta USING (sweep) WHERE live.vantage = v.id),
		(SELECT count(*) FROM suspect WHERE until IS NULL AND (host >> 48) & 16383 = v.id)
		FROM vantage v JOIN sweep w ON w.vantage = v.id JOIN scan c ON c.sweep = w.id GROUP BY v.id ORDER BY v.id`, func(r *sqlite3.Stmt) error {
		s.Vantages = append(s.Vantages, VantageStats{
			Name: r.ColumnText(0), Sweeps: r.ColumnInt64(1), Scans: r.ColumnInt64(2), First: time.Unix(0, r.ColumnInt64(3)), Last: time.Unix(0, r.ColumnInt64(4)),
			Open: r.ColumnInt64(5), Suspects: r.ColumnInt64(6),
		})
		return nil
	})
	return s, db.failed(err)
}

// Prune forgets intervals, services and findings that ended before a moment, and which sweeps changed what until then: what is open is never
// touched. Of the intervals, counts by month are kept. The file then gets smaller, for which the disk needs room for a copy. It returns how many
// intervals were forgotten.
func (db *DB) Prune(before time.Time) (forgotten int64, err error) {
	if forgotten, err = db.prune(before); err != nil {
		return 0, db.failed(err)
	}
	if err := db.conn.Exec("VACUUM"); err != nil {
		return forgotten, db.failed(err)
	}
	_, _, err = db.conn.WALCheckpoint("main", sqlite3.CHECKPOINT_TRUNCATE)
	return forgotten, db.failed(err)
}

func (db *DB) prune(before time.Time) (forgotten int64, err error) {
	tx, err := db.conn.BeginImmediate()
	if err != nil {
		return 0, err
	}
	defer tx.End(&err)
	db.writes++
	if err := db.endPieces(); err != nil {
		return 0, err
	}
	err = run(db.conn, `CREATE TEMP TABLE IF NOT EXISTS old AS SELECT 0 AS sweep`)
	if err == nil {
		err = run(db.conn, `DELETE FROM old`)
	}
	if err == nil { // all sweeps up to the last that ended before, in their order, and never the newest
		err = run(db.conn, `INSERT INTO old SELECT w.id FROM sweep w WHERE w.place <= (SELECT max(x.place) FROM sweep x
			WHERE x.vantage = w.vantage AND NOT EXISTS (SELECT 1 FROM scan c WHERE c.sweep = x.id AND c.t1 >= ?1))
			AND w.place < (SELECT max(place) FROM sweep x WHERE x.vantage = w.vantage)`, before.UnixNano())
	}
	if err != nil {
		return 0, err
	}
	if forgotten, err = number(db.conn, `SELECT count(*) FROM past WHERE ended >> 2 IN (SELECT sweep FROM old)`); err != nil {
		return 0, err
	}
	for _, query := range []string{
		`INSERT INTO folded SELECT strftime('%Y-%m', c.t1 / 1000000000, 'unixepoch'), count(*), count(DISTINCT p.ended >> 2)
			FROM past p JOIN (SELECT sweep, max(t1) AS t1 FROM scan GROUP BY sweep) c ON c.sweep = p.ended >> 2 WHERE p.ended >> 2 IN (SELECT sweep FROM old) GROUP BY 1
			ON CONFLICT (month) DO UPDATE SET intervals = intervals + excluded.intervals, sweeps = sweeps + excluded.sweeps`,
		`DELETE FROM past WHERE ended >> 2 IN (SELECT sweep FROM old)`,
		`DELETE FROM service WHERE until IN (SELECT sweep FROM old)`,
		`DELETE FROM suspect WHERE until IN (SELECT sweep FROM old)`,
		`DELETE FROM delta WHERE sweep IN (SELECT sweep FROM old)`,
		`UPDATE era SET n = (SELECT count(*) FROM past WHERE past.era = era.id)`,
		`DELETE FROM era WHERE n = 0`,
	} {
		if err := run(db.conn, query); err != nil {
			return 0, err
		}
	}
	for _, query := range []string{`DELETE FROM finding WHERE closed < ?`, `DELETE FROM told WHERE at < ?`} {
		if err := run(db.conn, query, before.UnixNano()); err != nil {
			return 0, err
		}
	}
	return forgotten, nil
}

// Ack is that somebody knows of a finding: the event_id of a change, or the violation_id of a violation.
type Ack struct {
	ID   string
	At   time.Time
	Who  string
	Note string
}

// Acknowledge keeps that somebody knows of a finding, instead of what was kept of it before.
func (db *DB) Acknowledge(a Ack) error {
	return db.failed(run(db.conn, `INSERT OR REPLACE INTO ack VALUES (?, ?, ?, ?)`, a.ID, a.At.UnixNano(), a.Who, a.Note))
}

// Unacknowledge takes it back, and tells whether there was one.
func (db *DB) Unacknowledge(id string) (bool, error) {
	n, err := number(db.conn, `DELETE FROM ack WHERE id = ? RETURNING 1`, id)
	return n > 0, db.failed(err)
}

// Acks are all that are kept, the oldest first.
func (db *DB) Acks() (all []Ack, err error) {
	err = each(db.conn, `SELECT id, at, who, note FROM ack ORDER BY at, id`, func(s *sqlite3.Stmt) error {
		all = append(all, Ack{s.ColumnText(0), time.Unix(0, s.ColumnInt64(1)), s.ColumnText(2), s.ColumnText(3)})
		return nil
	})
	return all, db.failed(err)
}

// Undelivered is an event of the outbox: a JSON line without its end.
type Undelivered struct {
	ID     int64
	Record []byte
}

// Outbox are events that were not delivered yet, in their order, behind one of them, or from the first for 0, at most so many.
func (db *DB) Outbox(behind int64, most int) (all []Undelivered, err error) {
	err = each(db.conn, `SELECT id, record FROM outbox WHERE id > ? ORDER BY id LIMIT ?`, func(s *sqlite3.Stmt) error {
		all = append(all, Undelivered{s.ColumnInt64(0), s.ColumnBlob(1, nil)})
		return nil
	}, behind, most)
	return all, db.failed(err)
}

// Waiting is how many events were not delivered yet.
func (db *DB) Waiting() (int64, error) {
	n, err := number(db.conn, `SELECT count(*) FROM outbox`)
	return n, db.failed(err)
}

// Delivered takes the events up to one out of the outbox: every output has them.
func (db *DB) Delivered(last int64) error {
	return db.failed(run(db.conn, `DELETE FROM outbox WHERE id <= ?`, last))
}
