package inventory

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"

	"synoptic/bench/lab/need"
	"synoptic/results"
)

const plan = "box 1 3 1 2" // 10.0.0.1 to .3 and 2001:db8::4, ports 1 and 2

// day is a scan of all of the plan, so many hours after the epoch.
func day(id string, n int64, open map[netip.AddrPort]string) *fakeScan {
	return &fakeScan{id: id, text: plan, seed: uint64(n), covered: whole(plan, uint64(n)), t0: hours(n), at: hours(n) + 1, t1: hours(n + 1), open: open}
}

func interval(i *Interval) string {
	at := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return t.UTC().Format("15")
	}
	return strings.Join([]string{netip.AddrPortFrom(i.Addr, i.Port).String(), at(i.NotBefore), at(i.First), at(i.Last), at(i.Until), i.How, i.Service}, " ")
}

func historyOf(t *testing.T, db *DB, prefix string, port uint16) (all []string) {
	t.Helper()
	intervals, err := db.History(netip.MustParsePrefix(prefix), port, time.Time{})
	check(t, err)
	for i := range intervals {
		all = append(all, interval(&intervals[i]))
	}
	return all
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestFind(t *testing.T) {
	db := newDB(t)
	day("aa11", 0, nil).into(t, db, Scan{})
	day("aa22", 24, nil).into(t, db, Scan{})
	day("bb", 48, nil).into(t, db, Scan{})
	now := time.Unix(0, hours(72)).UTC()
	find := func(word string) string {
		s, err := db.Find(word, "", now)
		if err != nil {
			return err.Error()
		}
		return s.ScanID
	}
	for word, want := range map[string]string{
		"bb": "bb", "aa1": "aa11", "aa": `scan "aa": 2 scans begin with it`, "last": "bb", "1970-01-02": "aa22", "1d": "aa22", "2d": "aa11", "70h": "aa11",
		"1970-01-01T03:00:00Z": "aa11", "9d": `scan "9d": no scan is that old`, "x": `scan "x": no scan of the inventory`, "": `scan "": 3 scans begin with it`,
		"baseline": `scan "baseline": no scan has this name`, "1960-01-01": `scan "1960-01-01": no scan is that old`,
	} {
		if got := find(word); got != want {
			t.Errorf("%q: %s, want %s", word, got, want)
		}
	}
	s, err := db.Find("aa2", "", now)
	check(t, err)
	check(t, db.SetName(Baseline, s))
	if got := find("baseline"); got != "aa22" {
		t.Errorf("baseline is %s", got)
	}
}

// What ended long ago is forgotten, what is open never, and what needs the forgotten is refused.
func TestPrune(t *testing.T) {
	db := newDB(t)
	day("a", 0, ports("10.0.0.1", 1, 2)).into(t, db, Scan{})
	day("b", 10, ports("10.0.0.1", 2)).into(t, db, Scan{})
	day("c", 20, ports("10.0.0.1", 1)).into(t, db, Scan{})
	day("d", 30, ports("10.0.0.1", 1)).into(t, db, Scan{})
	n, err := db.Prune(time.Unix(0, hours(15)))
	if check(t, err); n != 1 {
		t.Errorf("%d forgotten", n)
	}
	check(t, db.Check())
	same(t, historyOf(t, db, "10.0.0.1/32", 0), "10.0.0.1:1 10 21 07 -  ", "10.0.0.1:2 - 01 11 21 shut ")
	if s, err := db.Stats(); err != nil || s.Folded != 1 || s.Intervals != 1 {
		t.Error(s, err)
	}
	a, err := db.Find("a", "", time.Now())
	check(t, err)
	d, err := db.Find("d", "", time.Now())
	check(t, err)
	for _, err := range db.Diff(a, d, false) {
		if _, ok := errors.AsType[*Error](err); !ok || !strings.Contains(err.Error(), "prune") {
			t.Errorf("a diff over what was pruned: %v", err)
		}
	}
	in := db.Ingest(Scan{ByTime: true, Vantage: ""})
	old := day("old", 5, nil)
	old.feed(t, in)
	if err := old.end(in); err == nil || !strings.Contains(err.Error(), "prune") {
		t.Errorf("a scan of what was pruned: %v", err)
	}
	if _, err := db.Prune(time.Now()); err != nil { // what the newest sweep has changed stays
		t.Fatal(err)
	}
	c, err := db.Find("c", "", time.Now())
	check(t, err)
	for _, err := range db.Diff(c, d, false) {
		check(t, err)
	}
}

// A scan that finds 1.7 million open ports, as many as a /8 has, is in memory with 24 bytes each.
func TestMemory(t *testing.T) {
	need.Long(t)
	in := newDB(t).Ingest(Scan{})
	check(t, in.Start(&results.ScanStart{ScanID: "large"}))
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	batch := make([]results.Port, 256)
	for n := 0; n < 1_700_000; n += len(batch) {
		for i := range batch {
			at := uint32(n+i) * 2654435761
			batch[i] = results.Port{Addr: netip.AddrFrom4([4]byte{10, byte(at >> 24), byte(at >> 16), byte(at >> 8)}), Port: 80 + uint16(at&7), Reason: results.SYNACK}
		}
		check(t, in.Ports(batch))
	}
	if used := int64(heap()) - int64(before); used < 1_700_000*24 || used > 80<<20 {
		t.Errorf("%d MB", used>>20)
	}
	runtime.KeepAlive(in)
}

// Acknowledgements are kept, replaced and taken back.
func TestAck(t *testing.T) {
	db := newDB(t)
	check(t, db.Acknowledge(Ack{"id", time.Unix(5, 0), "me", "note"}))
	check(t, db.Acknowledge(Ack{"id", time.Unix(6, 0), "you", ""}))
	if all, err := db.Acks(); err != nil || len(all) != 1 || all[0] != (Ack{"id", time.Unix(6, 0), "you", ""}) {
		t.Error(all, err)
	}
	for _, want := range []bool{true, false} {
		if known, err := db.Unacknowledge("id"); err != nil || known != want {
			t.Error(known, err)
		}
	}
}

// Files that are none of ours are refused, each with its own words, and not changed.
func TestRefused(t *testing.T) {
	foreign := func(sql string) func(path string) {
		return func(path string) {
			c, err := sqlite3.Open(path)
			check(t, err)
			check(t, c.Exec(sql))
			check(t, c.Close())
		}
	}
	bytes := func(b []byte) func(string) { return func(path string) { check(t, os.WriteFile(path, b, 0o600)) } }
	for name, c := range map[string]struct {
		make func(path string)
		want string
	}{
		"text":       {bytes([]byte(strings.Repeat("scan", 1000))), "not a database"},
		"short":      {bytes([]byte("x")), "not a database"},
		"foreign":    {foreign("CREATE TABLE scan (id)"), "another program"},
		"marked":     {foreign("PRAGMA application_id = 7; CREATE TABLE scan (id)"), "another program"},
		"newer":      {func(path string) { bytes(empty())(path); foreign("PRAGMA user_version = 99")(path) }, "version 99"},
		"a folder":   {func(path string) { check(t, os.Mkdir(path, 0o700)) }, "not a file"},
		"half a one": {bytes(empty()[:len(empty())/2]), "damaged"},
	} {
		path := filepath.Join(t.TempDir(), "x.db")
		c.make(path)
		before, _ := os.ReadFile(path)
		db, err := Open(path, Config{Spaces: readBox})
		if err == nil {
			err = db.Check()
			db.Close()
		}
		e, ok := errors.AsType[*Error](err)
		if !ok || !strings.Contains(err.Error(), c.want) || e.Hint() == "" {
			t.Errorf("%s: %v", name, err)
		}
		if after, _ := os.ReadFile(path); string(after) != string(before) {
			t.Errorf("%s: the file was changed", name)
		}
	}
	if _, err := OpenReader(filepath.Join(t.TempDir(), "none"), Config{}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none", "x.db"), Config{}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	} else if e, ok := errors.AsType[*Error](err); !ok || !strings.Contains(e.Hint(), "folder") {
		t.Error(err)
	}
}

// A second writer waits, and says so in the end; a reader does not wait.
func TestSecondWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	one := newDBIn(t, path)
	day("first", 0, ports("10.0.0.1", 1)).into(t, one, Scan{})
	tx, err := one.conn.BeginImmediate()
	check(t, err)
	two, err := Open(path, Config{Spaces: readBox, Wait: 50 * time.Millisecond})
	check(t, err)
	defer two.Close()
	in := two.Ingest(Scan{})
	s := day("second", 2, nil)
	s.feed(t, in)
	if err := s.end(in); !errors.Is(err, sqlite3.BUSY) || !strings.Contains(err.Error(), "another program") {
		t.Errorf("a second writer: %v", err)
	}
	reader, err := OpenReader(path, Config{Spaces: readBox})
	check(t, err)
	defer reader.Close()
	asItWas := func() {
		t.Helper()
		var open []string
		for i, err := range reader.OpenPorts("") {
			check(t, err)
			open = append(open, interval(&i))
		}
		if !slices.Equal(open, []string{"10.0.0.1:1 - 01 01 -  "}) {
			t.Errorf("%q", open)
		}
	}
	asItWas()
	check(t, tx.Rollback())
	s.into(t, two, Scan{})
	asItWas()
}

// Whatever byte of a database is damaged: one error, or the right answer, and no panic.
func TestDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := newDBIn(t, path)
	for n := range int64(6) {
		day(string(rune('a'+n)), n*2, ports("10.0.0.2", uint16(n%2+1))).into(t, db, Scan{Events: true})
	}
	check(t, db.Close())
	good, err := os.ReadFile(path)
	check(t, err)
	wrong := 0
	for at := 0; at < len(good); at += len(good)/60 + 1 {
		bad := slices.Clone(good)
		for i := at; i < min(at+40, len(bad)); i++ {
			bad[i] ^= 0x55
		}
		check(t, os.WriteFile(path, bad, 0o600))
		db, err := Open(path, Config{Spaces: readBox})
		if err != nil {
			wrong++
			continue
		}
		if err := db.Check(); err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Fatalf("damage at %d: %v", at, err)
			}
			wrong++
		}
		_ = db.conn.Exec("PRAGMA synchronous = OFF")
		in := db.Ingest(Scan{})
		s := day("next", 20, ports("10.0.0.3", 1))
		s.feed(t, in)
		_ = s.end(in)
		_, _ = db.History(netip.MustParsePrefix("10.0.0.0/8"), 0, time.Time{})
		db.Close()
	}
	if wrong < 3 { // much of so small a file is empty
		t.Errorf("damage was seen %d times only", wrong)
	}
}

// Any sqlite3 can read it. The schema is the one that version 2 made, and views show what the commands show.
func TestSchema(t *testing.T) {
	program, err := exec.LookPath("sqlite3")
	if err != nil {
		t.Skip("no sqlite3")
	}
	path := filepath.Join(t.TempDir(), "x.db")
	db := newDBIn(t, path)
	day("a", 0, ports("10.0.0.2", 1, 2)).into(t, db, Scan{})
	day("b", 2, ports("10.0.0.2", 1)).into(t, db, Scan{})
	judged(t, db, 3, "", "never 10.0.0.2:1 a")
	check(t, db.Close())
	out, err := exec.Command(program, path, "SELECT severity, rule, ip, port, vantage, closed FROM violation; SELECT ip, port, vantage, since FROM open_now; SELECT ip, port, since, until, how FROM was_open; PRAGMA user_version; PRAGMA integrity_check").Output()
	check(t, err)
	if want := "high|never|10.0.0.2|1|host|\n10.0.0.2|1|host|1\n10.0.0.2|2|1|2|shut\n3\nok\n"; string(out) != want {
		t.Errorf("%s, want %s", out, want)
	}
}

// A database of each version on is brought up to date: what it held is there.
func TestMigrations(t *testing.T) {
	for version := range SchemaVersion {
		path := filepath.Join(t.TempDir(), "x.db")
		c, err := sqlite3.Open(path)
		check(t, err)
		for _, step := range steps[:version] {
			check(t, c.Exec(step))
		}
		if version > 0 {
			check(t, run(c, "INSERT INTO ack VALUES ('id', 1, 'me', '')"))
			check(t, c.Exec("PRAGMA application_id = "+strconv.Itoa(applicationID)))
		}
		check(t, c.Exec("PRAGMA user_version = "+string(rune('0'+version))))
		check(t, c.Close())
		db := newDBIn(t, path)
		day("a", 0, ports("10.0.0.2", 1)).into(t, db, Scan{})
		check(t, db.Check())
		if all, err := db.Acks(); err != nil || len(all) != min(version, 1) {
			t.Errorf("from version %d: %v, error %v", version, all, err)
		}
	}
}

// A change's record is the same from the outbox and from a diff.
func TestSameRecords(t *testing.T) {
	db := newDB(t)
	day("a", 0, ports("10.0.0.2", 1)).into(t, db, Scan{Events: true})
	day("b", 2, ports("10.0.0.2", 2)).into(t, db, Scan{Events: true})
	told := map[results.EventID]bool{}
	for _, e := range events(t, db) {
		told[e.EventID()] = true
	}
	a, b, err := db.LastTwo("host")
	check(t, err)
	n := 0
	for c, err := range db.Diff(a, b, false) {
		if check(t, err); !told[c.EventID()] {
			t.Errorf("not told: %+v", c)
		}
		n++
	}
	if n != 2 || len(told) != 2 {
		t.Errorf("%d changes, %d told", n, len(told))
	}
}
