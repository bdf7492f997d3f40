package inventory

import (
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"pgregory.net/rapid"

	"synoptic/results/coverage"
)

var splits = flag.Int("splits", 100, "random splits of a scan that TestSplit tries")

// dump is all that a database says, in a form that does not depend on how scans were split: sweeps by their order, with all that their pieces
// cover, from when to when; endpoints by address. Of the scans themselves, only what adds up.
func dump(t *rapid.T, db *DB) string {
	var b strings.Builder
	ids, names, err := db.vantages("")
	if err != nil {
		t.Fatal(err)
	}
	for i, id := range ids {
		line, err := db.timeline(id)
		if err != nil {
			t.Fatal(err)
		}
		atOnce, err := db.timeline(id)
		if err != nil {
			t.Fatal(err)
		}
		atOnce.looks = mostLooks - 1
		for n := range line.sweeps {
			_, _ = line.pieces(n), atOnce.pieces(n)
		}
		if !reflect.DeepEqual(line.sweeps, atOnce.sweeps) {
			t.Fatal("sweeps are others where all but the first are read at once")
		}
		for n, s := range line.sweeps {
			t0, t1 := line.bounds(n)
			fmt.Fprintf(&b, "%s sweep %d: %d-%d", names[i], n, t0, t1)
			for part := range line.sets(line.pieces(n)[0]) {
				var all []coverage.Range
				for _, p := range line.pieces(n) {
					all = slices.AppendSeq(all, line.sets(p)[part].covered.Ranges())
				}
				q := line.pieces(n)[0].parts[part]
				fmt.Fprintf(&b, " space %d seed %d: %v", q.space, q.seed, slices.Collect(coverage.Of(all...).Ranges()))
			}
			sums(t, db, &b, s.id)
			changes, err := db.delta(s.id)
			if err != nil {
				t.Fatal(err)
			}
			said := make([]string, 0, len(changes)) // in the order of addresses, and not of numbers that they have in this database
			for _, c := range changes {
				at, _ := db.addrPort(c.key)
				from := -1
				if c.gap != 0 {
					from = line.index[int64(c.sweep)-c.gap]
				}
				said = append(said, fmt.Sprintf(" %v %v again %v how %v from %d", at, c.opened, c.again, c.how, from))
			}
			slices.Sort(said)
			fmt.Fprintln(&b, said)
		}
		for at, all := range intervalsOf(t, db, names[i]) {
			fmt.Fprintf(&b, "%s %v %v\n", names[i], at, all)
		}
		rows(t, db, &b, `SELECT 'service', s.ep, s.since, s.until, p.name FROM service s JOIN proto p ON p.id = s.proto`, line)
	}
	for _, c := range eventsOf(t, db) {
		fmt.Fprintf(&b, "told %s\n", c)
	}
	all := strings.Split(b.String(), "\n")
	slices.Sort(all)
	return strings.Join(all, "\n")
}

func sums(t *rapid.T, db *DB, b *strings.Builder, sweep int64) {
	err := each(db.conn, `SELECT sum(sent), sum(open), min(complete) FROM scan WHERE sweep = ?`, func(s *sqlite3.Stmt) error {
		fmt.Fprintf(b, " sent %d open %d;", s.ColumnInt64(0), s.ColumnInt64(1))
		return nil
	}, sweep)
	if err != nil {
		t.Fatal(err)
	}
}

// rows writes rows of an endpoint's key, two sweeps and a text.
func rows(t *rapid.T, db *DB, b *strings.Builder, query string, line *timeline) {
	err := each(db.conn, query, func(s *sqlite3.Stmt) error {
		k := key(s.ColumnInt64(1))
		if k.vantage() != line.vantage {
			return nil
		}
		at, err := db.addrPort(k)
		until := -1
		if s.ColumnType(3) != sqlite3.NULL {
			until = line.index[s.ColumnInt64(3)]
		}
		fmt.Fprintf(b, "%s %v %d-%d %s\n", s.ColumnText(0), at, line.index[s.ColumnInt64(2)], until, s.ColumnText(4))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// eventsOf are the events that wait, without what is of the piece that shows them.
func eventsOf(t *rapid.T, db *DB) (all []string) {
	waiting, err := db.Outbox(0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range waiting {
		line := string(w.Record)
		begin := strings.Index(line, `"change"`)
		begin += strings.Index(line[begin:], `,"change"`)
		end := len(line)
		if i := strings.Index(line, `,"not_before"`); i > 0 {
			end = i
		}
		all = append(all, line[begin:end])
	}
	return all
}

// split cuts a scan into pieces that were interrupted, and take all of its positions together: at random positions, in a random order.
func split(t *rapid.T, s *fakeScan) (pieces []*fakeScan) {
	space, _ := newBox([]byte(s.text), s.seed)
	n := rapid.IntRange(1, 6).Draw(t, "pieces")
	owner := make([]int, space.Len())
	inRuns := rapid.Bool().Draw(t, "in runs")
	for i := range owner {
		owner[i] = rapid.IntRange(0, n-1).Draw(t, "piece")
		if inRuns {
			owner[i] = i * n / len(owner)
		}
	}
	for i := range n {
		p := *s
		p.id, p.covered, p.open = fmt.Sprintf("%s-%d", s.id, i), &coverage.Set{}, map[netip.AddrPort]string{}
		p.t0, p.t1 = s.t0+(s.t1-s.t0)*int64(i)/int64(n), s.t0+(s.t1-s.t0)*int64(i+1)/int64(n)
		for at := range owner {
			if owner[at] == i && s.covered.Contains(uint64(at)) {
				p.covered.Add(uint64(at))
			}
		}
		for at, service := range s.open {
			position, in := space.Position(at.Addr(), at.Port())
			if in && owner[position] == i {
				p.open[at] = service
			}
		}
		if p.covered.Len() > 0 || len(p.open) > 0 {
			pieces = append(pieces, &p)
		}
	}
	return rapid.Permutation(pieces).Draw(t, "order")
}

// I2: however scans are split into pieces, the database says the same. Scans have an order each, as they have unless somebody gives them a seed,
// or one order and cover all of it: pieces of a plan of which an earlier scan left something out may be those that were missing.
func TestSplit(t *testing.T) {
	for range *splits / 100 {
		rapid.Check(t, func(rt *rapid.T) {
			one, other := newDB(t), newDB(t)
			defer one.Close()
			defer other.Close()
			oneOrder := rapid.Bool().Draw(rt, "one order")
			for n := range rapid.IntRange(1, 5).Draw(rt, "scans") {
				s := drawScan(rt, n, false, false)
				if s.seed = uint64(n); oneOrder {
					s.seed, s.covered = 0, whole(s.text, 0)
				}
				maps.DeleteFunc(s.open, func(at netip.AddrPort, _ string) bool { return !s.asked(at) })
				if s.covered.Len() == 0 {
					continue
				}
				pieces := split(rt, s)
				first := pieces[0]
				for _, p := range pieces { // the first piece of all begins when the scan does
					if p.t0 < first.t0 {
						first = p
					}
				}
				s.t0, s.t1 = first.t0, slices.MaxFunc(pieces, func(a, b *fakeScan) int { return int(a.t1 - b.t1) }).t1
				s.into(t, one, Scan{Events: true})
				for _, p := range pieces {
					p.into(t, other, Scan{Events: true})
				}
			}
			if a, b := dump(rt, one), dump(rt, other); a != b {
				rt.Fatalf("whole:\n%s\nin pieces:\n%s", a, b)
			}
			for _, db := range []*DB{one, other} {
				if err := db.Check(); err != nil {
					rt.Fatal(err)
				}
			}
		})
	}
}
