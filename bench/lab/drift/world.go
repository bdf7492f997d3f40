package drift

import (
	"math/rand/v2"
)

// world is what is true: which positions are open, and which of those that are not open more often than others.
type world struct {
	rates  Rates // per second
	rng    *rand.Rand
	n      uint64
	open   pool
	likely pool
	clock  float64 // of the next change, seconds
	since  map[uint64]float64
}

// Rates is how often a position changes, per second.
type Rates struct{ Open, Predicted, Other float64 }

// pool is a set of positions of which one can be drawn.
type pool struct {
	all   []uint64
	where map[uint64]int
}

func (p *pool) add(i uint64) {
	p.where[i] = len(p.all)
	p.all = append(p.all, i)
}

func (p *pool) remove(i uint64) {
	k, last := p.where[i], len(p.all)-1
	p.all[k] = p.all[last]
	p.where[p.all[k]] = k
	p.all = p.all[:last]
	delete(p.where, i)
}

func (p *pool) has(i uint64) bool { _, ok := p.where[i]; return ok }

func newWorld(n, open, likely uint64, rates Rates, seed uint64) *world {
	w := &world{rates: rates, rng: rand.New(rand.NewPCG(seed, 0)), n: n, since: map[uint64]float64{}}
	w.open.where, w.likely.where = map[uint64]int{}, map[uint64]int{}
	for uint64(len(w.open.all)) < open {
		if i := w.rng.Uint64N(n); !w.open.has(i) {
			w.open.add(i)
		}
	}
	for uint64(len(w.likely.all)) < likely {
		if i := w.rng.Uint64N(n); !w.open.has(i) && !w.likely.has(i) {
			w.likely.add(i)
		}
	}
	w.draw()
	return w
}

// total is how often anything changes, by standing.
func (w *world) total() (open, likely, other float64) {
	no, nl := float64(len(w.open.all)), float64(len(w.likely.all))
	return no * w.rates.Open, nl * w.rates.Predicted, (float64(w.n) - no - nl) * w.rates.Other
}

// draw draws when something changes next.
func (w *world) draw() {
	a, b, c := w.total()
	w.clock += w.rng.ExpFloat64() / (a + b + c)
}

// until lets happen what happens before a time in seconds.
func (w *world) until(now float64) {
	for ; w.clock < now; w.draw() {
		a, b, c := w.total()
		var i uint64
		switch x := w.rng.Float64() * (a + b + c); {
		case x < a:
			i = w.open.all[w.rng.IntN(len(w.open.all))]
			w.open.remove(i)
			w.likely.add(i)
		case x < a+b:
			i = w.likely.all[w.rng.IntN(len(w.likely.all))]
			w.likely.remove(i)
			w.open.add(i)
		default:
			for i = w.rng.Uint64N(w.n); w.open.has(i) || w.likely.has(i); {
				i = w.rng.Uint64N(w.n)
			}
			w.open.add(i)
		}
		if _, unseen := w.since[i]; unseen {
			delete(w.since, i) // as it was: nobody can see that
		} else {
			w.since[i] = w.clock
		}
	}
}
