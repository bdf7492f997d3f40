package screen

import (
	"time"

	"synoptic/scan"
)

// eta estimates how long a phase takes yet, from the work that is done and the time that it took. Time in which the process
// stood still is none of it.
type eta struct {
	began   time.Duration // on the clock that stands still
	at      time.Duration
	checked samples // open ports verified
}

func (e *eta) see(at time.Duration, p *scan.Progress) {
	e.at = at
	if p.Verification != nil {
		e.checked.add(at, p.Verification.Settled)
	}
}

// left is 0 where nothing can be said.
func (e *eta) left(p *scan.Progress) time.Duration {
	if p.Verifying() {
		return e.checked.left(p.Open)
	}
	return p.Left(e.at - e.began)
}

// samples are some latest values of a count, from which its speed is taken.
type samples struct {
	at    []time.Duration
	count []uint64
}

// samplesKept reach over ten seconds.
const samplesKept = int(10 * time.Second / progressEvery)

func (s *samples) add(at time.Duration, count uint64) {
	s.at, s.count = append(s.at, at), append(s.count, count)
	if len(s.at) > samplesKept {
		s.at, s.count = s.at[1:], s.count[1:]
	}
}

// left is how long the count takes to reach all at its speed, 0 where it has none.
func (s *samples) left(all uint64) time.Duration {
	last := len(s.at) - 1
	if last < 1 {
		return 0
	}
	grown, took := s.count[last]-s.count[0], s.at[last]-s.at[0]
	if grown == 0 || took <= 0 || s.count[last] >= all {
		return 0
	}
	return Seconds(took.Seconds() * float64(all-s.count[last]) / float64(grown))
}
