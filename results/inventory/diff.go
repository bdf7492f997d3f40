package inventory

import (
	"cmp"
	"iter"
	"slices"

	"synoptic/results"
)

// Diff yields what is otherwise after one scan than it was after another, IPv4 by address and port, then IPv6 in the order in which
// addresses were seen first: the change that an endpoint made last
// between them, where it made an odd number of them. Both are of one vantage; in which order they are given does not matter.
//
// Of an endpoint that was open and that none of the sweeps after the earlier scan's, up to the later scan's, has asked, it also yields ChangeUnknown, where unknown is true. These
// take a look at each open endpoint, all others only at what has changed.
func (db *DB) Diff(a, b ScanInfo, unknown bool) iter.Seq2[results.Change, error] {
	return func(yield func(results.Change, error) bool) {
		if err := db.diff(a, b, unknown, func(c results.Change) bool { return yield(c, nil) }); err != nil {
			yield(results.Change{}, db.failed(err))
		}
	}
}

func (db *DB) diff(a, b ScanInfo, unknown bool, yield func(results.Change) bool) error {
	if a.Vantage != b.Vantage {
		return &Error{Path: db.path, msg: "scans " + a.ScanID + " and " + b.ScanID + " are of different vantages, " + a.Vantage + " and " + b.Vantage,
			hint: "compare scans of one vantage"}
	}
	t, err := db.timeline(a.vantage)
	if err != nil {
		return err
	}
	from, to := t.index[a.sweep], t.index[b.sweep]
	if from > to {
		from, to = to, from
	}
	changes, err := db.netChanges(t, from, to)
	if err != nil {
		return err
	}
	protos, err := db.serviceChanges(t, from, to)
	if err != nil {
		return err
	}
	others := protos.changes(t, a.Vantage, changes)
	if unknown {
		missing, err := db.notAsked(t, from, to, a.Vantage, changes)
		if err != nil {
			return err
		}
		others = append(others, missing...)
	}
	slices.SortFunc(others, func(a, b keyed) int { return compare(a.key, b.key) })
	for i := range changes {
		c := &changes[i]
		for ; len(others) > 0 && others[0].key < c.key; others = others[1:] {
			if !yield(others[0].Change) {
				return nil
			}
		}
		at, err := db.addrPort(c.key)
		if err != nil {
			return err
		}
		record := t.change(c, at, a.Vantage)
		record.Service = protos.now[c.key]
		if t.err != nil || !yield(record) {
			return t.err
		}
	}
	for i := range others {
		if !yield(others[i].Change) {
			break
		}
	}
	return t.err
}

// keyed is a change with its endpoint's key.
type keyed struct {
	key key
	results.Change
}

// netChanges are the last changes of endpoints that are otherwise after one sweep than after another, by key.
func (db *DB) netChanges(t *timeline, from, to int) ([]toggle, error) {
	all, err := db.lastChanges(t, from, to)
	return slices.DeleteFunc(all, func(c toggle) bool { return c.first != c.opened }), err
}

// lastChanges are the last changes of endpoints in the sweeps behind one and up to another, by key.
func (db *DB) lastChanges(t *timeline, from, to int) ([]toggle, error) {
	var runs, spare [][]toggle // runs are of a binary counter: each is of more sweeps than those behind it. Spare is memory of those that were joined
	var sizes []int
	join := func() {
		n := len(runs)
		a, b := runs[n-2], runs[n-1]
		var into []toggle
		if i := slices.IndexFunc(spare, func(s []toggle) bool { return cap(s) >= len(a)+len(b) }); i >= 0 {
			into = spare[i]
			spare = slices.Delete(spare, i, i+1)
		}
		runs[n-2], sizes[n-2] = mergeToggles(into, a, b), sizes[n-2]+sizes[n-1]
		runs, sizes = runs[:n-1], sizes[:n-1]
		spare = append(spare, a, b)
		slices.SortFunc(spare, func(a, b []toggle) int { return cmp.Compare(cap(a), cap(b)) })
	}
	for i := from + 1; i <= to; i++ {
		one, known, err := db.findDelta(t.sweeps[i].id)
		if err == nil && !known {
			err = db.kept(t, i)
		}
		if err != nil {
			return nil, err
		}
		runs, sizes = append(runs, one), append(sizes, 1)
		for n := len(runs); n > 1 && sizes[n-2] <= sizes[n-1]; n-- {
			join()
		}
	}
	for len(runs) > 1 {
		join()
	}
	if len(runs) == 0 {
		return nil, nil
	}
	return runs[0], nil
}

// notAsked are the endpoints that are open after both of two sweeps, between which some changed, and that no sweep behind the first, up to the second, asked.
func (db *DB) notAsked(t *timeline, from, to int, vantage string, changed []toggle) (all []keyed, err error) {
	open, err := db.openAfter(t, to)
	if err != nil {
		return nil, err
	}
	asked := t.together(min(from+1, to), to)
	_, t1 := t.bounds(to)
	for _, k := range open {
		at, err := db.addrPort(k)
		if err != nil {
			return nil, err
		}
		_, begun := slices.BinarySearchFunc(changed, k, func(c toggle, k key) int { return compare(c.key, k) })
		if begun || t.coversParts(asked, at) {
			continue
		}
		all = append(all, keyed{k, results.Change{
			Time: moment(t1), ScanID: t.pieces(to)[0].scanID, Change: results.ChangeUnknown, Addr: at.Addr(), Port: at.Port(), Proto: "tcp",
			Vantage: vantage, Before: stateOpen, After: stateUnknown,
		}})
	}
	return all, t.err
}

// openAfter are the endpoints that are open after a sweep, ascending: those of now, and back again what was changed since.
func (db *DB) openAfter(t *timeline, sweep int) ([]key, error) {
	front, err := db.front(t.vantage)
	if err != nil {
		return nil, err
	}
	changes, err := db.netChanges(t, sweep, len(t.sweeps)-1)
	if err != nil {
		return nil, err
	}
	var without, with []key
	for i := range changes {
		if changes[i].opened {
			without = append(without, changes[i].key)
		} else {
			with = append(with, changes[i].key)
		}
	}
	return edited(front, without, with), nil
}
