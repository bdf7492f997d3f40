package queue

import "sync"

// Signal tells whoever waits that something has changed. It costs nothing while nobody waits. The zero value
// is ready for use.
type Signal struct {
	mu sync.Mutex
	c  chan struct{}
}

// Changed gives a channel that is closed by the next Notify. Take it before looking at what may change.
func (s *Signal) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.c == nil {
		s.c = make(chan struct{})
	}
	return s.c
}

// Notify wakes all who wait.
func (s *Signal) Notify() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.c != nil {
		close(s.c)
		s.c = nil
	}
}

// token is a wake-up call for one goroutine, which is not lost where that one is busy.
type token chan struct{}

func newToken() token { return make(token, 1) }

func (t token) give() {
	select {
	case t <- struct{}{}:
	default:
	}
}

func (t token) take() bool {
	select {
	case <-t:
		return true
	default:
		return false
	}
}
