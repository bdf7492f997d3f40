package inventory

import (
	"cmp"
	"fmt"

	"github.com/ncruces/go-sqlite3"
)

// applicationID marks an SQLite file as an inventory: "SynI" (https://sqlite.org/fileformat2.html#application_id).
const applicationID = 0x53796e49

// steps make the schema of each version out of the one before, from an empty file on. A step that was released never changes.
var steps = []string{schema1, schema2, schema3}

// SchemaVersion is the version that this program writes, the file's user_version.
var SchemaVersion = len(steps)

// schema1 is that of version 1. Column misses of cur is 0 in every row, and nobody reads it: how often an endpoint was asked and not seen is not
// counted, as such a change is asked again at once.
const schema1 = `
CREATE TABLE vantage (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE addr6   (id INTEGER PRIMARY KEY, ip BLOB NOT NULL UNIQUE) STRICT;
CREATE TABLE space   (id INTEGER PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE, spec TEXT NOT NULL, n INTEGER NOT NULL) STRICT;
CREATE TABLE sweep   (id INTEGER PRIMARY KEY, vantage INTEGER NOT NULL REFERENCES vantage, place INTEGER NOT NULL) STRICT;
CREATE TABLE scan    (id INTEGER PRIMARY KEY, scan_id TEXT NOT NULL UNIQUE, sweep INTEGER NOT NULL REFERENCES sweep,
                      t0 INTEGER NOT NULL, t1 INTEGER NOT NULL, probes INTEGER NOT NULL, sent INTEGER NOT NULL, open INTEGER NOT NULL,
                      suspects INTEGER NOT NULL, rx_drops INTEGER NOT NULL, missed_hi REAL, coverage REAL NOT NULL, complete INTEGER NOT NULL,
                      error TEXT NOT NULL) STRICT;
CREATE TABLE part    (scan INTEGER NOT NULL REFERENCES scan, part INTEGER NOT NULL, space INTEGER NOT NULL REFERENCES space,
                      seed INTEGER NOT NULL, PRIMARY KEY (scan, part)) STRICT, WITHOUT ROWID;
CREATE TABLE covered (scan INTEGER NOT NULL, part INTEGER NOT NULL, begin INTEGER NOT NULL, "end" INTEGER NOT NULL,
                      PRIMARY KEY (scan, part, begin)) STRICT, WITHOUT ROWID;
CREATE TABLE proto   (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE cur     (ep INTEGER PRIMARY KEY, since INTEGER NOT NULL, gap INTEGER, svc INTEGER, misses INTEGER NOT NULL) STRICT;
CREATE TABLE past    (era INTEGER NOT NULL, ep INTEGER NOT NULL, since INTEGER NOT NULL, gap INTEGER, ended INTEGER NOT NULL,
                      PRIMARY KEY (era, ep, since)) STRICT, WITHOUT ROWID;
CREATE TABLE era     (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, filter BLOB NOT NULL) STRICT;
CREATE TABLE front   (vantage INTEGER PRIMARY KEY REFERENCES vantage, n INTEGER NOT NULL, blob BLOB NOT NULL) STRICT;
CREATE TABLE delta   (sweep INTEGER PRIMARY KEY REFERENCES sweep, opened INTEGER NOT NULL, ended INTEGER NOT NULL, blob BLOB NOT NULL) STRICT;
CREATE TABLE service (ep INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER, proto INTEGER NOT NULL REFERENCES proto,
                      PRIMARY KEY (ep, since)) STRICT, WITHOUT ROWID;
CREATE TABLE suspect (host INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER, port INTEGER NOT NULL, reasons INTEGER NOT NULL,
                      PRIMARY KEY (host, since)) STRICT, WITHOUT ROWID;
CREATE TABLE folded  (month TEXT PRIMARY KEY, intervals INTEGER NOT NULL, sweeps INTEGER NOT NULL) STRICT;
CREATE TABLE name    (name TEXT PRIMARY KEY, scan TEXT NOT NULL) STRICT;
CREATE TABLE ack     (id TEXT PRIMARY KEY, at INTEGER NOT NULL, who TEXT NOT NULL, note TEXT NOT NULL) STRICT;
CREATE TABLE outbox  (id INTEGER PRIMARY KEY AUTOINCREMENT, event_id BLOB NOT NULL UNIQUE, record BLOB NOT NULL) STRICT;
CREATE INDEX scan_of_sweep ON scan (sweep);

CREATE VIEW sweep_time AS
 SELECT s.id AS sweep, v.name AS vantage, s.place, min(t0) AS t0, max(t1) AS t1, count(*) AS scans, sum(sent) AS sent
 FROM sweep s JOIN vantage v ON v.id = s.vantage JOIN scan c ON c.sweep = s.id GROUP BY s.id;
CREATE VIEW open_now AS
 SELECT CASE WHEN c.ep >> 62 THEN (SELECT lower(hex(ip)) FROM addr6 WHERE id = (c.ep >> 16) & 4294967295)
        ELSE ((c.ep >> 40) & 255) || '.' || ((c.ep >> 32) & 255) || '.' || ((c.ep >> 24) & 255) || '.' || ((c.ep >> 16) & 255) END AS ip,
        c.ep & 65535 AS port, v.name AS vantage, c.since, c.since - c.gap AS after, p.name AS service
 FROM cur c JOIN vantage v ON v.id = (c.ep >> 48) & 16383 LEFT JOIN proto p ON p.id = c.svc;
CREATE VIEW was_open AS
 SELECT CASE WHEN c.ep >> 62 THEN (SELECT lower(hex(ip)) FROM addr6 WHERE id = (c.ep >> 16) & 4294967295)
        ELSE ((c.ep >> 40) & 255) || '.' || ((c.ep >> 32) & 255) || '.' || ((c.ep >> 24) & 255) || '.' || ((c.ep >> 16) & 255) END AS ip,
        c.ep & 65535 AS port, v.name AS vantage, c.since, c.since - c.gap AS after, c.ended >> 2 AS until,
        CASE c.ended & 3 WHEN 0 THEN 'shut' WHEN 1 THEN 'closed' WHEN 2 THEN 'gone' ELSE 'unreachable' END AS how
 FROM past c JOIN vantage v ON v.id = (c.ep >> 48) & 16383;
`

// A monitor's stream is written while it goes on: live has the sweep of the piece in progress, whose changes are in cur, past and delta, and not yet in
// front and era.
const schema2 = `
ALTER TABLE scan ADD COLUMN monitor INTEGER NOT NULL DEFAULT 0;
CREATE TABLE live (vantage INTEGER PRIMARY KEY REFERENCES vantage, sweep INTEGER NOT NULL REFERENCES sweep) STRICT;
`

// schema3 keeps which violations stand, and that events were told which follow from no other table.
const schema3 = `
CREATE TABLE finding (id TEXT NOT NULL, n INTEGER NOT NULL, vantage INTEGER NOT NULL REFERENCES vantage, scan TEXT NOT NULL, opened INTEGER NOT NULL,
                      closed INTEGER, record TEXT NOT NULL, PRIMARY KEY (id, n)) STRICT, WITHOUT ROWID;
CREATE TABLE told    (event_id TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX finding_open ON finding (vantage) WHERE closed IS NULL;

CREATE VIEW violation AS
 SELECT f.id AS violation_id, v.name AS vantage, record ->> 'rule' AS rule, record ->> 'severity' AS severity, record ->> 'ip' AS ip, record ->> 'port' AS port,
        record ->> 'owner' AS owner, f.opened, f.closed, f.scan, record ->> 'message' AS message
 FROM finding f JOIN vantage v ON v.id = f.vantage;
`

// migrate brings the schema from a version to the newest in one transaction.
func migrate(c *sqlite3.Conn, from int) (err error) {
	tx, err := c.BeginImmediate()
	if err != nil {
		return err
	}
	defer tx.End(&err)
	now, err := pragma(c, "user_version") // somebody else may have done it meanwhile
	if err != nil {
		return err
	}
	for _, step := range steps[min(max(from, int(now)), len(steps)):] {
		if err := c.Exec(step); err != nil {
			return err
		}
	}
	return c.Exec(fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, SchemaVersion))
}

// pragma reads one that is a number.
func pragma(c *sqlite3.Conn, name string) (int64, error) {
	return number(c, "PRAGMA "+name)
}

// number is the first column of the first row of a query, 0 where there is none.
func number(c *sqlite3.Conn, query string, args ...any) (n int64, err error) {
	err = each(c, query, func(s *sqlite3.Stmt) error { n = s.ColumnInt64(0); return nil }, args...)
	return n, err
}

// each calls a function for each row of a query. Arguments are int64, int, key, float64, string, []byte or nil.
func each(c *sqlite3.Conn, query string, row func(s *sqlite3.Stmt) error, args ...any) error {
	s, _, err := c.Prepare(query)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := bind(s, args); err != nil {
		return err
	}
	for s.Step() {
		if err := row(s); err != nil {
			return err
		}
	}
	return s.Err()
}

// again is each of a query that comes often: it is prepared once. Its function does not ask the same query.
func (db *DB) again(query string, row func(s *sqlite3.Stmt) error, args ...any) error {
	s := db.stmts[query]
	if s == nil {
		var err error
		if s, _, err = db.conn.Prepare(query); err != nil {
			return err
		}
		db.stmts[query] = s
	}
	if err := bind(s, args); err != nil {
		return err
	}
	var err error
	for err == nil && s.Step() {
		err = row(s)
	}
	return cmp.Or(err, s.Err(), s.Reset())
}

// run executes one statement.
func run(c *sqlite3.Conn, query string, args ...any) error {
	return each(c, query, func(*sqlite3.Stmt) error { return nil }, args...)
}

func bind(s *sqlite3.Stmt, args []any) (err error) {
	for i, a := range args {
		switch a := a.(type) {
		case nil:
			err = s.BindNull(i + 1)
		case int64:
			err = s.BindInt64(i+1, a)
		case int:
			err = s.BindInt(i+1, a)
		case bool:
			err = s.BindBool(i+1, a)
		case key:
			err = s.BindInt64(i+1, int64(a))
		case float64:
			err = s.BindFloat(i+1, a)
		case string:
			err = s.BindText(i+1, a)
		case []byte:
			err = s.BindBlob(i+1, a)
		default:
			err = fmt.Errorf("a column cannot hold a %T", a)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
