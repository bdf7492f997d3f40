// Package gate decides whether a probe may leave now. Sender lanes call Gate.Ask for every position before they
// send; whoever has a reason to hold probes back adds a Rule, at any time. Without a rule everything goes, for
// less than a nanosecond a probe.
package gate

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// Answer is what becomes of a probe.
type Answer uint8

const (
	// Go: it may leave now.
	Go Answer = iota
	// Later: it is put off and asked about again.
	Later
	// Never: its position is not probed. It counts as not sent, so it does not pass for silent.
	Never
)

// String is the answer's name.
func (a Answer) String() string {
	switch a {
	case Go:
		return "go"
	case Later:
		return "later"
	}
	return "never"
}

// Rule is a reason to hold probes back. Ask is called by several goroutines at once, and must not wait.
type Rule interface {
	Ask(position uint64, addr netip.Addr, port uint16) Answer
}

// RuleFunc is a function as a Rule.
type RuleFunc func(position uint64, addr netip.Addr, port uint16) Answer

// Ask calls f.
func (f RuleFunc) Ask(position uint64, addr netip.Addr, port uint16) Answer {
	return f(position, addr, port)
}

// MaxParked positions may be put off at a time, over all lanes: half a megabyte. A lane that has to put off more
// gives its pass back instead, and goes on with another.
const MaxParked = 1 << 16

// Gate holds the rules of a session. The zero Gate has none.
type Gate struct {
	rules  atomic.Pointer[[]*rule] // nil: everything goes
	mu     sync.Mutex              // of who changes rules
	parked atomic.Int64
}

// rule has an address of its own, by which it is removed.
type rule struct{ Rule }

// Ask tells what becomes of the probe of a position. The first rule, in the order they were added, that does not
// let it go decides.
func (g *Gate) Ask(position uint64, addr netip.Addr, port uint16) Answer {
	if g.rules.Load() == nil { // inlined: this is all that it costs without rules
		return Go
	}
	return g.ask(position, addr, port)
}

func (g *Gate) ask(position uint64, addr netip.Addr, port uint16) Answer {
	rules := g.rules.Load()
	if rules == nil {
		return Go
	}
	for _, r := range *rules {
		if a := r.Ask(position, addr, port); a != Go {
			return a
		}
	}
	return Go
}

// Add adds a rule behind the others, for probes from now on; remove takes it away again.
func (g *Gate) Add(r Rule) (remove func()) {
	own := &rule{r}
	g.change(func(rules []*rule) []*rule { return append(rules, own) })
	return func() {
		g.change(func(rules []*rule) []*rule {
			return slices.DeleteFunc(rules, func(x *rule) bool { return x == own })
		})
	}
}

// change puts a changed copy in the place of the rules.
func (g *Gate) change(f func([]*rule) []*rule) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var rules []*rule
	if old := g.rules.Load(); old != nil {
		rules = slices.Clone(*old)
	}
	if rules = f(rules); len(rules) == 0 {
		g.rules.Store(nil)
		return
	}
	g.rules.Store(&rules)
}

// Open tells whether there is no rule at the moment.
func (g *Gate) Open() bool { return g.rules.Load() == nil }

// Park takes room for one more position that is put off; false where there is none.
func (g *Gate) Park() bool {
	if g.parked.Add(1) > MaxParked {
		g.parked.Add(-1)
		return false
	}
	return true
}

// Unpark gives the room of n positions back.
func (g *Gate) Unpark(n int) { g.parked.Add(-int64(n)) }

// Parked is how many positions are put off at the moment.
func (g *Gate) Parked() int { return int(g.parked.Load()) }
