package inventory

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"synoptic/results"
	"synoptic/results/coverage"
)

// Whenever a stream is written, and wherever it is killed: the database says what it says of the records of its pieces, each change is told once, and no time is
// narrower than what the monitor has seen.
func TestWatch(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		db, other := newDB(t), newDB(t)
		defer func() { db.Close(); other.Close() }()
		space, _ := newBox([]byte(streamPlan), 7)
		s := &stream{t: rt, space: space.(*box), now: hours(1), open: map[netip.AddrPort]bool{}, same: map[netip.AddrPort]int64{}, doubts: map[netip.AddrPort]*Turned{}, told: map[results.EventID]int{}}
		if rapid.Bool().Draw(rt, "known") { // a scan that was there before
			before := &fakeScan{id: "before", vantage: "m", text: streamPlan, seed: 3, covered: whole(streamPlan, 3), t0: hours(0) + 1, t1: hours(1), open: map[netip.AddrPort]string{}}
			for _, at := range s.space.all {
				if s.same[at] = 1; rapid.Bool().Draw(rt, "open") {
					s.open[at], before.open[at] = true, ""
				}
			}
			before.into(t, db, Scan{})
			before.into(t, other, Scan{})
		}
		w := s.watch(db)
		for range rapid.IntRange(1, 6).Draw(rt, "pieces") {
			s.begin()
			s.do(w.Begin(s.piece.id, time.Unix(0, s.piece.t0)))
			s.piece.t1 = s.piece.t0
			w = s.run(w, db)
			if w == nil { // killed
				path := db.path
				db.Close()
				db = newDBIn(t, path)
				w = s.watch(db)
			}
			if err := db.Check(); err != nil {
				rt.Fatal(err)
			}
			s.deliver(db)
			s.piece.open = s.open
			s.piece.into(rt, other, s.space)
		}
		if a, b := dump(rt, db), dump(rt, other); a != b {
			rt.Fatalf("written while it went on:\n%s\nas records:\n%s", a, b)
		}
		for _, c := range s.turned {
			if id := c.Event.EventID(); s.told[id] != 1 {
				rt.Fatalf("%v was told %d times", c.At, s.told[id])
			}
		}
		if len(s.told) != len(s.turned) {
			rt.Fatalf("%d events of %d changes", len(s.told), len(s.turned))
		}
		s.compareTimes(db)
	})
}

// A scan of the same vantage in the middle of a piece ends it, and what the piece changed afterwards is written into another.
func TestOvertaken(t *testing.T) {
	db := newDB(t)
	day("first", 0, ports("10.0.0.2", 1)).into(t, db, Scan{Vantage: "host"})
	w, err := db.Watch(Watching{Vantage: "host", Text: []byte(plan), Seed: 9})
	check(t, err)
	at := func(n int64) time.Time { return time.Unix(0, hours(n)) }
	check(t, w.Begin("piece", at(2)))
	opened := Turned{At: netip.MustParseAddrPort("10.0.0.3:1"), Open: true, Reason: results.SYNACK, NotBefore: at(1), NotAfter: at(3)}
	check(t, w.Write(Piece{Now: at(4), Changes: []Turned{opened}}))
	day("other", 5, ports("10.0.0.3", 1)).into(t, db, Scan{Vantage: "host"})
	ended := Turned{At: opened.At, Reason: results.RST, NotBefore: at(5), NotAfter: at(7)}
	if err := w.Write(Piece{Now: at(8), Changes: []Turned{opened, ended}}); !errors.Is(err, ErrOvertaken) {
		t.Fatal(err)
	}
	if err := w.Write(Piece{Now: at(8)}); err == nil {
		t.Error("a piece that has ended was written")
	}
	check(t, w.Begin("more", at(7)))
	check(t, w.Write(Piece{Now: at(8), Changes: []Turned{ended}}))
	s, err := db.Stats()
	if check(t, err); s.Open != 0 || s.Intervals != 2 {
		t.Errorf("in a piece %d are open, %d have ended", s.Open, s.Intervals)
	}
	check(t, db.Check())
	same(t, historyOf(t, db, "10.0.0.0/24", 0), "10.0.0.2:1 - 01 01 06 shut ", "10.0.0.3:1 00 04 06 08 closed ")
	if err := w.Write(Piece{Now: at(9), Changes: []Turned{{At: opened.At, Open: true, NotAfter: at(9)}}}); err == nil || !strings.Contains(err.Error(), "already") {
		t.Error("a second change of one piece was taken: ", err)
	}
	if _, err := db.Prune(at(6)); err != nil {
		t.Fatal(err)
	}
	if err := w.End(Piece{Now: at(9)}, &results.ScanEnd{Complete: true}); !errors.Is(err, ErrOvertaken) {
		t.Error(err)
	}
	check(t, db.Check())
}

// A diff combines the pieces between two moments: what none of them has asked is unknown, and nothing else.
func TestDiffOfPieces(t *testing.T) {
	db := newDB(t)
	day("first", 0, ports("10.0.0.2", 1, 2)).into(t, db, Scan{})
	w, err := db.Watch(Watching{Vantage: "host", Text: []byte(plan), Seed: 9})
	check(t, err)
	space, err := newBox([]byte(plan), 9)
	check(t, err)
	one, _ := space.Position(netip.MustParseAddr("10.0.0.2"), 1)
	for n := range int64(3) {
		check(t, w.Begin(fmt.Sprint("piece", n), time.Unix(0, hours(n+2))))
		p := Piece{Now: time.Unix(0, hours(n+3)), Covered: coverage.Of(coverage.Range{Begin: one, End: one + 1})}
		if n > 0 {
			p.Covered = &coverage.Set{}
		}
		check(t, w.End(p, &results.ScanEnd{Complete: true}))
	}
	for from, want := range map[string]string{"first": "unknown 10.0.0.2:2", "piece0": "unknown 10.0.0.2:1 unknown 10.0.0.2:2"} {
		a, err := db.Find(from, "", time.Time{})
		check(t, err)
		b, err := db.Find("piece2", "", time.Time{})
		check(t, err)
		var got []string
		for c, err := range db.Diff(a, b, true) {
			check(t, err)
			got = append(got, fmt.Sprintf("%v %v", c.Change, netip.AddrPortFrom(c.Addr, c.Port)))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("from %s: %q, want %q", from, got, want)
		}
	}
}
