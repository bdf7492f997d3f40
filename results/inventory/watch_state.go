package inventory

import (
	"math"
	"slices"

	"synoptic/results"
	"synoptic/results/coverage"
)

// watchState is what a Watch has read of the database, which holds as long as nobody else has written to it.
type watchState struct {
	t       *timeline
	piece   *piece
	archive *archive
	turned  map[key]bool    // what the piece has changed, and whether it has opened
	changed map[uint64]bool // the positions of these
	written *coverage.Set
	told    map[results.EventID]bool // of Piece.Events
	version int64                    // PRAGMA data_version: other connections' writes
	writes  uint64                   // of this one
}

func (w *Watch) forget() {
	if w.state != nil {
		w.state.archive.close()
		w.state = nil
	}
}

// read reads the state, unless it is known. It is called in a transaction.
func (w *Watch) read() (*watchState, error) {
	version, err := pragma(w.db.conn, "data_version")
	if err != nil {
		return nil, err
	}
	if s := w.state; s != nil && s.version == version && s.writes == w.db.writes {
		return s, nil
	}
	w.forget()
	sweep, err := w.db.live(w.vantage)
	if err != nil {
		return nil, err
	}
	if sweep != w.sweep {
		return nil, ErrOvertaken
	}
	s := &watchState{version: version, writes: w.db.writes, turned: map[key]bool{}, changed: map[uint64]bool{}, told: map[results.EventID]bool{}}
	if s.t, err = w.db.timeline(w.vantage); err != nil {
		return nil, err
	}
	s.piece = s.t.pieces(len(s.t.sweeps) - 1)[0]
	s.written = s.t.sets(s.piece)[0].covered
	if s.t.err != nil {
		return nil, s.t.err
	}
	changes, err := w.db.delta(sweep)
	if err != nil {
		return nil, err
	}
	for i := range changes {
		s.turned[changes[i].key] = changes[i].opened
		at, err := w.db.addrPort(changes[i].key)
		if err != nil {
			return nil, err
		}
		if position, in := w.space.Position(at.Addr(), at.Port()); in {
			s.changed[position] = true
		}
	}
	if s.archive, err = newArchive(w.db); err != nil {
		return nil, err
	}
	s.archive.lazy = true
	w.state = s
	return s, nil
}

// cover writes what is otherwise of what the piece covers.
func (s *watchState) cover(db *DB, asked *coverage.Set, n uint64) error {
	var all []coverage.Range
	if asked != nil {
		all = slices.Collect(asked.Ranges())
	}
	for position := range s.changed {
		all = append(all, coverage.Range{Begin: position, End: position + 1})
	}
	now := coverage.Of(all...)
	now = now.Minus(coverage.Of(coverage.Range{Begin: n, End: math.MaxUint64}))
	ends := map[uint64]uint64{}
	for r := range now.Ranges() {
		ends[r.Begin] = r.End
	}
	q := &s.piece.parts[0]
	for r := range s.written.Ranges() {
		if end, kept := ends[r.Begin]; kept && end == r.End {
			delete(ends, r.Begin)
		} else if !kept {
			if err := run(db.conn, `DELETE FROM covered WHERE scan = ? AND part = ? AND begin = ?`, s.piece.scan, q.number, int64(r.Begin)); err != nil {
				return err
			}
		}
	}
	for begin, end := range ends {
		if err := run(db.conn, `INSERT OR REPLACE INTO covered VALUES (?, ?, ?, ?)`, s.piece.scan, q.number, int64(begin), int64(end)); err != nil {
			return err
		}
	}
	s.written, q.covered = now, now
	return nil
}

// untold are the notices that were not put into the outbox in this piece.
func (s *watchState) untold(events []results.Notice) (all []results.Notice) {
	for _, e := range events {
		if id := e.EventID(); !s.told[id] {
			s.told[id] = true
			all = append(all, e)
		}
	}
	return all
}
