package watch

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"synoptic/results"
	"synoptic/scan/confirm"
	"synoptic/scan/monitor"
)

// piece is what was done since it began.
type piece struct {
	scanID  string
	begun   time.Time
	made    time.Time // when this was
	end     time.Time // until when it is given to the Keeper
	before  uint64    // Monitor.sent when it began
	sent    uint64    // since then
	asked   *roaring64.Bitmap
	changed map[netip.AddrPort]bool // that have changed in it, and the Keeper has,
	given   []*holding              // and that the Keeper is given
	always  []uint64                // the positions of both
}

// holding is a change that waits until the Keeper has it.
type holding struct {
	Turned
	due   time.Time
	given bool // to the Keeper, in a piece
}

// begin begins a piece.
func (m *Monitor) begin(at, now time.Time) {
	m.piece = &piece{scanID: results.NewScanID(), begun: at, made: now, before: m.sent, asked: roaring64.New(), changed: map[netip.AddrPort]bool{}}
}

// netOf is the address of an address' network.
func netOf(addr netip.Addr) netip.Addr { return confirm.NetOf(addr).Addr() }

// hold takes a change. What has gone silent waits for the others of its host, and is none where it answers again meanwhile.
func (m *Monitor) hold(now time.Time, t Turned) {
	h := &holding{Turned: t, due: now}
	if t.Before == results.Open && t.After == 0 {
		h.due = now.Add(m.config.Hold)
	}
	if t.After == results.Open {
		i := slices.IndexFunc(m.held, func(x *holding) bool { return x.Addr == t.Addr && !x.given && x.due.After(now) })
		if i >= 0 {
			m.held = slices.Delete(m.held, i, i+1)
			return
		}
	}
	m.held = append(m.held, h)
}

// ripe are the changes that are to be kept now: their time has come, or that of another one of their host, for they are told together.
func (m *Monitor) ripe(now time.Time, all bool) (some []*holding) {
	hosts := map[netip.Addr]bool{}
	for _, h := range m.held {
		if !h.given && (all || !h.due.After(now)) {
			hosts[h.Addr.Addr()] = true
		}
	}
	for _, h := range m.held {
		if !h.given && hosts[h.Addr.Addr()] {
			some = append(some, h)
		}
	}
	return some
}

// writeEvery is how often a piece is kept in which nothing has changed.
const writeEvery = 5 * time.Minute

// gather puts into the piece what is to be kept now, and gives it; nil: there is nothing to keep. last ends it, and so does a port that changes again.
func (m *Monitor) gather(now time.Time, last bool) *piece {
	p, again := m.piece, false
	in := maps.Clone(p.changed)
	for _, h := range p.given {
		in[h.Addr] = true
	}
	for _, h := range m.ripe(now, last) {
		if in[h.Addr] {
			again = true
			continue
		}
		in[h.Addr], h.given = true, true
		p.given = append(p.given, h)
		if position, ok := m.planner.Position(h.Addr); ok {
			p.always = append(p.always, position)
		}
	}
	over := last || again || now.Sub(p.made) >= m.config.Piece
	if len(p.given) == 0 && !over && now.Sub(m.kept) < writeEvery {
		return nil
	}
	p.end, p.sent = now, m.sent-p.before
	if over {
		m.ending = p
		m.begin(now, now)
	}
	return p
}

// keep gives the Keeper what is to be kept: all, where it is the last time.
func (m *Monitor) keep(last bool) error {
	m.mu.Lock()
	p := m.ending
	if p == nil {
		p = m.gather(time.Now(), last)
	}
	dark := m.tell
	m.tell = nil
	if p == nil {
		m.mu.Unlock()
		return m.tellDark(dark)
	}
	out := &Piece{ScanID: p.scanID, Begin: p.begun, Now: p.end, Sent: p.sent, Last: p == m.ending}
	for _, h := range p.given {
		out.Changes = append(out.Changes, h.Turned)
	}
	asked, always := p.asked, slices.Clone(p.always)
	if !out.Last {
		asked = asked.Clone() // which goes on
	}
	m.mu.Unlock()
	out.Covered = covered(asked, always)
	err := m.tellDark(dark)
	stay, keepErr := m.config.Keeper.Keep(out)
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case errors.Is(keepErr, ErrOver):
		m.lostPiece(p)
	case keepErr == nil:
		m.took(p, stay)
	}
	if keepErr != nil {
		m.config.Warn(keepErr)
	}
	return errors.Join(err, keepErr)
}

// tellDark tells the Keeper of networks.
func (m *Monitor) tellDark(all []darkness) (err error) {
	for _, d := range all {
		if e := m.config.Keeper.Dark(d.Dark, d.since); e != nil {
			m.config.Warn(e)
			err = e
		}
	}
	return err
}

// took takes note of what the Keeper has.
func (m *Monitor) took(p *piece, stay []netip.AddrPort) {
	m.kept = p.end
	for _, h := range p.given {
		p.changed[h.Addr] = true
	}
	m.held = slices.DeleteFunc(m.held, func(h *holding) bool { return h.given })
	p.given = nil
	for _, ap := range stay {
		m.planner.Track(ap, monitor.KnownOpen, 0)
	}
	if p == m.ending {
		m.ending = nil
	}
}

// lostPiece goes on after a piece that has ended without our doing: the next one begins when the Keeper had all. Of what was asked since then nobody
// knows, and changes are given again.
func (m *Monitor) lostPiece(p *piece) {
	for _, h := range p.given {
		h.given = false
	}
	if p == m.ending {
		m.ending = nil
		m.piece.begun = m.kept
		return
	}
	m.begin(m.kept, time.Now())
}
