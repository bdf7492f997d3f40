// Package schedule decides which positions of a scan are probed next. Call New; then Schedule.Next hands out
// passes, whose positions Pass.Collect gives, and Schedule.Finish takes them back. A Policy says how often silence
// is asked again, and Loss counts on which attempt positions answered.
//
// A Schedule knows neither sockets, locks nor the clock: whoever shares it between lanes locks it.
package schedule

import (
	"time"

	"synoptic/scan/estimate"
	"synoptic/scan/permute"
)

// MaxAttempts is how many attempts are told apart: one source port is reserved for each.
const MaxAttempts = estimate.MaxAttempts

// MaxTries bounds the probes that a position can get.
const MaxTries = 10

// A Schedule hands out the positions of a scan in chunks, of some milliseconds of sending each:
//
//	first tries ─▶ chunk ─▶ waits for the gap ─▶ pass 1 over its silent ─▶ waits ─▶ pass 2 … ─▶ retired
//
// so that a cursor per pass follows the first-try cursor by a gap of time. Due passes go before
// first tries: they have waited long enough, and the window must not fill up with unfinished chunks.
//
// Any number of passes may be in flight, each in the hands of one sender lane. Chunks come back in any
// order: the window is held by the oldest that has not retired. A pass may come back with positions that
// cannot be asked yet (Park); it is handed out again later.
type Schedule struct {
	Config

	first    uint64                  // where the next chunk of first tries begins
	queues   [MaxAttempts + 2]chunks // by passes done; in each, the one that waits longest is first. [0]: to be asked anew
	settling chunks                  // that get no further pass, and wait for evidence that their last one was seen
	deferred chunks                  // until the policy has seen more of the scan
	asked    time.Time               // when it was last asked about a deferred one

	flying int          // passes in flight
	aloft  []*Pass      // these, and the parked ones
	early  int          // of these, those whose outcome will add to what the policy knows
	live   unfinished   // chunks that have not retired
	parked parkedPasses // with positions that could not be asked
	stuck  int          // of these, those that more could not be put off of
	free   []*Pass      // ended, to be used again
	pasts  [][]before   // of chunks that are done with, likewise
	asking Chunk        // that the policy is asked about: here, for what is passed to it escapes
}

// Config is what a schedule is made of.
type Config struct {
	Positions permute.Range
	ChunkLen  uint64 // positions, a power of two; chunks begin at its multiples
	Reach     uint64 // positions that the result map's window holds
	Policy    Policy
	Gap       func() time.Duration           // between two attempts at a position
	Silent    func(begin, end uint64) uint64 // the number of silent positions of [begin, end)

	// Trusted is the time up to which what was sent is known to have travelled: chunks with silent positions
	// are kept until their last pass lies before it, for TakeBack may come. nil: always.
	Trusted func() time.Time
	// Settled, if set, is told of chunks with silent positions that are done with for good.
	Settled func(Asked)
	// Worthless, if set, is asked about a chunk that gets no further pass: true says that so much of it was asked when silence
	// said little that its last pass is to be made anew, once. Its silent positions have the same attempt again.
	Worthless func(passes []Span) bool
	// Twice, if set, is told of a chunk whose second pass has been listened to: where it begins and when its first tries were sent.
	Twice func(begin uint64, first Span)
}

// Policy says how often silent positions are asked again.
type Policy interface {
	// Final tells that a chunk gets no further pass, whatever comes in.
	Final(c *Chunk) bool
	// Step is asked when the gap after the chunk's last pass is over. It may choose c.Stride. more
	// tells that later chunks will add to what is known.
	Step(c *Chunk, more bool) Step
	// Answered is told of a chunk that waits and has nothing silent left: its passes would be empty.
	Answered(c *Chunk)
	// TakenBack is told of a chunk whose last passes count as not sent: its state is that before them.
	TakenBack(c *Chunk)
}

// Step is what a chunk gets next.
type Step uint8

// The steps.
const (
	Retire   Step = iota // nothing more
	Sample               // its silent positions that belong to the sample
	All                  // all its silent positions
	Postpone             // not known yet
)

// chunks is a FIFO queue.
type chunks struct {
	all  []Chunk
	head int
}

func (q *chunks) push(c Chunk) {
	if q.head > 64 && q.head*2 > len(q.all) {
		q.all = q.all[:copy(q.all, q.all[q.head:])]
		q.head = 0
	}
	q.all = append(q.all, c)
}

func (q *chunks) front() *Chunk {
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

// New returns a schedule at its beginning.
func New(c Config) *Schedule {
	return &Schedule{Config: c, first: c.Positions.Begin, live: unfinished{first: c.Positions.Begin / c.ChunkLen}}
}

// flyingWait is how long to wait where the next thing to do depends on a pass in flight.
const flyingWait = 2 * time.Millisecond

// Next hands out a pass, which is in flight until Finish or Park. Where there is none just now, wait tells for
// how long; it is negative when everything is sent and nothing is in flight.
func (s *Schedule) Next(now time.Time) (p *Pass, wait time.Duration) {
	s.confirm(now)
	if p, wait = s.unpark(now); p != nil || s.stuck > 0 {
		return p, wait // another pass would only come to a position that cannot be put off either
	}
	if p = s.anew(now); p != nil {
		return p, 0
	}
	if p = s.retryDeferred(now); p != nil {
		return p, 0
	}
	gap := s.Gap()
	for i := len(s.queues) - 1; i > 0; i-- {
		for c := s.queues[i].front(); c != nil; c = s.queues[i].front() {
			if left := gap - now.Sub(c.Since); left > 0 {
				wait = sooner(wait, left)
				break
			}
			s.asking = *c
			s.queues[i].pop()
			step := s.Policy.Step(&s.asking, s.more())
			s.tellTwice(&s.asking)
			if p = s.follow(s.asking, step, now); p != nil {
				return p, 0
			}
		}
	}
	if !s.room() {
		if s.dropAnswered() {
			return s.Next(now)
		}
		if s.settling.front() != nil {
			wait = sooner(wait, flyingWait)
		}
		if s.deferred.front() != nil {
			wait = sooner(wait, deferEvery)
		}
		if s.flying > 0 {
			wait = sooner(wait, flyingWait)
		}
		return nil, wait
	}
	c := Chunk{Begin: s.first, End: s.nextEnd()}
	if k := len(s.pasts); k > 0 {
		c.past, s.pasts = s.pasts[k-1], s.pasts[:k-1]
	}
	s.first = c.End
	s.live.open()
	p = s.launch(c, All, now)
	p.First = true
	return p, 0
}

// sooner is the lesser of two waits, of which the first may be negative: none.
func sooner(wait, other time.Duration) time.Duration {
	if wait < 0 {
		return other
	}
	return min(wait, other)
}

// launch puts a pass over a chunk in flight.
func (s *Schedule) launch(c Chunk, step Step, now time.Time) *Pass {
	var p *Pass
	if k := len(s.free); k > 0 {
		p, s.free = s.free[k-1], s.free[:k-1]
	} else {
		p = new(Pass)
	}
	*p = Pass{Chunk: c, Step: step, Cursor: c.Begin, begun: now, full: c.End, at: len(s.aloft)}
	s.flying++
	s.aloft = append(s.aloft, p)
	if c.early() {
		s.early++
	}
	return p
}

// early tells that what comes of a chunk's next pass will add to what the policy knows.
func (c *Chunk) early() bool { return c.Passes < 2 }

// dropAnswered ends the chunks at the queues' fronts that have nothing silent left, so that a scan
// whose every probe was answered need not wait for a gap.
func (s *Schedule) dropAnswered() (dropped bool) {
	for i := 1; i < len(s.queues); i++ {
		for c := s.queues[i].front(); c != nil && s.Silent(c.Begin, c.End) == 0; c = s.queues[i].front() {
			s.Policy.Answered(c)
			s.retire(c)
			s.queues[i].pop()
			dropped = true
		}
	}
	for c := s.settling.front(); c != nil && s.Silent(c.Begin, c.End) == 0; c = s.settling.front() {
		s.retire(c)
		s.settling.pop()
		dropped = true
	}
	return dropped
}

// deferEvery is how often the policy is asked again about deferred chunks.
const deferEvery = 20 * time.Millisecond

// retryDeferred asks again about the deferred chunks, in order, until one is to be worked on.
func (s *Schedule) retryDeferred(now time.Time) *Pass {
	more := s.more()
	if more && now.Sub(s.asked) < deferEvery {
		return nil
	}
	s.asked = now
	for c := s.deferred.front(); c != nil; c = s.deferred.front() {
		s.asking = *c
		step := s.Policy.Step(&s.asking, more)
		if step == Postpone {
			return nil // and with it those behind
		}
		s.deferred.pop()
		if p := s.follow(s.asking, step, now); p != nil {
			return p
		}
	}
	return nil
}

// follow does with a chunk what the policy says; the pass if that is one.
func (s *Schedule) follow(c Chunk, step Step, now time.Time) *Pass {
	switch step {
	case Retire:
		s.settle(c)
		return nil
	case Postpone:
		s.deferred.push(c)
		return nil
	default:
		return s.launch(c, step, now)
	}
}

// retire lets the window leave a chunk behind. It must not be used any more.
func (s *Schedule) retire(c *Chunk) {
	s.live.retire(c.Begin / s.ChunkLen)
	s.pasts = append(s.pasts, c.past[:0])
	c.past = nil
}

// more tells whether chunks will come of which nothing is known yet.
func (s *Schedule) more() bool {
	return s.early > 0 || s.room() || s.queues[0].front() != nil || s.queues[1].front() != nil || s.queues[2].front() != nil
}

// nextEnd is where the next chunk of first tries ends.
func (s *Schedule) nextEnd() uint64 {
	return min(s.first&^(s.ChunkLen-1)+s.ChunkLen, s.Positions.End)
}

// room tells whether first tries are left that fit the window.
func (s *Schedule) room() bool {
	return s.first != s.Positions.End && s.nextEnd() <= s.oldest()+s.Reach
}

// Oldest is the first position whose chunk is not done with.
func (s *Schedule) Oldest() uint64 { return s.oldest() }

// oldest is the first position whose answers may still change what is sent: it must stay in the window.
func (s *Schedule) oldest() uint64 {
	return min(max(s.live.first*s.ChunkLen, s.Positions.Begin), s.first)
}

// Finish ends a pass. It must not be used any more.
func (s *Schedule) Finish(p *Pass, now time.Time) {
	s.land(p)
	if p.taken && p.redo > p.Begin {
		s.repeat(p, now)
		return
	}
	c := &p.Chunk
	c.End = p.full
	c.remember(p.begun, now)
	if p.Step == Sample {
		c.Sampled = true
	} else {
		c.Probes++
	}
	c.Passes++
	c.Since = now
	if s.Policy.Final(c) {
		s.settle(*c)
	} else {
		s.queues[c.Passes].push(*c)
	}
	s.free = append(s.free, p)
}

// land takes a pass out of the air.
func (s *Schedule) land(p *Pass) {
	s.flying--
	if p.early() {
		s.early--
	}
	last := s.aloft[len(s.aloft)-1]
	s.aloft[p.at], last.at = last, p.at
	s.aloft = s.aloft[:len(s.aloft)-1]
}
