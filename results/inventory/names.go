package inventory

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// ScanInfo is a scan that the database has.
type ScanInfo struct {
	ScanID     string
	Vantage    string
	Start, End time.Time
	Probes     int64
	Sent       int64
	Open       int64 // endpoints that it saw open
	Suspects   int64 // hosts that open every port
	RxDrops    int64
	Coverage   float64 // 0 to 1
	Complete   bool
	Error      string

	row, sweep, vantage int64
}

const scanColumns = `SELECT c.scan_id, v.name, c.t0, c.t1, c.probes, c.sent, c.open, c.suspects, c.complete, c.error, c.id, c.sweep, w.vantage, c.rx_drops, c.coverage
	FROM scan c JOIN sweep w ON w.id = c.sweep JOIN vantage v ON v.id = w.vantage `

// Scans are those of a vantage, or of all for "", in their order.
func (db *DB) Scans(vantage string) ([]ScanInfo, error) {
	all, err := db.scans(scanColumns+`WHERE ?1 = '' OR v.name = ?1 ORDER BY w.vantage, w.place, c.id`, vantage)
	return all, db.failed(err)
}

func (db *DB) scans(query string, args ...any) (all []ScanInfo, err error) {
	return all, each(db.conn, query, func(s *sqlite3.Stmt) error {
		all = append(all, ScanInfo{
			ScanID: s.ColumnText(0), Vantage: s.ColumnText(1), Start: time.Unix(0, s.ColumnInt64(2)), End: time.Unix(0, s.ColumnInt64(3)),
			Probes: s.ColumnInt64(4), Sent: s.ColumnInt64(5), Open: s.ColumnInt64(6), Suspects: s.ColumnInt64(7), Complete: s.ColumnBool(8),
			Error: s.ColumnText(9), row: s.ColumnInt64(10), sweep: s.ColumnInt64(11), vantage: s.ColumnInt64(12),
			RxDrops: s.ColumnInt64(13), Coverage: s.ColumnFloat(14),
		})
		return nil
	}, args...)
}

// NoScanError is a word that means no scan of the database, or more than one.
type NoScanError struct {
	Word string
	msg  string
	hint string
}

func (e *NoScanError) Error() string { return fmt.Sprintf("scan %q: %s", e.Word, e.msg) }

// Hint says how to mend it.
func (e *NoScanError) Hint() string { return e.hint }

// Find is the scan that a word means, of a vantage or of all for "": its ID or the beginning of it, "last", a name that was given to a scan
// as "baseline" is, a date (2026-11-25: the last scan that ended on that day or before), a moment (RFC 3339), or an age as 7d, 12h or 30m.
func (db *DB) Find(word, vantage string, now time.Time) (ScanInfo, error) {
	all, err := db.Scans(vantage)
	if err != nil {
		return ScanInfo{}, err
	}
	if len(all) == 0 {
		return ScanInfo{}, &NoScanError{word, "the inventory has none of this vantage", "synoptic inventory stats lists the vantages"}
	}
	named := ""
	err = each(db.conn, `SELECT scan FROM name WHERE name = ?`, func(s *sqlite3.Stmt) error { named = s.ColumnText(0); return nil }, word)
	if err != nil {
		return ScanInfo{}, db.failed(err)
	}
	until, isMoment := momentOf(word, now)
	if isMoment = isMoment && named == ""; isMoment || word == "last" {
		if names := vantagesOf(all); len(names) > 1 {
			return ScanInfo{}, &NoScanError{word, severalVantages, "choose one of " + strings.Join(names, ", ")}
		}
	}
	if isMoment {
		return lastUntil(all, word, until)
	}
	if word == "last" {
		return all[len(all)-1], nil
	}
	prefix := word
	if named != "" {
		prefix = named
	}
	var found []ScanInfo
	for _, s := range all {
		if s.ScanID == prefix {
			return s, nil
		}
		if strings.HasPrefix(s.ScanID, prefix) {
			found = append(found, s)
		}
	}
	switch {
	case len(found) == 1 && word != "":
		return found[0], nil
	case len(found) > 1:
		return ScanInfo{}, &NoScanError{word, fmt.Sprintf("%d scans begin with it", len(found)), "give more of the ID"}
	case word == Baseline:
		return ScanInfo{}, &NoScanError{word, "no scan has this name", "synoptic inventory baseline DB SCAN gives it to one"}
	}
	return ScanInfo{}, &NoScanError{word, "no scan of the inventory", "give the beginning of an ID, a date (2026-11-25), an age (7d), last, or baseline"}
}

// lastUntil is the last scan that had ended at a moment.
func lastUntil(all []ScanInfo, word string, until time.Time) (ScanInfo, error) {
	for i := len(all) - 1; i >= 0; i-- {
		if !all[i].End.After(until) {
			return all[i], nil
		}
	}
	return ScanInfo{}, &NoScanError{word, "no scan is that old", "the first is of " + all[0].Start.UTC().Format(time.RFC3339)}
}

// momentOf understands an age, a date or a moment.
func momentOf(word string, now time.Time) (time.Time, bool) {
	if age, err := ParseAge(word); err == nil {
		return now.Add(-age), true
	}
	if day, err := time.ParseInLocation(time.DateOnly, word, now.Location()); err == nil {
		return day.AddDate(0, 0, 1).Add(-1), true
	}
	t, err := time.Parse(time.RFC3339, word)
	return t, err == nil
}

// Ages are how ages may be written, for help texts and hints.
const Ages = "12h, 7d, 2w or 1y"

// ParseAge reads a duration above 0 that may have days, weeks or years of 365 days for a unit: 12h, 1.5d, 2w, 1y; a hundred years at most.
func ParseAge(word string) (time.Duration, error) {
	const day, most = 24 * time.Hour, 100 * 365 * 24 * time.Hour
	units := map[byte]time.Duration{'d': day, 'w': 7 * day, 'y': 365 * day}
	var age time.Duration
	var err error
	if n := len(word) - 1; n > 0 && units[word[n]] != 0 {
		var number float64
		number, err = strconv.ParseFloat(word[:n], 64)
		if length := number * float64(units[word[n]]); length <= float64(most) { // NaN is not
			age = time.Duration(length)
		}
	} else {
		age, err = time.ParseDuration(word)
	}
	if err != nil || age <= 0 || age > most {
		return 0, fmt.Errorf("%q is no age such as "+Ages, word)
	}
	return age, nil
}

// Baseline is the name of the scan that others are held against.
const Baseline = "baseline"

// SetName gives a name to a scan. What had it before has it no more.
func (db *DB) SetName(name string, scan ScanInfo) error {
	return db.failed(run(db.conn, `INSERT OR REPLACE INTO name VALUES (?, ?)`, name, scan.ScanID))
}

// LastTwo are the scans that a diff without words compares: the newest of a vantage, and the last of the sweep before that has asked the same, or,
// where none has, of the sweep before.
func (db *DB) LastTwo(vantage string) (a, b ScanInfo, err error) {
	all, err := db.Scans(vantage)
	if err != nil {
		return a, b, err
	}
	if names := vantagesOf(all); len(names) > 1 {
		return a, b, &Error{Path: db.path, msg: severalVantages, hint: "choose one of " + strings.Join(names, ", ")}
	}
	if len(all) > 0 {
		b = all[len(all)-1]
		plans, err := db.plansOf(b)
		if err != nil {
			return a, b, err
		}
		same := false
		for i := len(all) - 1; i >= 0 && !same; i-- {
			s := all[i]
			if s.vantage != b.vantage || s.sweep == b.sweep {
				continue
			}
			its, err := db.plansOf(s)
			if err != nil {
				return a, b, err
			}
			if same = slices.Equal(its, plans); same || a.ScanID == "" {
				a = s
			}
		}
	}
	if a.ScanID == "" {
		return a, b, &Error{Path: db.path, msg: "there are no two sweeps to compare", hint: "the next scan can be compared with the first"}
	}
	return a, b, nil
}

const severalVantages = "it has scans of several vantages"

// vantagesOf are those of scans, which come by their vantages.
func vantagesOf(all []ScanInfo) (names []string) {
	for i, s := range all {
		if i == 0 || s.vantage != all[i-1].vantage {
			names = append(names, s.Vantage)
		}
	}
	return names
}

// plansOf are the rows of the plans that a scan walked through.
func (db *DB) plansOf(scan ScanInfo) (rows []int64, err error) {
	err = each(db.conn, `SELECT DISTINCT space FROM part WHERE scan = ? ORDER BY space`, func(s *sqlite3.Stmt) error {
		rows = append(rows, s.ColumnInt64(0))
		return nil
	}, scan.row)
	return rows, db.failed(err)
}
