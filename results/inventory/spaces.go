package inventory

import (
	"fmt"
	"net/netip"

	"github.com/ncruces/go-sqlite3"
)

// Order is what a plan asks, in the order that a seed selects.
type Order func(seed uint64) (Space, error)

// spaces are plans that were read, and their orders. A plan may take megabytes, an order some hundred bytes.
type spaces struct {
	plans  map[int64]*readPlan // by the row of space
	orders map[spaceKey]Space
	clock  uint64
}

type readPlan struct {
	order Order
	any   Space // one of its orders: whether an endpoint is in it
	used  uint64
}

type spaceKey struct{ space, seed int64 }

// maxPlans and maxOrders bound how many are kept.
const (
	maxPlans  = 64
	maxOrders = 4096
)

func (s *spaces) forget() { *s = spaces{plans: map[int64]*readPlan{}, orders: map[spaceKey]Space{}} }

// keep keeps a plan that was read, in the place of the one that was used longest ago.
func (s *spaces) keep(id, seed int64, order Order, space Space) {
	if s.plans[id] == nil && len(s.plans) >= maxPlans {
		oldest := id
		for other, p := range s.plans {
			if q := s.plans[oldest]; q == nil || p.used < q.used {
				oldest = other
			}
		}
		delete(s.plans, oldest)
		for k := range s.orders {
			if k.space == oldest {
				delete(s.orders, k)
			}
		}
	}
	if len(s.orders) >= maxOrders {
		clear(s.orders)
	}
	s.clock++
	s.plans[id] = &readPlan{order, space, s.clock}
	s.orders[spaceKey{id, seed}] = space
}

// read reads the text of a plan.
func (db *DB) read(text []byte, seed uint64) (Order, Space, error) {
	order, err := db.config.Spaces(text)
	if err != nil {
		return nil, nil, err
	}
	space, err := order(seed)
	return order, space, err
}

// plan is one that was read, or is now.
func (db *DB) plan(id, seed int64) (*readPlan, error) {
	if p := db.spaces.plans[id]; p != nil {
		db.spaces.clock++
		p.used = db.spaces.clock
		return p, nil
	}
	var text []byte
	err := each(db.conn, `SELECT spec FROM space WHERE id = ?`, func(s *sqlite3.Stmt) error { text = s.ColumnBlob(0, nil); return nil }, id)
	if err != nil {
		return nil, err
	}
	order, space, err := db.read(text, uint64(seed))
	if err != nil {
		return nil, fmt.Errorf("plan %d: %w", id, err)
	}
	db.spaces.keep(id, seed, order, space)
	return db.spaces.plans[id], nil
}

// space is a plan under a seed.
func (db *DB) space(id, seed int64) (Space, error) {
	if s := db.spaces.orders[spaceKey{id, seed}]; s != nil {
		return s, nil
	}
	p, err := db.plan(id, seed)
	if err != nil {
		return nil, err
	}
	s, err := p.order(uint64(seed))
	if err != nil {
		return nil, fmt.Errorf("plan %d: %w", id, err)
	}
	if len(db.spaces.orders) >= maxOrders {
		clear(db.spaces.orders)
	}
	db.spaces.orders[spaceKey{id, seed}] = s
	return s, nil
}

// membership is whether an endpoint is in a plan, and place where it is asked under a seed.
type (
	membership struct {
		space int64
		in    bool
	}
	place struct {
		spaceKey
		position uint64
	}
)

// about begins with an endpoint, unless it is the one that was asked for last.
func (t *timeline) about(at netip.AddrPort) {
	if at != t.subject {
		t.subject, t.memo, t.places = at, t.memo[:0], t.places[:0]
	}
}

// inside tells whether an endpoint is in the space of a part. Of the last endpoint that was asked for, it is known.
func (t *timeline) inside(q *part, at netip.AddrPort) bool {
	t.about(at)
	for _, m := range t.memo {
		if m.space == q.space {
			return m.in
		}
	}
	p, err := t.db.plan(q.space, q.seed)
	if err != nil {
		t.err = err
		return false
	}
	_, in := p.any.Position(at.Addr(), at.Port())
	t.memo = append(t.memo, membership{q.space, in})
	return in
}

// maxPlaces bounds how many positions of an endpoint are kept: pieces of a monitor have one order, other scans have one each.
const maxPlaces = 4

// position is where an endpoint that is in the space of a part is asked.
func (t *timeline) position(q *part, at netip.AddrPort) (uint64, bool) {
	t.about(at)
	k := spaceKey{q.space, q.seed}
	for i := range t.places {
		if t.places[i].spaceKey == k {
			return t.places[i].position, true
		}
	}
	space, err := t.db.space(q.space, q.seed)
	if err != nil {
		t.err = err
		return 0, false
	}
	position, in := space.Position(at.Addr(), at.Port())
	if in && len(t.places) < maxPlaces {
		t.places = append(t.places, place{k, position})
	}
	return position, in
}
