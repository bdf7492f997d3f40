package gate

import (
	"encoding/binary"
	"net/netip"
	"sync"

	"synoptic/ratelimit"
)

// Limits hold each host and each prefix to a rate, whichever probes go there: first tries, retries and, with their own share,
// beacons. They are made for a scan, and all its parts and phases go by them.
type Limits struct {
	mu     sync.Mutex // of all, and of the tables: some 15 ns for a batch
	v4, v6 []table    // that an address has to pass, all of them
	slowed map[netip.Prefix]slowed
}

// slowed is a prefix that is held to a rate of its own.
type slowed struct{ all, beacons *ratelimit.Keyed }

// Limit is one that holds for each prefix of a length.
type Limit struct {
	ratelimit.PrefixRate
	Salt uint64 // says which prefixes share a slot of the table
}

// table is a limit with what it has counted.
type table struct {
	ratelimit.PrefixRate
	off          uint8 // bits of an address behind the prefix
	all, beacons *ratelimit.Keyed
}

// beaconShare of a prefix's rate is the most that beacons get: one in twenty.
const beaconShare = 1.0 / 20

// NewLimits makes the tables of limits, of which there may be none.
func NewLimits(all []Limit) (*Limits, error) {
	l := &Limits{}
	for _, x := range all {
		t := table{PrefixRate: x.PrefixRate, off: uint8(x.MaxBits() - x.Bits)}
		var err error
		if t.all, err = ratelimit.NewKeyed(x.Rate, ratelimit.KeyedSlots, x.Salt); err != nil {
			return nil, err
		}
		if t.beacons, err = ratelimit.NewKeyed(x.Rate*beaconShare, ratelimit.KeyedSlots, x.Salt); err != nil {
			return nil, err
		}
		if x.V6 {
			l.v6 = append(l.v6, t)
		} else {
			l.v4 = append(l.v4, t)
		}
	}
	return l, nil
}

// of is an address's number, and the tables that it is under.
func (l *Limits) of(addr netip.Addr) (hi, lo uint64, tables []table) {
	hi, lo = ratelimit.Number(addr)
	if addr.Is4() {
		return hi, lo, l.v4
	}
	return hi, lo, l.v6
}

func (t *table) slot(hi, lo uint64) uint32 { return t.all.Slot(t.Key(hi, lo)) }

func (l *Limits) ask(addr netip.Addr, now int64, beacon bool) Answer {
	l.mu.Lock()
	defer l.mu.Unlock()
	if beacon && l.takeBeacon(addr, now) || !beacon && l.take(addr, now) {
		return Go
	}
	return Later
}

// take counts a probe if all limits let it go.
func (l *Limits) take(addr netip.Addr, now int64) bool {
	if len(l.slowed) == 0 && addr.Is4() { // as nearly always: twice as fast as what follows
		return l.take4(addr, now)
	}
	hi, lo, tables := l.of(addr)
	for i := range tables {
		if t := &tables[i]; !t.all.Take(t.slot(hi, lo), now) {
			undo(tables[:i], hi, lo)
			return false
		}
	}
	if len(l.slowed) > 0 {
		if slow := l.slow(addr); slow != nil && !slow.Take(0, now) {
			undo(tables, hi, lo)
			return false
		}
	}
	return true
}

// take4 is take for IPv4 while nothing is slowed.
func (l *Limits) take4(addr netip.Addr, now int64) bool {
	b := addr.As4()
	lo := uint64(binary.BigEndian.Uint32(b[:]))
	for i := range l.v4 {
		if t := &l.v4[i]; !t.all.Take(t.all.Slot(0, lo>>(t.off&31)), now) {
			undo(l.v4[:i], 0, lo)
			return false
		}
	}
	return true
}

func undo(tables []table, hi, lo uint64) {
	for i := range tables {
		t := &tables[i]
		t.all.Undo(t.slot(hi, lo))
	}
}

// takeBeacon is take for a beacon.
func (l *Limits) takeBeacon(addr netip.Addr, now int64) bool {
	hi, lo, tables := l.of(addr)
	for i := range tables {
		if t := &tables[i]; !t.beacons.Take(t.slot(hi, lo), now) {
			undoBeacon(tables[:i], hi, lo)
			return false
		}
	}
	var slow *ratelimit.Keyed
	if len(l.slowed) > 0 {
		slow = l.slowed[Neighbourhood(addr)].beacons
	}
	if slow != nil && !slow.Take(0, now) {
		undoBeacon(tables, hi, lo)
		return false
	}
	if !l.take(addr, now) {
		undoBeacon(tables, hi, lo)
		if slow != nil {
			slow.Undo(0)
		}
		return false
	}
	return true
}

func undoBeacon(tables []table, hi, lo uint64) {
	for i := range tables {
		t := &tables[i]
		t.beacons.Undo(t.slot(hi, lo))
	}
}

// turn is when a probe that may not go is to be asked about again: when the queues of all prefixes that it is in have come to it. It has
// its place in the longest one, and in those of narrower prefixes, which have nobody else to let go before that. In those of wider
// ones it has none: others can go meanwhile. again tells that it had a turn; under several limits that gives it no precedence, for it would
// upset what the others' turns are made for: that no two limits are in each other's way.
func (l *Limits) turn(addr netip.Addr, now int64, again bool) int64 {
	hi, lo, tables := l.of(addr)
	slow, bits := l.slow(addr), neighbourhoodBits(addr)
	again = again && (len(tables) == 1) == (slow == nil)
	at, width := now, 0
	for i := range tables {
		t := &tables[i]
		if next := t.all.Next(t.slot(hi, lo), again); next > at {
			at, width = next, t.Bits
		}
	}
	if slow != nil && slow.Next(0, again) > at {
		at, width = slow.Next(0, again), bits
	}
	if at == now {
		return 0
	}
	for i := range tables {
		if t := &tables[i]; t.Bits >= width {
			t.all.Queue(t.slot(hi, lo), again, at)
		}
	}
	if slow != nil && bits >= width {
		slow.Queue(0, again, at)
	}
	return at
}

// late makes up for probes that left late.
func (l *Limits) late(addrs []netip.Addr, now int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, addr := range addrs {
		hi, lo, tables := l.of(addr)
		for i := range tables {
			t := &tables[i]
			t.all.Late(t.slot(hi, lo), now)
		}
		if slow := l.slow(addr); slow != nil {
			slow.Late(0, now)
		}
	}
}

// Neighbourhood is the prefix that an address is slowed with: its /24, or its /64.
func Neighbourhood(addr netip.Addr) netip.Prefix {
	p, _ := addr.Prefix(neighbourhoodBits(addr)) // every address has it
	return p
}

func neighbourhoodBits(addr netip.Addr) int {
	if addr.Is4() {
		return 24
	}
	return 64
}

// slow is the limit of the prefix that an address is slowed with; nil where it is not.
func (l *Limits) slow(addr netip.Addr) *ratelimit.Keyed {
	if len(l.slowed) == 0 {
		return nil
	}
	return l.slowed[Neighbourhood(addr)].all
}

// slowTo holds a prefix to a rate in packets per second. What was in its queue has to ask again.
func (l *Limits) slowTo(p netip.Prefix, rate float64) error {
	all, err := ratelimit.NewKeyed(rate, 1, 0)
	if err != nil {
		return err
	}
	beacons, err := ratelimit.NewKeyed(rate*beaconShare, 1, 0)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.slowed == nil {
		l.slowed = map[netip.Prefix]slowed{}
	}
	l.slowed[p] = slowed{all, beacons}
	return nil
}

// release lets a prefix go, and tells whether there are no limits any more.
func (l *Limits) release(p netip.Prefix) (none bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.slowed, p)
	return len(l.slowed)+len(l.v4)+len(l.v6) == 0
}

// hold tells whether an address is under a limit.
func (l *Limits) hold(addr netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _, tables := l.of(addr)
	return len(tables) > 0 || l.slow(addr) != nil
}
