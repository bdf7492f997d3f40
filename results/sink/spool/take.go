package spool

import (
	"errors"
	"fmt"

	"synoptic/results/sink/batch"
)

// Empty tells whether Take would find nothing. It waits for nothing.
func (s *Spool) Empty() bool { return s.Len() == 0 }

// Len is how many batches are not done with. It waits for nothing.
func (s *Spool) Len() int64 { return s.frames.Load() }

// Take reads the first batch into b and leaves it in the spool until Done or Pass. It gives false where there is
// none. What cannot be read is left out for good: the error is a *LostError then, and Take can be called
// again at once. With another error everything is there still.
func (s *Spool) Take(b *batch.Batch) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trim()
	if len(s.segments) == 0 || s.segments[0].frames == 0 {
		return false, nil
	}
	h, err := s.segments[0].read(b, &s.frame)
	if _, lost := errors.AsType[*LostError](err); err != nil && !lost {
		return false, fmt.Errorf("spool: %w", err)
	}
	s.taken, s.more, s.inHand = h, s.more[:0], true
	if err != nil {
		s.done(false)
	}
	return err == nil, err
}

// TakeMore reads into b the batch behind those that were taken last, if want takes it. Then Done is for all of
// them. It gives false at the end of a segment too, and where the batch cannot be read: Take comes to that.
func (s *Spool) TakeMore(b *batch.Batch, want func(*batch.Batch) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.inHand {
		return false
	}
	behind := *s.segments[0]
	behind.pos += s.taken.size
	for _, h := range s.more {
		behind.pos += h.size
	}
	if behind.pos >= behind.size {
		return false
	}
	h, err := behind.read(b, &s.frame)
	if err != nil || !want(b) {
		return false
	}
	s.more = append(s.more, h)
	return true
}

// Done removes what was taken.
func (s *Spool) Done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done(false)
}

// Pass goes on behind what was taken, and leaves that on the disk until Release: a process that finds the spool
// before finds it there.
func (s *Spool) Pass() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done(true)
}

func (s *Spool) done(hold bool) {
	if s.inHand {
		first := s.segments[0]
		before := first.frames
		first.passed(s.taken)
		for _, h := range s.more {
			first.passed(h)
		}
		// What is not held follows what is: it cannot be gone before that.
		if !hold && len(s.held) == 0 && !first.holds {
			first.mark()
		} else {
			first.holds = true
		}
		s.frames.Add(int64(first.frames - before))
		s.inHand = false
	}
	s.trim()
}

// trim removes segments of which all has been delivered, and sets those aside that wait for Release.
func (s *Spool) trim() {
	for len(s.segments) > 0 && s.segments[0].frames == 0 {
		g := s.segments[0]
		s.segments = s.segments[1:]
		if !g.holds {
			s.discard(g)
			continue
		}
		_ = g.shut() // what was written is not lost by that
		s.held = append(s.held, g)
	}
}

// discard removes a segment. One that cannot be removed is found to be empty by the next process, or delivered
// twice.
func (s *Spool) discard(g *segment) {
	s.bytes -= g.size
	_ = g.remove()
}

// Clear removes all batches.
func (s *Spool) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.all() {
		s.discard(g)
	}
	s.segments, s.held, s.insured, s.bytes, s.inHand = nil, nil, nil, 0, false
	s.frames.Store(0)
}
