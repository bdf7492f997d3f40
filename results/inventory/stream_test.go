package inventory

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"synoptic/results"
	"synoptic/results/coverage"
)

const streamPlan = "box 1 5 2 2"

// stream is a monitor of a test, with what is true of the endpoints that it asks.
type stream struct {
	t       *rapid.T
	space   *box
	now     int64 // nanoseconds
	open    map[netip.AddrPort]bool
	same    map[netip.AddrPort]int64   // when it was asked last and was as it is known to be
	doubts  map[netip.AddrPort]*Turned // what has changed, and is not confirmed
	waiting []Turned                   // that is confirmed, and not written
	turned  []Turned                   // that was written
	at      uint64                     // of the cycle
	piece   *streamPiece
	n       int
	told    map[results.EventID]int // how often
}

// streamPiece is a piece as its records have it.
type streamPiece struct {
	id      string
	t0, t1  int64
	covered *coverage.Set
	changes []Turned
	open    map[netip.AddrPort]bool // of all that is known
	sent    uint64

	saved     *coverage.Set // as it was written last
	savedSent uint64
	complete  bool
}

func (s *stream) tick() int64 { s.now += int64(time.Minute); return s.now }

// begin begins a piece where the one before was written last.
func (s *stream) begin() {
	t0 := s.now
	if s.piece != nil {
		t0 = s.piece.t1
	}
	s.n++
	s.piece = &streamPiece{id: fmt.Sprintf("piece%03d", s.n), t0: t0, covered: &coverage.Set{}, saved: &coverage.Set{}}
}

func (p *streamPiece) cover(at uint64) {
	p.covered = union(p.covered, coverage.Of(coverage.Range{Begin: at, End: at + 1}))
}

// goOn asks some positions of the cycle, comes upon some changes, and confirms some.
func (s *stream) goOn() {
	for range rapid.IntRange(0, 6).Draw(s.t, "asked") {
		at := s.space.all[s.at]
		s.piece.cover(s.at)
		s.at = (s.at + 1) % s.space.Len()
		s.piece.sent++
		when := s.tick()
		if s.doubts[at] != nil || s.isWaiting(at) {
			continue // the daemon need not know that this is no answer
		}
		if rapid.IntRange(0, 3).Draw(s.t, "otherwise") > 0 {
			s.same[at] = when
			continue
		}
		reason := results.SYNACK
		if s.open[at] {
			reason = rapid.SampledFrom([]results.Reason{results.RST, results.NoResponse, results.ICMPHostUnreachable}).Draw(s.t, "reason")
		}
		c := &Turned{At: at, Open: !s.open[at], Reason: reason, NotAfter: time.Unix(0, when)}
		if before := s.same[at]; before > 0 {
			c.NotBefore = time.Unix(0, before)
		}
		s.doubts[at] = c
	}
	for _, at := range s.space.all {
		c := s.doubts[at]
		if c == nil || s.inPiece(at) || rapid.IntRange(0, 2).Draw(s.t, "confirmed") > 0 {
			continue
		}
		delete(s.doubts, at)
		if c.Open && rapid.Bool().Draw(s.t, "banner") {
			c.Service = rapid.SampledFrom([]string{"ssh", "http"}).Draw(s.t, "service")
		}
		s.same[at] = s.tick()
		s.waiting = append(s.waiting, *c)
	}
}

func (s *stream) isWaiting(at netip.AddrPort) bool {
	return slices.ContainsFunc(s.waiting, func(c Turned) bool { return c.At == at })
}

// inPiece tells that an endpoint has changed in the piece already.
func (s *stream) inPiece(at netip.AddrPort) bool {
	return s.isWaiting(at) || slices.ContainsFunc(s.piece.changes, func(c Turned) bool { return c.At == at })
}

// event is the change record of a change.
func (p *streamPiece) event(c *Turned) *results.Change {
	r := &results.Change{Time: moment(c.NotAfter.UnixNano()), ScanID: p.id, Vantage: "m", Addr: c.At.Addr(), Port: c.At.Port(), Proto: "tcp", NotAfter: when(c.NotAfter.UnixNano())}
	if !c.NotBefore.IsZero() {
		r.NotBefore = when(c.NotBefore.UnixNano())
	}
	if r.Change, r.Before, r.After = results.ChangeOpened, stateShut, stateOpen; !c.Open {
		end := ends[howOf(c.Reason)]
		r.Change, r.Before, r.After = end.kind, stateOpen, end.after
	}
	return r
}

// flush is the piece so far, as the Watch gets it.
func (s *stream) flush() Piece {
	for i := range s.waiting {
		s.waiting[i].Event = s.piece.event(&s.waiting[i])
	}
	p := Piece{Now: time.Unix(0, s.tick()), Sent: s.piece.sent, Covered: union(s.piece.covered, &coverage.Set{}), Changes: slices.Clone(s.waiting)}
	if rapid.Bool().Draw(s.t, "again") {
		p.Changes = slices.Concat(s.piece.changes, s.waiting)
	}
	return p
}

// deliver takes what is in the outbox.
func (s *stream) deliver(db *DB) {
	all, err := db.Outbox(0, 1<<20)
	s.do(err)
	for _, e := range all {
		var read results.Records
		s.do(results.NewReader(bytes.NewReader(append(e.Record, '\n'))).Read(&read))
		s.told[read.Notices[0].EventID()]++
		s.do(db.Delivered(e.ID))
	}
}

// wrote takes it that the piece was written.
func (s *stream) wrote(p Piece) {
	for _, c := range s.waiting {
		position, _ := s.space.Position(c.At.Addr(), c.At.Port())
		s.piece.cover(position)
		s.open[c.At] = c.Open
	}
	s.piece.changes = append(s.piece.changes, s.waiting...)
	s.turned = append(s.turned, s.waiting...)
	s.waiting = nil
	s.piece.saved, s.piece.savedSent = union(s.piece.covered, &coverage.Set{}), s.piece.sent
	s.piece.t1 = p.Now.UnixNano()
}

// into gives the records of a piece to a database.
func (p *streamPiece) into(t *rapid.T, db *DB, space *box) {
	f := &fakeScan{id: p.id, text: streamPlan, seed: 7, covered: p.covered, t0: p.t0, at: p.t1, t1: p.t1, open: map[netip.AddrPort]string{}}
	for i, at := range space.all {
		if p.open[at] && p.covered.Contains(uint64(i)) {
			f.open[at] = ""
		}
	}
	for _, c := range p.changes {
		if c.Open {
			f.open[c.At] = c.Service
		}
	}
	in := db.Ingest(Scan{Vantage: "m"})
	do := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	do(in.Start(&results.ScanStart{ScanID: f.id, Time: moment(f.t0), Scanner: "m", Show: []string{"open", "closed"}, Monitor: true, Probes: space.Len()}))
	whole := results.PlanPiece{Time: moment(f.t0), ScanID: f.id, Part: 1, Parts: 1, Seed: 7}
	pieces, err := results.PlanPieces(whole, func(w io.Writer) error { _, err := io.WriteString(w, f.text); return err })
	do(err)
	do(in.Notices(pieces))
	for at, service := range f.open {
		r := results.Port{Addr: at.Addr(), Port: at.Port(), Reason: results.SYNACK, Time: f.at}
		if service != "" {
			r.Service, r.ServiceSource = service, results.ServiceBanner
		}
		do(in.Ports([]results.Port{r}))
	}
	for i := range p.changes {
		do(in.Notices([]results.Notice{p.event(&p.changes[i])}))
	}
	end := &results.ScanEnd{ScanID: f.id, Time: moment(f.t1), Sent: p.sent, Complete: p.complete}
	do(in.Notices(end.Cover([]*coverage.Set{f.covered})))
	do(in.End(end))
	do(in.Outcome().Doubt)
}

func (s *stream) do(err error) {
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stream) watch(db *DB) *Watch {
	w, err := db.Watch(Watching{Vantage: "m", Text: []byte(streamPlan), Seed: 7})
	s.do(err)
	return w
}

// run writes the piece; nil: it was killed.
func (s *stream) run(w *Watch, db *DB) *Watch {
	for range rapid.IntRange(0, 4).Draw(s.t, "writes") {
		s.goOn()
		if rapid.IntRange(0, 3).Draw(s.t, "fails") == 0 {
			s.fail(w, db)
		}
		if rapid.IntRange(0, 9).Draw(s.t, "another writes") == 0 {
			db.writes++
		}
		if rapid.IntRange(0, 9).Draw(s.t, "kill") == 0 { // all since the last write is lost
			s.piece.covered, s.piece.sent = s.piece.saved, s.piece.savedSent
			return nil
		}
		p := s.flush()
		s.do(w.Write(p))
		if s.wrote(p); rapid.Bool().Draw(s.t, "deliver") {
			s.deliver(db)
		}
	}
	s.goOn()
	s.fail(w, db)
	p := s.flush()
	s.do(w.End(p, &results.ScanEnd{Complete: true}))
	s.wrote(p)
	s.piece.complete = true
	return w
}

// fail has a write fail at its very end.
func (s *stream) fail(w *Watch, db *DB) {
	s.do(db.conn.Exec(`CREATE TEMP TRIGGER full BEFORE UPDATE ON scan BEGIN SELECT RAISE(ABORT, 'no room'); END`))
	if err := w.Write(s.flush()); err == nil || !strings.Contains(err.Error(), "no room") {
		s.t.Fatal(err)
	}
	s.do(db.conn.Exec(`DROP TRIGGER temp.full`))
}

// compareTimes holds what is said of each change against when it can have happened.
func (s *stream) compareTimes(db *DB) {
	scans, err := db.Scans("m")
	s.do(err)
	shown := map[string]results.Change{}
	for i := 1; i < len(scans); i++ {
		for c, err := range db.Diff(scans[i-1], scans[i], false) {
			s.do(err)
			shown[fmt.Sprint(c.ScanID, c.Addr, c.Port)] = c
		}
	}
	ends := map[netip.AddrPort][]Interval{}
	for _, at := range s.space.all {
		all, err := db.History(netip.PrefixFrom(at.Addr(), at.Addr().BitLen()), at.Port(), time.Time{})
		s.do(err)
		if len(all) > 0 && all[0].FirstScan != "before" {
			all = slices.Insert(all, 0, Interval{}) // which "ended" before
		}
		ends[at] = all
	}
	for _, c := range s.turned {
		before := ends[c.At][0]
		if c.Open {
			ends[c.At] = ends[c.At][1:]
			i := ends[c.At][0]
			if i.First.Before(c.NotAfter) || c.NotBefore.Before(i.NotBefore) {
				s.t.Fatalf("%v opened between %v and %v, and not %v and %v", c.At, c.NotBefore, c.NotAfter, i.NotBefore, i.First)
			}
		} else if before.Until.Before(c.NotAfter) || !before.Last.Before(c.NotAfter) && !before.Last.Equal(before.First) {
			s.t.Fatalf("%v ended between %v and %v, and not %v and %v", c.At, c.NotBefore, c.NotAfter, before.Last, before.Until)
		}
		e := c.Event.(*results.Change)
		d, known := shown[fmt.Sprint(e.ScanID, e.Addr, e.Port)]
		if !known && e.ScanID != scans[0].ScanID || known && time.Time(*d.NotAfter).Before(c.NotAfter) || known && d.NotBefore != nil && c.NotBefore.Before(time.Time(*d.NotBefore)) {
			s.t.Fatalf("%v changed between %v and %v, and not %v and %v", c.At, c.NotBefore, c.NotAfter, d.NotBefore, d.NotAfter)
		}
	}
}

func union(a, b *coverage.Set) *coverage.Set {
	return coverage.Of(slices.AppendSeq(slices.Collect(a.Ranges()), b.Ranges())...)
}
