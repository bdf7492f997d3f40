package beacon

import (
	"math"
	"net/netip"
	"time"
)

// Target is what a beacon asks.
type Target struct {
	Addr netip.Addr
	Port uint16
	Path int // of the plan's routes
}

// member is a beacon.
type member struct {
	Target
	open  bool // it answered by a SYN-ACK,
	turns bool // and by a RST since
	fixed bool // the user chose it: it stays
	away  bool // it belongs to a part that is known to be lost

	good    int64         // when the newest probe that was answered was sent; 0: none was
	turn    int64         // when it was last handed out to be asked
	last    int64         // when it was last asked indeed,
	refused int64         // and when it was asked last that an ICMP error forbade it
	flying  bool          // and is still waited for,
	expires time.Duration // until then, by Set.awake
	base    time.Duration // the smallest round trip
	least   time.Duration // the smaller of that and the one by which it was found; 0: none is known
	leastAt int64         // when the newest probe was sent whose round trip was as small
	doubted bool          // an answer came too early to be believed
	recent  time.Duration // the largest of late

	missed   [missedKept]int64 // when the probes lost since good were sent, the newest ones
	lost     int               // how many were,
	kept     int               // and before the outage that there is
	grace    int64             // those sent until then may have been an outage's, or a part's, which is over
	failures float64           // probes lost before another was answered
	answers  float64
}

// missedKept of the probes that a beacon has lost are remembered one by one.
const missedKept = 16

// minTimeout bounds a time-out from below.
const minTimeout = 20 * time.Millisecond

// firstTimeout is that of a beacon whose round trip nobody knows (RFC 6298 section 2.1).
const firstTimeout = time.Second

// timeout is how long an answer may take. recent is the largest round trip of all beacons of late.
func (m *member) timeout(recent time.Duration) time.Duration {
	if m.recent == 0 {
		return firstTimeout
	}
	return max(minTimeout, max(m.recent, recent)*3/2+10*time.Millisecond)
}

// early tells that an answer after so long is rather to the probe before the last one, which was given up: all probes
// to a beacon are the same, and so are their answers. It does so once: what comes so early again has become faster.
func (m *member) early(rtt time.Duration) bool {
	if m.lost == 0 || rtt >= m.base/2 || m.doubted {
		return false
	}
	m.doubted = true
	return true
}

// trip takes note of a round trip of the probe sent at a time.
func (m *member) trip(rtt time.Duration, sent int64) {
	if m.least == 0 || rtt <= m.least+max(m.least/64, sameTrip) {
		m.leastAt = sent
	}
	if m.least == 0 || rtt < m.least {
		m.least = rtt
	}
}

// sameTrip is by how much two round trips may differ that saw the same.
const sameTrip = 500 * time.Microsecond

// answered takes in the answer to the probe last sent.
func (m *member) answered(rtt time.Duration) {
	m.trip(rtt, m.last)
	m.flying, m.doubted = false, false
	m.good = m.last
	m.answers++
	m.failures += float64(m.lost)
	m.lost = 0
	m.recent = max(rtt, m.recent-m.recent/16) // falls slowly, rises at once
	if m.base == 0 || rtt < m.base {
		m.base = rtt
	}
}

// expired takes note that the probe last sent is lost.
func (m *member) expired() {
	m.flying = false
	m.missed[m.lost%missedKept] = m.last
	m.lost++
}

// mute tells that the beacon does not seem to answer the same SYN twice.
func (m *member) mute() bool { return !m.fixed && !m.flying && m.answers == 0 && m.lost >= fewest }

// missedSince is how many of the lost probes that are remembered were sent after a time.
func (m *member) missedSince(t int64) (n int) {
	for _, at := range m.missed[:min(m.lost, missedKept)] {
		if at > t {
			n++
		}
	}
	return n
}

// lostBefore is how many of the probes lost since the last answer were sent until a time; none where those remembered all came
// after it: then it has long been silent.
func (m *member) lostBefore(t int64) int {
	n := m.missedSince(t)
	if n == missedKept {
		return 0
	}
	return m.lost - n
}

// excused tells whether all that the beacon has lost may have been an outage's.
func (m *member) excused() bool { return m.lost > 0 && m.missedSince(m.grace) == 0 }

// contradicted is how many of the probes lost since the last answer were sent before a time at which others were answered.
func (m *member) contradicted(good int64) int { return m.lost - m.missedSince(good) }

// surprise is what n lost probes say against the path, in nats: the logarithm of how seldom that happens, by what is
// known of all beacons and of this one, which has lost some before while others were answered. One that has never answered
// a beacon may be of those that do not answer the same SYN twice: however often it is silent, it says no more than that
// most of the others do answer.
func (m *member) surprise(n, before int, k known) float64 {
	switch {
	case m.away || n == 0 || m.good == 0 || !k.proven:
		return 0
	case m.answers == 0:
		return -math.Log(max(k.lost, k.mute))
	}
	failures := m.failures + float64(before)
	return -float64(n) * math.Log(max(k.lost, (failures+1)/(failures+m.answers+4)))
}

// known is what is known of all beacons.
type known struct {
	proven bool    // one was answered
	lost   float64 // the share of them that is lost while some are answered,
	mute   float64 // and of those asked that do not answer the same SYN twice; both on the side of caution
}

// share counts beacons.
type share struct {
	failures float64 // lost before another was answered
	answers  float64
}

// lost is the share of them that is lost, on the side of caution.
func (s *share) lost() float64 { return (s.failures + 1) / (s.failures + s.answers + 8) }
