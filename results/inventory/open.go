package inventory

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// Space is what a plan asks, in the order of asking: scan/spec makes it of the plan's text and the seed.
type Space interface {
	Len() uint64
	// Position is where in the order an endpoint is asked; false where it is not in the plan.
	Position(addr netip.Addr, port uint16) (uint64, bool)
	// At is the inverse of Position.
	At(position uint64) (netip.Addr, uint16)
}

// Config says how a database is opened.
type Config struct {
	// Spaces reads the text of a plan. Needed.
	Spaces func(text []byte) (Order, error)
	// Wait is how long another writer is waited for; 0 is DefaultWait.
	Wait time.Duration
}

// DefaultWait is how long another writer is waited for: an ingest of a million endpoints takes a second.
const DefaultWait = 10 * time.Second

// DB is an inventory. Its methods are called one at a time.
type DB struct {
	path   string
	config Config
	conn   *sqlite3.Conn
	packer *packer
	spaces spaces
	stmts  map[string]*sqlite3.Stmt // of queries that come again and again: see again
	writes uint64                   // transactions that changed what a Watch has read
}

// Error is what is wrong with a database as a file. It wraps the cause.
type Error struct {
	Path  string
	msg   string
	hint  string
	cause error
}

func (e *Error) Error() string {
	if e.msg == "" {
		return fmt.Sprintf("inventory %s: %v", e.Path, e.cause)
	}
	return fmt.Sprintf("inventory %s: %s", e.Path, e.msg)
}

// Unwrap gives the cause, where there is one.
func (e *Error) Unwrap() error { return e.cause }

// Hint says how to mend it, or is empty.
func (e *Error) Hint() string { return e.hint }

// Open opens a database for writing, and makes it where there is no file of the name or an empty one. The schema of an older
// version is brought up to date. A file that is no inventory, or of a newer schema, is refused with an *Error and not changed.
func Open(path string, c Config) (*DB, error) {
	if err := checkFile(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	} else if err != nil {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) // which ports are open is nobody else's business
		if err != nil {
			return nil, fileError(path, err)
		}
		f.Close()
	}
	return openToWrite(path, c, true)
}

// OpenExisting is Open of a database that is there: a file that is missing or empty is refused.
func OpenExisting(path string, c Config) (*DB, error) {
	if err := checkFile(path); err != nil {
		return nil, err
	}
	return openToWrite(path, c, false)
}

func openToWrite(path string, c Config, fresh bool) (*DB, error) {
	db, err := open(path, c, sqlite3.OPEN_READWRITE, fresh)
	if info, statErr := os.Stat(path); err == nil && statErr == nil {
		for _, beside := range []string{"-wal", "-shm"} { // which hold what the file is going to
			_ = os.Chmod(path+beside, info.Mode().Perm()) // another's: it is as its owner wants it
		}
	}
	return db, err
}

// ErrOlder is wrapped by the *Error of a reader whose database has the schema of an older version: Open and OpenExisting bring it up to date.
var ErrOlder = errors.New("the schema is of an older version")

// OpenReader opens a database that is there, for reading: all that is read of it is as it was then. One of an older schema is refused: see ErrOlder.
// Others may write to it meanwhile, which takes a file in its folder that readers share: where that cannot be made, and nobody seems to write, the
// database is read as one that nobody changes.
func OpenReader(path string, c Config) (*DB, error) {
	if err := checkFile(path); err != nil {
		return nil, err
	}
	db, err := open(path, c, sqlite3.OPEN_READONLY, false)
	if !errors.Is(err, sqlite3.CANTOPEN) && !errors.Is(err, sqlite3.READONLY) {
		return db, err
	}
	if log, statErr := os.Stat(path + "-wal"); statErr == nil && log.Size() > 0 {
		return nil, &Error{path, "somebody writes to it, or has not ended well, and its folder cannot be written",
			"read it as the user who writes it, or let this one write to " + filepath.Dir(path), err}
	}
	return open(path, c, sqlite3.OPEN_READONLY|sqlite3.OPEN_URI, false)
}

// unchanged is the name of a file that nobody changes (https://sqlite.org/uri.html#uriimmutable).
func unchanged(absolute string) string {
	slashes := filepath.ToSlash(absolute)
	if !strings.HasPrefix(slashes, "/") {
		slashes = "/" + slashes
	}
	return (&url.URL{Scheme: "file", Path: slashes, RawQuery: "immutable=1"}).String()
}

// checkFile looks at what no database can be.
func checkFile(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fileError(path, err)
	case !info.Mode().IsRegular():
		return &Error{Path: path, msg: "it is not a file", hint: "give the name of a file, such as inventory.db"}
	}
	return nil
}

func fileError(path string, err error) error {
	e := &Error{Path: path, cause: err}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		e.cause = p.Err
	}
	if errors.Is(err, fs.ErrNotExist) {
		e.hint = "synoptic inventory import makes one of the records of scans"
		if _, err := os.Stat(filepath.Dir(path)); err != nil {
			e.hint = "make the folder first: " + filepath.Dir(path)
		}
	}
	return e
}

func open(path string, c Config, flags sqlite3.OpenFlag, mayBeFresh bool) (db *DB, err error) {
	if c.Wait == 0 {
		c.Wait = DefaultWait
	}
	db = &DB{path: path, config: c, stmts: map[string]*sqlite3.Stmt{}}
	db.spaces.forget()
	if db.packer, err = newPacker(); err != nil {
		return nil, err
	}
	absolute, err := filepath.Abs(path) // or a name that begins with "file:" would be a URI, and ":memory:" no file
	if err != nil {
		return nil, fileError(path, err)
	}
	if flags&sqlite3.OPEN_URI != 0 {
		absolute = unchanged(absolute)
	}
	if db.conn, err = sqlite3.OpenFlags(absolute, flags); err != nil {
		return nil, db.failed(err)
	}
	defer func() {
		if err != nil {
			db.conn.Close()
		}
	}()
	if err := db.conn.BusyTimeout(c.Wait); err != nil {
		return nil, db.failed(err)
	}
	return db, db.prepare(flags&sqlite3.OPEN_READONLY != 0, mayBeFresh)
}

// prepare looks at what kind of database it is before it changes anything.
func (db *DB) prepare(readOnly, mayBeFresh bool) error {
	id, err := pragma(db.conn, "application_id")
	if err != nil {
		return db.failed(err)
	}
	version, err := pragma(db.conn, "user_version")
	if err != nil {
		return db.failed(err)
	}
	tables, err := number(db.conn, "SELECT count(*) FROM sqlite_schema")
	if err != nil {
		return db.failed(err)
	}
	fresh := id == 0 && version == 0 && tables == 0
	switch {
	case fresh && !mayBeFresh:
		return &Error{Path: db.path, msg: "it is empty", hint: "synoptic inventory import fills it with the records of scans"}
	case !fresh && id != applicationID:
		return &Error{Path: db.path, msg: "it is a database of another program", hint: "give another file"}
	case version > int64(SchemaVersion):
		return &Error{Path: db.path, msg: fmt.Sprintf("its schema has version %d, and this program knows up to %d", version, SchemaVersion),
			hint: "use a synoptic as new as the one that wrote it"}
	case readOnly && version < int64(SchemaVersion):
		return &Error{Path: db.path, msg: fmt.Sprintf("its schema has version %d, and this program reads %d", version, SchemaVersion),
			hint: "let a user who may write it open it for writing, which brings it up to date", cause: ErrOlder}
	}
	if readOnly {
		// One transaction, which begins with the first look: a monitor may begin a piece between two statements.
		return db.failed(db.conn.Exec("PRAGMA query_only = 1; PRAGMA cache_size = -32768; BEGIN; SELECT count(*) FROM sqlite_schema"))
	}
	// FULL: what is committed is on the disk before the scan's exit code says so.
	err = db.conn.Exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 20000")
	if err == nil && version < int64(SchemaVersion) {
		err = migrate(db.conn, int(version))
	}
	return db.failed(err)
}

// Close closes the database. The write-ahead log goes into the file unless others have it open.
func (db *DB) Close() error {
	_ = db.packer.zip.Close()
	db.packer.unzip.Close()
	for _, s := range db.stmts {
		s.Close()
	}
	return db.failed(db.conn.Close())
}

// Check reads the whole database and says what is wrong with it: SQLite's own check, then whether sums and copies agree with what they
// are copies of.
func (db *DB) Check() error {
	verdict := ""
	err := each(db.conn, "PRAGMA integrity_check(1)", func(s *sqlite3.Stmt) error { verdict = s.ColumnText(0); return nil })
	if err != nil {
		return db.failed(err)
	}
	if verdict != "ok" {
		return db.damaged(errors.New(verdict))
	}
	return db.failed(db.checkCopies())
}

// failed puts an error of SQLite in the words of somebody who has a file.
func (db *DB) failed(err error) error {
	known, _ := errors.AsType[*Error](err)
	switch {
	case err == nil:
		return nil
	case known != nil:
		return err
	case errors.Is(err, sqlite3.BUSY), errors.Is(err, sqlite3.LOCKED):
		return &Error{db.path, fmt.Sprintf("another program has been writing to it for %v", db.config.Wait), "try again when it is done", err}
	case errors.Is(err, sqlite3.NOTADB):
		return &Error{db.path, "it is not a database", "give another file", err}
	case errors.Is(err, sqlite3.CORRUPT), errors.Is(err, errBlob):
		return db.damaged(err)
	case errors.Is(err, sqlite3.FULL), errors.Is(err, syscall.ENOSPC), errors.Is(err, sqlite3.IOERR_SHMSIZE):
		return &Error{db.path, "the disk is full; nothing of this was kept", "make room and import the scan's records", err}
	case errors.Is(err, sqlite3.IOERR_WRITE): // SQLite in Go says so of a full tmpfs
		return &Error{db.path, "it cannot be written to: the disk is full, or fails; nothing of this was kept", "make room and import the scan's records", err}
	case errors.Is(err, sqlite3.READONLY), errors.Is(err, sqlite3.CANTOPEN), errors.Is(err, sqlite3.PERM):
		return &Error{db.path, "it cannot be written, or its folder cannot", "give it to the user of this program, with its folder", err}
	}
	return &Error{Path: db.path, cause: err}
}

func (db *DB) damaged(err error) error {
	return &Error{db.path, fmt.Sprintf("the database is damaged: %v", err), "rebuild it in a new file: synoptic inventory import NEW.db scan.jsonl…", err}
}
