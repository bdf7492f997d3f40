package inventory

import (
	"errors"
	"iter"
	"net/netip"
	"slices"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// Interval is a time in which an endpoint was open, with both ends of every uncertainty.
type Interval struct {
	Addr    netip.Addr
	Port    uint16
	Vantage string
	// NotBefore is when it was last asked and not seen before; zero: it was not asked before, or never shut.
	NotBefore time.Time
	// First is the end of the scan that saw it first, Last that of the newest that saw it or would have said that it was shut.
	First, Last time.Time
	// Until is the end of the scan that asked and did not see it; zero: it is open by all that is known.
	Until time.Time
	How   string // it ended: "closed" by a RST, "gone" in silence, "unreachable" by an ICMP error, "shut" where the records do not say; "" while it is open
	// Service is what the server's first bytes showed last, "" where none was seen.
	Service string
	// FirstScan is the scan that saw it first, LastScan that of Last, UntilScan the one that asked and did not see it.
	FirstScan, LastScan, UntilScan string
}

// Open tells whether it is open by all that is known.
func (i *Interval) Open() bool { return i.Until.IsZero() }

// OpenPorts yields the endpoints that are open by all that is known, of a vantage or of all for "", IPv4 before IPv6, by address and
// port (IPv6: in the order in which addresses were seen first).
func (db *DB) OpenPorts(vantage string) iter.Seq2[Interval, error] {
	return func(yield func(Interval, error) bool) {
		err := db.openPorts(vantage, func(i Interval) bool { return yield(i, nil) })
		if err != nil {
			yield(Interval{}, db.failed(err))
		}
	}
}

// vantages are those of a name, or all for "".
func (db *DB) vantages(name string) (ids []int64, names []string, err error) {
	err = each(db.conn, `SELECT id, name FROM vantage WHERE ?1 = '' OR name = ?1 ORDER BY id`, func(s *sqlite3.Stmt) error {
		ids, names = append(ids, s.ColumnInt64(0)), append(names, s.ColumnText(1))
		return nil
	}, name)
	if err == nil && len(ids) == 0 && name != "" {
		err = &NoScanError{name, "the inventory has no scan from a vantage of this name", "synoptic inventory stats lists the vantages"}
	}
	return ids, names, err
}

// errEnough ends a query whose reader wants no more.
var errEnough = errors.New("enough")

func (db *DB) openPorts(vantage string, yield func(Interval) bool) error {
	ids, names, err := db.vantages(vantage)
	if err != nil {
		return err
	}
	protos, err := db.protos()
	if err != nil {
		return err
	}
	for i, id := range ids {
		t, err := db.timeline(id)
		if err != nil {
			return err
		}
		t.many = true
		for _, span := range spansOf(id) {
			err := each(db.conn, `SELECT ep, since, gap, svc FROM cur WHERE ep BETWEEN ? AND ? ORDER BY ep`, func(s *sqlite3.Stmt) error {
				one, err := t.interval(s, names[i], protos)
				if err == nil && !yield(one) {
					err = errEnough
				}
				return err
			}, span.first, span.last)
			if errors.Is(err, errEnough) {
				return nil
			}
			if err != nil {
				return err
			}
		}
		if t.err != nil {
			return t.err
		}
	}
	return nil
}

// interval makes one of a row (ep, since, gap, svc) of cur.
func (t *timeline) interval(s *sqlite3.Stmt, vantage string, protos map[int64]string) (Interval, error) {
	k, since := key(s.ColumnInt64(0)), s.ColumnInt64(1)
	one, at, err := t.begin(k, since, s.ColumnType(2) != sqlite3.NULL, s.ColumnInt64(2), vantage)
	if err != nil {
		return one, err
	}
	one.Last, one.LastScan = one.First, one.FirstScan
	if last := t.lastAsked(k, at, t.index[since], len(t.sweeps)); last > t.index[since] {
		one.seenBy(t, at, last)
	}
	one.Service = protos[s.ColumnInt64(3)]
	return one, t.err
}

// seenBy notes the sweep that saw the endpoint last.
func (i *Interval) seenBy(t *timeline, at netip.AddrPort, sweep int) {
	_, t1 := t.times(at, sweep)
	i.Last, i.LastScan = time.Unix(0, t1), t.pieceOf(at, sweep).scanID
}

// begin is the beginning of an interval.
func (t *timeline) begin(k key, since int64, asked bool, gap int64, vantage string) (one Interval, at netip.AddrPort, err error) {
	if at, err = t.db.addrPort(k); err != nil {
		return one, at, err
	}
	sweep, known := t.index[since]
	if !known {
		return one, at, errBlob
	}
	p := t.pieceOf(at, sweep)
	one = Interval{Addr: at.Addr(), Port: at.Port(), Vantage: vantage, First: time.Unix(0, p.t1), FirstScan: p.scanID}
	if asked {
		t0, _ := t.times(at, t.index[since-gap])
		one.NotBefore = time.Unix(0, t0)
	}
	return one, at, nil
}

// History are the intervals of the endpoints of a prefix, by address, port, vantage and time; port 0 is every port. Where since is not
// zero, only those that began or ended later.
func (db *DB) History(prefix netip.Prefix, port uint16, since time.Time) ([]Interval, error) {
	all, err := db.history(prefix, port)
	if err != nil {
		return nil, db.failed(err)
	}
	if !since.IsZero() {
		all = slices.DeleteFunc(all, func(i Interval) bool { return i.First.Before(since) && (i.Open() || i.Until.Before(since)) })
	}
	slices.SortStableFunc(all, func(a, b Interval) int {
		return netip.AddrPortFrom(a.Addr, a.Port).Compare(netip.AddrPortFrom(b.Addr, b.Port))
	})
	return all, nil
}

func (db *DB) history(prefix netip.Prefix, port uint16) (all []Interval, err error) {
	ids, names, err := db.vantages("")
	if err != nil {
		return nil, err
	}
	protos, err := db.protos()
	if err != nil {
		return nil, err
	}
	eras, err := db.eras()
	if err != nil {
		return nil, err
	}
	for i, id := range ids {
		spans, err := db.spans(id, prefix)
		if err != nil {
			return nil, err
		}
		var t *timeline
		if t, err = db.timeline(id); err != nil {
			return nil, err
		}
		for _, span := range spans {
			if port != 0 && span.first.host() == span.last.host() {
				span = span.only(port)
			}
			if all, err = t.historyOf(all, span, port, eras, names[i], protos); err != nil {
				return nil, err
			}
		}
		if t.err != nil {
			return nil, t.err
		}
	}
	return all, nil
}

// only is the one endpoint of a port in the span of a host.
func (s span) only(port uint16) span {
	return span{s.first.host() | key(port), s.first.host() | key(port)}
}

// historyOf appends the intervals of a span of keys.
func (t *timeline) historyOf(all []Interval, span span, port uint16, eras []int64, vantage string, protos map[int64]string) ([]Interval, error) {
	for _, era := range eras {
		err := each(t.db.conn, `SELECT ep, since, gap, ended >> 2, ended & 3 FROM past WHERE era = ? AND ep BETWEEN ? AND ?`, func(s *sqlite3.Stmt) error {
			if k := key(s.ColumnInt64(0)); port != 0 && k.port() != port {
				return nil
			}
			one, err := t.ended(s, vantage)
			all = append(all, one)
			return err
		}, era, span.first, span.last)
		if err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(all, func(a, b Interval) int { return a.First.Compare(b.First) })
	err := each(t.db.conn, `SELECT ep, since, gap, svc FROM cur WHERE ep BETWEEN ? AND ?`, func(s *sqlite3.Stmt) error {
		if k := key(s.ColumnInt64(0)); port != 0 && k.port() != port {
			return nil
		}
		one, err := t.interval(s, vantage, protos)
		all = append(all, one)
		return err
	}, span.first, span.last)
	return all, err
}

// ended makes an interval of a row (ep, since, gap, until, how) of past.
func (t *timeline) ended(s *sqlite3.Stmt, vantage string) (Interval, error) {
	k, since, until := key(s.ColumnInt64(0)), s.ColumnInt64(1), s.ColumnInt64(3)
	one, at, err := t.begin(k, since, s.ColumnType(2) != sqlite3.NULL, s.ColumnInt64(2), vantage)
	if err != nil {
		return one, err
	}
	end, known := t.index[until]
	if !known || s.ColumnInt64(4) >= int64(len(ends)) {
		return one, errBlob
	}
	last := t.lastAsked(k, at, t.index[since], end)
	one.seenBy(t, at, last)
	p := t.pieceOf(at, end)
	one.Until, one.UntilScan, one.How = time.Unix(0, p.t1), p.scanID, ends[s.ColumnInt(4)].name
	one.Service, err = t.db.lastService(k, until)
	return one, err
}

func (db *DB) eras() (ids []int64, err error) {
	return ids, each(db.conn, `SELECT id FROM era ORDER BY id`, func(s *sqlite3.Stmt) error { ids = append(ids, s.ColumnInt64(0)); return nil })
}

// spans are the keys of a prefix: one range, or of IPv6 one for each address that was seen.
func (db *DB) spans(vantage int64, p netip.Prefix) (all []span, err error) {
	if p.Addr().Is4() {
		return []span{span4(vantage, p)}, nil
	}
	return all, each(db.conn, `SELECT id, ip FROM addr6 WHERE ip >= ? ORDER BY ip`, func(s *sqlite3.Stmt) error {
		if addr, ok := netip.AddrFromSlice(s.ColumnRawBlob(1)); ok && p.Contains(addr) {
			host := key6(vantage, s.ColumnInt64(0), 0)
			all = append(all, span{host, host | 0xffff})
		} else if ok && p.Addr().Less(addr) {
			return nil
		}
		return nil
	}, p.Masked().Addr().AsSlice())
}
