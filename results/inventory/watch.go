package inventory

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"synoptic/results"
	"synoptic/results/coverage"
)

// Watching is the stream of a monitor: pieces of one plan in one order, without an end.
type Watching struct {
	Vantage string // the point that it sees the network from; "" is "local"
	Text    []byte // of the plan, as the records' plan_text
	Seed    uint64
}

// Watch writes a monitor's stream into the database while it goes on. A piece of it, some minutes to an hour, is a scan: Begin it, Write what has come of
// it as often as it should be on the disk, and End it. At its end the database has what Ingest would make of the piece's records: a scan_start with
// monitor, the plan, what is open in its coverage, its changes, the coverage. Each piece is a sweep of its own.
//
// What a call writes is one transaction, with its events. After an error nothing of the call is kept, and it can be made again with the same
// and more; to write a change twice is harmless. Others may read and write the database meanwhile. Where another scan of the
// vantage is added, or the database is pruned, the piece ends as it was written last, and Write and End give ErrOvertaken.
type Watch struct {
	db      *DB
	w       Watching
	vantage int64
	space   Space
	spaceID int64
	scanID  string // of the piece, "": none
	sweep   int64
	state   *watchState // nil: to be read
}

// Piece is what has come of a piece of the stream so far.
type Piece struct {
	Now     time.Time     // until when
	Sent    uint64        // probes
	Covered *coverage.Set // positions that were asked while evidence held; those of Changes are, too
	Changes []Turned      // an endpoint once; those that were written may be left out
	Events  []results.Notice
}

// Turned is an endpoint that has changed.
type Turned struct {
	At     netip.AddrPort
	Open   bool
	Reason results.Reason // what it answers; of one that has ended, NoResponse where nothing comes
	// It changed after NotBefore, when it was asked and was as before, and before NotAfter, when it was seen first to be as now. Zero: that is not known.
	NotBefore, NotAfter time.Time
	Service             string         // that a server's first bytes showed, "" where none was seen; of a port that was open, a change of its service
	Event               results.Notice // goes to the outbox if the database did not know of the change; nil: none
}

// ErrOvertaken says that the piece in progress has ended as it was written last, as another scan of its vantage was added, or the database was pruned.
var ErrOvertaken = errors.New("another program has changed what is known from this vantage point, and so ended the piece")

// errTwice is a change of an endpoint that has changed in this piece already.
var errTwice = errors.New("it has changed in this piece already: end the piece before")

// Watch begins to write a stream. A piece that a crash has left is ended as far as it was written.
func (db *DB) Watch(watching Watching) (*Watch, error) {
	if watching.Vantage == "" {
		watching.Vantage = defaultVantage
	}
	w := &Watch{db: db, w: watching}
	return w, w.do(func() error {
		order, space, err := db.read(watching.Text, watching.Seed)
		if err != nil {
			return fmt.Errorf("the plan: %w", err)
		}
		sum := sha256.Sum256(watching.Text)
		w.space = space
		if w.vantage, err = db.vantageOf(watching.Vantage); err != nil {
			return err
		}
		if w.spaceID, err = db.spaceOf(&results.Plan{SHA256: hex.EncodeToString(sum[:]), Text: watching.Text}, space); err != nil {
			return err
		}
		db.spaces.keep(w.spaceID, int64(watching.Seed), order, space)
		return db.endPiece(w.vantage)
	})
}

// do has something done in one transaction.
func (w *Watch) do(what func() error) (err error) {
	tx, err := w.db.conn.BeginImmediate()
	if err != nil {
		return w.db.failed(err)
	}
	defer func() {
		if tx.End(&err); err != nil {
			w.forget()
			w.db.forget()
		}
		if !errors.Is(err, ErrOvertaken) {
			err = w.db.failed(err)
		}
	}()
	return what()
}

// Begin begins a piece at a moment: that until which the one before was written last, so that all that was seen since then, and changes of it, belong to
// this one. One that was not ended is, as far as it was written.
func (w *Watch) Begin(scanID string, at time.Time) error {
	err := w.do(func() error {
		w.forget()
		w.db.writes++
		if err := w.db.endPiece(w.vantage); err != nil {
			return err
		}
		t, err := w.db.timeline(w.vantage)
		if err != nil {
			return err
		}
		p := &piece{scanID: scanID, t0: at.UnixNano(), t1: at.UnixNano(), loaded: true, monitor: true}
		p.parts = []part{{1, w.spaceID, int64(w.w.Seed), w.space.Len(), &coverage.Set{}}}
		index, err := t.place(p, false)
		if err != nil {
			return err
		}
		w.sweep = t.sweeps[index].id
		start, end := &results.ScanStart{Probes: w.space.Len()}, &results.ScanEnd{Error: unended}
		if err := t.store(index, p, start, end, 0, 0); err != nil {
			return err
		}
		if err := w.db.editDelta(w.sweep, nil); err != nil {
			return err
		}
		return run(w.db.conn, `INSERT INTO live VALUES (?, ?)`, w.vantage, w.sweep)
	})
	if w.scanID = scanID; err != nil {
		w.scanID = ""
	}
	return err
}

// unended is the error of a piece that has no end.
const unended = "the piece has not ended"

// Write writes what has come of the piece so far.
func (w *Watch) Write(p Piece) error { return w.write(p, nil) }

// End writes what has come of the piece, and that it has ended: Complete, Error and figures are those of end.
func (w *Watch) End(p Piece, end *results.ScanEnd) error { return w.write(p, end) }

func (w *Watch) write(p Piece, end *results.ScanEnd) error {
	if w.scanID == "" {
		return errors.New("no piece of the stream has begun")
	}
	err := w.do(func() error {
		s, err := w.read()
		if err != nil {
			return err
		}
		u := &update{db: w.db, t: s.t, at: len(s.t.sweeps) - 1, piece: s.piece, archive: s.archive, edits: map[int64]map[key]*toggle{}, in: w.asIngest()}
		return u.with(func() error {
			events, err := w.turn(u, p.Changes)
			if err != nil {
				return err
			}
			if err := u.saveDeltas(); err != nil {
				return err
			}
			if err := s.cover(w.db, p.Covered, w.space.Len()); err != nil {
				return err
			}
			if err := w.db.enqueue(append(events, s.untold(p.Events)...)); err != nil {
				return err
			}
			if s.piece.t1 = p.Now.UnixNano(); end != nil {
				return w.end(s, p, end)
			}
			return run(w.db.conn, `UPDATE scan SET t1 = ?, sent = ? WHERE id = ?`, s.piece.t1, int64(p.Sent), s.piece.scan)
		})
	})
	if end != nil && err == nil || errors.Is(err, ErrOvertaken) {
		w.forget()
		w.scanID = ""
	}
	return err
}

// asIngest is what update needs to know of a scan.
func (w *Watch) asIngest() *Ingest {
	return &Ingest{db: w.db, scan: Scan{Vantage: w.w.Vantage}, start: &results.ScanStart{ScanID: w.scanID}, proto: map[string]uint32{}, said: map[netip.AddrPort]said{}}
}

// turn takes the changes that were not written, and gives their events.
func (w *Watch) turn(u *update, changes []Turned) (events []results.Notice, err error) {
	for i := range changes {
		c := &changes[i]
		c.At = netip.AddrPortFrom(c.At.Addr().Unmap().WithZone(""), c.At.Port())
		position, in := w.space.Position(c.At.Addr(), c.At.Port())
		if !in {
			return nil, fmt.Errorf("%v: it is not in the plan", c.At)
		}
		news, err := w.turnOne(u, c)
		if err != nil {
			return nil, fmt.Errorf("%v: %w", c.At, err)
		}
		w.state.changed[position] = true
		if news && c.Event != nil {
			events = append(events, c.Event)
		}
	}
	return events, nil
}

// turnOne tells whether the change is one that the database did not know.
func (w *Watch) turnOne(u *update, c *Turned) (news bool, err error) {
	k, known, err := w.db.findKey(w.vantage, c.At)
	if err != nil {
		return false, err
	}
	if !known && c.Open {
		numbers, err := w.db.numbers6([]netip.Addr{c.At.Addr()})
		if err != nil {
			return false, err
		}
		k = key6(w.vantage, numbers[0], c.At.Port())
	}
	row, open, err := u.current(k)
	if err != nil {
		return false, err
	}
	if was, turned := w.state.turned[k]; turned && was != c.Open {
		return false, errTwice
	}
	s := sighting{key: k, at: nano(c.NotAfter), reason: c.Reason}
	u.in.said[c.At] = said{!c.Open, howOf(c.Reason), nano(c.NotBefore), s.at}
	switch {
	case c.Open == open:
	case c.Open:
		news, err = true, u.appear(&s)
	case !u.t.suspected(k, u.at): // whose ports neither begin nor end
		news, err = true, u.finish(k, c.At, row, w.sweep)
	}
	if err != nil {
		return false, err
	}
	if news {
		w.state.turned[k] = c.Open
	}
	if !c.Open || c.Service == "" {
		return news, nil
	}
	proto, err := u.db.protoOf(c.Service)
	if err != nil || proto == row.svc {
		return news, err
	}
	return true, u.setService(&s, row.svc, proto)
}

// nano is a moment as columns have it, 0 for none.
func nano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// end writes what is known at the end only.
func (w *Watch) end(s *watchState, p Piece, end *results.ScanEnd) error {
	seen, err := w.db.endPieceWith(s.archive, w.vantage, w.sweep)
	if err != nil {
		return err
	}
	if err := s.t.storeSuspects(len(s.t.sweeps)-1, w.vantage, w.asIngest(), seen); err != nil {
		return err
	}
	var missed any
	if end.MissedOpen != nil {
		missed = end.MissedOpen.High
	}
	return run(w.db.conn, `UPDATE scan SET t1 = ?, sent = ?, rx_drops = ?, missed_hi = ?, coverage = ?, complete = ?, error = ? WHERE id = ?`,
		s.piece.t1, int64(p.Sent), int64(end.RxDrops), missed, end.Coverage, end.Complete, end.Error, s.piece.scan)
}
