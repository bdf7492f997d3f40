package inventory

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/ncruces/go-sqlite3"

	"synoptic/results"
)

// vantageOf is the number of a vantage, which it gets here at first.
func (db *DB) vantageOf(name string) (int64, error) {
	id, known, err := db.findVantage(name)
	if known || err != nil {
		return id, err
	}
	if id, err = number(db.conn, `SELECT coalesce(max(id) + 1, 0) FROM vantage`); err != nil {
		return 0, err
	}
	if id > maxVantage {
		return 0, &Error{Path: db.path, msg: "it has 16,384 vantages, and has no room for another", hint: "give scans from one place the same vantage"}
	}
	return id, run(db.conn, `INSERT INTO vantage VALUES (?, ?)`, id, name)
}

func (db *DB) findVantage(name string) (id int64, known bool, err error) {
	err = each(db.conn, `SELECT id FROM vantage WHERE name = ?`, func(s *sqlite3.Stmt) error { id, known = s.ColumnInt64(0), true; return nil }, name)
	return id, known, err
}

// numbers6 are the numbers of IPv6 addresses, which they get here at first.
func (db *DB) numbers6(addrs []netip.Addr) ([]int64, error) {
	numbers := make([]int64, len(addrs))
	for i, a := range addrs {
		id, err := number(db.conn, `INSERT INTO addr6 (ip) VALUES (?) ON CONFLICT (ip) DO UPDATE SET ip = ip RETURNING id`, a.AsSlice())
		if err != nil {
			return nil, err
		}
		numbers[i] = id
	}
	return numbers, nil
}

// openNow are the endpoints of a vantage that are open by now, by vantage's number.
func (db *DB) openNow(vantage string) (map[int64][]key, error) {
	id, known, err := db.findVantage(vantage)
	if err != nil || !known {
		return map[int64][]key{}, err
	}
	front, err := db.front(id)
	return map[int64][]key{id: front}, err
}

// isOpen looks an endpoint up among those of openNow.
func (db *DB) isOpen(open map[int64][]key, at netip.AddrPort) (bool, error) {
	for vantage, front := range open {
		k, known, err := db.findKey(vantage, at)
		if err != nil || !known {
			return false, err
		}
		_, found := slices.BinarySearch(front, k)
		return found, nil
	}
	return false, nil
}

// findKey is the key of an endpoint; false where the database has never seen its address.
func (db *DB) findKey(vantage int64, at netip.AddrPort) (k key, known bool, err error) {
	addr := at.Addr().Unmap().WithZone("")
	if addr.Is4() {
		return key4(vantage, addr, at.Port()), true, nil
	}
	err = each(db.conn, `SELECT id FROM addr6 WHERE ip = ?`, func(s *sqlite3.Stmt) error {
		k, known = key6(vantage, s.ColumnInt64(0), at.Port()), true
		return nil
	}, addr.AsSlice())
	return k, known, err
}

// protos are the names of services by their rows.
func (db *DB) protos() (map[int64]string, error) {
	all := map[int64]string{}
	return all, each(db.conn, `SELECT id, name FROM proto`, func(s *sqlite3.Stmt) error { all[s.ColumnInt64(0)] = s.ColumnText(1); return nil })
}

// protoOf is the row of a service, which it gets here at first.
func (db *DB) protoOf(name string) (int64, error) {
	return number(db.conn, `INSERT INTO proto (name) VALUES (?) ON CONFLICT (name) DO UPDATE SET name = name RETURNING id`, name)
}

// spaceOf is the row of a plan's text.
func (db *DB) spaceOf(plan *results.Plan, space Space) (int64, error) {
	return number(db.conn, `INSERT INTO space (sha256, spec, n) VALUES (?, ?, ?) ON CONFLICT (sha256) DO UPDATE SET n = n RETURNING id`,
		plan.SHA256, string(plan.Text), int64(space.Len()))
}

// front are the keys of a vantage's open endpoints, ascending: what table cur has, to be read at once. What a piece in progress has
// changed is not in the blob.
func (db *DB) front(vantage int64) (keys []key, err error) {
	err = each(db.conn, `SELECT blob FROM front WHERE vantage = ?`, func(s *sqlite3.Stmt) error {
		keys, err = db.packer.unpackKeys(s.ColumnRawBlob(0))
		return err
	}, vantage)
	if err != nil {
		return nil, err
	}
	sweep, err := db.live(vantage)
	if err != nil || sweep == 0 {
		return keys, err
	}
	changes, err := db.delta(sweep)
	if err != nil {
		return nil, err
	}
	var without, with []key
	for i := range changes {
		if changes[i].opened {
			with = append(with, changes[i].key)
		} else {
			without = append(without, changes[i].key)
		}
	}
	return edited(keys, without, with), nil
}

func (db *DB) setFront(vantage int64, keys []key) error {
	return run(db.conn, `INSERT OR REPLACE INTO front VALUES (?, ?, ?)`, vantage, len(keys), db.packer.packKeys(keys))
}

// forget drops what was read in a transaction that was rolled back.
func (db *DB) forget() {
	db.spaces.forget()
	db.writes++
}

// place finds the sweep of a new scan, or makes it, and returns its index.
func (t *timeline) place(p *piece, byTime bool) (int, error) {
	at := len(t.sweeps)
	for byTime && at > 0 {
		if t0, _ := t.bounds(at - 1); t0 <= p.t0 {
			break
		}
		at--
	}
	for _, i := range []int{at - 1, at} {
		if i >= 0 && i < len(t.sweeps) && t.continues(i, p) {
			t.sweeps[i].read = append(t.sweeps[i].read, p)
			return i, t.err
		}
	}
	if err := run(t.db.conn, `UPDATE sweep SET place = place + 1 WHERE vantage = ? AND place >= ?`, t.vantage, at); err != nil {
		return 0, err
	}
	id, err := number(t.db.conn, `INSERT INTO sweep (vantage, place) VALUES (?, ?) RETURNING id`, t.vantage, at)
	t.sweeps = slices.Insert(t.sweeps, at, &sweep{id: id, read: []*piece{p}})
	for i, s := range t.sweeps[at:] {
		t.index[s.id] = at + i
	}
	return at, errors.Join(err, t.err)
}

// continues tells whether a scan is a piece of the plan of a sweep, of which nothing was asked before.
func (t *timeline) continues(i int, p *piece) bool {
	some := false
	for _, q := range t.pieces(i) {
		if q.monitor || p.monitor {
			return false
		}
		parts := t.sets(q)
		if len(parts) != len(p.parts) {
			return false
		}
		for i := range parts {
			mine, other := &p.parts[i], &parts[i]
			if mine.number != other.number || mine.space != other.space || mine.seed != other.seed {
				return false
			}
			if mine.covered.Minus(other.covered).Len() != mine.covered.Len() {
				return false
			}
			some = some || mine.covered.Len() > 0 && other.n > 0
		}
	}
	return some
}

// store makes the rows of a scan.
func (t *timeline) store(at int, p *piece, start *results.ScanStart, e *results.ScanEnd, open, suspects int) error {
	var missed any
	if e.MissedOpen != nil {
		missed = e.MissedOpen.High
	}
	var err error
	p.scan, err = number(t.db.conn, `INSERT INTO scan (scan_id, sweep, t0, t1, probes, sent, open, suspects, rx_drops, missed_hi, coverage, complete, error, monitor)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`, p.scanID, t.sweeps[at].id, p.t0, p.t1, int64(start.Probes), int64(e.Sent), open,
		suspects, int64(e.RxDrops), missed, e.Coverage, e.Complete, e.Error, p.monitor)
	if err != nil {
		return err
	}
	s, _, err := t.db.conn.Prepare(`INSERT INTO covered VALUES (?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	defer s.Close()
	for i := range p.parts {
		q := &p.parts[i]
		if err := run(t.db.conn, `INSERT INTO part VALUES (?, ?, ?, ?)`, p.scan, q.number, q.space, q.seed); err != nil {
			return err
		}
		for r := range q.covered.Ranges() {
			if err := bind(s, []any{p.scan, q.number, int64(r.Begin), int64(r.End)}); err != nil {
				return err
			}
			if err := s.Exec(); err != nil {
				return err
			}
		}
	}
	return nil
}

// storeSuspects begins and ends the runs of sweeps in which hosts seemed to open every port.
func (t *timeline) storeSuspects(at int, vantage int64, in *Ingest, seen []sighting) error {
	now, until := t.sweeps[at].id, any(nil)
	if at+1 < len(t.sweeps) {
		until = t.sweeps[at+1].id
	}
	doubted := map[key]bool{}
	for addr, s := range in.suspects {
		host := in.lasting(vantage, in.keyOf(addr, 0))
		doubted[host] = true
		if t.suspected(host, at) {
			continue
		}
		if err := run(t.db.conn, `INSERT OR REPLACE INTO suspect VALUES (?, ?, ?, ?, ?)`, host, now, until, int64(s.port), int64(s.reasons)); err != nil {
			return err
		}
		last, _ := until.(int64)
		t.suspects[host] = append(t.suspects[host], suspicion{now, last})
	}
	for host, all := range t.suspects {
		last := &all[len(all)-1]
		if doubted[host] || last.until != 0 || t.index[last.since] >= at {
			continue
		}
		believed, err := t.believed(host, at, seen)
		if err != nil {
			return err
		}
		if believed {
			last.until = now
			if err := run(t.db.conn, `UPDATE suspect SET until = ? WHERE host = ? AND since = ?`, now, host, last.since); err != nil {
				return err
			}
		}
	}
	return nil
}

// believed tells whether a scan has shown a host to be as others are: it saw open ports of it, or asked the one that it is known by and did not see it.
func (t *timeline) believed(host key, at int, seen []sighting) (bool, error) {
	i, _ := slices.BinarySearchFunc(seen, host, func(s sighting, k key) int { return compare(s.key, k) })
	if i < len(seen) && seen[i].key.host() == host {
		return true, nil
	}
	port, err := number(t.db.conn, `SELECT port FROM suspect WHERE host = ? AND until IS NULL`, host)
	if err != nil {
		return false, err
	}
	where, err := t.db.addrPort(host | key(port))
	return t.coveredBy(where, at) != nil, err
}
