package beacon

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// keep is how many beacons there are at most.
	keep = 1024
	// keepOpen of them at least are to be open ports: hosts limit the rate of their resets.
	keepOpen = 16
	// perHost bounds those of one host while there are few hosts; where there are many, each has one.
	perHost, fewHosts = 16, keep / perHost
)

// Set is the beacons of a scan. All methods may be called by several goroutines at once.
type Set struct {
	full  atomic.Bool                 // only open ports, and new /16s, are wanted
	sated atomic.Bool                 // not even open ports
	seen  [1 << 16 / 64]atomic.Uint64 // /16s (IPv6: /48, folded) that have a beacon
	heard atomic.Int64                // by Heard: the newest,
	until atomic.Int64                // and the newest that was sent before pausedAt, if there is a pause
	on    []atomic.Int64              // by HeardOn: the newest of each path

	mu      sync.Mutex
	members []*member
	index   map[netip.AddrPort]*member
	hosts   map[netip.Addr]*host
	opens   int
	turn    int // of members: who is asked next
	focus   int // how many take turns; 0: by the rate
	odd     int // 1 in every other call of Next
	debt    float64
	ticked  int64
	awake   time.Duration // for how long this process has run, as far as Tick has seen,
	last    int64         // what newest was then,
	heardAt time.Duration // and since when, by awake
	recent  time.Duration // the largest round trip of late

	offered  time.Duration // by awake: when the first came, or since the last outage,
	unheard  int           // and how many were lost since
	proven   bool          // a beacon was answered
	pausedAt atomic.Int64  // since Pause; 0: there is none
	before   int64         // of what was sent until then, when the newest answered probe was

	good      int64  // when the newest probe that was answered was sent
	pending   []loss // lost since
	all       share  // of all beacons
	next      share  // of those asked next after an answer
	booked    int64  // until when what was sent is in these shares,
	unbooked  [2]share
	paths     []PathCount
	goods     []int64 // by path: when the newest beacon was sent that was answered, or the probe that made a beacon of one
	lost      uint64  // not answered in time
	forbidden uint64  // by somebody on the way
	delays    Delays
	parts     []*Part
	suspects  bool // one may be lost
	outcomes  []Outcome
	recorded  bool // Outcomes is called
}

// host is one that has beacons.
type host struct {
	beacons int
	asked   int64 // when one was handed out last
}

// loss is a lost beacon: when it was sent, and what that says against the path, in nats.
type loss struct {
	sent   int64
	weight float64
	open   bool
	next   bool // the one before it was answered
}

// PathCount is how many beacons were sent and answered on a path.
type PathCount struct{ Asked, Answered uint64 }

// New returns a set without beacons, for a scan over so many paths.
func New(paths int) *Set {
	return &Set{index: map[netip.AddrPort]*member{}, hosts: map[netip.Addr]*host{}, paths: make([]PathCount, paths), goods: make([]int64, paths), on: make([]atomic.Int64, paths)}
}

// Fix adds a beacon that somebody chose: it is asked although it has not answered, and stays.
func (s *Set) Fix(t Target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.add(t, false); m != nil {
		m.fixed = true
	}
}

// Heard says that a probe sent at a time was answered, of whatever position.
func (s *Set) Heard(sent int64) {
	raise(&s.heard, sent)
	// What a lane had been granted leaves behind the pause, and may find the way that was repaired meanwhile.
	if p := s.pausedAt.Load(); p == 0 || sent <= p {
		raise(&s.until, sent)
	}
}

// raise makes a value at least so large.
func raise(v *atomic.Int64, least int64) {
	for old := v.Load(); least > old && !v.CompareAndSwap(old, least); old = v.Load() {
	}
}

// Wants tells at next to no cost whether Offer would do anything for a position that has answered.
func (s *Set) Wants(addr netip.Addr, open bool) bool {
	if !s.full.Load() || open && !s.sated.Load() {
		return true
	}
	key := prefix16(addr)
	return s.seen[key/64].Load()&(1<<(key%64)) == 0
}

// Offer proposes a position that has answered the probe sent at a time, after a round trip; 0: not known, or not asked as
// a beacon is.
func (s *Set) Offer(t Target, open bool, sent int64, rtt time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := prefix16(t.Addr)
	known := s.seen[key/64].Load()&(1<<(key%64)) != 0
	if len(s.members) >= keep && (known && (!open || s.opens >= keepOpen) || !s.makeRoom()) {
		s.sated.Store(s.opens >= keepOpen)
		return
	}
	if m := s.add(t, open); m != nil {
		m.good, m.recent = sent, max(rtt, 0)
		if rtt > 0 {
			m.trip(rtt, sent)
		}
		s.answeredOn(t.Path, sent)
		if len(s.members) == 1 {
			s.offered = s.awake
		}
	}
	s.full.Store(len(s.members) >= keep)
}

// add returns the new member, or nil where it is none.
func (s *Set) add(t Target, open bool) *member {
	at := netip.AddrPortFrom(t.Addr, t.Port)
	most := perHost
	if len(s.hosts) > fewHosts {
		most = 1
	}
	h := s.hosts[t.Addr]
	if h == nil {
		h = &host{}
	}
	if s.index[at] != nil || h.beacons >= most {
		return nil
	}
	m := &member{Target: t, open: open}
	s.index[at] = m
	h.beacons++
	s.hosts[t.Addr] = h
	if open {
		s.opens++
	}
	s.members = append(s.members, m)
	key := prefix16(t.Addr)
	s.seen[key/64].Or(1 << (key % 64))
	return m
}

// makeRoom lets go of a closed port of the /16 that has most beacons; false where each has one only.
func (s *Set) makeRoom() bool {
	counts := map[uint16]int{}
	for _, m := range s.members {
		counts[prefix16(m.Addr)]++
	}
	gone, most := -1, 1
	for i, m := range s.members {
		if n := counts[prefix16(m.Addr)]; n > most && !m.fixed && !m.flying && !m.open {
			gone, most = i, n
		}
	}
	if gone < 0 {
		return false
	}
	s.drop(s.members[gone])
	last := len(s.members) - 1
	s.members[gone] = s.members[last]
	s.members = s.members[:last]
	return true
}

// prefix16 is the /16 of an IPv4 address; of an IPv6 address its /48, folded.
func prefix16(a netip.Addr) uint16 {
	if a.Is4() {
		b := a.As4()
		return uint16(b[0])<<8 | uint16(b[1])
	}
	b := a.As16()
	return (uint16(b[0])<<8 | uint16(b[1])) ^ (uint16(b[2])<<8 | uint16(b[3])) ^ (uint16(b[4])<<8 | uint16(b[5]))
}

// TickStep is how often Tick is to be called. A longer gap is time in which the process stood still, and counts
// as two: no answer gets in meanwhile.
const TickStep = 10 * time.Millisecond

// Tick notes the time: beacons whose answers are overdue are lost.
func (s *Set) Tick(now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ticked != 0 {
		s.awake += min(time.Duration(now-s.ticked), 2*TickStep)
	}
	s.ticked = now
	if newest := s.newest(); newest != s.last {
		s.last, s.heardAt = newest, s.awake
	}
	k := s.known()
	for _, m := range s.members {
		if !m.flying || s.awake < m.expires {
			continue
		}
		before := m.contradicted(s.newest())
		s.record(m, Outcome{})
		m.expired()
		s.lost++
		s.unheard++
		if m.answers == 0 && m.lost > 1 {
			continue // it has said what it can
		}
		if w := m.surprise(1, before, k); w > 0 {
			s.pending = append(s.pending, loss{m.last, w, m.open, m.lost == 1})
		}
	}
	s.book()
}

// Sent says that a beacon has left.
func (s *Set) Sent(t Target, now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.index[netip.AddrPortFrom(t.Addr, t.Port)]
	if m == nil {
		return
	}
	m.last, m.flying, m.expires = now, true, s.awake+m.timeout(s.recent)
	s.paths[m.Path].Asked++
}

// Answered takes in the answer to a beacon, and tells what it says. One that comes after its time-out counts all the same.
func (s *Set) Answered(addr netip.Addr, port uint16, open bool, now int64) Echo {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.index[netip.AddrPortFrom(addr, port)]
	if m == nil || m.last == 0 || m.good == m.last {
		return Unheard // never asked, or a duplicate
	}
	rtt := time.Duration(max(now-m.last, 0))
	if m.early(rtt) {
		return Unheard
	}
	refused := m.refused == m.last // and answered all the same
	s.record(m, Outcome{RTT: max(rtt, 1), Late: !m.flying && !refused})
	if refused {
		s.forbidden--
	}
	s.overdue(m)
	if open && !m.open {
		m.open = true
		s.opens++
	}
	if m.away || s.pausedAt.Load() != 0 || m.excused() {
		m.lost = 0 // that was the part's, or the outage's
	}
	s.all.answers++
	if m.lost == 0 {
		s.next.answers++
	}
	m.answered(rtt)
	s.delays.add(rtt)
	s.recent = max(rtt, s.recent-s.recent/256)
	s.proven = true
	s.paths[m.Path].Answered++
	s.answeredOn(m.Path, m.good)
	if m.good <= s.pausedAt.Load() {
		s.before = max(s.before, m.good)
	}
	s.book()
	return m.echo(open)
}

// book counts what was lost before the newest answered probe as lost on a path that was up, which it was not in an outage.
func (s *Set) book() {
	good, kept := s.newest(), s.pending[:0]
	if good != s.booked {
		if time.Duration(good-s.booked) >= Shortest {
			s.unbooked = [2]share{s.all, s.next}
		}
		s.booked = good
	}
	for _, l := range s.pending {
		switch {
		case l.sent > good:
			kept = append(kept, l)
		case l.weight > 0 && (s.pausedAt.Load() == 0 || l.sent <= s.before):
			s.all.failures++
			if l.next {
				s.next.failures++
			}
		}
	}
	s.pending = kept
	if len(s.pending) > 2*keep {
		s.pending = append(s.pending[:0], s.pending[keep:]...)
	}
}

func (s *Set) known() known {
	asked, mute := 4.0, 1.0
	for _, m := range s.members {
		switch {
		case m.answers > 0:
			asked++
		case m.lost > 0 && m.good != 0:
			asked++
			mute++
		}
	}
	return known{s.proven, s.all.lost(), mute / asked}
}

// newest is when the newest answered probe of any kind was sent.
func (s *Set) newest() int64 { return max(s.good, s.heard.Load()) }

// Good is when the newest probe that was answered was sent, a beacon's or another's; 0 where none was.
func (s *Set) Good() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newest()
}

// Paths are the counts by path, of beacons only.
func (s *Set) Paths() []PathCount {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]PathCount(nil), s.paths...)
}

// Totals are the counts of all paths, and how many beacons were not answered in time; the others asked may be under way. What turns out not to
// have left, or was forbidden on its way, is not asked any more: that count may fall.
func (s *Set) Totals() (asked, answered, lost uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.paths {
		asked += p.Asked
		answered += p.Answered
	}
	return asked - s.forbidden, answered, s.lost
}

// Away is the share of the beacons whose host, prefix or path is lost.
func (s *Set) Away() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var away float64
	for _, m := range s.members {
		if m.away {
			away++
		}
	}
	return away / max(float64(len(s.members)), 1)
}

// Len is the number of beacons, and how many of these are open ports.
func (s *Set) Len() (all, open int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.members), s.opens
}
