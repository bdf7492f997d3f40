package beacon

import "time"

// Outcome is what came of a beacon.
type Outcome struct {
	Sent   int64         // when it was sent
	RTT    time.Duration // of the answer; 0: it was lost, or refused
	Base   time.Duration // the smallest round trip before that answer; 0: not known
	BaseAt int64         // when the newest probe was sent that took no longer
	Proven bool          // the position had answered as a beacon before: that it is silent now says something
	Late   bool          // the answer, or the refusal, came after it was told to be lost

	Refused bool // an ICMP error forbade it: it was neither lost nor answered
}

// mostOutcomes are kept for who does not ask for them.
const mostOutcomes = 8 * keep

// Outcomes appends to a slice what came of beacons since the last call, in the order in which it became known. The first call begins
// the record. Beacons whose part of the network is lost are left out.
func (s *Set) Outcomes(to []Outcome) []Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recorded = true
	to = append(to, s.outcomes...)
	s.outcomes = s.outcomes[:0]
	return to
}

// record notes an outcome of a member, before the member does.
func (s *Set) record(m *member, o Outcome) {
	if !s.recorded || m.away || len(s.outcomes) >= mostOutcomes {
		return
	}
	o.Sent, o.Base, o.BaseAt, o.Proven = m.last, m.least, m.leastAt, m.answers > 0
	s.outcomes = append(s.outcomes, o)
}
