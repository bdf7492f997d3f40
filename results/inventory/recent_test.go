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

// compareRecent holds the changes of each sweep against the diff of it and the sweep before, and what has ended against what the observations say.
func (m *model) compareRecent(t *rapid.T, db *DB) {
	for vantage, sweeps := range m.sweeps {
		bySweep := make([][]string, len(sweeps))
		sweepOf := map[string]int{}
		for i, pieces := range sweeps {
			for _, s := range pieces {
				sweepOf[s.id] = i
			}
		}
		for c, err := range db.Changes(vantage, time.Time{}) {
			if err != nil {
				t.Fatal(err)
			}
			i := sweepOf[c.ScanID]
			bySweep[i] = append(bySweep[i], words(&c))
		}
		for i := range sweeps {
			var want []string
			if i > 0 {
				for c, err := range db.Diff(find(t, db, vantage, sweeps[i-1][0].id), find(t, db, vantage, sweeps[i][0].id), false) {
					if err != nil {
						t.Fatal(err)
					}
					want = append(want, words(&c))
				}
			}
			slices.Sort(want)
			if slices.Sort(bySweep[i]); !slices.Equal(bySweep[i], want) {
				t.Fatalf("sweep %d of %s: %q, want %q", i, vantage, bySweep[i], want)
			}
		}
		m.compareEnded(t, db, vantage)
	}
}

func (m *model) compareEnded(t *rapid.T, db *DB, vantage string) {
	var got, want []string
	for c, err := range db.Ended(vantage, time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, netip.AddrPortFrom(c.Addr, c.Port).String())
	}
	for _, at := range everywhere {
		if all := m.intervals(vantage, at); len(all) > 0 && !m.after(vantage, len(m.sweeps[vantage])-1, at) {
			want = append(want, at.String())
		}
	}
	slices.Sort(got)
	if slices.Sort(want); !slices.Equal(got, want) {
		t.Fatalf("ended from %s: %q, want %q", vantage, got, want)
	}
}

func find(t *rapid.T, db *DB, vantage, id string) ScanInfo {
	s, err := db.Find(id, vantage, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func words(c *results.Change) string {
	return fmt.Sprint(c.Change, c.Addr, c.Port, c.Before, c.After, c.ServiceBefore, time.Time(*c.NotAfter))
}

// Only what is recent is told, the newest first; what was pruned is not there any more.
func TestRecent(t *testing.T) {
	db := newDB(t)
	day("a", 0, ports("10.0.0.1", 1, 2)).into(t, db, Scan{})
	day("b", 10, ports("10.0.0.1", 2)).into(t, db, Scan{})
	c := day("c", 20, ports("10.0.0.1", 1))
	c.open[netip.MustParseAddrPort("10.0.0.1:1")] = "ssh"
	c.into(t, db, Scan{})
	day("d", 30, nil).into(t, db, Scan{})
	changes := func(since int64) (all []string) {
		for c, err := range db.Changes("host", time.Unix(0, hours(since))) {
			check(t, err)
			all = append(all, fmt.Sprint(c.Change, " ", c.Port, " ", c.ScanID))
		}
		return all
	}
	ended := func(since int64) (all []string) {
		for c, err := range db.Ended("", time.Unix(0, hours(since))) {
			check(t, err)
			all = append(all, fmt.Sprint(c.Port, " ", c.ScanID, " ", c.Service))
		}
		return all
	}
	same(t, changes(0), "shut 1 d", "reopened 1 c", "shut 2 c", "shut 1 b")
	same(t, changes(21), "shut 1 d", "reopened 1 c", "shut 2 c") // when it ended counts
	same(t, changes(22), "shut 1 d")
	same(t, ended(0), "1 d ssh", "2 c ")
	same(t, ended(22), "1 d ssh")
	_, err := db.Prune(time.Unix(0, hours(15)))
	check(t, err)
	same(t, changes(0), "shut 1 d", "reopened 1 c", "shut 2 c")
	same(t, ended(0), "1 d ssh", "2 c ")
	for _, err := range db.Changes("moon", time.Time{}) {
		if err == nil {
			t.Error("a vantage that is not there")
		}
	}
}

// What a scan was to ask, and what all pieces of its sweep have asked.
func TestPlans(t *testing.T) {
	db := newDB(t)
	for i, id := range []string{"one", "other"} {
		s := day(id, 0, nil)
		s.covered = coverage.Of(coverage.Range{Begin: uint64(i * 3), End: uint64(i*3 + 3)})
		s.into(t, db, Scan{})
	}
	scans, err := db.Scans("")
	check(t, err)
	for i := range scans {
		all, err := db.Plans(scans[i])
		if check(t, err); len(all) != 1 || all[0].Space.Len() != 8 || all[0].Asked != 3 || all[0].Swept != 6 {
			t.Errorf("%+v", all)
		}
	}
}

func TestParseAge(t *testing.T) {
	for word, want := range map[string]time.Duration{
		"90m": 90 * time.Minute, "12h": 12 * time.Hour, "1d": 24 * time.Hour, "1.5d": 36 * time.Hour, "2w": 14 * 24 * time.Hour, "1y": 365 * 24 * time.Hour, "100y": 36500 * 24 * time.Hour,
		"0d": 0, "0h": 0, "-1d": 0, "d": 0, "": 0, "1d2h": 0, "101y": 0, "1e9w": 0, "infw": 0, "nand": 0, "7": 0,
	} {
		if got, err := ParseAge(word); got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %v, %v", word, got, err)
		}
	}
}
