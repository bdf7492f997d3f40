package inventory

import (
	"errors"
	"iter"
	"net/netip"
	"slices"
	"time"

	"github.com/ncruces/go-sqlite3"

	"synoptic/results"
)

// Changes yields every change that sweeps have shown which ended after a moment, the newest sweep first, of a vantage or of all
// for "". What the first sweep of a vantage found is no change, and what was pruned is not there any more.
func (db *DB) Changes(vantage string, since time.Time) iter.Seq2[results.Change, error] {
	return func(yield func(results.Change, error) bool) {
		err := db.changes(vantage, since, func(c results.Change) bool { return yield(c, nil) })
		if err != nil && !errors.Is(err, errEnough) {
			yield(results.Change{}, db.failed(err))
		}
	}
}

// step is a sweep that is not the first of its vantage.
type step struct {
	*timeline
	vantage  string
	sweep    int
	services []succession
}

// succession is a service in the place of another.
type succession struct {
	key         key
	before, now string
}

func (s *step) end() int64 {
	_, t1 := s.bounds(s.sweep)
	return t1
}

func (db *DB) changes(vantage string, since time.Time, yield func(results.Change) bool) error {
	ids, names, err := db.vantages(vantage)
	if err != nil {
		return err
	}
	var steps []step
	for i, id := range ids {
		t, err := db.timeline(id)
		if err != nil {
			return err
		}
		services, err := db.successions(t)
		if err != nil {
			return err
		}
		for n := 1; n < len(t.sweeps); n++ {
			if s := (step{t, names[i], n, services[t.sweeps[n].id]}); !time.Unix(0, s.end()).Before(since) {
				steps = append(steps, s)
			}
		}
		if t.err != nil {
			return t.err
		}
	}
	slices.SortStableFunc(steps, func(a, b step) int { return compare(key(b.end()), key(a.end())) })
	for i := range steps {
		if err := steps[i].changes(yield); err != nil {
			return err
		}
	}
	return nil
}

// changes are those of a sweep: of ports by address, then of services.
func (s *step) changes(yield func(results.Change) bool) error {
	toggles, err := s.db.delta(s.sweeps[s.sweep].id)
	if err != nil {
		return err
	}
	tell := func(c results.Change) error {
		if s.err == nil && !yield(c) {
			return errEnough
		}
		return s.err
	}
	for i := range toggles {
		at, err := s.db.addrPort(toggles[i].key)
		if err == nil {
			err = tell(s.change(&toggles[i], at, s.vantage))
		}
		if err != nil {
			return err
		}
	}
	for _, x := range s.services {
		if _, toggled := slices.BinarySearchFunc(toggles, x.key, func(c toggle, k key) int { return compare(c.key, k) }); toggled {
			continue
		}
		c, err := s.serviceChange(x, s.sweep, s.vantage)
		if err == nil {
			err = tell(c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// successions are the services of a vantage's endpoints that others have followed, by the sweep that showed it.
func (db *DB) successions(t *timeline) (map[int64][]succession, error) {
	all := map[int64][]succession{}
	for _, span := range spansOf(t.vantage) {
		err := each(db.conn, `SELECT b.since, b.ep, p.name, q.name FROM service b JOIN service a ON a.ep = b.ep AND a.until = b.since
			JOIN proto p ON p.id = a.proto JOIN proto q ON q.id = b.proto WHERE b.ep BETWEEN ? AND ? ORDER BY b.ep`, func(s *sqlite3.Stmt) error {
			all[s.ColumnInt64(0)] = append(all[s.ColumnInt64(0)], succession{key(s.ColumnInt64(1)), s.ColumnText(2), s.ColumnText(3)})
			return nil
		}, span.first, span.last)
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Ended yields the last change of each endpoint that ended after a moment and is not open now, of a vantage or of all for "", by vantage and in
// the order of OpenPorts. Its Service is the last that was seen.
func (db *DB) Ended(vantage string, since time.Time) iter.Seq2[results.Change, error] {
	return func(yield func(results.Change, error) bool) {
		err := db.lastEnded(vantage, since, func(c results.Change) bool { return yield(c, nil) })
		if err != nil && !errors.Is(err, errEnough) {
			yield(results.Change{}, db.failed(err))
		}
	}
}

func (db *DB) lastEnded(vantage string, since time.Time, yield func(results.Change) bool) error {
	ids, names, err := db.vantages(vantage)
	if err != nil {
		return err
	}
	for i, id := range ids {
		t, err := db.timeline(id)
		if err != nil {
			return err
		}
		changes, err := t.lastSince(since)
		if err != nil {
			return err
		}
		for k := range changes {
			c := &changes[k]
			if c.opened {
				continue
			}
			at, err := db.addrPort(c.key)
			if err != nil {
				return err
			}
			record := t.change(c, at, names[i])
			if record.Service, err = db.lastService(c.key, int64(c.sweep)); err != nil || t.err != nil {
				return errors.Join(err, t.err)
			}
			if !yield(record) {
				return errEnough
			}
		}
	}
	return nil
}

// lastSince are the last changes of endpoints in the sweeps that ended after a moment, as far as they are kept.
func (t *timeline) lastSince(since time.Time) ([]toggle, error) {
	from := len(t.sweeps)
	for ; from > 0; from-- {
		if _, t1 := t.bounds(from - 1); time.Unix(0, t1).Before(since) {
			break
		}
		n, err := number(t.db.conn, `SELECT count(*) FROM delta WHERE sweep = ?`, t.sweeps[from-1].id)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			break
		}
	}
	if t.err != nil {
		return nil, t.err
	}
	return t.db.lastChanges(t, from-1, len(t.sweeps)-1)
}

// Plan is what a scan was to ask, and how many of its positions were asked while evidence held.
type Plan struct {
	Space Space  // in any order
	Asked uint64 // by the scan
	Swept uint64 // by all pieces of its sweep
}

// Plans are those that a scan walked through, one after the other; none where its records do not say.
func (db *DB) Plans(scan ScanInfo) (all []Plan, err error) {
	err = each(db.conn, `SELECT p.space, p.seed, (SELECT coalesce(sum(c."end" - c.begin), 0) FROM covered c WHERE c.scan = p.scan AND c.part = p.part),
		(SELECT coalesce(sum(c."end" - c.begin), 0) FROM scan s JOIN part q ON q.scan = s.id AND q.part = p.part AND q.space = p.space
		JOIN covered c ON c.scan = q.scan AND c.part = q.part WHERE s.sweep = ?)
		FROM part p WHERE p.scan = ? ORDER BY p.part`, func(s *sqlite3.Stmt) error {
		p, err := db.plan(s.ColumnInt64(0), s.ColumnInt64(1))
		if err != nil {
			return err
		}
		all = append(all, Plan{p.any, uint64(s.ColumnInt64(2)), uint64(s.ColumnInt64(3))})
		return nil
	}, scan.sweep, scan.row)
	return all, db.failed(err)
}

// Asked knows what the sweeps of one vantage or of all have asked while evidence held.
type Asked struct {
	db  *DB
	all []*timeline
}

// Asked reads it, of a vantage or of all for "".
func (db *DB) Asked(vantage string) (*Asked, error) {
	ids, _, err := db.vantages(vantage)
	if err != nil {
		return nil, db.failed(err)
	}
	a := &Asked{db: db}
	for _, id := range ids {
		t, err := db.timeline(id)
		if err != nil {
			return nil, db.failed(err)
		}
		a.all = append(a.all, t)
	}
	return a, nil
}

// Has tells whether a sweep has asked an endpoint, and may be believed about its host.
func (a *Asked) Has(at netip.AddrPort) (bool, error) {
	for _, t := range a.all {
		k, known, err := a.db.findKey(t.vantage, at)
		if err != nil {
			return false, a.db.failed(err)
		}
		if !known {
			k = key6(t.vantage, 0, at.Port()) // of no address: nothing is said of it
		}
		asked := t.lastAsked(k, at, -1, len(t.sweeps)) >= 0
		if asked || t.err != nil {
			return asked, a.db.failed(t.err)
		}
	}
	return false, nil
}
