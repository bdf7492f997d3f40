package engine

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"synoptic/results"
	"synoptic/scan/schedule"
)

// sharedSchedule is the schedule between sender lanes. A lane asks for a pass, sends it and gives it
// back, once in some 20 ms: what the lock costs does not show. It makes the lanes the one sender that
// the result map wants.
type sharedSchedule struct {
	phase    *Phase
	mu       sync.Mutex
	schedule *schedule.Schedule
	news     []results.Port // records of positions that leave the window silent
	silent   func(position uint64)

	epoch atomic.Uint64    // how often passes were taken back
	asked []schedule.Asked // chunks done with of late
	parts lostParts
	away  map[int]uint64 // paths that are not sent on, and the first position that this may concern
}

func newSharedSchedule(ph *Phase) *sharedSchedule {
	s := &sharedSchedule{phase: ph, schedule: ph.newSchedule(), news: ph.rec.queue.batch(), away: map[int]uint64{}}
	s.silent = ph.silentRecorder(&s.news)
	s.schedule.Settled = s.settled
	return s
}

// take hands out a pass; nil and wait are as of Schedule.Next. The window reaches to the end of what
// was handed out.
func (s *sharedSchedule) take() (p *schedule.Pass, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, wait = s.schedule.Next(time.Now())
	if p != nil && p.Begins() {
		s.phase.ev.loss.Open(p.Begin)
		s.phase.cur.ahead.Add(p.End - p.Begin)
		s.phase.advance(p.End, s.silent)
		s.news = s.phase.rec.queue.put(s.news)
	}
	return p, wait
}

// awaitGo waits while the pace is paused.
func (s *sharedSchedule) awaitGo(ctx context.Context) { s.phase.session.pacer.Await(ctx) }

// finish takes back a pass whose probes are all sent.
func (s *sharedSchedule) finish(p *schedule.Pass) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.schedule.Finish(p, now)
	s.phase.lastPass.Store(now.UnixNano())
}

// park takes back a pass with positions that the gate has put off.
func (s *sharedSchedule) park(p *schedule.Pass) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.schedule.Park(p, time.Now())
}

// abandonParked gives up what still waits when the lanes have stopped.
func (s *sharedSchedule) abandonParked() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.schedule.Parked(s.phase.abandon)
}

// doneBefore is the first position whose chunk was not done with at a time, as far as it had anything silent.
func (s *sharedSchedule) doneBefore(t time.Time) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.schedule.Oldest()
	for _, a := range s.asked {
		if a.Passes[len(a.Passes)-1].Ended.After(t) {
			first = min(first, a.Begin)
		}
	}
	return first
}

// reached is the first position whose chunk is not done with.
func (s *sharedSchedule) reached() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.schedule.Oldest()
}
