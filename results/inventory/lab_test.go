package inventory

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"synoptic/results"
	"synoptic/results/coverage"
)

// box is a plan of a test: so many hosts of both families by ports from 1 on, in an order that the seed shuffles.
type box struct {
	all   []netip.AddrPort
	place map[netip.AddrPort]uint64
}

func readBox(text []byte) (Order, error) {
	_, err := newBox(text, 0)
	return func(seed uint64) (Space, error) { return newBox(text, seed) }, err
}

func newBox(text []byte, seed uint64) (Space, error) {
	var first, hosts, hosts6, ports int
	if _, err := fmt.Sscanf(string(text), "box %d %d %d %d", &first, &hosts, &hosts6, &ports); err != nil {
		return nil, err
	}
	b := &box{place: map[netip.AddrPort]uint64{}}
	for h := range hosts + hosts6 {
		addr := netip.AddrFrom4([4]byte{10, 0, byte((first + h) >> 8), byte(first + h)})
		if h >= hosts {
			addr = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: byte(first + h)})
		}
		for p := range ports {
			b.all = append(b.all, netip.AddrPortFrom(addr, uint16(p+1)))
		}
	}
	rand.New(rand.NewPCG(seed, 1)).Shuffle(len(b.all), func(i, j int) { b.all[i], b.all[j] = b.all[j], b.all[i] })
	for i, at := range b.all {
		b.place[at] = uint64(i)
	}
	return b, nil
}

func (b *box) Len() uint64 { return uint64(len(b.all)) }

func (b *box) Position(addr netip.Addr, port uint16) (uint64, bool) {
	p, in := b.place[netip.AddrPortFrom(addr, port)]
	return p, in
}

func (b *box) At(position uint64) (netip.Addr, uint16) {
	return b.all[position].Addr(), b.all[position].Port()
}

// fakeScan is a scan of a test.
type fakeScan struct {
	id      string
	vantage string
	text    string // of the plan; "": the records have none
	seed    uint64
	covered *coverage.Set
	t0, t1  int64
	at      int64                     // of its records
	open    map[netip.AddrPort]string // and what the server says
	closed  []netip.AddrPort          // answered RST, in the records
	show    []string
	suspect []netip.Addr
}

// feed gives the records of a scan to a sink, but for its end.
func (s *fakeScan) feed(t testing.TB, sink results.Sink) {
	check(t, sink.Start(&results.ScanStart{ScanID: s.id, Time: moment(s.t0), Scanner: "host", Show: s.show}))
	if s.text != "" {
		whole := results.PlanPiece{Time: moment(s.t0), ScanID: s.id, Part: 1, Parts: 1, Seed: s.seed}
		pieces, err := results.PlanPieces(whole, func(w io.Writer) error { _, err := io.WriteString(w, s.text); return err })
		check(t, err)
		check(t, sink.Notices(pieces))
	}
	for _, at := range slices.SortedFunc(maps.Keys(s.open), netip.AddrPort.Compare) {
		service := s.open[at]
		p := results.Port{Addr: at.Addr(), Port: at.Port(), Reason: results.SYNACK, Time: s.at}
		if service != "" {
			p.Service, p.ServiceSource = service, results.ServiceBanner
		}
		check(t, sink.Ports([]results.Port{p}))
	}
	for _, at := range s.closed {
		check(t, sink.Ports([]results.Port{{Addr: at.Addr(), Port: at.Port(), Reason: results.RST, Time: s.at}}))
	}
	for _, addr := range s.suspect {
		check(t, sink.Ports([]results.Port{{Addr: addr, Port: 1, Reason: results.SYNACK, Time: s.at, Suspect: results.SYNACKAll}}))
	}
}

// end gives the end.
func (s *fakeScan) end(sink results.Sink) error {
	e := &results.ScanEnd{ScanID: s.id, Time: moment(s.t1), Sent: 1, Complete: true}
	if s.covered != nil {
		e.Sent = s.covered.Len()
		if err := sink.Notices(e.Cover([]*coverage.Set{s.covered})); err != nil {
			return err
		}
	}
	return sink.End(e)
}

// into puts a scan into a database.
func (s *fakeScan) into(t testing.TB, db *DB, how Scan) Outcome {
	how.Vantage = s.vantage
	in := db.Ingest(how)
	s.feed(t, in)
	check(t, s.end(in))
	return in.Outcome()
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newDB is an empty database, which does not wait for the disk.
func newDB(t testing.TB) *DB {
	path := filepath.Join(t.TempDir(), "inventory.db")
	check(t, os.WriteFile(path, empty(), 0o600))
	return newDBIn(t, path)
}

// empty is the file of an empty database: to make one waits for the disk.
var empty = sync.OnceValue(func() []byte {
	dir, err := os.MkdirTemp("", "inventory")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	db, err := Open(filepath.Join(dir, "empty.db"), Config{Spaces: readBox})
	if err != nil {
		panic(err)
	}
	db.Close()
	file, err := os.ReadFile(filepath.Join(dir, "empty.db"))
	if err != nil {
		panic(err)
	}
	return file
})

func newDBIn(t testing.TB, path string) *DB {
	db, err := Open(path, Config{Spaces: readBox})
	check(t, err)
	t.Cleanup(func() { db.Close() })
	check(t, db.conn.Exec("PRAGMA synchronous = OFF"))
	return db
}

// whole covers all of a plan.
func whole(text string, seed uint64) *coverage.Set {
	s, err := newBox([]byte(text), seed)
	if err != nil {
		panic(err)
	}
	return coverage.Of(coverage.Range{End: s.Len()})
}

func ports(addr string, open ...uint16) map[netip.AddrPort]string {
	all := map[netip.AddrPort]string{}
	for _, p := range open {
		all[netip.AddrPortFrom(netip.MustParseAddr(addr), p)] = ""
	}
	return all
}

// told are the events of the outbox, which they are taken out of: kind, endpoint, what it was and is.
func told(t testing.TB, db *DB) (all []string) {
	t.Helper()
	for _, e := range events(t, db) {
		all = append(all, fmt.Sprintf("%v %v %s>%s", e.Change, netip.AddrPortFrom(e.Addr, e.Port), e.Before, e.After))
	}
	slices.Sort(all)
	return all
}

func events(t testing.TB, db *DB) (all []*results.Change) {
	t.Helper()
	records, err := db.Outbox(0, 1<<20)
	check(t, err)
	for _, r := range records {
		var read results.Records
		check(t, results.NewReader(bytes.NewReader(append(r.Record, '\n'))).Read(&read))
		all = append(all, read.Notices[0].(*results.Change))
		check(t, db.Delivered(r.ID))
	}
	return all
}

func hours(n int64) int64 { return n * int64(time.Hour) }
