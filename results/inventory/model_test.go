package inventory

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"synoptic/results"
	"synoptic/results/coverage"
)

// model is what an inventory must say, kept as observations: for each sweep all that its scans say.
type model struct{ sweeps map[string][][]*fakeScan }

func (m *model) add(s *fakeScan, byTime bool) (at int) {
	all := m.sweeps[s.vantage]
	at = len(all)
	for byTime && at > 0 && earliest(all[at-1]) > s.t0 {
		at--
	}
	for _, i := range []int{at - 1, at} {
		if i >= 0 && i < len(all) && pieceOfSame(all[i], s) {
			all[i] = append(all[i], s)
			return i
		}
	}
	m.sweeps[s.vantage] = slices.Insert(all, at, []*fakeScan{s})
	return at
}

func earliest(sweep []*fakeScan) int64 {
	return slices.MinFunc(sweep, func(a, b *fakeScan) int { return int(a.t0 - b.t0) }).t0
}

func pieceOfSame(sweep []*fakeScan, s *fakeScan) bool {
	for _, o := range sweep {
		if o.text == "" || o.text != s.text || o.seed != s.seed || s.covered.Len() == 0 || s.covered.Minus(o.covered).Len() < s.covered.Len() {
			return false
		}
	}
	return true
}

func (s *fakeScan) asked(at netip.AddrPort) bool {
	if s.text == "" {
		return false
	}
	b, err := newBox([]byte(s.text), s.seed)
	if err != nil {
		panic(err)
	}
	p, in := b.Position(at.Addr(), at.Port())
	return in && s.covered.Contains(p)
}

func (m *model) mark(vantage string, sweep int, at netip.AddrPort) (mark mark) {
	for _, s := range m.sweeps[vantage][sweep] {
		if _, open := s.open[at]; open {
			return markOpen
		}
		if s.asked(at) {
			mark = markShut
		}
	}
	return mark
}

// intervals of an endpoint, as text: last shut before > first seen > last seen > shut, each as a sweep.
func (m *model) intervals(vantage string, at netip.AddrPort) (all []string) {
	shut, since, last, after := -1, -1, -1, -1
	for i := range m.sweeps[vantage] {
		switch m.mark(vantage, i, at) {
		case markOpen:
			if since < 0 {
				since, after, last = i, shut, i
			}
			if slices.ContainsFunc(m.sweeps[vantage][i], func(s *fakeScan) bool { return s.asked(at) }) { // or nothing is kept of it
				last = i
			}
		case markShut:
			if since >= 0 {
				all = append(all, fmt.Sprint(after, since, last, i))
				since = -1
			}
			shut = i
		}
	}
	if since >= 0 {
		all = append(all, fmt.Sprint(after, since, last, "open"))
	}
	return all
}

// intervalsOf says the same of the database.
func intervalsOf(t *rapid.T, db *DB, vantage string) map[netip.AddrPort][]string {
	id, known, err := db.findVantage(vantage)
	if err != nil || !known {
		t.Fatal(known, err)
	}
	line, err := db.timeline(id)
	if err != nil {
		t.Fatal(err)
	}
	all := map[netip.AddrPort][]string{}
	a, err := newArchive(db)
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	u := &update{db: db, t: line, archive: a}
	if u.read, _, err = db.conn.Prepare(`SELECT since, gap, svc FROM cur WHERE ep = ?`); err != nil {
		t.Fatal(err)
	}
	defer u.read.Close()
	for _, at := range everywhere {
		k, known, err := db.findKey(id, at)
		if err != nil {
			t.Fatal(err)
		}
		if !known {
			continue
		}
		rows, err := a.of(k)
		if err != nil {
			t.Fatal(err)
		}
		row, open, err := u.current(k)
		if err != nil {
			t.Fatal(err)
		}
		slow := line.lastAsked(k, at, -1, len(line.sweeps))
		for from := -1; from < len(line.sweeps); from++ {
			for _, line.many = range []bool{true, false} {
				if quick := line.lastAsked(k, at, from, len(line.sweeps)); quick != max(slow, from) {
					t.Fatalf("%v was asked last in sweep %d, and behind %d not in %d (many: %v)", at, slow, from, quick, line.many)
				}
			}
			line.latest = nil
		}
		for _, s := range u.stretches(rows, row, open) {
			end, until := len(line.sweeps), any("open")
			if s.until >= 0 {
				end, until = s.until, s.until
			}
			all[at] = append(all[at], fmt.Sprint(s.after, s.since, line.lastAsked(k, at, s.since, end), until))
		}
	}
	return all
}

// everywhere is every endpoint that the plans of the model have.
var everywhere = func() (all []netip.AddrPort) {
	for _, text := range plans {
		b, _ := newBox([]byte(text), 0)
		for _, at := range b.(*box).all {
			if !slices.Contains(all, at) {
				all = append(all, at)
			}
		}
	}
	return all
}()

var plans = []string{"box 1 3 1 2", "box 2 4 2 2"}

// drawScan draws a scan; loose ones see things that they did not ask.
func drawScan(t *rapid.T, n int, late, loose bool) *fakeScan {
	s := &fakeScan{
		id: fmt.Sprintf("scan%03d", n), vantage: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "vantage"), seed: rapid.Uint64Range(1, 2).Draw(t, "seed"),
		text: rapid.SampledFrom(plans).Draw(t, "plan"), open: map[netip.AddrPort]string{}, t0: hours(int64(n) * 10), covered: &coverage.Set{},
	}
	if late {
		s.t0 = hours(rapid.Int64Range(0, 300).Draw(t, "time")) + int64(n)
	}
	s.t1, s.at = s.t0+hours(1), s.t0+1
	if loose { // what a piece saw that did not ask, of an endpoint that was open, is not kept: another piece of the sweep may end it
		s.seed = uint64(n)
	}
	if loose && rapid.IntRange(0, 5).Draw(t, "old") == 0 {
		s.text = ""
	}
	space, _ := newBox([]byte(s.text), s.seed)
	if s.text != "" {
		var ranges []coverage.Range
		for range rapid.IntRange(0, 3).Draw(t, "ranges") {
			a, b := rapid.Uint64Range(0, space.Len()).Draw(t, "from"), rapid.Uint64Range(0, space.Len()).Draw(t, "to")
			ranges = append(ranges, coverage.Range{Begin: min(a, b), End: max(a, b)})
		}
		s.covered = coverage.Of(ranges...)
		if rapid.Bool().Draw(t, "whole") {
			s.covered = whole(s.text, s.seed)
		}
	}
	for _, at := range everywhere {
		if (s.asked(at) || loose && rapid.IntRange(0, 5).Draw(t, "unasked") == 0) && rapid.Bool().Draw(t, "open") {
			s.open[at] = rapid.SampledFrom([]string{"", "ssh", "http"}).Draw(t, "service")
		}
	}
	return s
}

// Whatever scans come, in whatever order: the intervals are those that the observations make, copies agree, and what is told is what has
// changed.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		db := newDB(t)
		defer db.Close()
		m := &model{sweeps: map[string][][]*fakeScan{}}
		late := rapid.Bool().Draw(rt, "late")
		loose := !late && rapid.Bool().Draw(rt, "loose")
		for n := range rapid.IntRange(1, 8).Draw(rt, "scans") {
			s := drawScan(rt, n, late, loose)
			before := map[netip.AddrPort][]string{}
			for _, at := range everywhere {
				before[at] = m.intervals(s.vantage, at)
			}
			at := m.add(s, late)
			s.into(t, db, Scan{ByTime: late, Events: true})
			if again := s.into(t, db, Scan{Events: true}); !again.Already {
				rt.Fatal("a scan was taken twice")
			}
			for vantage := range m.sweeps {
				got := intervalsOf(rt, db, vantage)
				for _, at := range everywhere {
					if want := m.intervals(vantage, at); !slices.Equal(got[at], want) {
						rt.Fatalf("%s from %s: %q, want %q", at, vantage, got[at], want)
					}
				}
			}
			if err := db.Check(); err != nil {
				rt.Fatal(err)
			}
			got := told(t, db)
			if want := m.changes(s.vantage, at, before); !slices.Equal(withoutServices(got), want) {
				rt.Fatalf("told %q, want %q", got, want)
			}
		}
		m.compareDiffs(rt, db)
		m.compareRecent(rt, db)
	})
}

func withoutServices(all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s[:7] == "service" })
}

// changes are what a scan in a sweep must have told.
func (m *model) changes(vantage string, sweep int, before map[netip.AddrPort][]string) (all []string) {
	if sweep == 0 || sweep < len(m.sweeps[vantage])-1 {
		return nil
	}
	isOpen := func(all []string) bool { return len(all) > 0 && all[len(all)-1][len(all[len(all)-1])-4:] == "open" }
	for _, at := range everywhere {
		is := m.intervals(vantage, at)
		switch was := before[at]; {
		case isOpen(is) && !isOpen(was) && len(is) > 1:
			all = append(all, fmt.Sprintf("reopened %v shut>open", at))
		case isOpen(is) && !isOpen(was) && is[0][:2] == "-1":
			all = append(all, fmt.Sprintf("found %v unknown>open", at))
		case isOpen(is) && !isOpen(was):
			all = append(all, fmt.Sprintf("opened %v shut>open", at))
		case isOpen(was) && !isOpen(is):
			all = append(all, fmt.Sprintf("shut %v open>shut", at))
		}
	}
	slices.Sort(all)
	return all
}

// after tells whether an endpoint is open after a sweep, by all that was known then.
func (m *model) after(vantage string, sweep int, at netip.AddrPort) (open bool) {
	for i := range sweep + 1 {
		if mark := m.mark(vantage, i, at); mark != markNone {
			open = mark == markOpen
		}
	}
	return open
}

// compareDiffs holds each diff of two sweeps against what the observations say of them.
func (m *model) compareDiffs(t *rapid.T, db *DB) {
	for vantage, sweeps := range m.sweeps {
		for i := range sweeps {
			for j := i; j < len(sweeps); j++ {
				a, err := db.Find(sweeps[i][0].id, vantage, time.Time{})
				if err != nil {
					t.Fatal(err)
				}
				b, err := db.Find(sweeps[j][0].id, vantage, time.Time{})
				if err != nil {
					t.Fatal(err)
				}
				var got, want []string
				for c, err := range db.Diff(a, b, true) {
					if err != nil {
						t.Fatal(err)
					}
					if c.Change != results.ChangeService {
						got = append(got, fmt.Sprintf("%v %s>%s", netip.AddrPortFrom(c.Addr, c.Port), openOrNot(c.Before), c.After))
					}
				}
				for _, at := range everywhere {
					was, is := m.after(vantage, i, at), m.after(vantage, j, at)
					asked := slices.ContainsFunc(slices.Concat(sweeps[min(i+1, j):j+1]...), func(s *fakeScan) bool { return s.asked(at) })
					switch {
					case !was && is:
						want = append(want, fmt.Sprintf("%v not>open", at))
					case was && !is:
						want = append(want, fmt.Sprintf("%v open>shut", at))
					case is && !asked:
						want = append(want, fmt.Sprintf("%v open>unknown", at))
					}
				}
				slices.Sort(got)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Fatalf("from %d to %d: %q, want %q", i, j, got, want)
				}
			}
		}
	}
}

func openOrNot(state string) string {
	if state == stateOpen {
		return state
	}
	return "not"
}
