package engine

import (
	"net/netip"

	"synoptic/scan/gate"
	"synoptic/scan/schedule"
)

// ask asks the gate about positions of a pass, and tells about how many it has an answer: all, or those before the first that must
// be put off, and cannot.
func (l *txLane) ask(p *schedule.Pass, due []uint64) int {
	l.told = l.told[:0]
	for _, pos := range due {
		q := gate.Question{Position: pos}
		if q.Moot = l.moot(p, pos); !q.Moot {
			q.Addr, q.Port = l.id.endpoint(pos)
		}
		l.told = append(l.told, q)
	}
	l.asked = gate.Now()
	return l.gate.AskAll(l.asked, l.told, p.Resumed())
}

// hold does what the gate says of a probe that does not go now.
func (l *txLane) hold(p *schedule.Pass, q *gate.Question) {
	l.pace.Return(1)
	switch {
	case q.Moot:
	case q.Answer == gate.Later:
		p.PutOff(q.Position, gate.Time(q.Turn))
	default: // never: it must not pass for silent
		l.shared.phase.never(q.Position, q.Addr)
	}
}

// late tells the gate of probes that have left long after it was asked about them.
func (l *txLane) late(positions []uint64) {
	if l.open {
		return
	}
	now := gate.Now()
	if !gate.IsLate(l.asked, now) {
		return
	}
	addrs := make([]netip.Addr, 0, len(positions))
	for _, pos := range positions {
		addr, _ := l.id.endpoint(pos)
		addrs = append(addrs, addr)
	}
	l.gate.Late(l.asked, now, addrs...)
}
