package beacon

// Pause says that no more probes are sent from now on, until Resume.
func (s *Set) Pause(now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pausedAt.Store(now)
	s.before = s.newest()
	for _, m := range s.members {
		m.kept = m.lostBefore(s.before)
	}
}

// Resume says that probes are sent again. What was lost meanwhile says nothing against beacons that are answered when they are asked
// next, unless that was doubtful: others were answered as soon as anybody waited for them.
func (s *Set) Resume(doubtful bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offered, s.unheard = s.awake, 0
	if doubtful {
		s.pausedAt.Store(0)
		s.book()
		return
	}
	s.book()
	s.pending = s.pending[:0]
	for _, m := range s.members {
		m.lost = min(m.lost, m.kept)
		m.grace = s.ticked
	}
	s.pausedAt.Store(0)
}

// Overlooked says that what was sent from a time until the newest answered probe was sent has not travelled: an outage
// that is over. It says nothing of what is lost otherwise.
func (s *Set) Overlooked(since int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.members {
		m.lost = m.lostBefore(since)
	}
	s.all, s.next = s.unbooked[0], s.unbooked[1]
}

// Before is when the newest probe was sent that was answered, of those sent until Pause: answers to them may come
// after it.
func (s *Set) Before() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.before, min(s.until.Load(), s.pausedAt.Load()))
}
