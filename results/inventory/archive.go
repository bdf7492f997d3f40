package inventory

import (
	"slices"

	"github.com/ncruces/go-sqlite3"
)

// how an interval ended.
type how uint8

const (
	howShut        how = iota // it was not open any more; the records do not tell a RST from silence
	howClosed                 // a RST came
	howGone                   // nothing came, or an error of the network
	howUnreachable            // an ICMP error says that nobody is there
)

// pastRow is a row of table past. Sweeps are rows of sweep.
type pastRow struct {
	era          int64
	since, until int64
	gap          *int64
	how          how
}

// archive is table past. Its rows are in eras, so that those of a day lie close together; of each era a Bloom filter tells which
// endpoints are surely not in it.
type archive struct {
	conn   *sqlite3.Conn
	packer *packer
	eras   []*era
	insert *sqlite3.Stmt
	find   *sqlite3.Stmt
	lazy   bool // of a piece in progress: filters are written when it ends
}

type era struct {
	id, n   int64
	filter  []byte
	dirty   bool
	pending int64 // rows that a piece in progress has added: the table counts them when the piece ends
}

const (
	eraRows     = 1 << 18
	filterBytes = eraRows // eight bits a row, five of them set: 2 % of what is not there seems to be
	filterBits  = 5
)

func newArchive(db *DB) (a *archive, err error) {
	a = &archive{conn: db.conn, packer: db.packer}
	err = each(db.conn, `SELECT id, n, filter FROM era ORDER BY id`, func(s *sqlite3.Stmt) error {
		plain, err := a.packer.open(s.ColumnRawBlob(2))
		if err == nil && len(plain) != filterBytes {
			err = errBlob
		}
		a.eras = append(a.eras, &era{id: s.ColumnInt64(0), n: s.ColumnInt64(1), filter: append([]byte(nil), plain...)})
		return err
	})
	if err != nil {
		return nil, err
	}
	if a.insert, _, err = db.conn.Prepare(`INSERT INTO past VALUES (?, ?, ?, ?, ?)`); err != nil {
		return nil, err
	}
	if a.find, _, err = db.conn.Prepare(`SELECT since, gap, ended >> 2, ended & 3 FROM past WHERE era = ? AND ep = ?`); err != nil {
		a.insert.Close()
		return nil, err
	}
	if err := a.overlay(db); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

// overlay adds to the filters what pieces in progress have ended.
func (a *archive) overlay(db *DB) error {
	sweeps, err := db.allLive()
	if err != nil {
		return err
	}
	for _, sweep := range sweeps {
		err := a.eachEnded(db, sweep, func(e *era, k key) {
			e.take(k)
			e.pending++
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// eachEnded calls a function for each endpoint that a sweep has ended, with the era of its interval.
func (a *archive) eachEnded(db *DB, sweep int64, f func(*era, key)) error {
	changes, err := db.delta(sweep)
	if err != nil {
		return err
	}
	for i := range changes {
		if changes[i].opened {
			continue
		}
		e, err := a.eraOf(changes[i].key, sweep)
		if err != nil {
			return err
		}
		f(e, changes[i].key)
	}
	return nil
}

// eraOf is the era of the interval of an endpoint that a sweep has ended: most often the newest.
func (a *archive) eraOf(k key, until int64) (*era, error) {
	for _, e := range slices.Backward(a.eras) {
		rows, err := a.rows(e, k, nil)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(rows, func(r pastRow) bool { return r.until == until }) {
			return e, nil
		}
	}
	return nil, errBlob
}

// settle has the filters written with what the pieces of a vantage have added, which is the sweep in progress.
func (a *archive) settle(db *DB, sweep int64) error {
	err := a.eachEnded(db, sweep, func(e *era, _ key) {
		e.pending--
		e.n++
		e.dirty = true
	})
	if err != nil {
		return err
	}
	return a.save()
}

func (a *archive) close() {
	a.insert.Close()
	a.find.Close()
}

// bits calls a function with each bit of the filter that a key stands for, as long as that returns true.
func (k key) bits(set func(at uint64) bool) bool {
	h := uint64(k) * 0x9e3779b97f4a7c15 // Fibonacci hashing, then the mixer of SplitMix64
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	h ^= h >> 31
	step := h>>32 | 1 // double hashing: Kirsch and Mitzenmacher, 2006
	for range filterBits {
		if !set(h % (8 * filterBytes)) {
			return false
		}
		h += step
	}
	return true
}

func (e *era) mayHave(k key) bool {
	return k.bits(func(at uint64) bool { return e.filter[at/8]>>(at%8)&1 != 0 })
}

func (e *era) take(k key) {
	k.bits(func(at uint64) bool { e.filter[at/8] |= 1 << (at % 8); return true })
}

func (e *era) full() bool { return e.n+e.pending >= eraRows }

// add puts a row into the newest era.
func (a *archive) add(k key, r pastRow) error {
	if len(a.eras) == 0 || a.eras[len(a.eras)-1].full() {
		id := int64(1)
		if len(a.eras) > 0 {
			id = a.eras[len(a.eras)-1].id + 1
		}
		a.eras = append(a.eras, &era{id: id, filter: make([]byte, filterBytes), dirty: true})
	}
	e := a.eras[len(a.eras)-1]
	if e.take(k); a.lazy {
		e.pending++
	} else {
		e.n, e.dirty = e.n+1, true
	}
	gap := any(nil)
	if r.gap != nil {
		gap = *r.gap
	}
	if err := bind(a.insert, []any{e.id, k, r.since, gap, r.until<<2 | int64(r.how)}); err != nil {
		return err
	}
	return a.insert.Exec()
}

// of are the rows of an endpoint, in no order.
func (a *archive) of(k key) (all []pastRow, err error) {
	for _, e := range a.eras {
		if !e.mayHave(k) {
			continue
		}
		if all, err = a.rows(e, k, all); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// rows appends those of an endpoint in an era.
func (a *archive) rows(e *era, k key, all []pastRow) ([]pastRow, error) {
	if err := bind(a.find, []any{e.id, k}); err != nil {
		return nil, err
	}
	for a.find.Step() {
		r := pastRow{era: e.id, since: a.find.ColumnInt64(0), until: a.find.ColumnInt64(2), how: how(a.find.ColumnInt(3))}
		if a.find.ColumnType(1) != sqlite3.NULL {
			gap := a.find.ColumnInt64(1)
			r.gap = &gap
		}
		all = append(all, r)
	}
	if err := a.find.Err(); err != nil {
		return nil, err
	}
	return all, a.find.Reset()
}

// remove takes a row away. The filter keeps the endpoint, which costs a look-up.
func (a *archive) remove(k key, r pastRow) error {
	for _, e := range a.eras {
		if e.id == r.era {
			e.n, e.dirty = e.n-1, true
		}
	}
	return run(a.conn, `DELETE FROM past WHERE era = ? AND ep = ? AND since = ?`, r.era, k, r.since)
}

// save writes what has changed of the eras.
func (a *archive) save() error {
	for _, e := range a.eras {
		if !e.dirty {
			continue
		}
		if err := run(a.conn, `INSERT OR REPLACE INTO era VALUES (?, ?, ?)`, e.id, e.n, a.packer.seal(e.filter)); err != nil {
			return err
		}
		e.dirty = false
	}
	return nil
}
