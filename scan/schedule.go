package scan

import (
	"time"

	"synoptic/scan/permute"
)

// A schedule decides which positions are probed next. Positions go in chunks, of some milliseconds of
// sending each:
//
//	first tries ─▶ chunk ─▶ waits for the gap ─▶ pass 1 over its silent ─▶ waits ─▶ pass 2 … ─▶ retired
//
// so that a cursor per pass follows the first-try cursor by a gap of time. Due passes go before
// first tries: they have waited long enough, and the window must not fill up with unfinished chunks.
//
// It belongs to one sender lane and knows neither sockets nor the clock.
type schedule struct {
	positions permute.Range
	chunkLen  uint64
	reach     uint64 // of the result map's window
	policy    policy
	gap       func() time.Duration

	first  uint64                  // where the next chunk of first tries begins
	queues [maxAttempts + 2]chunks // by passes done; in each, the one that waits longest is first
	active *pass
}

// policy says how often silent positions are asked again.
type policy interface {
	// final tells that a chunk gets no further pass, whatever comes in.
	final(c *chunk) bool
	// step is asked when the gap after the chunk's last pass is over.
	step(c *chunk) step
}

// step is what a chunk gets next.
type step uint8

const (
	stepRetire step = iota // nothing more
	stepSample             // its silent positions that belong to the sample
	stepAll                // all its silent positions
)

// chunk is a run of positions that share their history.
type chunk struct {
	begin, end uint64
	since      time.Time // its last pass ended
	passes     uint8     // ended so far, the first tries included
	probes     uint8     // that every position of it has had while silent
	sampled    bool      // positions of the sample have had one probe more
}

// attempt is the number, from 0, of the probe that a position gets next.
func (c *chunk) attempt(pos uint64) uint8 {
	if c.sampled && inSample(pos) {
		return c.probes + 1
	}
	return c.probes
}

// sampleOneIn is the share of positions whose silence is looked into first: 1/32, so that a scan that
// loses nothing sends 3 % more at most. Every 32nd position in the order of sending is a fair
// sample, because that order is random.
const sampleOneIn = 32

func inSample(pos uint64) bool { return pos%sampleOneIn == 0 }

// pass is one walk over a chunk.
type pass struct {
	chunk
	step   step
	first  bool   // first tries: every position, answered or not
	cursor uint64 // the next position to look at
}

// chunks is a FIFO queue.
type chunks struct {
	all  []chunk
	head int
}

func (q *chunks) push(c chunk) {
	if q.head > 64 && q.head*2 > len(q.all) {
		q.all = q.all[:copy(q.all, q.all[q.head:])]
		q.head = 0
	}
	q.all = append(q.all, c)
}

func (q *chunks) front() *chunk {
	if q.head == len(q.all) {
		return nil
	}
	return &q.all[q.head]
}

func (q *chunks) pop() { q.head++ }

// next is the pass to work on. Where there is none just now, wait tells for how long, and is
// negative when the scan has sent everything.
func (s *schedule) next(now time.Time) (p *pass, wait time.Duration) {
	if s.active != nil {
		return s.active, 0
	}
	wait = -1
	gap := s.gap()
	for i := len(s.queues) - 1; i > 0; i-- {
		for c := s.queues[i].front(); c != nil; c = s.queues[i].front() {
			if left := gap - now.Sub(c.since); left > 0 {
				if wait < 0 || left < wait {
					wait = left
				}
				break
			}
			due := *c
			s.queues[i].pop()
			if step := s.policy.step(&due); step != stepRetire {
				s.active = &pass{chunk: due, step: step, cursor: due.begin}
				return s.active, 0
			}
		}
	}
	end := min(s.first+s.chunkLen, s.positions.End)
	if s.first == s.positions.End || end > s.oldest()+s.reach {
		return nil, wait
	}
	c := chunk{begin: s.first, end: end}
	s.first = end
	s.active = &pass{chunk: c, step: stepAll, first: true, cursor: c.begin}
	return s.active, 0
}

// oldest is the first position whose answers may still change what is sent: it must stay in the window.
func (s *schedule) oldest() uint64 {
	oldest := s.first
	for i := range s.queues {
		if c := s.queues[i].front(); c != nil {
			oldest = min(oldest, c.begin)
		}
	}
	return oldest
}

// finish ends the active pass.
func (s *schedule) finish(now time.Time) {
	c := s.active.chunk
	if s.active.step == stepSample {
		c.sampled = true
	} else {
		c.probes++
	}
	c.passes++
	c.since = now
	s.active = nil
	if !s.policy.final(&c) {
		s.queues[c.passes].push(c)
	}
}

// fixedRetries asks every silent position again, a fixed number of times.
type fixedRetries struct {
	retries uint8
	retired func(*chunk)
}

func (f fixedRetries) final(c *chunk) bool {
	if c.probes <= f.retries {
		return false
	}
	f.retired(c)
	return true
}

func (fixedRetries) step(*chunk) step { return stepAll }
