package inventory

import (
	"net/netip"
	"slices"

	"github.com/ncruces/go-sqlite3"
)

// What a sweep says of an endpoint.
type mark uint8

const (
	markNone mark = iota // it did not ask
	markShut             // it asked and did not see it
	markOpen             // it saw it
)

// stretch is an interval by indices of sweeps; after -1: none asked before, until -1: it lasts.
type stretch struct {
	since, after, until int
	how                 how
}

// rebuildAll looks at every endpoint that a scan of an earlier sweep asked or saw.
func (u *update) rebuildAll(front []key) error {
	keys := slices.Clone(front)
	for _, s := range spansOf(u.t.vantage) {
		err := each(u.db.conn, `SELECT DISTINCT ep FROM past WHERE ep BETWEEN ? AND ?`, func(s *sqlite3.Stmt) error {
			keys = append(keys, key(s.ColumnInt64(0)))
			return nil
		}, s.first, s.last)
		if err != nil {
			return err
		}
	}
	for i := range u.seen {
		keys = append(keys, u.seen[i].key)
	}
	slices.Sort(keys)
	seen := u.seen
	for _, k := range slices.Compact(keys) {
		for len(seen) > 0 && seen[0].key < k {
			seen = seen[1:]
		}
		if err := u.rebuild(k, len(seen) > 0 && seen[0].key == k); err != nil {
			return err
		}
	}
	return u.t.err
}

// rebuild makes the intervals of an endpoint anew, from what they say of each sweep and what the scan says of its own.
func (u *update) rebuild(k key, seen bool) error {
	at, err := u.db.addrPort(k)
	if err != nil {
		return err
	}
	asks := u.t.covers(u.piece, at) && !u.t.suspected(k, u.at)
	if !seen && !asks {
		return nil
	}
	rows, err := u.archive.of(k)
	if err != nil {
		return err
	}
	row, open, err := u.current(k)
	if err != nil {
		return err
	}
	old := u.stretches(rows, row, open)
	marks := u.marks(k, at, old)
	switch {
	case seen:
		marks[u.at] = markOpen
	case marks[u.at] == markNone:
		marks[u.at] = markShut
	}
	fresh := stretchesOf(marks, func(until int) how {
		for _, s := range old {
			if s.until == until {
				return s.how
			}
		}
		return u.in.howEnded(at)
	})
	if slices.Equal(old, fresh) || u.t.err != nil {
		return u.t.err
	}
	return u.replace(k, at, rows, row, open, old, fresh)
}

// stretches are rows by index, in their order.
func (u *update) stretches(rows []pastRow, row curRow, open bool) (all []stretch) {
	index := u.t.index
	after := func(since int64, gap *int64) int {
		if gap == nil {
			return -1
		}
		return index[since-*gap]
	}
	for _, r := range rows {
		all = append(all, stretch{index[r.since], after(r.since, r.gap), index[r.until], r.how})
	}
	slices.SortFunc(all, func(a, b stretch) int { return a.since - b.since })
	if open {
		all = append(all, stretch{index[row.since], after(row.since, row.gap), -1, 0})
	}
	return all
}

// marks are what each sweep says of an endpoint, the new scan left out.
func (u *update) marks(k key, at netip.AddrPort, old []stretch) []mark {
	all := make([]mark, len(u.t.sweeps))
	for i := range all {
		asked := i != u.at && u.t.asked(k, at, i) || i == u.at && u.askedByOthers(at)
		open := slices.ContainsFunc(old, func(s stretch) bool { return s.since <= i && (i < s.until || s.until < 0) })
		began := slices.ContainsFunc(old, func(s stretch) bool { return s.since == i })
		switch {
		case began || open && asked:
			all[i] = markOpen
		case asked:
			all[i] = markShut
		}
	}
	return all
}

// askedByOthers tells whether other pieces of the scan's sweep cover an endpoint.
func (u *update) askedByOthers(at netip.AddrPort) bool {
	return slices.ContainsFunc(u.t.pieces(u.at), func(p *piece) bool { return p != u.piece && u.t.covers(p, at) })
}

// stretchesOf are the intervals that marks make.
func stretchesOf(marks []mark, ended func(until int) how) (all []stretch) {
	shut, open := -1, false
	for i, m := range marks {
		switch {
		case m == markOpen && !open:
			all, open = append(all, stretch{since: i, after: shut, until: -1}), true
		case m == markShut && open:
			last := &all[len(all)-1]
			last.until, last.how, open = i, ended(i), false
		}
		if m == markShut {
			shut = i
		}
	}
	return all
}

// replace puts new intervals of an endpoint in the place of old ones.
func (u *update) replace(k key, at netip.AddrPort, rows []pastRow, row curRow, open bool, old, fresh []stretch) error {
	for _, r := range rows {
		if err := u.archive.remove(k, r); err != nil {
			return err
		}
	}
	if open {
		if err := u.drop(k); err != nil {
			return err
		}
	}
	for _, s := range old {
		u.edit(u.t.sweeps[s.since].id, k, nil)
		if s.until >= 0 {
			u.edit(u.t.sweeps[s.until].id, k, nil)
		}
	}
	lasts := false
	for i, s := range fresh {
		since := u.t.sweeps[s.since].id
		c := toggle{key: k, opened: true, first: true, sweep: int32(since), again: i > 0}
		if s.after >= 0 {
			c.gap = since - u.t.sweeps[s.after].id
		}
		u.edit(since, k, &c)
		if s.until < 0 {
			lasts = true
			if err := u.begin(k, since, c.gap, nullable(row.svc)); err != nil {
				return err
			}
			continue
		}
		until := u.t.sweeps[s.until].id
		last := u.t.lastAsked(k, at, s.since, s.until)
		u.edit(until, k, &toggle{key: k, sweep: int32(until), how: s.how, gap: until - u.t.sweeps[last].id})
		r := pastRow{since: since, until: until, how: s.how}
		if c.gap != 0 {
			r.gap = &c.gap
		}
		if err := u.archive.add(k, r); err != nil {
			return err
		}
	}
	return u.keepService(k, open, lasts, row.svc)
}

// keepService ends the service of an endpoint that is not open any more, and takes it up again where it is open after all.
func (u *update) keepService(k key, was, is bool, svc int64) error {
	now := u.t.sweeps[u.at].id
	switch {
	case was && !is:
		u.ended++
		if svc != 0 {
			return run(u.db.conn, `UPDATE service SET until = ? WHERE ep = ? AND until IS NULL`, now, k)
		}
	case is && !was:
		u.opened++
		if err := run(u.db.conn, `UPDATE service SET until = NULL WHERE ep = ? AND until = ?`, k, now); err != nil {
			return err
		}
		return run(u.db.conn, `UPDATE cur SET svc = (SELECT proto FROM service WHERE ep = cur.ep AND until IS NULL) WHERE ep = ?`, k)
	}
	return nil
}
