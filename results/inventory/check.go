package inventory

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/ncruces/go-sqlite3"
)

// checkCopies compares what the database has twice: the front with cur, eras with past, and each delta with the intervals that begin and end with its sweep.
func (db *DB) checkCopies() error {
	ids, names, err := db.vantages("")
	if err != nil {
		return err
	}
	for i, id := range ids {
		if err := db.checkVantage(id); err != nil {
			return db.damaged(fmt.Errorf("vantage %s: %w", names[i], err))
		}
	}
	counted, err := number(db.conn, countIntervals)
	if err != nil {
		return err
	}
	if n, err := number(db.conn, `SELECT count(*) FROM past`); err != nil || n != counted {
		return cmp.Or(err, db.damaged(fmt.Errorf("past has %d intervals, and its eras count %d", n, counted)))
	}
	return nil
}

func (db *DB) checkVantage(vantage int64) error {
	front, err := db.front(vantage)
	if err != nil {
		return err
	}
	var keys []key
	want := map[int64][]toggle{}
	for _, span := range spansOf(vantage) {
		err := each(db.conn, `SELECT ep, since FROM cur WHERE ep BETWEEN ? AND ? ORDER BY ep`, func(s *sqlite3.Stmt) error {
			k := key(s.ColumnInt64(0))
			keys = append(keys, k)
			want[s.ColumnInt64(1)] = append(want[s.ColumnInt64(1)], toggle{key: k, opened: true})
			return nil
		}, span.first, span.last)
		if err != nil {
			return err
		}
		err = each(db.conn, `SELECT ep, since, ended >> 2 FROM past WHERE ep BETWEEN ? AND ?`, func(s *sqlite3.Stmt) error {
			k := key(s.ColumnInt64(0))
			want[s.ColumnInt64(1)] = append(want[s.ColumnInt64(1)], toggle{key: k, opened: true})
			want[s.ColumnInt64(2)] = append(want[s.ColumnInt64(2)], toggle{key: k})
			return nil
		}, span.first, span.last)
		if err != nil {
			return err
		}
	}
	if !slices.Equal(front, keys) {
		return fmt.Errorf("front has %d open endpoints, cur %d, and not the same", len(front), len(keys))
	}
	return each(db.conn, `SELECT d.sweep FROM delta d JOIN sweep w ON w.id = d.sweep WHERE w.vantage = ?`, func(s *sqlite3.Stmt) error {
		return db.checkDelta(s.ColumnInt64(0), want[s.ColumnInt64(0)])
	}, vantage)
}

// checkDelta compares a delta with the changes of its sweep that intervals show. Of intervals that were pruned, only their ends are missing there.
func (db *DB) checkDelta(sweep int64, want []toggle) error {
	got, err := db.delta(sweep)
	if err != nil {
		return fmt.Errorf("delta of sweep %d: %w", sweep, err)
	}
	have := make(map[key]bool, len(got))
	for i := range got {
		have[got[i].key] = got[i].opened
	}
	for i := range want {
		if opened, known := have[want[i].key]; !known || opened != want[i].opened {
			return fmt.Errorf("sweep %d: an interval is not in its delta", sweep)
		}
	}
	if len(want) != len(got) {
		return fmt.Errorf("sweep %d: its delta has %d changes, and the intervals have %d", sweep, len(got), len(want))
	}
	return nil
}
