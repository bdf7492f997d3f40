package inventory

import (
	"iter"
	"net/netip"
	"time"

	"github.com/ncruces/go-sqlite3"

	"synoptic/results"
)

// What a policy needs to know besides OpenPorts: what was asked, which hosts open everything, and what was open lately.

// Coverage is what a vantage has asked.
type Coverage struct {
	db *DB
	t  *timeline
}

// Coverage reads what a vantage has asked by now; one without scans has asked nothing.
func (db *DB) Coverage(vantage string) (*Coverage, error) {
	id, known, err := db.findVantage(vantage)
	if err == nil && !known {
		id = -1
	}
	if err != nil {
		return nil, db.failed(err)
	}
	t, err := db.timeline(id)
	return &Coverage{db, t}, db.failed(err)
}

// Asked is the newest scan that has asked an endpoint while evidence held and may be believed about its host, and when that scan began, in nanoseconds
// since the Unix epoch. After an error, see Err, it is false.
func (c *Coverage) Asked(at netip.AddrPort) (scanID string, begun int64, asked bool) {
	k, known, err := c.db.findKey(c.t.vantage, at)
	if err != nil && c.t.err == nil {
		c.t.err = err
	}
	if !known { // an address of which nothing was ever open is nobody's suspect
		k = key6(c.t.vantage, 0, at.Port())
	}
	if sweep := c.t.lastAsked(k, at, -1, len(c.t.sweeps)); sweep >= 0 && c.t.err == nil {
		p := c.t.pieceOf(at, sweep)
		return p.scanID, p.t0, true
	}
	return "", 0, false
}

// Err is the first error of reading what was covered.
func (c *Coverage) Err() error { return c.db.failed(c.t.err) }

// SuspectHost is a host that seems to open every port by now.
type SuspectHost struct {
	Addr    netip.Addr
	Port    uint16 // one of its ports
	Vantage string
	Reasons results.Suspect
	// First is the end of the scan that showed it so first, Last that of the newest that asked the port.
	First, Last time.Time
	FirstScan   string
}

// SuspectHosts are those of a vantage, or of all for "".
func (db *DB) SuspectHosts(vantage string) ([]SuspectHost, error) {
	ids, names, err := db.vantages(vantage)
	var all []SuspectHost
	for i, id := range ids {
		if err == nil {
			all, err = db.suspectHosts(all, id, names[i])
		}
	}
	return all, db.failed(err)
}

func (db *DB) suspectHosts(all []SuspectHost, vantage int64, name string) ([]SuspectHost, error) {
	t, err := db.timeline(vantage)
	if err != nil {
		return nil, err
	}
	err = each(db.conn, `SELECT host, since, port, reasons FROM suspect WHERE until IS NULL`, func(s *sqlite3.Stmt) error {
		host := key(s.ColumnInt64(0))
		if host.vantage() != vantage {
			return nil
		}
		at, err := db.addrPort(host | key(s.ColumnInt64(2)))
		if err != nil {
			return err
		}
		since, known := t.index[s.ColumnInt64(1)]
		if !known {
			return errBlob
		}
		last := since
		for i := len(t.sweeps) - 1; i > since && last == since; i-- {
			if t.coveredBy(at, i) != nil {
				last = i
			}
		}
		first := t.pieceOf(at, since)
		_, t1 := t.times(at, last)
		all = append(all, SuspectHost{
			Addr: at.Addr(), Port: at.Port(), Vantage: name, Reasons: results.Suspect(s.ColumnInt64(3)),
			First: time.Unix(0, first.t1), Last: time.Unix(0, t1), FirstScan: first.scanID,
		})
		return t.err
	})
	return all, err
}

// EndedSince yields the intervals of a vantage, or of all for "", that ended after a moment, in no order.
func (db *DB) EndedSince(vantage string, since time.Time) iter.Seq2[Interval, error] {
	return func(yield func(Interval, error) bool) {
		err := db.endedSince(vantage, since, func(i Interval) bool { return yield(i, nil) })
		if err != nil {
			yield(Interval{}, db.failed(err))
		}
	}
}

func (db *DB) endedSince(vantage string, since time.Time, yield func(Interval) bool) error {
	ids, names, err := db.vantages(vantage)
	if err != nil {
		return err
	}
	for i, id := range ids {
		t, err := db.timeline(id)
		if err != nil {
			return err
		}
		for _, span := range spansOf(id) {
			more := true
			err := each(db.conn, `SELECT ep, since, gap, ended >> 2, ended & 3 FROM past WHERE ep BETWEEN ? AND ?`, func(s *sqlite3.Stmt) error {
				if until, known := t.index[s.ColumnInt64(3)]; known {
					if _, t1 := t.bounds(until); t1 <= since.UnixNano() {
						return nil
					}
				}
				one, err := t.ended(s, names[i])
				if err == nil && !yield(one) {
					more, err = false, errEnough
				}
				return err
			}, span.first, span.last)
			if !more {
				return nil
			}
			if err != nil {
				return err
			}
		}
		if t.err != nil {
			return t.err
		}
	}
	return nil
}

// Vantages are the names of all.
func (db *DB) Vantages() ([]string, error) {
	_, names, err := db.vantages("")
	return names, db.failed(err)
}
