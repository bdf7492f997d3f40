package inventory

import (
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"

	"synoptic/results"
	"synoptic/results/coverage"
	"synoptic/scan/spec"
)

var (
	pieces   = flag.Int("pieces", 48, "pieces of a monitor's stream that TestYearOfPieces makes, 24 a day")
	estate   = flag.Int("estate", 2000, "open ports of it, in 10.0.0.0/8")
	perPiece = flag.Int("turned", 100, "ports that open in a piece, and that end")
)

// bigPlan is 10.0.0.0/8 × two ports.
const bigPlan = "synoptic plan 1\npermutation 1\ntargets\n10.0.0.0-10.255.255.255\nports\n80-80\n443-443\nexclusions\n"

func readSpec(text []byte) (Order, error) {
	s, err := spec.Read(text, 0)
	return func(seed uint64) (Space, error) { return s.WithSeed(seed) }, err
}

// A year of a monitor's stream, each piece of it a 24th of the plan: what a look-up takes.
//
//	go test ./results/inventory -run TestYearOfPieces -pieces 8760 -estate 1000000 -timeout 1h -v
func TestYearOfPieces(t *testing.T) {
	path := t.TempDir() + "/year.db"
	db, err := Open(path, Config{Spaces: readSpec})
	check(t, err)
	check(t, db.conn.Exec("PRAGMA synchronous = OFF"))
	y := &yearOfPieces{t: t, db: db, rng: rand.New(rand.NewPCG(1, 2)), has: map[netip.AddrPort]bool{}, now: hours(1)}
	y.w, err = db.Watch(Watching{Vantage: "m", Text: []byte(bigPlan), Seed: 7})
	check(t, err)
	y.first()
	began := time.Now()
	for n := range *pieces {
		y.piece(n)
		if n%1000 == 0 {
			t.Log(n, time.Since(began))
		}
	}
	y.w.forget()
	check(t, db.Close())
	y.measure(path)
}

type yearOfPieces struct {
	t    *testing.T
	db   *DB
	w    *Watch
	rng  *rand.Rand
	has  map[netip.AddrPort]bool
	open []netip.AddrPort
	now  int64
}

func (y *yearOfPieces) add() netip.AddrPort {
	for {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], 10<<24|y.rng.Uint32N(1<<24))
		at := netip.AddrPortFrom(netip.AddrFrom4(b), [2]uint16{80, 443}[y.rng.IntN(2)])
		if !y.has[at] {
			y.has[at], y.open = true, append(y.open, at)
			return at
		}
	}
}

func (y *yearOfPieces) first() {
	for range *estate {
		y.add()
	}
	in := y.db.Ingest(Scan{Vantage: "m"})
	check(y.t, in.Start(&results.ScanStart{ScanID: "first", Time: moment(hours(0))}))
	for _, at := range y.open {
		check(y.t, in.Ports([]results.Port{{Addr: at.Addr(), Port: at.Port(), Reason: results.SYNACK, Time: 1}}))
	}
	check(y.t, in.End(&results.ScanEnd{ScanID: "first", Time: moment(hours(1))}))
}

// piece is one of the stream, written in one go. The last is ended as pieces are; others without what an end counts, which takes a second.
func (y *yearOfPieces) piece(n int) {
	check(y.t, y.w.Begin(fmt.Sprintf("piece%05d", n), time.Unix(0, y.now)))
	y.now += hours(1)
	p := Piece{Now: time.Unix(0, y.now)}
	size := y.w.space.Len() / 24
	p.Covered = coverage.Of(coverage.Range{Begin: uint64(n%24) * size, End: uint64(n%24+1) * size})
	turned := map[netip.AddrPort]bool{}
	for range *perPiece {
		i := y.rng.IntN(len(y.open))
		for turned[y.open[i]] {
			i = y.rng.IntN(len(y.open))
		}
		ended := y.open[i]
		y.open[i] = y.open[len(y.open)-1]
		y.open = y.open[:len(y.open)-1]
		opened := y.add()
		turned[ended], turned[opened] = true, true
		p.Changes = append(p.Changes, Turned{At: ended, Reason: results.NoResponse, NotAfter: p.Now.Add(-time.Second)},
			Turned{At: opened, Open: true, Reason: results.SYNACK, NotAfter: p.Now.Add(-time.Second)})
	}
	for i := 0; i < len(p.Changes); i += 2 {
		delete(y.has, p.Changes[i].At)
	}
	if n == *pieces-1 {
		began := time.Now()
		check(y.t, y.w.Write(p))
		y.t.Log("first write of the piece: ", time.Since(began))
		began = time.Now()
		check(y.t, y.w.Write(p))
		y.t.Log("write of nothing new: ", time.Since(began))
		began = time.Now()
		check(y.t, y.w.End(p, &results.ScanEnd{Complete: true}))
		y.t.Log("end of a piece: ", time.Since(began))
		return
	}
	check(y.t, y.w.Write(p))
	a := y.w.state.archive
	for _, e := range a.eras {
		if e.pending > 0 {
			e.n, e.pending, e.dirty = e.n+e.pending, 0, true
		}
	}
	check(y.t, a.save())
	check(y.t, run(y.db.conn, `DELETE FROM live`))
	if n == *pieces-2 {
		var all []key
		check(y.t, each(y.db.conn, `SELECT ep FROM cur ORDER BY ep`, func(s *sqlite3.Stmt) error { all = append(all, key(s.ColumnInt64(0))); return nil }))
		check(y.t, y.db.setFront(y.w.vantage, all))
	}
}

func (y *yearOfPieces) measure(path string) {
	var db *DB
	took := func(what string, f func() int) {
		best, n := time.Hour, 0
		for range 5 {
			var err error
			db, err = OpenReader(path, Config{Spaces: readSpec})
			check(y.t, err)
			began := time.Now()
			n = f()
			best = min(best, time.Since(began))
			check(y.t, db.Close())
		}
		y.t.Logf("%s: %v (%d)", what, best, n)
	}
	at := y.open[0]
	took("history of an address", func() int {
		all, err := db.History(netip.PrefixFrom(at.Addr(), 32), 0, time.Time{})
		check(y.t, err)
		return len(all)
	})
	took("timeline", func() int { line, err := db.timeline(0); check(y.t, err); return len(line.sweeps) })
	took("scans", func() int { all, err := db.Scans(""); check(y.t, err); return len(all) })
	took("stats", func() int { s, err := db.Stats(); check(y.t, err); return int(s.Bytes >> 20) })
	took("open ports", func() (n int) {
		for _, err := range db.OpenPorts("") {
			check(y.t, err)
			n++
		}
		if n != *estate {
			y.t.Errorf("%d are open, of %d", n, *estate)
		}
		return n
	})
	for days, unknown := range map[int]bool{1: true, 2: false, 7: true, 364: false} {
		took(fmt.Sprint("diff of days ", days, ", unknown ", unknown), func() (n int) {
			all, err := db.Scans("")
			check(y.t, err)
			for _, err := range db.Diff(all[max(0, len(all)-1-24*days)], all[len(all)-1], unknown) {
				check(y.t, err)
				n++
			}
			return n
		})
	}
}
