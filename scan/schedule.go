package scan

import (
	"time"

	"synoptic/results/window"
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
// Any number of passes may be in flight, each in the hands of one sender lane. Chunks come back in any
// order: the window is held by the oldest that has not retired.
//
// It knows neither sockets, locks nor the clock; sharedSchedule puts it between the lanes.
type schedule struct {
	positions permute.Range
	chunkLen  uint64 // a power of two, and chunks begin at its multiples
	reach     uint64 // of the result map's window
	policy    policy
	gap       func() time.Duration
	silent    func(begin, end uint64) uint64 // silent positions of [begin, end)

	first    uint64                  // where the next chunk of first tries begins
	queues   [maxAttempts + 2]chunks // by passes done; in each, the one that waits longest is first
	deferred chunks                  // until the policy has seen more of the scan
	asked    time.Time               // when it was last asked about a deferred one

	flying int        // passes in flight
	early  int        // of these, those whose outcome will add to what the policy knows
	live   unfinished // chunks that have not retired
	free   []*pass    // ended, to be used again
	asking chunk      // that the policy is asked about: here, for what is passed to it escapes
}

// policy says how often silent positions are asked again.
type policy interface {
	// final tells that a chunk gets no further pass, whatever comes in.
	final(c *chunk) bool
	// step is asked when the gap after the chunk's last pass is over. It may choose c.stride. more
	// tells that later chunks will add to what is known.
	step(c *chunk, more bool) step
	// answered is told of a chunk that waits and has nothing silent left: its passes would be empty.
	answered(c *chunk)
}

// step is what a chunk gets next.
type step uint8

const (
	stepRetire step = iota // nothing more
	stepSample             // its silent positions that belong to the sample
	stepAll                // all its silent positions
	stepDefer              // not known yet
)

// chunk is a run of positions that share their history.
type chunk struct {
	begin, end uint64
	since      time.Time // its last pass ended
	passes     uint8     // ended so far, the first tries included
	probes     uint8     // that every position of it has had while silent
	sampled    bool      // positions of the sample have had one probe more
	stride     uint8     // log2 of: one position in how many belongs to the sample
}

// maxStride makes the smallest sample one position in 32.
const maxStride = 5

// inSample tells whether a position belongs to a chunk's sample. Positions at regular distances in the
// order of sending are a fair sample, because that order is random.
func (c *chunk) inSample(pos uint64) bool { return pos&(1<<c.stride-1) == 0 }

// attempt is the number, from 0, of the probe that a position gets next.
func (c *chunk) attempt(pos uint64) uint8 {
	if c.sampled && c.inSample(pos) {
		return c.probes + 1
	}
	return c.probes
}

// pass is one walk over a chunk.
type pass struct {
	chunk
	step   step
	first  bool   // first tries: every position, answered or not
	cursor uint64 // the next position to look at
}

// collect appends the next positions of the pass to due, as many as it has room for.
func (p *pass) collect(m *window.Map, due []uint64) []uint64 {
	if p.first {
		for pos := p.cursor; pos < p.end && len(due) < cap(due); pos++ {
			due = append(due, pos)
		}
		return due
	}
	m.Silent(p.cursor, p.end, func(pos uint64) bool {
		if p.step == stepAll || p.inSample(pos) {
			due = append(due, pos)
		}
		return len(due) < cap(due)
	})
	return due
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

// unfinished tells which of the chunks, numbered in the order of their positions, is the first that
// has not retired.
type unfinished struct {
	first   uint64 // its number
	retired []bool // of the chunks from first on, from head
	head    int
}

func (u *unfinished) open() {
	if u.head > 64 && u.head*2 > len(u.retired) {
		u.retired = u.retired[:copy(u.retired, u.retired[u.head:])]
		u.head = 0
	}
	u.retired = append(u.retired, false)
}

func (u *unfinished) retire(number uint64) {
	u.retired[u.head+int(number-u.first)] = true
	for u.head < len(u.retired) && u.retired[u.head] {
		u.head++
		u.first++
	}
}

func newSchedule(positions permute.Range, chunkLen, reach uint64) *schedule {
	return &schedule{
		positions: positions, first: positions.Begin, chunkLen: chunkLen, reach: reach,
		live: unfinished{first: positions.Begin / chunkLen},
	}
}

// flyingNap is how long to wait where the next thing to do depends on a pass in flight.
const flyingNap = 2 * time.Millisecond

// next hands out a pass, which is in flight until finish. Where there is none just now, wait tells for
// how long; it is negative when everything is sent and nothing is in flight.
func (s *schedule) next(now time.Time) (p *pass, wait time.Duration) {
	wait = -1
	if p = s.retryDeferred(now); p != nil {
		return p, 0
	}
	gap := s.gap()
	for i := len(s.queues) - 1; i > 0; i-- {
		for c := s.queues[i].front(); c != nil; c = s.queues[i].front() {
			if left := gap - now.Sub(c.since); left > 0 {
				if wait < 0 || left < wait {
					wait = left
				}
				break
			}
			s.asking = *c
			s.queues[i].pop()
			step := s.policy.step(&s.asking, s.more())
			if p = s.follow(s.asking, step); p != nil {
				return p, 0
			}
		}
	}
	if !s.room() {
		if s.dropAnswered() {
			return s.next(now)
		}
		if s.deferred.front() != nil {
			wait = sooner(wait, deferEvery)
		}
		if s.flying > 0 {
			wait = sooner(wait, flyingNap)
		}
		return nil, wait
	}
	c := chunk{begin: s.first, end: s.nextEnd()}
	s.first = c.end
	s.live.open()
	return s.launch(c, stepAll), 0
}

// sooner is the lesser of two waits, of which the first may be negative: none.
func sooner(wait, other time.Duration) time.Duration {
	if wait < 0 {
		return other
	}
	return min(wait, other)
}

// launch puts a pass over a chunk in flight.
func (s *schedule) launch(c chunk, step step) *pass {
	var p *pass
	if k := len(s.free); k > 0 {
		p, s.free = s.free[k-1], s.free[:k-1]
	} else {
		p = new(pass)
	}
	*p = pass{chunk: c, step: step, first: c.passes == 0, cursor: c.begin}
	s.flying++
	if c.early() {
		s.early++
	}
	return p
}

// early tells that what comes of a chunk's next pass will add to what the policy knows.
func (c *chunk) early() bool { return c.passes < 2 }

// dropAnswered ends the chunks at the queues' fronts that have nothing silent left, so that a scan
// whose every probe was answered need not wait for a gap.
func (s *schedule) dropAnswered() (dropped bool) {
	for i := range s.queues {
		for c := s.queues[i].front(); c != nil && s.silent(c.begin, c.end) == 0; c = s.queues[i].front() {
			s.policy.answered(c)
			s.retire(c)
			s.queues[i].pop()
			dropped = true
		}
	}
	return dropped
}

// deferEvery is how often the policy is asked again about deferred chunks.
const deferEvery = 20 * time.Millisecond

// retryDeferred asks again about the deferred chunks, in order, until one is to be worked on.
func (s *schedule) retryDeferred(now time.Time) *pass {
	more := s.more()
	if more && now.Sub(s.asked) < deferEvery {
		return nil
	}
	s.asked = now
	for c := s.deferred.front(); c != nil; c = s.deferred.front() {
		s.asking = *c
		step := s.policy.step(&s.asking, more)
		if step == stepDefer {
			return nil // and with it those behind
		}
		s.deferred.pop()
		if p := s.follow(s.asking, step); p != nil {
			return p
		}
	}
	return nil
}

// follow does with a chunk what the policy says; the pass if that is one.
func (s *schedule) follow(c chunk, step step) *pass {
	switch step {
	case stepRetire:
		s.retire(&c)
		return nil
	case stepDefer:
		s.deferred.push(c)
		return nil
	default:
		return s.launch(c, step)
	}
}

// retire lets the window leave a chunk behind.
func (s *schedule) retire(c *chunk) { s.live.retire(c.begin / s.chunkLen) }

// more tells whether chunks will come of which nothing is known yet.
func (s *schedule) more() bool {
	return s.early > 0 || s.room() || s.queues[1].front() != nil || s.queues[2].front() != nil
}

// nextEnd is where the next chunk of first tries ends.
func (s *schedule) nextEnd() uint64 {
	return min(s.first&^(s.chunkLen-1)+s.chunkLen, s.positions.End)
}

// room tells whether first tries are left that fit the window.
func (s *schedule) room() bool {
	return s.first != s.positions.End && s.nextEnd() <= s.oldest()+s.reach
}

// oldest is the first position whose answers may still change what is sent: it must stay in the window.
func (s *schedule) oldest() uint64 {
	return min(max(s.live.first*s.chunkLen, s.positions.Begin), s.first)
}

// finish ends a pass. It must not be used any more.
func (s *schedule) finish(p *pass, now time.Time) {
	c := &p.chunk
	s.flying--
	if c.early() {
		s.early--
	}
	if p.step == stepSample {
		c.sampled = true
	} else {
		c.probes++
	}
	c.passes++
	c.since = now
	if s.policy.final(c) {
		s.retire(c)
	} else {
		s.queues[c.passes].push(*c)
	}
	s.free = append(s.free, p)
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

func (f fixedRetries) answered(c *chunk) {
	c.probes = f.retries + 1
	f.retired(c)
}

func (fixedRetries) step(*chunk, bool) step { return stepAll }
