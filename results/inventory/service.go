package inventory

import (
	"slices"

	"github.com/ncruces/go-sqlite3"

	"synoptic/results"
)

// serviceDiff is what services are after two sweeps: names by endpoints, of those whose service changed between them, and of all that have
// one after the later.
type serviceDiff struct {
	before, now map[key]string
	since       map[key]int // the sweep that showed the one of now
}

// serviceChanges reads it.
func (db *DB) serviceChanges(t *timeline, from, to int) (d serviceDiff, err error) {
	d = serviceDiff{map[key]string{}, map[key]string{}, map[key]int{}}
	for _, span := range spansOf(t.vantage) {
		err = each(db.conn, `SELECT s.ep, s.since, s.until, p.name FROM service s JOIN proto p ON p.id = s.proto WHERE s.ep BETWEEN ? AND ?`, func(s *sqlite3.Stmt) error {
			k, since, until := key(s.ColumnInt64(0)), t.index[s.ColumnInt64(1)], len(t.sweeps)
			if s.ColumnType(2) != sqlite3.NULL {
				until = t.index[s.ColumnInt64(2)]
			}
			if since <= from && from < until {
				d.before[k] = s.ColumnText(3)
			}
			if since <= to && (to < until || to == until && s.ColumnType(2) != sqlite3.NULL && d.now[k] == "") {
				d.now[k], d.since[k] = s.ColumnText(3), since
			}
			return nil
		}, span.first, span.last)
		if err != nil {
			return d, err
		}
	}
	return d, nil
}

// changes are those of endpoints that are open after both sweeps.
func (d *serviceDiff) changes(t *timeline, vantage string, toggles []toggle) (all []keyed) {
	for k, before := range d.before {
		now := d.now[k]
		_, toggled := slices.BinarySearchFunc(toggles, k, func(c toggle, k key) int { return compare(c.key, k) })
		if now == "" || now == before || toggled {
			continue
		}
		c, err := t.serviceChange(succession{k, before, now}, d.since[k], vantage)
		if err != nil {
			t.err = err
			return nil
		}
		all = append(all, keyed{k, c})
	}
	return all
}

// serviceChange is the record of a service that a sweep showed in the place of another.
func (t *timeline) serviceChange(x succession, sweep int, vantage string) (c results.Change, err error) {
	at, err := t.db.addrPort(x.key)
	if err != nil {
		return c, err
	}
	_, t1 := t.times(at, sweep)
	return results.Change{
		Time: moment(t1), ScanID: t.pieceOf(at, sweep).scanID, Change: results.ChangeService, Addr: at.Addr(), Port: at.Port(), Proto: "tcp", Vantage: vantage,
		Before: stateOpen, After: stateOpen, NotAfter: when(t1), Reason: "banner", Service: x.now, ServiceBefore: x.before,
	}, nil
}

// lastService is what an endpoint's server showed last before a sweep in which it ended; "" where nothing was seen.
func (db *DB) lastService(k key, until int64) (name string, err error) {
	return name, each(db.conn, `SELECT p.name FROM service s JOIN proto p ON p.id = s.proto WHERE s.ep = ? AND s.until = ?`, func(s *sqlite3.Stmt) error {
		name = s.ColumnText(0)
		return nil
	}, k, until)
}
