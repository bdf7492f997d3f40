// Package gate decides whether a probe may leave now. Sender lanes call Gate.Ask for every position before they
// send; whoever has a reason to hold probes back adds a Rule, at any time. Limits hold each host or prefix to a rate. Without
// either everything goes, for less than a nanosecond a probe.
package gate

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"synoptic/ratelimit"
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

// Gate holds the rules and the limits of a session. The zero Gate has none.
type Gate struct {
	held   atomic.Pointer[held] // nil: everything goes
	mu     sync.Mutex           // of who changes it
	parked atomic.Int64
}

// held is what holds probes back. Nobody changes it.
type held struct {
	rules  []*rule
	limits *Limits // asked last, for what it lets go is counted; nil: there are none
}

// rule has an address of its own, by which it is removed.
type rule struct{ Rule }

// Ask tells what becomes of the probe of a position, now. The first rule, in the order they were added, that does not let it go
// decides; limits come last.
func (g *Gate) Ask(position uint64, addr netip.Addr, port uint16) Answer {
	if g.held.Load() == nil { // inlined: this is all that it costs without rules
		return Go
	}
	return g.ask(position, addr, port, false)
}

func (g *Gate) ask(position uint64, addr netip.Addr, port uint16, beacon bool) Answer {
	h := g.held.Load()
	if h == nil {
		return Go
	}
	if a := h.ask(position, addr, port); a != Go || h.limits == nil {
		return a
	}
	return h.limits.ask(addr, Now(), beacon)
}

// Question is about a probe, and what came of it.
type Question struct {
	Position uint64
	Addr     netip.Addr
	Port     uint16
	Moot     bool // nobody wants to know
	Answer   Answer
	Turn     int64 // when to ask again, a time of Now: the probe's place in the queue of its prefix; 0: nobody knows
}

// AskAll is Ask about many probes at a time of Now. What is put off gets room (Park), unless it has it: it is held. It returns
// how many were answered: all, or those before the first that has to be put off and for which there is no room.
func (g *Gate) AskAll(now int64, all []Question, held bool) (answered int) {
	h := g.held.Load()
	if h == nil {
		h = &held0
	}
	if h.limits != nil {
		h.limits.mu.Lock()
		defer h.limits.mu.Unlock()
	}
	for i := range all {
		q := &all[i]
		if q.Moot {
			continue
		}
		q.Answer, q.Turn = Go, 0
		if len(h.rules) > 0 {
			q.Answer = h.ask(q.Position, q.Addr, q.Port)
		}
		limited := false
		if q.Answer == Go {
			if h.limits == nil || h.limits.take(q.Addr, now) {
				continue
			}
			q.Answer, limited = Later, true
		}
		if q.Answer == Later && !held && !g.Park() {
			return i
		}
		if limited {
			q.Turn = h.limits.turn(q.Addr, now, held)
		}
	}
	return len(all)
}

// held0 holds nothing back.
var held0 held

// AskBeacon is Ask for a probe to what has answered before. Limits let few of them go, so that they do not take the
// place of probes.
func (g *Gate) AskBeacon(addr netip.Addr, port uint16) Answer {
	return g.ask(0, addr, port, true)
}

func (h *held) ask(position uint64, addr netip.Addr, port uint16) Answer {
	for _, r := range h.rules {
		if a := r.Ask(position, addr, port); a != Go {
			return a
		}
	}
	return Go
}

// Late takes note of probes that were let go at a time and have left only now. Limits make up for it.
func (g *Gate) Late(asked, now int64, addrs ...netip.Addr) {
	if h := g.held.Load(); h != nil && h.limits != nil && IsLate(asked, now) {
		h.limits.late(addrs, now)
	}
}

// IsLate tells whether probes that were let go at a time and have left now have to be told by Late.
func IsLate(asked, now int64) bool { return now-asked > int64(ratelimit.Lateness) }

// epoch is what Now counts from.
var epoch = time.Now()

// Now is the time of a monotonic clock, in nanoseconds.
func Now() int64 { return int64(time.Since(epoch)) }

// Time is a time of Now; that of 0, which nobody knows, is the zero Time.
func Time(now int64) time.Time {
	if now == 0 {
		return time.Time{}
	}
	return epoch.Add(time.Duration(now))
}

// Add adds a rule behind the others, for probes from now on; remove takes it away again.
func (g *Gate) Add(r Rule) (remove func()) {
	own := &rule{r}
	g.change(func(h *held) { h.rules = append(h.rules, own) })
	return func() {
		g.change(func(h *held) {
			h.rules = slices.DeleteFunc(h.rules, func(x *rule) bool { return x == own })
		})
	}
}

// Limit sets the limits, for probes from now on; nil: there are none any more.
func (g *Gate) Limit(l *Limits) {
	g.change(func(h *held) { h.limits = l })
}

// Limits are those that were set; nil: there are none.
func (g *Gate) Limits() *Limits {
	if h := g.held.Load(); h != nil {
		return h.limits
	}
	return nil
}

// Slow holds a prefix that Neighbourhood has given to a rate in packets per second, until it is released, for probes from now on.
func (g *Gate) Slow(p netip.Prefix, rate float64) error {
	l := g.Limits()
	if l == nil {
		l = &Limits{}
		defer func() { g.Limit(l) }() // once there is something to hold
	}
	return l.slowTo(p, rate)
}

// Release lets a prefix go as fast as all others again.
func (g *Gate) Release(p netip.Prefix) {
	if l := g.Limits(); l != nil && l.release(p) {
		g.Limit(nil)
	}
}

// Limited tells whether limits hold for probes to an address.
func (g *Gate) Limited(addr netip.Addr) bool {
	l := g.Limits()
	return l != nil && l.hold(addr)
}

// change puts a changed copy in the place of what holds probes back.
func (g *Gate) change(f func(*held)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var h held
	if old := g.held.Load(); old != nil {
		h = held{slices.Clone(old.rules), old.limits}
	}
	if f(&h); len(h.rules) == 0 && h.limits == nil {
		g.held.Store(nil)
		return
	}
	g.held.Store(&h)
}

// Open tells whether nothing holds probes back at the moment.
func (g *Gate) Open() bool { return g.held.Load() == nil }

// OpenIPv4 tells so of probes to IPv4 addresses.
func (g *Gate) OpenIPv4() bool {
	h := g.held.Load()
	return h == nil || len(h.rules) == 0 && len(h.limits.v4) == 0
}

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
