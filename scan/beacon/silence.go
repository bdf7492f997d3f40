package beacon

import (
	"net/netip"
	"slices"
	"time"
)

const (
	// Enough is how much a silence must say against the path, in nats, before it is believed: in a scan that looks a
	// million times at a path that is up, it is believed once in ten thousand scans (ln 1e10 = 23).
	Enough = 23
	// fewest beacons must be lost, whatever they say.
	fewest = 3
	// Shortest is how long any silence must last, of time in which this process ran: answers that wait in a queue of a
	// busy host are late, not lost.
	Shortest = 500 * time.Millisecond
	// ResetsRefill is how long a silence must last that only closed ports witness: hosts limit their resets by the
	// second.
	ResetsRefill = 1500 * time.Millisecond
)

// Expected is what it says against the path, in nats, that no answers have come by themselves since the newest probe that was
// answered, given what the scan has sent meanwhile and how much was answered so far: at most one for each that should have come.
type Expected struct{ Open, All float64 } // answers of open ports, of any

// Silent tells whether nothing travels any more, and since when at the earliest: the newest probe that was answered
// was sent then.
func (s *Set) Silent(e Expected) (since int64, silent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.book()
	good := s.newest()
	switch {
	case good == 0:
		return 0, false
	case s.deaf():
		return good, true
	}
	var open, all witness
	for _, l := range s.pending {
		if l.weight > 0 {
			all.hear(l.weight)
			if l.open {
				open.hear(l.weight)
			}
		}
	}
	quiet := s.awake - s.heardAt
	return good, quiet >= Shortest && open.sure(e.Open) || quiet >= ResetsRefill && all.sure(e.All)
}

// witness is what lost beacons say together, in nats.
type witness struct {
	says float64
	lost int
}

func (w *witness) hear(weight float64) {
	w.says += weight
	w.lost++
}

// sure tells whether they are enough, with what it says that no answers have come by themselves.
func (w *witness) sure(expected float64) bool {
	return w.says+expected >= Enough && (w.lost >= fewest || expected >= Enough)
}

// Scope is what a part of the network is.
type Scope uint8

// The scopes, from small to large.
const (
	Host   Scope = iota // one address
	Prefix              // a /24 or a /16 (IPv6: /64, /48) in which several hosts had answered
	Path                // an interface with its next hop, where the scan has several
)

// Part is a part of the network that has stopped answering while others go on.
type Part struct {
	Scope  Scope
	Prefix netip.Prefix // of a host: its address
	Path   int          // of a host or a prefix: that of its first beacon
	Since  int64        // when the newest probe that it answered was sent
	Until  int64        // when the probe was sent by which it was seen to answer again; 0: it has not

	held bool // Return ends it, not an answer
}

// Holds tells whether the part holds a target.
func (p *Part) Holds(addr netip.Addr, path int) bool {
	if p.Scope == Path {
		return path == p.Path
	}
	return p.Prefix.Contains(addr)
}

// enoughOfPart is Enough for a part: it is looked at once per lost beacon, not all the time.
const enoughOfPart = 20

// group is what the beacons of a part say together.
type group struct {
	members []*member
	good    int64 // when the newest of them that was answered was sent,
	beside  int64 // and of all other groups: others go on
	lost    int
	says    float64
	open    bool
}

// key names a group: a prefix, or a path.
type key struct {
	prefix netip.Prefix
	path   int // of a path; -1: of a prefix
}

// Parts finds the parts that have stopped answering since the last call, and those that answer again. A part that
// lies within one that is lost already is not told.
func (s *Set) Parts(now int64) (lost, back []*Part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.parts[:0]
	for _, p := range s.parts {
		if p.held {
			kept = append(kept, p)
			continue
		}
		if p.Until = s.goodWithin(p); p.Until > p.Since {
			back = append(back, p)
			s.forget(p)
			continue
		}
		p.Until = 0
		kept = append(kept, p)
	}
	s.parts = kept
	s.mark()
	s.suspects = false
	failing := false
	for _, m := range s.members {
		failing = failing || m.lost > 0 && !m.away
	}
	if !failing {
		return nil, back
	}
	for _, level := range s.levels() {
		for k, g := range s.groups(level) {
			if g.lost < fewest || g.says < enoughOfPart || g.good >= g.beside {
				continue
			}
			if len(g.members) == 1 && g.open {
				continue // a listener whose queue is full is silent as well, and its host is not
			}
			if !g.open && time.Duration(now-g.good) < ResetsRefill {
				s.suspects = true
				continue
			}
			p := s.narrow(k, g)
			p.Since = g.good
			lost = append(lost, p)
			s.parts = append(s.parts, p)
		}
		s.mark() // they are not looked at by the smaller levels
	}
	return lost, back
}

// Suspects tells whether the last call of Parts has found a part that is lost unless its hosts, which have closed ports only,
// answer soon.
func (s *Set) Suspects() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.suspects
}

// forget says that what beacons have lost may have been their part's: those that are asked again later are not lost one by
// one.
func (s *Set) forget(p *Part) {
	for _, m := range s.members {
		if p.Holds(m.Addr, m.Path) {
			m.grace = s.ticked
		}
	}
}

// goodWithin is when the newest answered beacon of a part was sent.
func (s *Set) goodWithin(p *Part) (good int64) {
	for _, m := range s.members {
		if p.Holds(m.Addr, m.Path) {
			good = max(good, m.good)
		}
	}
	return good
}

// mark notes which beacons are in a part that is lost.
func (s *Set) mark() {
	for _, m := range s.members {
		m.away = false
		for _, p := range s.parts {
			m.away = m.away || p.Holds(m.Addr, m.Path)
		}
	}
}

// levels name a member's groups, the largest first.
func (s *Set) levels() (all []func(*member) key) {
	if len(s.paths) > 1 {
		all = append(all, func(m *member) key { return key{path: m.Path} })
	}
	bits := func(v4, v6 int) func(*member) key {
		return func(m *member) key {
			n := v6
			if m.Addr.Is4() {
				n = v4
			}
			p, _ := m.Addr.Prefix(n) // cannot fail: n is within the address
			return key{p, -1}
		}
	}
	return append(all, bits(16, 48), bits(24, 64), bits(32, 128))
}

// groups are the beacons by a level, without those that are known to be lost, or have never answered. What a part that is up
// loses, those tell that were asked next after an answer: what others that are down lose one after the other, until they
// are known to be lost, says nothing of it.
func (s *Set) groups(level func(*member) key) map[key]*group {
	all := s.failing(level)
	if len(all) == 0 {
		return nil
	}
	k0 := s.known()
	k0.lost = s.next.lost()
	s.gather(all, level)
	for _, g := range all {
		for _, m := range g.members {
			n := m.missedSince(g.good)
			if n < min(m.lost, missedKept) {
				continue // one that had begun to lose while others of the group were answered says nothing of them
			}
			// What was lost behind the last answer of the others may have been lost everywhere.
			if n = m.missedSince(max(g.good, m.grace)) - m.missedSince(max(g.beside, g.good, m.grace)); n > 0 {
				g.lost += n
				g.says += m.surprise(n, 0, k0)
				g.open = g.open || m.open
			}
		}
	}
	return all
}

// failing are the groups that may have lost beacons enough, empty: on a path that is up hardly any, and no other is worth
// being looked at.
func (s *Set) failing(level func(*member) key) map[key]*group {
	lost := map[key]int{}
	for _, m := range s.members {
		if m.lost > 0 && !m.away && m.good != 0 {
			lost[level(m)] += min(m.lost, missedKept)
		}
	}
	all := map[key]*group{}
	for k, n := range lost {
		if n >= fewest {
			all[k] = &group{}
		}
	}
	return all
}

// gather gives each group its beacons, and finds when the newest answered one of the others was sent.
func (s *Set) gather(all map[key]*group, level func(*member) key) {
	var newest key // of all groups: which has the newest,
	var first int64
	var second int64 // and when the newest of the others was sent
	for _, m := range s.members {
		if m.away || m.good == 0 {
			continue
		}
		k := level(m)
		switch {
		case m.good > first && k != newest:
			newest, first, second = k, m.good, first
		case m.good > first:
			first = m.good
		case k != newest:
			second = max(second, m.good)
		}
		if g := all[k]; g != nil {
			g.members = append(g.members, m)
			g.good = max(g.good, m.good)
		}
	}
	for k, g := range all {
		if g.beside = first; k == newest {
			g.beside = second
		}
	}
}

// narrow is the smallest part that holds all beacons of a group, and none of another path.
func (s *Set) narrow(k key, g *group) *Part {
	first := g.members[0]
	part := func(scope Scope, prefix netip.Prefix) *Part {
		return &Part{Scope: scope, Prefix: prefix, Path: first.Path}
	}
	for _, n := range []int{first.Addr.BitLen(), first.Addr.BitLen() * 3 / 4, first.Addr.BitLen() / 2} { // /32, /24, /16; IPv6: /128, /96, /64
		p, _ := first.Addr.Prefix(n)
		if k.path >= 0 && s.shares(p, k.path) {
			break
		}
		if slices.ContainsFunc(g.members, func(m *member) bool { return !p.Contains(m.Addr) }) {
			continue
		}
		if n == first.Addr.BitLen() {
			return part(Host, p)
		}
		return part(Prefix, p)
	}
	if k.path >= 0 {
		return part(Path, netip.Prefix{})
	}
	return part(Prefix, k.prefix)
}

// shares tells whether a prefix has beacons of other paths.
func (s *Set) shares(prefix netip.Prefix, path int) bool {
	return slices.ContainsFunc(s.members, func(m *member) bool { return m.Path != path && prefix.Contains(m.Addr) })
}
