package scan

import (
	"sync"
	"time"

	"synoptic/results"
)

// sharedSchedule is the schedule between sender lanes. A lane asks for a pass, sends it and gives it
// back, once in some 20 ms: what the lock costs does not show. It makes the lanes the one sender that
// the result map wants.
type sharedSchedule struct {
	*engine
	mu       sync.Mutex
	schedule *schedule
	news     []results.Port // records of positions that leave the window silent
	silent   func(position uint64)
}

func (e *engine) newSharedSchedule() *sharedSchedule {
	s := &sharedSchedule{engine: e, schedule: e.newSchedule(e.Positions), news: e.queue.batch()}
	s.silent = e.silentRecorder(&s.news)
	return s
}

// take hands out a pass; nil and wait are as of schedule.next. The window reaches to the end of what
// was handed out.
func (s *sharedSchedule) take() (p *pass, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, wait = s.schedule.next(time.Now())
	if p != nil && p.first {
		s.loss.open(p.begin)
		s.ahead.Add(p.end - p.begin)
		s.advance(p.end, s.silent)
		s.news = s.queue.put(s.news)
	}
	return p, wait
}

// finish takes back a pass whose probes are all sent.
func (s *sharedSchedule) finish(p *pass) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.schedule.finish(p, time.Now())
}
