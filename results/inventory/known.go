package inventory

import (
	"encoding/json"
	"errors"
	"slices"

	"github.com/ncruces/go-sqlite3"

	"synoptic/results"
)

// errFound ends a search.
var errFound = errors.New("found")

// Knows tells whether an ID is that of something that can be acknowledged: the violation_id or event_id of a finding, or the event_id of a change that
// the database keeps. Changes are looked for from the newest sweep back, for only what they are of is kept.
func (db *DB) Knows(id string) (bool, error) {
	err := db.search(id)
	if errors.Is(err, errFound) {
		return true, nil
	}
	return false, db.failed(err)
}

func (db *DB) search(id string) error {
	n, err := number(db.conn, `SELECT (SELECT count(*) FROM finding WHERE id = ?1) + (SELECT count(*) FROM told WHERE event_id = ?1)
		+ (SELECT count(*) FROM outbox WHERE lower(hex(event_id)) = ?1)`, id)
	if err != nil {
		return err
	}
	if n > 0 {
		return errFound
	}
	err = each(db.conn, `SELECT record FROM finding`, func(s *sqlite3.Stmt) error {
		var v results.Violation
		if err := json.Unmarshal([]byte(s.ColumnText(0)), &v); err != nil {
			return errBlob
		}
		for _, v.Status = range []string{results.ViolationOpened, results.ViolationOngoing, results.ViolationClosed} {
			if v.EventID().String() == id {
				return errFound
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	ids, names, err := db.vantages("")
	for i, vantage := range ids {
		if err == nil {
			err = db.searchChanges(id, vantage, names[i])
		}
	}
	return err
}

// searchChanges looks for a change of a vantage.
func (db *DB) searchChanges(id string, vantage int64, name string) error {
	t, err := db.timeline(vantage)
	if err != nil {
		return err
	}
	for _, sweep := range slices.Backward(t.sweeps) {
		all, err := db.delta(sweep.id)
		if err != nil {
			return err
		}
		for i := range all {
			at, err := db.addrPort(all[i].key)
			if err != nil {
				return err
			}
			if c := t.change(&all[i], at, name); c.EventID().String() == id {
				return errFound
			}
		}
	}
	if t.err != nil {
		return t.err
	}
	return each(db.conn, `SELECT ep, since FROM service`, func(s *sqlite3.Stmt) error {
		k := key(s.ColumnInt64(0))
		sweep, known := t.index[s.ColumnInt64(1)]
		if k.vantage() != vantage || !known {
			return nil
		}
		at, err := db.addrPort(k)
		if err != nil {
			return err
		}
		for _, p := range t.pieces(sweep) {
			c := results.Change{ScanID: p.scanID, Change: results.ChangeService, Addr: at.Addr(), Port: at.Port(), Vantage: name, Before: stateOpen, After: stateOpen}
			if c.EventID().String() == id {
				return errFound
			}
		}
		return t.err
	})
}
