package inventory

import (
	"net/netip"
	"testing"

	"synoptic/results/coverage"
)

// A port's life: found, shut by a RST, opened again with another service, and what is told of it, with the hours of both ends.
func TestLife(t *testing.T) {
	db := newDB(t)
	events := Scan{Events: true}
	day("first", 0, ports("10.0.0.2", 1)).into(t, db, events)
	day("opens", 2, ports("10.0.0.2", 1, 2)).into(t, db, events)
	shut := day("shut", 4, ports("10.0.0.2", 2))
	shut.closed, shut.show = []netip.AddrPort{netip.MustParseAddrPort("10.0.0.2:1")}, []string{"open", "closed"}
	shut.into(t, db, events)
	again := day("again", 6, ports("10.0.0.2", 1, 2))
	again.open[netip.MustParseAddrPort("10.0.0.2:1")] = "ssh"
	again.into(t, db, events)
	other := day("other", 8, ports("10.0.0.2", 1))
	other.open[netip.MustParseAddrPort("10.0.0.2:1")], other.show = "http", []string{"open", "closed"}
	other.into(t, db, events)

	same(t, historyOf(t, db, "10.0.0.2/32", 0),
		"10.0.0.2:1 - 01 03 05 closed ", "10.0.0.2:1 04 07 09 -  http", "10.0.0.2:2 00 03 07 09 gone ")
	same(t, historyOf(t, db, "10.0.0.0/24", 2), "10.0.0.2:2 00 03 07 09 gone ")
	same(t, historyOf(t, db, "10.0.0.3/32", 0))
	same(t, told(t, db), "closed 10.0.0.2:1 open>closed", "gone 10.0.0.2:2 open>filtered", "opened 10.0.0.2:2 shut>open",
		"reopened 10.0.0.2:1 shut>open", "service 10.0.0.2:1 open>open")
	check(t, db.Check())
}

// What was not asked before is found, and not opened; what is not asked does not end; and an old scan ends nothing.
func TestNotAsked(t *testing.T) {
	db := newDB(t)
	less := day("half", 0, nil)
	space, _ := newBox([]byte(plan), less.seed)
	position, _ := space.Position(netip.MustParseAddr("10.0.0.2"), 1)
	less.covered = whole(plan, less.seed).Minus(coverage.Of(coverage.Range{Begin: position, End: position + 1}))
	less.into(t, db, Scan{Events: true})
	day("whole", 2, ports("10.0.0.2", 1, 2)).into(t, db, Scan{Events: true})
	same(t, told(t, db), "found 10.0.0.2:1 unknown>open", "opened 10.0.0.2:2 shut>open")
	nothing := day("half again", 4, nil)
	nothing.seed, nothing.covered = less.seed, less.covered
	nothing.into(t, db, Scan{Events: true})
	same(t, told(t, db), "shut 10.0.0.2:2 open>shut")
	old := day("without a plan", 6, ports("10.0.0.3", 1))
	old.text, old.covered = "", nil
	old.into(t, db, Scan{Events: true})
	same(t, told(t, db), "opened 10.0.0.3:1 shut>open")
	a, b, err := db.LastTwo("")
	check(t, err)
	var diff []string
	for c, err := range db.Diff(a, b, true) {
		check(t, err)
		diff = append(diff, c.Change.String()+" "+c.Addr.String())
	}
	same(t, diff, "unknown 10.0.0.2", "opened 10.0.0.3")
}

// The clock may be set back: what is scanned later is later.
func TestClockSetBack(t *testing.T) {
	db := newDB(t)
	day("first", 9, ports("10.0.0.2", 1)).into(t, db, Scan{})
	day("then", 5, nil).into(t, db, Scan{Events: true})
	same(t, told(t, db), "shut 10.0.0.2:1 open>shut")
	day("imported", 7, ports("10.0.0.1", 1)).into(t, db, Scan{ByTime: true, Events: true}) // between none of them: behind the one of hour 5
	same(t, told(t, db), "opened 10.0.0.1:1 shut>open")
}

// A piece of a sweep sees what another piece, which asked it, did not see: the better answer counts, as within a scan, whichever comes first.
func TestPiecesThatDiffer(t *testing.T) {
	for _, seen := range []bool{true, false} {
		testPiecesThatDiffer(t, seen)
	}
}

func testPiecesThatDiffer(t *testing.T, openBefore bool) {
	db := newDB(t)
	first := day("first", 0, nil)
	if openBefore {
		first.open = ports("10.0.0.2", 1)
	}
	first.into(t, db, Scan{})
	one, other := day("one", 2, nil), day("other", 2, ports("10.0.0.2", 1))
	space, _ := newBox([]byte(plan), one.seed)
	position, _ := space.Position(netip.MustParseAddr("10.0.0.2"), 1)
	other.covered = coverage.Of(coverage.Range{Begin: 0, End: position}, coverage.Range{Begin: position + 1, End: space.Len()})
	one.covered = coverage.Of(coverage.Range{Begin: position, End: position + 1})
	if !openBefore {
		other.into(t, db, Scan{})
		one.into(t, db, Scan{})
		same(t, historyOf(t, db, "10.0.0.2/32", 0), "10.0.0.2:1 00 03 03 -  ")
		check(t, db.Check())
		return
	}
	if out := one.into(t, db, Scan{}); out.Ended != 1 {
		t.Fatal(out)
	}
	if out := other.into(t, db, Scan{}); out.Opened != 1 || out.Late {
		t.Fatal(out)
	}
	same(t, historyOf(t, db, "10.0.0.2/32", 0), "10.0.0.2:1 - 01 03 -  ")
	check(t, db.Check())
}

// A host that opens everything is one row; its ports neither begin nor end, and it is asked anew when it is as others are.
func TestSuspect(t *testing.T) {
	db := newDB(t)
	day("first", 0, ports("10.0.0.2", 1)).into(t, db, Scan{Events: true})
	odd := day("odd", 2, ports("10.0.0.2", 1, 2))
	odd.suspect = []netip.Addr{netip.MustParseAddr("10.0.0.2")}
	if out := odd.into(t, db, Scan{Events: true}); out.Suspect != 1 || out.Open != 0 {
		t.Error(out)
	}
	same(t, told(t, db))
	if s, err := db.Stats(); err != nil || s.Vantages[0].Suspects != 1 || s.Open != 1 {
		t.Error(s, err)
	}
	day("sane", 4, nil).into(t, db, Scan{Events: true})
	same(t, told(t, db), "shut 10.0.0.2:1 open>shut")
	same(t, historyOf(t, db, "10.0.0.2/32", 0), "10.0.0.2:1 - 01 01 05 shut ")
}

// A scan whose records were cut off ends nothing, and can be taken when it is whole.
func TestCut(t *testing.T) {
	db := newDB(t)
	day("first", 0, ports("10.0.0.1", 1)).into(t, db, Scan{})
	s := day("cut", 2, ports("10.0.0.2", 1))
	in := db.Ingest(Scan{})
	s.feed(t, in)
	check(t, in.Cut())
	same(t, historyOf(t, db, "10.0.0.0/24", 0), "10.0.0.1:1 - 01 01 -  ", "10.0.0.2:1 00 02 02 -  ")
	s.into(t, db, Scan{})
	same(t, historyOf(t, db, "10.0.0.0/24", 0), "10.0.0.1:1 - 01 01 03 shut ", "10.0.0.2:1 00 03 03 -  ") // they are pieces of one sweep
	again := db.Ingest(Scan{})
	s.feed(t, again)
	if check(t, again.Cut()); !again.Outcome().Already {
		t.Error("a scan that is whole was taken again, cut")
	}
}

// A plan whose text is not what its digest says, or that nobody can read, ends nothing, and the scan is taken.
func TestDoubt(t *testing.T) {
	db := newDB(t)
	day("first", 0, ports("10.0.0.1", 1)).into(t, db, Scan{})
	s := day("odd", 2, ports("10.0.0.2", 1))
	s.text, s.covered = "something else", coverage.Of(coverage.Range{End: 100})
	if out := s.into(t, db, Scan{}); out.Doubt == nil || out.Opened != 1 || out.Ended != 0 {
		t.Error(out)
	}
	check(t, db.Check())
}
