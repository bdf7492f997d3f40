package inventory

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ncruces/go-sqlite3"

	"synoptic/results"
)

// Judgement is what a policy says of what the database knows.
type Judgement struct {
	Vantages   []string            // that were judged
	Violations []results.Violation // of these, that stand, in the order in which they are to be told
	// Over tells whether a violation that stood before, and is not among them, stands no more; false: nothing is known of it by now.
	Over func(*results.Violation) bool
}

// Judged is what a judgement has changed.
type Judged struct {
	Opened, Closed int // violations that were told of
	Open           int // that stand, those that were known included
}

// Judge holds a judgement against the findings, those violations that stood by the one before. What stands and is no finding becomes one, what is
// over ends one, and a record of each is put into the outbox, all in one transaction. The judgement is made in it, too: nobody changes
// meanwhile what it rests on.
func (db *DB) Judge(now time.Time, judge func() (Judgement, error)) (done Judged, err error) {
	tx, err := db.conn.BeginImmediate()
	if err != nil {
		return done, db.failed(err)
	}
	foreign := false
	defer func() {
		tx.End(&err)
		if !foreign {
			err = db.failed(err)
		}
	}()
	j, err := judge()
	if err != nil {
		foreign = true // in its own words
		return done, err
	}
	return db.settle(now, &j)
}

// settle does it.
func (db *DB) settle(now time.Time, j *Judgement) (done Judged, err error) {
	numbers, known := map[string]int64{}, map[string]results.Violation{}
	for _, name := range j.Vantages {
		id, is, err := db.findVantage(name)
		if err != nil {
			return done, err
		}
		if numbers[name] = id; is {
			if err := db.openFindings(id, known); err != nil {
				return done, err
			}
		}
	}
	var events []results.Notice
	for i := range j.Violations {
		v := j.Violations[i]
		id := v.ID().String()
		if _, stood := known[id]; stood {
			delete(known, id)
			done.Open++
			continue
		}
		v.Status, v.Time, v.Opener = results.ViolationOpened, now.UnixNano(), ""
		if err := db.open(id, numbers[v.Vantage], &v); err != nil {
			return done, err
		}
		events = append(events, &v)
		done.Opened, done.Open = done.Opened+1, done.Open+1
	}
	for _, id := range slices.Sorted(maps.Keys(known)) {
		v := known[id]
		if !j.Over(&v) {
			done.Open++
			continue
		}
		v.Status, v.Time = results.ViolationClosed, now.UnixNano()
		if err := run(db.conn, `UPDATE finding SET closed = ? WHERE id = ? AND closed IS NULL`, v.Time, id); err != nil {
			return done, err
		}
		events = append(events, &v)
		done.Closed++
	}
	return done, db.enqueue(events)
}

// open makes the row of a finding, which may have been one before.
func (db *DB) open(id string, vantage int64, v *results.Violation) error {
	n, err := number(db.conn, `SELECT count(*) FROM finding WHERE id = ?`, id)
	if err != nil {
		return err
	}
	again, err := number(db.conn, `SELECT count(*) FROM finding WHERE id = ? AND scan = ?`, id, v.ScanID)
	if err != nil {
		return err
	}
	v.Again = int(again)
	line, err := v.AppendJSON(nil)
	if err != nil {
		return err
	}
	return run(db.conn, `INSERT INTO finding VALUES (?, ?, ?, ?, ?, NULL, ?)`, id, n+1, vantage, v.ScanID, v.Time, string(line))
}

// openFindings adds those of a vantage by their violation_id.
func (db *DB) openFindings(vantage int64, all map[string]results.Violation) error {
	return each(db.conn, `SELECT id, record FROM finding WHERE vantage = ? AND closed IS NULL`, func(s *sqlite3.Stmt) error {
		var v results.Violation
		if err := json.Unmarshal([]byte(s.ColumnText(1)), &v); err != nil {
			return fmt.Errorf("%w: finding %s: %w", errBlob, s.ColumnText(0), err)
		}
		all[s.ColumnText(0)] = v
		return nil
	}, vantage)
}

// Findings are the violations that stand by the last judgement, as they were opened, by their violation_id: of a vantage, or of all for "".
func (db *DB) Findings(vantage string) (map[string]results.Violation, error) {
	all := map[string]results.Violation{}
	ids, _, err := db.vantages(vantage)
	for _, id := range ids {
		if err == nil {
			err = db.openFindings(id, all)
		}
	}
	return all, db.failed(err)
}

// enqueue puts events into the outbox. One that is there is the same, told again. Of those that no other table has it keeps that they were told.
func (db *DB) enqueue(events []results.Notice) error {
	s, _, err := db.conn.Prepare(`INSERT OR IGNORE INTO outbox (event_id, record) VALUES (?, ?)`)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, e := range events {
		id := e.EventID()
		line, err := e.AppendJSON(nil)
		if err != nil {
			return err
		}
		if err := errors.Join(bind(s, []any{id[:], line}), s.Exec()); err != nil {
			return err
		}
		if c, ok := e.(*results.Change); ok && c.Change >= results.ChangeHostUp {
			if err := run(db.conn, `INSERT OR IGNORE INTO told VALUES (?, ?)`, id.String(), time.Time(c.Time).UnixNano()); err != nil {
				return err
			}
		}
	}
	return nil
}
