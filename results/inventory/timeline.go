package inventory

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/ncruces/go-sqlite3"

	"synoptic/results"
	"synoptic/results/coverage"
)

// timeline is what one vantage has asked, sweep after sweep. Elsewhere sweeps of it are called by their index in sweeps.
type timeline struct {
	db       *DB
	vantage  int64
	sweeps   []*sweep      // in their order
	index    map[int64]int // of a sweep's number
	suspects map[key][]suspicion
	err      error // of what is read on demand: to be looked at before anything is believed

	subject netip.AddrPort // of memo and places
	memo    []membership
	places  []place
	latest  *latest
	many    bool // endpoints are going to be asked for
	looks   int  // sweeps whose pieces were read by themselves
}

// sweep has pieces when they were asked for: see timeline.pieces.
type sweep struct {
	id   int64
	read []*piece
}

// piece is a scan in its sweep.
type piece struct {
	scan    int64 // row
	scanID  string
	t0, t1  int64 // nanoseconds since the Unix epoch
	parts   []part
	loaded  bool // the sets of the parts
	seeks   int  // looks into them before
	monitor bool // a piece of a monitor's stream, a sweep of its own

	first, last *results.Time // t0 and t1, where they were asked for
}

// part is a plan that a scan walked through, and how far.
type part struct {
	number      int64
	space, seed int64
	n           uint64 // positions of the space
	covered     *coverage.Set
}

func (p *part) whole() bool { return p.covered.Len() == p.n }

// suspicion is a run of sweeps in which a host seemed to open every port.
type suspicion struct{ since, until int64 } // rows of sweeps; until 0: still

// sets reads what a scan covered, once.
func (t *timeline) sets(p *piece) []part {
	if p.loaded || t.err != nil {
		return p.parts
	}
	p.loaded = true
	for i := range p.parts {
		if p.parts[i].covered, t.err = t.db.covered(p.scan, p.parts[i].number); t.err != nil {
			return nil
		}
	}
	return p.parts
}

// asked tells whether a sweep asked an endpoint while evidence held, and may be believed about its host.
func (t *timeline) asked(k key, at netip.AddrPort, sweep int) bool {
	return t.coveredBy(at, sweep) != nil && !t.suspected(k, sweep)
}

// coveredBy is the piece of a sweep that covers an endpoint, or nil.
func (t *timeline) coveredBy(at netip.AddrPort, sweep int) *piece {
	for _, p := range t.pieces(sweep) {
		if t.covers(p, at) {
			return p
		}
	}
	return nil
}

// covers tells whether a scan covers an endpoint. Of a scan that covers all of a space, it need not be known in which order.
func (t *timeline) covers(p *piece, at netip.AddrPort) bool {
	if !p.loaded && p.seeks < mostSeeks {
		p.seeks++
		return slices.ContainsFunc(p.parts, func(q part) bool { return t.inside(&q, at) && t.seeks(p, &q, at) })
	}
	return t.coversParts(t.sets(p), at)
}

func (t *timeline) coversParts(parts []part, at netip.AddrPort) bool {
	for i := range parts {
		q := &parts[i]
		if q.covered.NumRanges() == 0 || !t.inside(q, at) { // which any order of the plan says
			continue
		}
		if q.whole() {
			return true
		}
		if position, in := t.position(q, at); in && q.covered.Contains(position) {
			return true
		}
	}
	return false
}

// together are the parts of all sweeps from one to another: what one of them has asked.
func (t *timeline) together(from, to int) (all []part) {
	index := map[spaceKey]int{}
	ranges := [][]coverage.Range{}
	for i := from; i <= to; i++ {
		for _, p := range t.pieces(i) {
			for _, q := range t.sets(p) {
				n, known := index[spaceKey{q.space, q.seed}]
				if !known {
					n = len(all)
					index[spaceKey{q.space, q.seed}], all, ranges = n, append(all, q), append(ranges, nil)
				}
				ranges[n] = slices.AppendSeq(ranges[n], q.covered.Ranges())
			}
		}
	}
	for i := range all {
		all[i].covered = coverage.Of(ranges[i]...)
	}
	slices.SortStableFunc(all, func(a, b part) int { return cmp.Compare(b.covered.Len(), a.covered.Len()) })
	return all
}

// mostSeeks is how often what a scan covered is looked into before all of it is read.
const mostSeeks = 8

// seeks looks into what a scan covered.
func (t *timeline) seeks(p *piece, q *part, at netip.AddrPort) (found bool) {
	position, in := t.position(q, at)
	if !in || t.err != nil {
		return false
	}
	t.err = t.db.again(`SELECT "end" FROM covered WHERE scan = ? AND part = ? AND begin <= ? ORDER BY begin DESC LIMIT 1`, func(s *sqlite3.Stmt) error {
		found = uint64(s.ColumnInt64(0)) > position
		return nil
	}, p.scan, q.number, int64(position))
	return found && t.err == nil
}

// suspected tells whether a host seemed to open every port in a sweep.
func (t *timeline) suspected(k key, sweep int) bool {
	if len(t.suspects) == 0 {
		return false
	}
	return slices.ContainsFunc(t.suspects[k.host()], func(s suspicion) bool {
		return t.index[s.since] <= sweep && (s.until == 0 || sweep < t.index[s.until])
	})
}

// lastAsked is the last sweep that asked an endpoint, of those behind one and before another; the former where none has. From -1 on it is the last of all
// before.
func (t *timeline) lastAsked(k key, at netip.AddrPort, from, before int) int {
	if before == len(t.sweeps) && t.many {
		if last := t.lastCovered(at, from); last <= from || !t.suspected(k, last) {
			return max(last, from)
		}
	}
	for i := before - 1; i > from && t.err == nil; i-- {
		if t.asked(k, at, i) {
			return i
		}
	}
	return from
}

// addrPort is the endpoint of a key.
func (db *DB) addrPort(k key) (netip.AddrPort, error) {
	if !k.is6() {
		n := k.number()
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}), k.port()), nil
	}
	var addr netip.Addr
	err := each(db.conn, `SELECT ip FROM addr6 WHERE id = ?`, func(s *sqlite3.Stmt) error {
		addr, _ = netip.AddrFromSlice(s.ColumnRawBlob(0))
		return nil
	}, int64(k.number()))
	if err == nil && !addr.IsValid() {
		err = errBlob
	}
	return netip.AddrPortFrom(addr, k.port()), err
}
