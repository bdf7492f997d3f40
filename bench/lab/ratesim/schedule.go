package ratesim

import "synoptic/ratelimit/auto"

// chunkLen is how many positions make a chunk: some 20 ms at 100k pps. A chunk as long as 20 ms at a maximum that nobody
// reaches would last for seconds on a slow path.
const chunkLen = 2048

// mostPasses bounds the passes over a chunk.
const mostPasses = 8

// cleanPasses of those over a chunk that still has silent positions must have been sent outside of overload.
const cleanPasses = 2

// chunk is a run of positions as package schedule has them.
type chunk struct {
	begin, end uint32
	passes     uint8
	spans      [mostPasses][2]int64 // when each pass was sent
	found      [mostPasses]uint32   // answers by attempt
}

// pass is one walk over the silent positions of a chunk.
type pass struct {
	chunk  *chunk
	cursor uint32
	begun  int64
}

// schedule hands out passes as package schedule does: those that have waited for the gap first, later attempts before earlier ones.
type schedule struct {
	positions uint32
	retries   int
	chunks    []chunk
	first     int // the next chunk of first tries
	waiting   [mostPasses + 1][]*chunk
	head      [mostPasses + 1]int
	extra     int // passes beyond the retries
	settled   int // chunks that are done with
}

func newSchedule(positions uint32, retries int) schedule {
	s := schedule{positions: positions, retries: retries}
	for begin := uint32(0); begin < positions; begin += chunkLen {
		s.chunks = append(s.chunks, chunk{begin: begin, end: min(begin+chunkLen, positions)})
	}
	return s
}

// next gives a pass, or none: then the next is due at a time, or done is true.
func (s *schedule) next(now, gap int64, rater Rater) (p pass, due int64, done bool) {
	due = 1<<63 - 1
	for i := mostPasses; i > 0; i-- {
		for s.head[i] < len(s.waiting[i]) {
			c := s.waiting[i][s.head[i]]
			if at := c.spans[c.passes-1][1] + gap; at > now {
				due = min(due, at)
				break
			}
			s.head[i]++
			if i == 2 {
				rater.Yield(auto.Yield{From: c.spans[0][0], To: c.spans[0][1], First: int(c.found[0]), Second: int(c.found[1])})
			}
			if s.again(c, rater) {
				return pass{chunk: c, cursor: c.begin, begun: now}, 0, false
			}
			s.settled++
		}
	}
	if s.first < len(s.chunks) {
		c := &s.chunks[s.first]
		s.first++
		return pass{chunk: c, cursor: c.begin, begun: now}, 0, false
	}
	return pass{}, due, s.settled == len(s.chunks)
}

// again tells whether a chunk gets another pass.
func (s *schedule) again(c *chunk, rater Rater) bool {
	if int(c.passes) <= s.retries {
		return true
	}
	if c.passes == mostPasses {
		return false
	}
	clean := 0
	for _, span := range c.spans[:c.passes] {
		if !rater.Overloaded(span[0], span[1]) {
			clean++
		}
	}
	if clean < min(cleanPasses, s.retries+1) {
		s.extra++
		return true
	}
	return false
}

func (s *schedule) finish(p *pass, now int64) {
	c := p.chunk
	c.spans[c.passes] = [2]int64{p.begun, now}
	c.passes++
	s.waiting[c.passes] = append(s.waiting[c.passes], c)
}
