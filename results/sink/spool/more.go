package spool

import "synoptic/results/sink/batch"

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
