package watch

import (
	"errors"
	"net/netip"
	"time"

	"synoptic/results"
	"synoptic/scan/confirm"
	"synoptic/scan/monitor"
)

// piece is what was done since it began.
type piece struct {
	scanID  string
	begun   time.Time
	made    time.Time // when this was
	sent    uint64    // Monitor.sent then
	asked   asked
	changed map[netip.AddrPort]bool // that have changed in it, and the Keeper has
	always  []uint64                // their positions
}

// holding is a change that waits until it is kept.
type holding struct {
	Turned
	due time.Time
}

// begin begins a piece.
func (m *Monitor) begin(now time.Time) {
	m.piece = piece{scanID: newScanID(), begun: now, made: now, sent: m.sent, asked: asked{}, changed: map[netip.AddrPort]bool{}}
}

// netOf is the address of an address' network.
func netOf(addr netip.Addr) netip.Addr { return confirm.NetOf(addr).Addr() }

// covered takes note of an endpoint that was asked while evidence held.
func (m *Monitor) covered(ap netip.AddrPort) {
	if index, ok := m.config.Space.Index(ap.Addr(), ap.Port()); ok {
		m.piece.asked.add(m.order.Position(index))
	}
}

// hold takes a change. What has gone silent waits for the others of its host.
func (m *Monitor) hold(now time.Time, t Turned) {
	h := holding{t, now}
	if t.Before == results.Open && t.After == 0 {
		h.due = now.Add(m.config.Hold)
	}
	m.held = append(m.held, h)
}

// ripe tells whether a change is to be kept now: its time has come, or that of another one of its host, for they are told together.
func ripe(held []holding, now time.Time, all bool) (which []bool, some bool) {
	which = make([]bool, len(held))
	hosts := map[netip.Addr]bool{}
	for i := range held {
		if all || !held[i].due.After(now) {
			which[i], some = true, true
			hosts[held[i].Addr.Addr()] = true
		}
	}
	for i := range held {
		which[i] = which[i] || hosts[held[i].Addr.Addr()]
	}
	return which, some
}

// writeEvery is how often a piece is kept in which nothing has changed.
const writeEvery = 5 * time.Minute

// keep gives the Keeper what is to be kept; last: all, for nothing follows.
func (m *Monitor) keep(last bool) error {
	m.mu.Lock()
	now := time.Now()
	which, some := ripe(m.held, now, last)
	var changes []Turned
	var taken []int
	again := false // a port has changed again: that is of the next piece
	if some {
		for i := range m.held {
			switch h := &m.held[i]; {
			case !which[i]:
			case m.piece.changed[h.Addr]:
				again = true
			default:
				changes, taken = append(changes, h.Turned), append(taken, i)
			}
		}
	}
	over := last || again || now.Sub(m.piece.made) >= m.config.Piece
	if len(changes) == 0 && !over && now.Sub(m.kept) < writeEvery {
		m.mu.Unlock()
		return nil
	}
	positions := m.piece.always
	for _, c := range changes {
		if index, ok := m.config.Space.Index(c.Addr.Addr(), c.Addr.Port()); ok {
			positions = append(positions, m.order.Position(index))
		}
	}
	p := &Piece{
		ScanID: m.piece.scanID, Begin: m.piece.begun, Now: now, Sent: m.sent - m.piece.sent, Changes: changes, Last: over, Covered: m.piece.asked.set(positions),
	}
	m.mu.Unlock()

	stay, err := m.config.Keeper.Keep(p)
	m.mu.Lock()
	defer m.mu.Unlock()
	if errors.Is(err, ErrOver) {
		m.begin(now)
	}
	if err != nil {
		m.config.Warn(err)
		return err
	}
	m.took(now, p, positions, taken, stay)
	return nil
}

// took takes note of what the Keeper has.
func (m *Monitor) took(now time.Time, p *Piece, positions []uint64, taken []int, stay []netip.AddrPort) {
	m.kept, m.piece.always = now, positions
	for i := range p.Changes {
		m.piece.changed[p.Changes[i].Addr] = true
	}
	left := m.held[:0]
	for i := range m.held {
		if len(taken) > 0 && taken[0] == i {
			taken = taken[1:]
		} else {
			left = append(left, m.held[i])
		}
	}
	m.held = left
	for _, ap := range stay {
		m.planner.Track(ap, monitor.KnownOpen, 0)
	}
	if p.Last {
		m.begin(now)
	}
}
