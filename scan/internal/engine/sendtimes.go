package engine

import (
	"time"

	"synoptic/scan/schedule"
)

// A kick that takes longer than kickSlack and kickSlow for each frame was interrupted, and nobody
// knows where: rather no round trip than a wrong one.
const (
	kickSlack = 100 * time.Microsecond
	kickSlow  = 10 * time.Microsecond
)

// kicked stores the send times of a kick's frames, spread evenly over its duration.
func (l *txLane) kicked(p *schedule.Pass, positions []uint64, begun, ended int64) {
	n := int64(len(positions))
	if ended-begun > int64(kickSlack)+n*int64(kickSlow) {
		for _, pos := range positions {
			l.ev.timesOf(p.Attempt(pos)).Forget(pos)
		}
		return
	}
	l.sentAt(p, positions, begun, (ended-begun)/n)
}

// sentAt stores send times, step nanoseconds apart.
func (l *txLane) sentAt(p *schedule.Pass, positions []uint64, begun, step int64) {
	l.sentAttempt(p, p.Probes, positions, begun, step)
	if p.Sampled {
		l.sentAttempt(p, p.Probes+1, positions, begun, step)
	}
}

// sentAttempt is sentAt for the positions that are at an attempt.
func (l *txLane) sentAttempt(p *schedule.Pass, attempt uint8, positions []uint64, begun, step int64) {
	times := l.ev.timesOf(attempt)
	if !times.Holds(positions[0]) {
		return // other chunks are a whole span ahead: the entries are theirs
	}
	for i, pos := range positions {
		switch {
		case p.Attempt(pos) != attempt:
		case p.Repeated: // Karn's problem (RFC 6298 section 3): no round trip rather than a wrong one
			times.Forget(pos)
		default:
			times.Set(pos, begun+int64(i)*step)
		}
	}
	times.Sent(positions[len(positions)-1] + 1)
}
